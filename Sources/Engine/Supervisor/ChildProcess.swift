import Base
import Glibc
import Synchronization

/// A process of this program, whose lines are passed on.
final class ChildProcess: Sendable {
    let process: pid_t
    private let reading: Background
    /// Where its metrics are; 0: it has not said so yet.
    private let port: Port

    private final class Port: Sendable { let value = Atomic<UInt16>(0) }

    /// Starts `millrace` with these words. `line` gets what it writes to standard error, a line at a time.
    init(_ words: [String], line: @escaping @Sendable (String) -> Void) throws(Fault) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Fault(.external, "no pipe: \(String(cString: strerror(errno)))") }
        // Other children must not hold the writing end, or its lines would have no end.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A group of its own: what a terminal sends to this process is for this process to pass on.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        var arguments = (["millrace"] + words).map { strdup($0) } + [nil]
        defer { for text in arguments { free(text) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, "/proc/self/exe", &actions, &attributes, &arguments, environ)
        _ = close(ends[1])
        guard code == 0 else {
            _ = close(ends[0])
            throw Fault(
                .external,
                "millrace \(words.first ?? "") cannot be started: \(String(cString: strerror(code)))")
        }
        process = id
        let port = Port()
        let descriptor = ends[0]
        reading = Background { () throws(Fault) in
            Self.read(descriptor) { text in
                if let found = Self.port(in: text) { port.value.store(found, ordering: .releasing) }
                line(text)
            }
        }
        self.port = port
    }

    var metricsPort: UInt16? {
        let port = self.port.value.load(ordering: .acquiring)
        return port == 0 ? nil : port
    }

    /// How it ended: its exit code, or 128 and the signal; nil: it runs.
    func poll() -> Int32? {
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return nil }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    func send(_ signal: Int32) { _ = kill(process, signal) }

    /// After its end: until the last of its lines was passed on.
    func drain() { _ = reading.join() }

    private static func port(in line: String) -> UInt16? {
        guard let place = line.firstRange(of: "metrics on http://127.0.0.1:") else { return nil }
        return UInt16(line[place.upperBound...].prefix { $0.isNumber })
    }

    private static let lineBytesMax = 64 << 10

    private static func read(_ descriptor: Int32, _ line: (String) -> Void) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        var rest: [UInt8] = []
        while true {
            let count = Glibc.read(descriptor, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            for byte in bytes[..<count] {
                if byte == UInt8(ascii: "\n") || rest.count >= lineBytesMax {
                    line(String(decoding: rest, as: UTF8.self))
                    rest.removeAll(keepingCapacity: true)
                }
                if byte != UInt8(ascii: "\n") { rest.append(byte) }
            }
        }
        if !rest.isEmpty { line(String(decoding: rest, as: UTF8.self)) }
        _ = close(descriptor)
    }
}
