import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: deduplication, top and sessions go by event time, whatever order records come in and whichever tasks
/// they are in. Method: random records against walks over the sorted list.
@Suite struct SelectionTests {
    enum Operation: CaseIterable {
        case deduplicate, top, least, session

        var steps: String {
            switch self {
            case .deduplicate: "  found: { from: in, deduplicate: { by: [user, kind], within: 20s } }"
            case .top:
                """
                  minutes: { from: in, key: [shop, user], window: { size: 1m }, aggregate: { n: count(), sum: sum(value) } }
                  found: { from: minutes, key: shop, top: { count: 2, by: sum } }
                """
            case .least: "  found: { from: in, key: shop, top: { count: 1, by: value, order: least } }"
            case .session:
                """
                  found:
                    from: in
                    where: kind != "c"
                    key: user
                    window: { gap: 10s, max: 40s }
                    aggregate: { n: count(), sum: sum(value), shops: distinct(shop), first: first(id), last: last(id), a: count(kind == "a") }
                """
            }
        }
    }

    static func topology(_ operation: Operation) -> String {
        """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, user: text, kind: text, value: int, time: { type: timestamp, unit: ms } }
        steps:
        \(operation.steps)
        sinks:
          found: { kafka: { topic: found }, from: [found] }
        """
    }

    struct Event {
        var id: Int
        var shop: String
        var user: String
        var kind: String
        var value: Int
        var time: Int64
    }

    static func oracle(_ events: [Event], _ operation: Operation) -> [String] {
        let sorted = events.sorted { $0.time < $1.time }
        var lines: [String] = []
        switch operation {
        case .deduplicate:
            var passed: [String: Int64] = [:]
            for event in sorted {
                let id = event.user + event.kind
                if let last = passed[id], event.time - last <= 20_000 { continue }
                passed[id] = event.time
                lines.append("\(event.id)")
            }
        case .top:
            let minutes = Dictionary(grouping: sorted) { $0.time / 60_000 }
            for (_, all) in minutes {
                for (shop, own) in Dictionary(grouping: all, by: \.shop) {
                    let sums = Dictionary(grouping: own, by: \.user).mapValues {
                        $0.reduce(0) { $0 + $1.value }
                    }
                    let best = sums.map { ($0.value, $0.key) }.sorted {
                        $0.0 != $1.0 ? $0.0 > $1.0 : $0.1 < $1.1
                    }
                    // Users of equal sums may change places.
                    for (rank, entry) in best.prefix(2).enumerated() {
                        lines.append("\(shop) \(entry.0) \(rank + 1)")
                    }
                }
            }
        case .least: for event in sorted { lines.append("\(event.id) 1") }
        case .session:
            for own in Dictionary(grouping: sorted.filter { $0.kind != "c" }, by: \.user).values {
                var session: [Event] = []
                func end(_ session: [Event]) -> Int64? {
                    session.last.map { min($0.time + 10_000, session[0].time + 40_000) }
                }
                func close(_ end: Int64) {
                    guard let first = session.first, let last = session.last else { return }
                    lines.append(
                        "\(first.user) \(session.count) \(session.reduce(0) { $0 + $1.value }) \(Set(session.map(\.shop)).count) "
                            + "\(first.id) \(last.id) \(session.count { $0.kind == "a" }) \(CivilTime.string(first.time)) "
                            + CivilTime.string(end))
                    session = []
                }
                for event in own {
                    if let end = end(session), event.time >= end { close(end) }
                    session.append(event)
                }
                if let end = end(session) { close(end) }
            }
        }
        return lines.sorted()
    }

    static func lines(_ cluster: TaskCluster, _ operation: Operation) throws -> [String] {
        try cluster.sorted("found").map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func members(_ names: String...) -> String {
                names.map { object[$0].map { "\($0)" } ?? "none" }.joined(separator: " ")
            }
            return switch operation {
            case .deduplicate: members("id")
            case .top: members("shop", "sum", "rank")
            case .least: members("id", "rank")
            case .session:
                members("user", "n", "sum", "shops", "first", "last", "a", "window_start", "window_end")
            }
        }.sorted()
    }

    @Test(arguments: Operation.allCases, [(1, 1, 0), (1, 64, 0), (8, 7, 0), (1, 16, 100), (4, 16, 100)])
    func rowsAreThoseOfEventTime(operation: Operation, run: (partitions: Int, rowsMax: Int, crashes: Int))
        throws
    {
        for seed in FundFlowTests.seeds {
            print("seed \(seed), \(operation), \(run)")
            var random = SplitMix64(seed: seed)
            var time: Int64 = 1_000_000_000
            let events = (0..<600).map { id in
                time += 1 + Int64(random.next() % 1500)
                return Event(
                    id: id, shop: "S\(random.next() % 4)", user: "U\(random.next() % 9)",
                    kind: ["a", "b", "c"][Int(random.next() % 3)], value: Int(random.next() % 100), time: time
                )
            }
            let expected = Self.oracle(events, operation)
            let cluster = try TaskCluster(
                Self.topology(operation), partitions: run.partitions, rowsMax: run.rowsMax)
            for event in events.map({ ($0, $0.time + Int64(random.next() % 4900)) }).sorted(by: {
                $0.1 < $1.1
            }).map(\.0) {
                try cluster.append(
                    "in", key: event.shop,
                    "{\"id\":\(event.id),\"shop\":\"\(event.shop)\",\"user\":\"\(event.user)\",\"kind\":\"\(event.kind)\","
                        + "\"value\":\(event.value),\"time\":\(event.time)}")
            }
            try cluster.run(&random, crashesPerMille: UInt64(run.crashes), until: time + 200_000)
            #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
            let found = try Self.lines(cluster, operation)
            #expect(expected.count > 10)
            let difference = zip(expected, found).first { $0 != $1 }
            #expect(
                found == expected,
                "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))")
        }
    }
}
