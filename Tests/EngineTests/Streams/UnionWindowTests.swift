import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: windows over a union hold the records that lie in them, however far its inputs are apart. Method:
/// random sources whose times lie seconds to weeks apart, read in any order, with crashes, on one task and on
/// several, and in a replay, against sums over all records.
@Suite struct UnionWindowTests {
    struct Row {
        var source: String
        var key: String
        var other: String
        var value: Int64
        var time: Int64

        var json: String { "{\"k\":\"\(key)\",\"o\":\"\(other)\",\"v\":\(value),\"t\":\(time)}" }
    }

    struct Window: Sendable {
        var text: String
        /// Days of Berlin if `isDays`, else milliseconds.
        var size: Int64
        var slide: Int64
        var isDays = false
    }

    static let windows = [
        Window(text: "{ size: 1m }", size: 60_000, slide: 60_000),
        Window(text: "{ size: 5m, slide: 10s }", size: 300_000, slide: 10_000),
        Window(text: "{ size: 66s, slide: 1s }", size: 66_000, slide: 1000),
        Window(text: "{ size: 1m, slide: 20s, until: previous }", size: 60_000, slide: 20_000),
        Window(text: "{ size: 1d, zone: Europe/Berlin }", size: 1, slide: 1, isDays: true),
        Window(
            text: "{ size: 5d, slide: 1d, zone: Europe/Berlin, until: yesterday }", size: 5, slide: 1,
            isDays: true),
    ]

    static func topology(_ window: Window, key: String = "k") -> String {
        let sources = ["a", "b", "c"].map { name in
            """
              \(name):
                kafka: { topic: \(name) }
                key: k
                time: { field: t, out_of_order: 2s }
                schema: { k: text, o: text, v: int, t: timestamp }
            """
        }
        return """
            topology: t
            latency: 400d
            sources:
            \(sources.joined(separator: "\n"))
            steps:
              two: { from: [a, b] }
              all: { from: [two, c] }
              w:
                from: all
                key: \(key)
                window: \(window.text)
                aggregate: { n: count(), s: sum(v), lo: min(v), hi: max(v), fi: first(v), la: last(o), d: distinct(v), q: "quantile(v, 0.5)" }
              again: { from: w, key: \(key), window: { size: 5m }, aggregate: { n: count(), s: sum(n) } }
              other: { from: c, key: \(key), window: { size: 1h, slide: 10m }, aggregate: { n: count() } }
              both: { from: [other, w] }
              last: { from: both, key: \(key), window: { size: 2h }, aggregate: { n: count(), s: sum(n) } }
            sinks:
              w: { kafka: { topic: w }, from: w }
              again: { kafka: { topic: again }, from: again }
              last: { kafka: { topic: last }, from: last }
            """
    }

    /// Times are all different, as the first and the last value want them. `apart`: how far the sources are,
    /// at most.
    static func rows(_ random: inout SplitMix64, count: Int, gap: Int64, apart: Int64) -> [Row] {
        var rows: [Row] = []
        for (place, source) in ["a", "b", "c"].enumerated() {
            var time = 1_740_000_000_000 + Int64(random.next() % UInt64(apart + 1))
            for _ in 0..<count {
                time += 1500 + Int64(random.next() % UInt64(2 * gap))
                let behind = Int64(random.next() % 1000)
                rows.append(
                    Row(
                        source: source, key: "k\(random.next() % 4)", other: "o\(random.next() % 3)",
                        value: Int64(random.next() % 100) - 20, time: (time - behind) / 4 * 4 + Int64(place)))
            }
        }
        return rows
    }

    // MARK: Oracle

    struct Key: Hashable, Comparable {
        var key: String
        var start: Int64
        var end: Int64

