import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: patterns in the records of a key are found in event-time order, whatever order records come in and
/// whichever tasks they are in. Method: random records against a walk over each key's sorted list.
@Suite struct SequenceTests {
    static func topology(_ sequence: String) -> String {
        """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, user: text, kind: text, time: { type: timestamp, unit: ms } }
        steps:
          found: { from: in, where: kind != "x", key: user, sequence: \(sequence) }
        sinks:
          found: { kafka: { topic: found }, from: [found] }
        """
    }

    struct Event {
        var id: Int
        var shop: String
        var user: String
        var kind: String
        var time: Int64
    }

    enum Pattern: CaseIterable {
        case run, gapRun, then, without, pairedThen

        /// Order among records of one instant makes no difference.
        var takesTies: Bool { self != .run && self != .gapRun }

        var text: String {
            switch self {
            case .run: "{ repeat: kind == \"a\", times: 3, within: 30s }"
            case .gapRun: "{ repeat: kind == \"a\", times: 3, within: 60s, gap: 15s }"
            case .then: "{ first: kind == \"a\", then: kind == \"b\" or kind == \"c\", within: 30s }"
            case .without: "{ first: kind == \"a\", without: kind == \"b\", within: 20s }"
            case .pairedThen: "{ first: kind == \"a\", then: kind == \"b\", within: 60s, by: shop }"
            }
        }
    }

    /// `id`s of the record that a row is of, of the first, and the row's time.
    static func oracle(_ events: [Event], _ pattern: Pattern) -> [String] {
        var groups: [String: [Event]] = [:]
        for event in events where event.kind != "x" {
            groups[pattern == .pairedThen ? event.user + event.shop : event.user, default: []].append(event)
        }
        var lines: [String] = []
        for group in groups.values {
            let sorted = group.sorted { $0.time < $1.time }
            switch pattern {
            case .run, .gapRun:
                let (within, gap): (Int64, Int64) = pattern == .run ? (30_000, 30_000) : (60_000, 15_000)
                // By the first record of the run: a run is told once.
                var told: Set<Int64> = []
                for (place, event) in sorted.enumerated() where event.kind == "a" {
                    var first = place
                    while first > 0, sorted[first - 1].kind == "a",
                        sorted[first].time - sorted[first - 1].time <= gap
                    { first -= 1 }
                    guard place - first >= 2, event.time - sorted[place - 2].time <= within,
                        told.insert(sorted[first].time).inserted
                    else { continue }
                    lines.append(
                        "\(event.id) 3 \(CivilTime.string(sorted[place - 2].time)) \(CivilTime.string(event.time))"
                    )
                }
            case .then, .pairedThen:
                var open: [Event] = []
                for event in sorted {
                    let isSecond = event.kind == "b" || pattern == .then && event.kind == "c"
                    let within: Int64 = pattern == .then ? 30_000 : 60_000
                    if isSecond,
                        let place = open.firstIndex(where: {
                            $0.time < event.time && event.time - $0.time <= within
                        })
                    {
                        lines.append("\(event.id) \(open[place].id) \(CivilTime.string(event.time))")
                        open.remove(at: place)
                    }
                    if event.kind == "a" { open.append(event) }
                }
            case .without:
                for event in sorted where event.kind == "a" {
                    let has = sorted.contains {
                        $0.kind == "b" && $0.time > event.time && $0.time - event.time <= 20_000
                    }
                    if !has { lines.append("\(event.id) \(CivilTime.string(event.time + 20_000))") }
                }
            }
        }
        return lines.sorted()
    }

    static func lines(_ cluster: TaskCluster, _ pattern: Pattern) throws -> [String] {
        try cluster.sorted("found").map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func member(_ name: String) -> String { object[name].map { "\($0)" } ?? "none" }
            return switch pattern {
            case .run, .gapRun:
                "\(member("id")) \(member("sequence.count")) \(member("sequence.start")) \(member("sequence_time"))"
            case .then, .pairedThen: "\(member("id")) \(member("first.id")) \(member("sequence_time"))"
            case .without: "\(member("id")) \(member("sequence_time"))"
            }
        }.sorted()
    }

    static func events(_ random: inout SplitMix64, _ pattern: Pattern, count: Int) -> [Event] {
        var time: Int64 = 1_000_000_000
        return (0..<count).map { _ in
            if pattern.takesTies {
                time += 1000 * Int64(random.next() % 3)
            } else {
                time += 1 + Int64(random.next() % 2500)
            }
            let kinds = ["a", "a", "a", "b", "c", "x"]
            // Of one instant, key and kind any is as good as the other.
            return Event(
                id: Int(time), shop: "S\(random.next() % 4)", user: "U\(random.next() % 9)",
                kind: kinds[Int(random.next() % 6)], time: time)
        }
    }

    static func run(
        _ events: [Event], _ pattern: Pattern, partitions: Int, rowsMax: Int, crashes: Int,
        _ random: inout SplitMix64
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(topology(pattern.text), partitions: partitions, rowsMax: rowsMax)
        for event in events {
            try cluster.append(
                "in", key: event.shop,
                "{\"id\":\(event.id),\"shop\":\"\(event.shop)\",\"user\":\"\(event.user)\",\"kind\":\"\(event.kind)\","
                    + "\"time\":\(event.time)}")
        }
        try cluster.run(
            &random, crashesPerMille: UInt64(crashes), until: (events.map(\.time).max() ?? 0) + 200_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        return cluster
    }

    static func shuffled(_ events: [Event], _ random: inout SplitMix64) -> [Event] {
        events.map { ($0, $0.time + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    @Test(arguments: Pattern.allCases, [(1, 1, 0), (1, 64, 0), (8, 7, 0), (1, 16, 100), (4, 16, 100)])
    func patternsAreFoundInEventTime(pattern: Pattern, run: (partitions: Int, rowsMax: Int, crashes: Int))
        throws
    {
        for seed in FundFlowTests.seeds {
            print("seed \(seed), \(pattern), \(run)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, pattern, count: 600)
            let expected = Self.oracle(events, pattern)
            let cluster = try Self.run(
                Self.shuffled(events, &random), pattern, partitions: run.partitions, rowsMax: run.rowsMax,
                crashes: run.crashes, &random)
            let found = try Self.lines(cluster, pattern)
            #expect(expected.count > 10)
            let difference = zip(expected, found).first { $0 != $1 }
            #expect(
                found == expected,
                "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))")
        }
    }

    @Test(
        "The same rows in the same order, however the input is cut and whoever dies",
        arguments: Pattern.allCases)
    func sameBytes(pattern: Pattern) throws {
        for seed in FundFlowTests.seeds {
            var random = SplitMix64(seed: seed)
            let events = Self.shuffled(Self.events(&random, pattern, count: 600), &random)
            var first: [String]?
            for (rowsMax, crashes) in [(2048, 0), (1, 0), (7, 0), (100, 0), (16, 100)] {
                let cluster = try Self.run(
                    events, pattern, partitions: 1, rowsMax: rowsMax, crashes: crashes, &random)
                let rows = cluster.outputs.map(\.text)
                if let first {
                    #expect(rows == first, "seed \(seed), batches of \(rowsMax), crashes \(crashes)")
                }
                first = first ?? rows
            }
        }
    }
}
