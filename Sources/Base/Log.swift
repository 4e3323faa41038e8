import Glibc
import Synchronization

/// Log lines for people, to standard error: `2026-01-01T00:00:00.000Z level message`.
package enum Log {
    package enum Level: Int, Sendable { case error, warning, info, debug }

    // Written once, before the first thread starts.
    nonisolated(unsafe) package static var level = Level.info

    private static let lost = Atomic<Bool>(false)

    /// True once a line could not be written; nothing else comes of it here.
    package static var hasLostLines: Bool { lost.load(ordering: .relaxed) }

    package static func error(_ message: @autoclosure () -> String) { write(.error, message) }
    package static func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
    package static func info(_ message: @autoclosure () -> String) { write(.info, message) }
    package static func debug(_ message: @autoclosure () -> String) { write(.debug, message) }

    /// A line of another process, which says by itself when it was and what it is.
    package static func relay(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        let written = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
        if written < 0 { lost.store(true, ordering: .relaxed) }
    }

    private static func write(_ level: Level, _ message: () -> String) {
        guard level.rawValue <= Self.level.rawValue else { return }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let milliseconds = now.tv_nsec / 1_000_000
        let fraction = "\(milliseconds + 1000)".dropFirst()
        let line =
            "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z "
            + "\(level) \(message())\n"
        // One write, so that lines of several threads do not mix.
        let bytes = Array(line.utf8)
        let written = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
        if written < 0 { lost.store(true, ordering: .relaxed) }
    }
}
