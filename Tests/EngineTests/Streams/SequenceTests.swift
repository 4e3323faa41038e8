import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: patterns in the records of a key are found in event-time order, whatever order records come in and whichever
/// tasks they are in. Method: random records against a walk over each key's sorted list.
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
            schema: { id: int, shop: text, user: text, kind: text, time: timestamp }
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
        case run, then, without, pairedThen

        var text: String {
            switch self {
            case .run: "{ repeat: kind == \"a\", times: 3, within: 30s }"
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
            case .run:
                var run: [Event] = []
                var isDone = false
                for event in sorted {
                    if let last = run.last, event.time - (isDone ? last.time : run[0].time) > 30_000 {
                        run = []
                        isDone = false
                    }
                    guard event.kind == "a" else {
                        run = []
                        isDone = false
                        continue
                    }
                    run.append(event)
                    if run.count == 3, !isDone {
                        isDone = true
                        lines.append("\(event.id) 3 \(CivilTime.string(run[0].time)) \(CivilTime.string(event.time))")
                    }
                }
            case .then, .pairedThen:
                var open: [Event] = []
                for event in sorted {
                    let isSecond = event.kind == "b" || pattern == .then && event.kind == "c"
                    let within: Int64 = pattern == .then ? 30_000 : 60_000
                    if isSecond, let place = open.firstIndex(where: { event.time - $0.time <= within }) {
                        lines.append("\(event.id) \(open[place].id) \(CivilTime.string(event.time))")
                        open.remove(at: place)
                    }
                    if event.kind == "a" { open.append(event) }
                }
            case .without:
                for (place, event) in sorted.enumerated() where event.kind == "a" {
                    let has = sorted[(place + 1)...].contains { $0.kind == "b" && $0.time - event.time <= 20_000 }
                    if !has { lines.append("\(event.id) \(CivilTime.string(event.time + 20_000))") }
                }
            }
        }
        return lines.sorted()
    }

    static func lines(_ cluster: TaskCluster, _ pattern: Pattern) throws -> [String] {
        try cluster.sorted("found").map { text in
            let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func member(_ name: String) -> String { object[name].map { "\($0)" } ?? "none" }
            return switch pattern {
            case .run: "\(member("id")) \(member("sequence.count")) \(member("sequence.start")) \(member("sequence_time"))"
            case .then, .pairedThen: "\(member("id")) \(member("first.id")) \(member("sequence_time"))"
            case .without: "\(member("id")) \(member("sequence_time"))"
            }
        }.sorted()
    }

    @Test(arguments: Pattern.allCases, [(1, 1, 0), (1, 64, 0), (8, 7, 0), (1, 16, 100), (4, 16, 100)])
    func patternsAreFoundInEventTime(pattern: Pattern, run: (partitions: Int, rowsMax: Int, crashes: Int)) throws {
        for seed in FundFlowTests.seeds {
            print("seed \(seed), \(pattern), \(run)")
            var random = SplitMix64(seed: seed)
            var time: Int64 = 1_000_000_000
            let events = (0..<600).map { id in
                // Times differ, so that order among equals does not matter.
                time += 1 + Int64(random.next() % 2500)
                let kinds = ["a", "a", "a", "b", "c", "x"]
                return Event(
                    id: id, shop: "S\(random.next() % 4)", user: "U\(random.next() % 9)",
                    kind: kinds[Int(random.next() % 6)], time: time)
            }
            let expected = Self.oracle(events, pattern)
            let cluster = try TaskCluster(
                Self.topology(pattern.text), partitions: run.partitions, rowsMax: run.rowsMax)
            let shuffled = events.map { ($0, $0.time + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }.map(\.0)
            for event in shuffled {
                try cluster.append(
                    "in", key: event.shop,
                    "{\"id\":\(event.id),\"shop\":\"\(event.shop)\",\"user\":\"\(event.user)\",\"kind\":\"\(event.kind)\","
                        + "\"time\":\(event.time)}")
            }
            try cluster.run(&random, crashesPerMille: UInt64(run.crashes), until: time + 200_000)
            #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
            let found = try Self.lines(cluster, pattern)
            #expect(expected.count > 10)
            let difference = zip(expected, found).first { $0 != $1 }
            #expect(
                found == expected, "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))")
        }
    }
}