        static func < (a: Key, b: Key) -> Bool { (a.key, a.start, a.end) < (b.key, b.start, b.end) }
    }

    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: "Europe/Berlin") ?? .gmt
        return calendar
    }()

    private static func midnight(_ day: Date, _ days: Int64) -> Int64 {
        Int64((calendar.date(byAdding: .day, value: Int(days), to: day) ?? day).timeIntervalSince1970 * 1000)
    }

    static func windows(of time: Int64, _ window: Window) -> [(start: Int64, end: Int64)] {
        if window.isDays {
            let day = calendar.startOfDay(for: Date(timeIntervalSince1970: Double(time) / 1000))
            return (0..<window.size).map { (midnight(day, $0 - window.size + 1), midnight(day, $0 + 1)) }
        }
        let first = (time / window.slide + 1) * window.slide
        return stride(from: first, to: time + window.size + 1, by: Int64.Stride(window.slide)).map {
            ($0 - window.size, $0)
        }
    }

    static func oracle(_ rows: [Row], _ window: Window, by key: (Row) -> String) -> [Key: [Row]] {
        var result: [Key: [Row]] = [:]
        for row in rows {
            for (start, end) in windows(of: row.time, window) {
                result[Key(key: key(row), start: start, end: end), default: []].append(row)
            }
        }
        return result
    }

    static func values(_ rows: [Row]) -> String {
        let values = rows.map(\.value)
        let sorted = rows.sorted { $0.time < $1.time }
        let middle = values.sorted()[(values.count + 1) / 2 - 1]
        return
            "d \(Set(values).count) fi \(sorted[0].value) hi \(values.max()!) la \(sorted.last!.other) lo \(values.min()!) n "
            + "\(values.count) q \(middle) s \(values.reduce(0, +))"
    }

    static func lines(_ windows: [Key: [Row]]) -> [String] {
        windows.sorted { $0.key < $1.key }.map { "\($0.key) \($0.start) \($0.end) \(values($1))" }
    }

    /// What comes of closed windows as rows: count and sum of `n` by key and window.
    static func lines(_ closed: [(key: String, time: Int64, n: Int)], size: Int64) -> [String] {
        var sums: [Key: (count: Int, sum: Int)] = [:]
        for row in closed {
            let start = row.time / size * size
            let key = Key(key: row.key, start: start, end: start + size)
            sums[key] = ((sums[key]?.count ?? 0) + 1, (sums[key]?.sum ?? 0) + row.n)
        }
        return sums.sorted { $0.key < $1.key }.map {
            "\($0.key) \($0.start) \($0.end) n \($1.count) s \($1.sum)"
        }
    }

    /// Results of a step in the same form.
    static func found(_ texts: [String]) throws -> [String] {
        try texts.map { text -> (Key, String) in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func bound(_ name: String) -> Int64 {
                ((object["window"] as? [String: String])?[name]).flatMap { CivilTime.parse($0)?.milliseconds }
                    ?? -1
            }
            let values = object["values"] as? [String: Any] ?? [:]
            let key = (object["key"] as? [String: Any])?.values.first.map { "\($0)" } ?? ""
            return (
                Key(key: key, start: bound("start"), end: bound("end")),
                values.sorted { $0.key < $1.key }.map { "\($0) \($1)" }.joined(separator: " ")
            )
        }.sorted { $0.0 < $1.0 }.map { "\($0.key) \($0.start) \($0.end) \($1)" }
    }

    static func difference(_ wanted: [String], _ found: [String]) -> String? {
        if wanted == found { return nil }
        let place =
            zip(wanted, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            ?? min(wanted.count, found.count)
        return
            "\(found.count) of \(wanted.count); at \(place): wanted \(place < wanted.count ? wanted[place] : "nothing"), "
            + "found \(place < found.count ? found[place] : "nothing")"
    }

    /// All that the three sinks should have.
    static func expected(_ rows: [Row], _ window: Window, by key: (Row) -> String) -> [String: [String]] {
        let closed = oracle(rows, window, by: key)
        let hours = Window(text: "", size: 3_600_000, slide: 600_000)
        let others = oracle(rows.filter { $0.source == "c" }, hours, by: key).map {
            ($0.key, $0.end - 1, $1.count)
        }
        let made = closed.map { (key: $0.key, time: $0.end - 1, n: $1.count) }
        return [
            "w": lines(closed), "again": lines(made, size: 300_000),
            "last": lines(made + others.map { (key: $0.0, time: $0.1, n: $0.2) }, size: 7_200_000),
        ]
    }

    // MARK: Tests

    /// How far apart, and the mean gap between records of a source.
    static let spreads: [(apart: Int64, gap: Int64)] = [
        (5000, 3000), (180_000, 20_000), (7_200_000, 60_000), (3 * 86_400_000, 1_200_000),
        (21 * 86_400_000, 7_200_000),
    ]

    @Test(arguments: windows.indices) func windowsHoldWhatLiesInThem(place: Int) throws {
        let window = Self.windows[place]
        for (number, spread) in Self.spreads.enumerated() {
            // Windows of seconds over weeks are many, and no different.
            if window.slide < 60_000, spread.gap > 100_000 { continue }
            let seed = UInt64(100 * place + number)
            print("seed \(seed), window \(window.text), \(spread)")
            var random = SplitMix64(seed: seed)
            let rows = Self.rows(&random, count: 50, gap: spread.gap, apart: spread.apart)
            let end = (rows.map(\.time).max() ?? 0) + 40 * 86_400_000
            let (key, by) =
                number % 2 == 0 ? ("k", { (row: Row) in row.key }) : ("o", { (row: Row) in row.other })
            let wanted = Self.expected(rows, window, by: by)
            // One source after the other; by turns; by turns with crashes.
            for (reading, (partitions, rowsMax)) in [(1, 1), (1, 64), (1, 7), (3, 7), (3, 64)].enumerated() {
                let cluster = try TaskCluster(
                    Self.topology(window, key: key), partitions: partitions, rowsMax: rowsMax)
                for row in rows { try cluster.append(row.source, key: row.key, row.json) }
                if reading == 0 || reading == 3 {
                    for source in [2, 0, 1] {
                        for task in 0..<partitions {
                            while let place = cluster.unread(task).first(where: { $0.source == source }) {
                                cluster.process(place, rows: 1 + Int(random.next() % 20))
                                if random.next() % 4 == 0 { cluster.commit(task) }
                            }
                        }
                    }
                }
                try cluster.run(&random, crashesPerMille: reading == 1 ? 0 : 100, until: end)
                #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
                for (sink, lines) in wanted {
                    let difference = Self.difference(lines, try Self.found(cluster.sorted(sink)))
                    #expect(difference == nil, "\(sink), \(partitions) partitions, batches of \(rowsMax)")
                }
            }
            let spec = try ReplayRun.spec(Self.topology(window, key: key))
            let inputs = ["a", "b", "c"].map { name in
                (source: name, lines: rows.filter { $0.source == name }.map(\.json))
            }
            let run = try ReplayRun(spec, inputs, rowsMax: number % 2 == 0 ? 2048 : 1)
            for (sink, lines) in wanted {
                let texts = run[sink].map { String($0[($0.firstIndex(of: "{") ?? $0.startIndex)...]) }
                let difference = Self.difference(lines, try Self.found(texts))
                #expect(difference == nil, "replay of \(sink)")
            }
            #expect(run.summary.late == 0 && run.summary.dead == 0)
        }
    }

    /// Goal: what operators make of a union does not depend on which input is read first, nor do windows over
    /// that.
    @Test func operatorsOverUnionsDoNotDependOnWhoIsRead() throws {
        let text = """
            topology: t
            latency: 400d
            sources:
              a: { kafka: { topic: a }, key: k, time: { field: t, out_of_order: 2s }, schema: { k: text, o: text, v: int, t: timestamp } }
              b: { kafka: { topic: b }, key: k, time: { field: t, out_of_order: 2s }, schema: { k: text, o: text, v: int, t: timestamp } }
              c: { kafka: { topic: c }, key: k, time: { field: t, out_of_order: 2s }, schema: { k: text, o: text, v: int, t: timestamp } }
            steps:
              two: { from: [a, b] }
              pairs: { from: two, join: { stream: c, on: k, within: 2h, kind: left } }
              visits: { from: two, key: k, window: { gap: 30m, max: 1d }, aggregate: { n: count(), s: sum(v) } }
              runs: { from: two, key: k, sequence: { first: v > 20, then: v < 0, within: 3h } }
              made: { from: pairs, key: k, window: { size: 1h, slide: 5m }, aggregate: { n: count(), s: sum(v), f: count(c.found) } }
              seen: { from: visits, key: k, window: { size: 6h }, aggregate: { n: count(), s: sum(s) } }
              ran: { from: runs, key: k, window: { size: 1d, zone: Europe/Berlin }, aggregate: { n: count(), s: sum(v) } }
            sinks:
              made: { kafka: { topic: made }, from: [made] }
              seen: { kafka: { topic: seen }, from: [seen] }
              ran: { kafka: { topic: ran }, from: [ran] }
            """
        for (number, spread) in Self.spreads.enumerated() {
            var random = SplitMix64(seed: UInt64(900 + number))
            print("seed \(900 + number)")
            let rows = Self.rows(&random, count: 80, gap: spread.gap, apart: spread.apart)
            let end = (rows.map(\.time).max() ?? 0) + 40 * 86_400_000
            var wanted: [String: [String]] = [:]
            for reading in 0..<5 {
                let cluster = try TaskCluster(text, partitions: reading == 4 ? 3 : 1)
                // As if all had been one topic.
                let sorted = reading == 0 ? rows.sorted { $0.time < $1.time } : rows
                for row in sorted {
                    try cluster.append(row.source, key: row.key, row.json)
                    guard reading == 0, let place = cluster.unread(0).first else { continue }
                    cluster.process(place, rows: 1)
                }
                if reading == 1 || reading == 2 {
                    for source in reading == 1 ? [2, 0, 1] : [1, 2, 0] {
                        while let place = cluster.unread(0).first(where: { $0.source == source }) {
                            cluster.process(place, rows: 20)
                        }
                    }
                }
                try cluster.run(&random, crashesPerMille: reading > 2 ? 100 : 0, until: end)
                #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
                for sink in ["made", "seen", "ran"] {
                    let found = try Self.found(cluster.sorted(sink))
                    if reading == 0 { wanted[sink] = found }
                    let difference = Self.difference(wanted[sink] ?? [], found)
                    #expect(difference == nil, "seed \(900 + number), \(sink), reading \(reading)")
                }
            }
            #expect(wanted.values.allSatisfy { !$0.isEmpty })
        }
    }

    /// Goal: a rule at the record does not wait for the slower input, and sees what that brings later.
    @Test func rulesAtTheRecordDoNotWait() throws {
        let text = """
            topology: t
            sources:
              a: { kafka: { topic: a }, key: k, time: { field: t, out_of_order: 2s, idle: 1s }, schema: { k: text, v: int, t: timestamp } }
              b: { kafka: { topic: b }, key: k, time: { field: t, out_of_order: 2s, idle: 1s }, schema: { k: text, v: int, t: timestamp } }
            steps:
              all: { from: [a, b] }
              w: { from: all, key: k, window: { size: 10m, slide: 1m }, aggregate: { n: count(), s: sum(v) } }
            rules:
              three: { on: w, when: n >= 3, risk: r, severity: low, message: "{s}" }
            sinks:
              alerts: { kafka: { topic: alerts } }
            """
        let cluster = try TaskCluster(text, partitions: 1)
        let day: Int64 = 86_400_000
        func alerts() throws -> [String] {
            cluster.commit(0)
            return try cluster.outputs.map { output in
                let object = try #require(
                    try JSONSerialization.jsonObject(with: Data(output.text.utf8)) as? [String: Any])
                return
                    "\(object["state"] ?? "") \((object["window"] as? [String: String])?["end"] ?? "") \(object["message"] ?? "")"
            }
        }
        func put(_ source: String, _ value: Int, _ time: Int64) throws {
            try cluster.append(
                source, key: "k", "{\"k\":\"k\",\"v\":\(value),\"t\":\"\(CivilTime.string(time))\"}")
            while let place = cluster.unread(0).first { cluster.process(place, rows: 1) }
        }
        // Nothing is known of `b`, then it is nine days behind.
        for second in Int64(0)..<3 { try put("a", 1, 10 * day + second * 1000) }
        #expect(try alerts() == ["raised 1970-01-11T00:01:00Z 3"])
        try put("b", 10, day)
        try put("a", 1, 10 * day + 60_000)
        #expect(try alerts().count == 1)
        // What is behind the newest window clears nothing, and a raised alert is raised once.
        for second in Int64(1)..<4 { try put("b", 10, day + second * 1000) }
        #expect(try alerts().count == 1)
        try put("a", 1, 11 * day)
        #expect(try alerts() == ["raised 1970-01-11T00:01:00Z 3", "cleared 1970-01-12T00:01:00Z 1"])
        // An old window that holds enough raises the alert, and the newest one decides that it does not stay
        // so.
        try put("b", 10, day + 4000)
        #expect(
            try alerts().suffix(2) == ["raised 1970-01-02T00:01:00Z 50", "cleared 1970-01-12T00:01:00Z 1"])
    }
}
