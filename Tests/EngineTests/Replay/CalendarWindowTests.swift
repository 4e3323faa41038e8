import Base
import Foundation
import Records
import Testing

/// Goal: windows of weeks and months begin where the calendar of their zone says, tumbling and sliding, and
/// windows without a key hold all records, in one task. Method: random records over years against groups by
/// local dates; windows over every record.
@Suite struct CalendarWindowTests {
    static func topology(_ window: String, key: String = "key: k, ") -> String {
        """
        topology: t
        latency: 1d
        sources:
          e:
            kafka: { topic: e }
            time: { field: ts, out_of_order: 1h }
            schema: { k: text, v: int, ts: { type: timestamp, unit: ms } }
        steps:
          w: { from: e, \(key)window: { \(window) }, aggregate: { n: count(), s: sum(v) } }
        sinks:
          out: { kafka: { topic: o }, from: [w] }
        """
    }

    struct Event {
        var key: String
        var value: Int64
        var time: Int64
    }

    static func events(_ random: inout SplitMix64, count: Int, step: Int64) -> [Event] {
        // 1999-11-20, so that a year and a leap day are passed.
        var time: Int64 = 943_056_000_000
        return (0..<count).map { index in
            time += Int64(random.next() % UInt64(step))
            return Event(key: "k\(random.next() % 3)", value: Int64(index), time: time)
        }
    }

    static func milliseconds(_ text: String) -> Int64 { CivilTime.parse(text)?.milliseconds ?? 0 }

    static func line(_ event: Event) -> String {
        "{\"k\":\"\(event.key)\",\"v\":\(event.value),\"ts\":\(event.time)}"
    }

    @Test(arguments: ["America/New_York", "Asia/Shanghai", "UTC"], [1, 2048])
    func weeksAndMonths(zoneName: String, rowsMax: Int) throws {
        let zone = try TimeZoneTable.read(zoneName)
        func midnight(_ day: Int64) -> Int64 { zone.utc(local: day * 86_400_000) }
        for (unit, size, slide) in [
            ("w", Int64(1), Int64(1)), ("w", 4, 1), ("w", 2, 2), ("mo", 1, 1), ("mo", 12, 1), ("mo", 3, 3),
        ] {
            var random = SplitMix64(seed: UInt64(size * 10 + slide))
            let events = Self.events(&random, count: 400, step: 5 * 86_400_000)
            // Panes by counting days one by one from a Monday, and months from a January.
            var starts: [Int64] = []
            var (day, month) = (CivilTime.day(year: 1969, month: 12, day: 29), Int64(0))
            let last = CivilTime.day(year: 2006, month: 1, day: 1)
            var count: Int64 = 0
            while day < last {
                let date = CivilTime.civil(day: day)
                let isStart =
                    unit == "w"
                    ? count % (7 * slide) == 0 : date.day == 1 && date.year >= 1970 && month % slide == 0
                if isStart { starts.append(midnight(day)) }
                if date.day == 1, date.year >= 1970 { month += 1 }
                count += 1
                day += 1
            }
            var expected: Set<String> = []
            for end in Int(size / slide)..<starts.count {
                let (from, to) = (starts[end - Int(size / slide)], starts[end])
                for key in ["k0", "k1", "k2"] {
                    let own = events.filter { $0.key == key && $0.time >= from && $0.time < to }
                    guard !own.isEmpty else { continue }
                    let sum = own.reduce(0) { $0 + $1.value }
                    expected.insert(
                        "\(key) \(CivilTime.string(from)) \(CivilTime.string(to)) \(own.count) \(sum)")
                }
            }
            let text = Self.topology("size: \(size)\(unit), slide: \(slide)\(unit), zone: \(zoneName)")
            let run = try ReplayRun(
                try ReplayRun.spec(text), [("e", events.map(Self.line))], rowsMax: rowsMax)
            let found = try run.objects("out").map { row -> String in
                let (key, window, values) = (
                    row["key"] as? [String: Any] ?? [:], row["window"] as? [String: Any] ?? [:],
                    row["values"] as? [String: Any] ?? [:]
                )
                return
                    "\(key["k"] ?? "-") \(window["start"] ?? "-") \(window["end"] ?? "-") \(values["n"] ?? "-") \(values["s"] ?? "-")"
            }
            #expect(
                Set(found) == expected && found.count == expected.count,
                "\(zoneName) \(size)\(unit) by \(slide): \(found.first ?? "")")
            #expect(run.summary.late == 0 && run.summary.dead == 0)
        }
    }

    @Test(arguments: [(1, 1, 0), (1, 64, 100), (3, 16, 100), (5, 64, 0)] as [(Int, Int, UInt64)])
    func windowsOfAllRecords(partitions: Int, rowsMax: Int, crashes: UInt64) throws {
        var random = SplitMix64(seed: 3)
        let events = Self.events(&random, count: 300, step: 60_000)
        let cluster = try TaskCluster(
            Self.topology("size: 10m", key: ""), partitions: partitions, rowsMax: rowsMax)
        for event in events { try cluster.append("e", key: event.key, Self.line(event)) }
        try cluster.run(&random, crashesPerMille: crashes, until: (events.last?.time ?? 0) + 864_000_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        var expected: [Int64: (count: Int, sum: Int64)] = [:]
        for event in events {
            let start = event.time / 600_000 * 600_000
            expected[start] = ((expected[start]?.count ?? 0) + 1, (expected[start]?.sum ?? 0) + event.value)
        }
        let found = try cluster.outputs.map { output -> String in
            let row = try #require(
                try JSONSerialization.jsonObject(with: Data(output.text.utf8)) as? [String: Any])
            let (window, values) = (
                row["window"] as? [String: Any] ?? [:], row["values"] as? [String: Any] ?? [:]
            )
            #expect((row["key"] as? [String: Bool]) == ["whole": true])
            return "\(window["start"] ?? "-") \(values["n"] ?? "-") \(values["s"] ?? "-")"
        }
        let lines = expected.sorted { $0.key < $1.key }.map {
            "\(CivilTime.string($0.key)) \($0.value.count) \($0.value.sum)"
        }
        #expect(found == lines)
    }
}
