import Base
import Connectors
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: a replay takes each input in the order of event time, whatever the order of the file, the memory
/// that it has for that, the batch size, and whether it reads a file or a pipe. Method: random inputs against
/// the same ones sorted by hand.
@Suite final class ReplayOrderTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func write(_ name: String, _ lines: [String], end: String = "\n") throws -> String {
        let path = "\(folder)/\(name)"
        try Data(lines.map { $0 + end }.joined().utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    struct Output {
        /// Destination and value of each record.
        var lines: [String] = []
        var summary = Replay.Summary()
    }

    private func replay(
        _ text: String, _ inputs: [(source: String, paths: [String])], rowsMax: Int = 2048,
        _ order: Replay.Order
    ) throws -> Output {
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        var output = Output()
        var replay = try Replay(spec, inputs: inputs, rowsMax: rowsMax, keepsResults: true, order: order)
        output.summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    let value = outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null"
                    output.lines.append("\(record.destination) \(value)")
                }
            }, progress: { _, _, _ in })
        return output
    }

    private static let topology = """
        topology: t
        sources:
          a: { kafka: { topic: a }, time: { field: at, out_of_order: 0s }, schema: { k: text, v: int, at: timestamp } }
          b:
            kafka: { topic: b }
            format: csv
            time: { field: at, out_of_order: 0s }
            schema: { k: text, v: int, seconds: timestamp, at: { from: seconds + 1s } }
        steps:
          ra: { from: a }
          rb: { from: b }
          w: { from: a, key: k, window: { size: 1h }, aggregate: { n: count(), first: first(v), last: last(v) } }
          all: { from: [ra, rb] }
          u: { from: all, key: k, window: { size: 2h, slide: 30m }, aggregate: { n: count(), v: sum(v) } }
        sinks:
          records: { kafka: { topic: r }, from: [ra, rb] }
          windows: { kafka: { topic: w }, from: [w, u] }
        """

    private static let base: Int64 = 1_700_000_000_000

    /// A record, and its time as far as it can be read.
    private struct Line {
        var text: String
        var time: Int64?
    }

    /// Sorted by time; what has none stays behind what it stood behind.
    private func sorted(_ lines: [Line]) -> [String] {
        var last = Int64.min
        let keyed = lines.enumerated().map { number, line in
            last = line.time ?? last
            return (last, number, line.text)
        }
        return keyed.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
    }

    private func json(_ count: Int, spread: Int64, _ random: inout SplitMix64) -> [Line] {
        (0..<count).map { number in
            let time = Self.base + Int64(number) * 10_000 + Int64(random.next() % UInt64(spread))
            switch random.next() % 20 {
            case 0: return Line(text: "bad \(number)")
            // It cannot be used, but its time can be read, and says where it belongs.
            case 1: return Line(text: #"{"k":7,"v":\#(number),"at":\#(time)}"#, time: time)
            default: return Line(text: #"{"k":"k\#(number % 3)","v":\#(number),"at":\#(time)}"#, time: time)
            }
        }
    }

    private func csv(_ count: Int, spread: Int64, _ random: inout SplitMix64) -> [Line] {
        (0..<count).map { number in
            let time =
                Self.base + Int64(number) * 10_000 + Int64(random.next() % UInt64(spread)) / 1000 * 1000
            if random.next() % 20 == 0 { return Line(text: "x,\(number),never") }
            return Line(text: "k\(number % 3),\(number),\(CivilTime.string(time))", time: time + 1000)
        }
    }

    @Test(arguments: [1, 7, 2048], [1, 20_000, 1 << 20, 1 << 30])
    func sortedByTime(rowsMax: Int, bufferBytes: Int) throws {
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let (a, b) = (json(700, spread: 3_600_000, &random), csv(500, spread: 7_200_000, &random))
        let wanted = try replay(
            Self.topology,
            [("a", [try write("a", sorted(a))]), ("b", [try write("b", ["k,v,seconds"] + sorted(b))])],
            .asWritten)
        #expect(wanted.summary.inputs.allSatisfy { $0.outOfOrder == 0 } && wanted.summary.late == 0)
        #expect(wanted.lines.count > 1200)
        // The second half of the CSV file has its columns in another order.
        let swapped = b[250...].map { $0.text.split(separator: ",").reversed().joined(separator: ",") }
        let inputs = [
            (
                "b",
                [
                    try write("b1", ["k,v,seconds"] + b[..<250].map(\.text)),
                    try write("b2", ["seconds,v,k"] + swapped),
                ]
            ),
            ("a", [try write("a1", a[..<100].map(\.text)), try write("a2", a[100...].map(\.text))]),
        ]
        let found = try replay(Self.topology, inputs, rowsMax: rowsMax, .byTime(bufferBytes: bufferBytes))
        // Dead letters are the records as they came, so those of the swapped columns differ.
        func comparable(_ lines: [String]) -> [String] { lines.filter { !$0.contains("never") } }
        #expect(comparable(found.lines) == comparable(wanted.lines))
        #expect(found.lines.count == wanted.lines.count)
        #expect(found.summary.late == 0 && found.summary.dead == wanted.summary.dead)
        for input in found.summary.inputs {
            #expect(input.isSorted && input.outOfOrder > 100 && input.behindMost > 3_000_000)
            #expect(input.records == (input.source == "a" ? 700 : 500))
        }
    }

    /// In order for longer than memory lasts, and then not; in order throughout; each as a file and as a
    /// pipe.
    @Test(arguments: [0, 1, 399], [true, false])
    func longerThanMemory(moved: Int, isPipe: Bool) throws {
        var lines = (0..<400).map { #"{"k":"k","v":\#($0),"at":\#(Self.base + Int64($0) * 60_000)}"# }
        let wanted = try replay(Self.topology, [("a", [try write("wanted", lines)])], .asWritten)
        lines.append(lines.remove(at: 399 - moved))
        var path = try write("a", lines)
        if isPipe {
            path = "\(folder)/pipe"
            #expect(mkfifo(path, 0o600) == 0)
        }
        for rowsMax in [1, 100] {
            let text = lines.joined(separator: "\n") + "\n"
            let writer = Thread { [path] in
                let pipe = open(path, O_WRONLY)
                defer { close(pipe) }
                let bytes = Array(text.utf8)
                _ = bytes.withUnsafeBytes { Foundation.write(pipe, $0.baseAddress, $0.count) }
            }
            if isPipe { writer.start() }
            let found = try replay(
                Self.topology, [("a", [path])], rowsMax: rowsMax, .byTime(bufferBytes: 5000))
            #expect(found.lines == wanted.lines)
            #expect(found.summary.inputs[0].outOfOrder == (moved == 0 ? 0 : 1))
        }
    }

    @Test func asWrittenTellsWhatCameLate() throws {
        let times: [Int64] = [0, 7_200_000, 3_500_000, 7_300_000, 3_600_000]
        let path = try write("a", times.map { #"{"k":"k","v":1,"at":\#(Self.base + $0)}"# })
        let found = try replay(Self.topology, [("a", [path])], .asWritten)
        #expect(found.summary.late == 2)
        #expect(
            found.summary.noteLines == [
                "a: 2 records of 5 stood behind later ones, by up to 1h1m40s; taken as written"
            ])
        let sorted = try replay(Self.topology, [("a", [path])], .byTime(bufferBytes: 1 << 20))
        #expect(sorted.summary.late == 0)
        #expect(
            sorted.summary.noteLines == [
                "a: 2 records of 5 stood behind later ones, by up to 1h1m40s; sorted by event time"
            ])
    }

    /// Records that are too long go through the sort as what they are.
    @Test func longRecords() throws {
        func line(_ number: Int, _ note: Int) -> String {
            let text = String(repeating: "x", count: note)
            return #"{"note":"\#(text)","k":"k","v":\#(number),"at":\#(Self.base - Int64(number))}"#
        }
        let lines = [line(0, 10), line(1, 300 << 10), line(2, 2 << 20), line(3, 900 << 10), line(4, 1)]
        let path = try write("a", lines)
        for bufferBytes in [1, 1 << 20, 1 << 30] {
            let found = try replay(Self.topology, [("a", [path])], .byTime(bufferBytes: bufferBytes))
            // The time of the one that is too long is not known: it stays behind the one before it.
            let records = found.lines.filter { $0.hasPrefix("sink(0)") }.map {
                $0.split(separator: "\"v\":")[1].prefix(1)
            }
            #expect(records == ["4", "3", "1", "0"])
            #expect(found.summary.dead == 1)
            #expect(found.summary.refusalLines.count == 1)
            #expect(found.summary.refusalLines[0].hasSuffix("(record 3 of \(path))"))
        }
    }

    // MARK: Tables

    /// Goal: what a table says as of an event time does not depend on the order of its lines, or of the lines
    /// of the stream. Oracle: the newest version that is not later than the record.
    @Test(arguments: [Replay.Order.asWritten, .byTime(bufferBytes: 1), .byTime(bufferBytes: 1 << 20)])
    func tablesAsOfEventTime(order: Replay.Order) throws {
        let topology = """
            topology: t
            sources:
              l: { kafka: { topic: l }, time: { field: at, out_of_order: 1h }, schema: { n: int, k: text, at: timestamp } }
              tab:
                kafka: { topic: tab }
                table: { key: k, versions: 365d }
                time: { field: at, out_of_order: 2h }
                schema: { k: text, city: "text?", at: timestamp }
            steps:
              r: { from: l, join: { table: tab, on: k, kind: left } }
            sinks:
              out: { kafka: { topic: out }, from: r }
            """
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        struct Version { var key: Int, time: Int64, city: String? }
        var versions: [Version] = []
        for number in 0..<300 {
            let version = Version(
                key: Int(random.next() % 5), time: Self.base + Int64(random.next() % 500) * 60_000,
                city: random.next() % 5 == 0 ? nil : "c\(number)")
            // Of two of one time the one that is read last counts; which that is the file says.
            if !versions.contains(where: { $0.key == version.key && $0.time == version.time }) {
                versions.append(version)
            }
        }
        let lines = versions.map { version in
            version.city.map { #"{"k":"k\#(version.key)","city":"\#($0)","at":\#(version.time)}"# }
                ?? #"{"k":"k\#(version.key)","_deleted":true,"at":\#(version.time)}"#
        }
        let times = (0..<200).map { _ in Self.base + Int64(random.next() % 520) * 60_000 - 600_000 }.sorted()
        let queries = times.enumerated().map { #"{"n":\#($0),"k":"k\#($0 % 5)","at":\#($1)}"# }
        let inputs = [("l", [try write("l", queries)]), ("tab", [try write("tab", lines)])]
        for rowsMax in [1, 2048] {
            let found = try replay(topology, inputs, rowsMax: rowsMax, order)
            #expect(found.lines.count == 200)
            for line in found.lines {
                let object = try JSONSerialization.jsonObject(with: Data(line.drop { $0 != "{" }.utf8))
                let row = try #require(object as? [String: Any])
                let number = try #require(row["n"] as? Int)
                let wanted = versions.filter { $0.key == number % 5 && $0.time <= times[number] }.max {
                    $0.time < $1.time
                }?.city
                #expect(row["tab.city"] as? String == wanted, "record \(number)")
            }
        }
    }

    // MARK: No clock

    /// Goal: no event time is in the future of a replay, of tables neither.
    @Test func theDayDoesNotMatter() throws {
        let topology = """
            topology: t
            sources:
              l: { kafka: { topic: l }, time: { field: at, ahead: 1s }, schema: { k: text, at: timestamp } }
              tab: { kafka: { topic: tab }, table: { key: k }, time: { field: at }, schema: { k: text, v: int, at: timestamp } }
            steps:
              r: { from: l, key: k, join: { table: tab, on: k } }
            rules:
              any: { on: r, when: tab.v > 0, risk: x, severity: low, message: m }
            sinks:
              alerts: { kafka: { topic: al } }
            """
        let record = try write("l", [#"{"k":"a","at":"2150-01-01T00:00:00Z"}"#])
        let table = try write("tab", [#"{"k":"a","v":1,"at":"2149-01-01T00:00:00Z"}"#])
        let found = try replay(topology, [("l", [record]), ("tab", [table])], .byTime(bufferBytes: 1 << 20))
        #expect(found.summary.dead == 0 && found.summary.alerts == 1)
        #expect(found.lines[0].contains(#""detected_at":"2150-01-01T00:00:00Z""#))
    }

    // MARK: What could not be read

    @Test func reasonsAreTold() throws {
        let good = #"{"k":"a","v":1,"at":"2026-01-01T00:00:00Z"}"#
        let first = try write("a1", [good, good])
        let second = try write(
            "a2", Array(repeating: "no", count: 300) + [good] + Array(repeating: "{}", count: 10))
        let third = try write("a3", [good.replacingOccurrences(of: "1,", with: "\"x\",")])
        let empty = try write("a4", [])
        let found = try replay(
            Self.topology, [("a", [first, second, third, empty])], .byTime(bufferBytes: 1 << 20)
        ).summary
        #expect(found.records == 314 && found.dead == 311)
        #expect(found.inputs[0].files.map(\.records) == [2, 311, 1, 0])
        #expect(found.inputs[0].files.map(\.unread) == [0, 310, 1, 0])
        #expect(found.refusals.map(\.count) == [300, 10, 1])
        #expect(found.refusalLines[0].hasPrefix("a: 300 records refused: "))
        #expect(found.refusalLines[0].hasSuffix("(the first: record 1 of \(second))"))
        #expect(found.refusalLines[1].hasSuffix("(the first: record 302 of \(second))"))
        #expect(found.refusalLines[2].hasSuffix("(record 1 of \(third))"))
        #expect(found.noteLines == ["a: no record in \(empty)"])
        let reason = found.refusals[0].message
        #expect(
            found.unreadable == [
                "a: only 1 of 311 records of \(second) could be read; most often: \(reason)",
                "a: the one record of \(third) could not be read; most often: \(reason)",
            ])
        let csv = try write("b1", ["k,v,at", "a,1,2026-01-01T00:00:00Z"])
        let nothing = try replay(Self.topology, [("a", [empty, empty]), ("b", [csv])], .asWritten).summary
        #expect(
            nothing.unreadable.first
                == "a: no record in \(empty), \(empty); if that is right, leave this input out")
    }

    /// One in a hundred is enough; what a step refuses was read.
    @Test func oneInAHundred() throws {
        let good = #"{"k":"a","v":1,"at":"2026-01-01T00:00:00Z"}"#
        let file = try write("a", [good] + Array(repeating: "no", count: 99))
        #expect(
            try replay(Self.topology, [("a", [file])], .byTime(bufferBytes: 1 << 20)).summary.unreadable == []
        )
        let fewer = try write("a", [good] + Array(repeating: "no", count: 100))
        #expect(
            try replay(Self.topology, [("a", [fewer])], .byTime(bufferBytes: 1 << 20)).summary.unreadable
                .count == 1)
    }
}
