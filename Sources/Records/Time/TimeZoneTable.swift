import Base
import Glibc

/// A time zone's offsets as a table of transitions, read once from the system's tzdata (TZif, RFC 8536).
/// Times after the last transition of the file follow its footer, laid out here up to the year 2200.
package final class TimeZoneTable: Sendable {
    package let name: String
    /// `offsets[i]` holds from `starts[i]` on; milliseconds. `starts[0]` is the beginning of time.
    private let starts: [Int64]
    private let offsets: [Int64]

    package static let utc = TimeZoneTable(name: "UTC", starts: [.min], offsets: [0])
    package static let folder = "/usr/share/zoneinfo"

    init(name: String, starts: [Int64], offsets: [Int64]) {
        self.name = name
        self.starts = starts
        self.offsets = offsets
    }

    /// Remembers the stretch of the last lookup, since times of one batch lie close together.
    package struct Cursor {
        var from: Int64 = 1
        var to: Int64 = 0
        var offset: Int64 = 0
    }

    package func cursor() -> Cursor { Cursor() }

    /// What local time is ahead of UTC, milliseconds.
    package func offset(atMilliseconds time: Int64, _ cursor: inout Cursor) -> Int64 {
        if time >= cursor.from && time < cursor.to { return cursor.offset }
        let index = self.index(at: time)
        cursor.from = starts[index]
        cursor.to = index + 1 < starts.count ? starts[index + 1] : .max
        cursor.offset = offsets[index]
        return cursor.offset
    }

    private func index(at time: Int64) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= time { low = middle } else { high = middle }
        }
        return low
    }

    /// The instant of a local time: the earlier one where the clocks go back over it, the time that the
    /// clocks then show where they skip it.
    package func utc(local: Int64) -> Int64 {
        var index = firstIndex(reaching: local)
        while true {
            let time = local - offsets[index]
            // Skipped: as if the clocks had not moved yet.
            if time < starts[index] { return local - offsets[index - 1] }
            if index + 1 == starts.count || time < starts[index + 1] { return time }
            index += 1
        }
    }

    /// A stretch before any of which local time has come to `local`.
    private func firstIndex(reaching local: Int64) -> Int {
        index(at: local < .min + Self.offsetMax ? .min : local - Self.offsetMax)
    }

    /// No zone is further from UTC (RFC 8536, 3.1).
    private static let offsetMax: Int64 = 26 * 3_600_000

    /// The local calendar day, in days since 1970-01-01.
    package func localDay(containing time: Int64, _ cursor: inout Cursor) -> Int64 {
        floorDivide(time + offset(atMilliseconds: time, &cursor), CivilTime.dayMilliseconds)
    }

    /// The first instant at which the clocks show a local calendar day or a later one: midnight, or where the
    /// clocks skip midnight, the moment of the change. Where they go back over midnight, midnight comes
    /// twice, and the day begins with the first one. So days never begin before the ones before them; one
    /// that the clocks skip begins with the one after it.
    package func startOfDay(ordinal: Int64) -> Int64 {
        let midnight = ordinal * CivilTime.dayMilliseconds
        var index = firstIndex(reaching: midnight)
        while true {
            let time = max(starts[index], midnight - offsets[index])
            if index + 1 == starts.count || time < starts[index + 1] { return time }
            index += 1
        }
    }

    /// The start of the day that the clocks show at `time`.
    package func startOfDay(containing time: Int64, _ cursor: inout Cursor) -> Int64 {
        startOfDay(ordinal: localDay(containing: time, &cursor))
    }

    /// The last day that has begun at `time`. It is the one that the clocks show, but where they have gone
    /// back over midnight, until they show midnight again.
    package func dayBegun(at time: Int64, _ cursor: inout Cursor) -> Int64 {
        var day = localDay(containing: time, &cursor)
        while startOfDay(ordinal: day + 1) <= time { day += 1 }
        return day
    }

    // MARK: Names

    package static func isZone(_ name: String, folder: String = folder) -> Bool {
        name == "UTC" || (try? TimeZoneTable.read(name, folder: folder)) != nil
    }

    /// Every zone of the system, sorted.
    package static func zoneNames(folder: String = folder) -> [String] {
        var names: Set<String> = ["UTC"]
        guard let lines = readFile("\(folder)/tzdata.zi") else { return ["UTC"] }
        // Lines `Z name …` define a zone, `L target name` another name of one.
        for line in String(decoding: lines, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count > 1, words[0] == "Z" { names.insert(String(words[1])) }
            if words.count > 2, words[0] == "L" { names.insert(String(words[2])) }
        }
        return names.sorted()
    }

    // MARK: Reading

    package static func read(_ name: String, folder: String = folder) throws(Fault) -> TimeZoneTable {
        if name == "UTC" { return utc }
        let isName = name.utf8.allSatisfy { byte in
            (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
                || "/_+-".utf8.contains(byte)
        }
        guard isName, !name.isEmpty, !name.hasPrefix("/"), let bytes = readFile("\(folder)/\(name)") else {
            throw Fault(.user, "no time zone '\(name)' in \(folder)")
        }
        guard let table = TimeZoneFile(bytes)?.table(name: name) else {
            throw Fault(.external, "\(folder)/\(name) is no TZif file of version 2 or later")
        }
        return table
    }

    private static func readFile(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { _ = Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count)
            }
            if got < 0 { return nil }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }
}
