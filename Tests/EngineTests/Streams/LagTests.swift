import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: every record knows what those of its key before it had, in event-time order, however they came, were
/// cut into batches, lie in partitions and whatever died. Method: random records against a walk over the
/// sorted list.
@Suite struct LagTests {
    static func topology(_ lag: String) -> String {
        """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, city: text, amount: decimal(2)?, time: { type: timestamp, unit: ms } }
        steps:
          before: { from: in, key: city, lag: \(lag) }
          risen: { from: before, where: amount > lag1.amount }
        sinks:
          before: { kafka: { topic: before }, from: [before] }
          risen: { kafka: { topic: risen }, from: [risen] }
        """
    }

    struct Event {
        var id: Int
        var shop: Int
        /// Hundredths.
        var amount: Int64?
        var time: Int64
        var city: Int { shop % 4 }
    }

    /// No two of one instant, so that their order is known here; `late`: some are behind the watermark.
    static func events(_ random: inout SplitMix64, count: Int) -> [Event] {
        var time: Int64 = 1_000_000_000
        return (0..<count).map { id in
            time += 1 + Int64(random.next() % 1500)
            return Event(
                id: id, shop: Int(random.next() % 9),
                amount: random.next() % 8 == 0 ? nil : Int64(random.next() % 50), time: time)
        }
    }

    static func run(
        _ lag: String, _ events: [Event], partitions: Int, rowsMax: Int, crashes: UInt64,
        _ random: inout SplitMix64
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(topology(lag), partitions: partitions, rowsMax: rowsMax)
        for event in events {
            let amount = event.amount.map { Decimal.string($0, scale: 2) } ?? "null"
            try cluster.append(
                "in", key: "S\(event.shop)",
                "{\"id\":\(event.id),\"shop\":\"S\(event.shop)\",\"city\":\"C\(event.city)\",\"amount\":\(amount),"
                    + "\"time\":\(event.time)}")
        }
        try cluster.run(&random, crashesPerMille: crashes, until: (events.map(\.time).max() ?? 0) + 300_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        return cluster
    }

    /// Of each record, by id: ids and amounts of those before it, the nearest first.
    static func oracle(_ events: [Event], count: Int, within: Int64?) -> [String] {
        let sorted = events.sorted { $0.time < $1.time }
        return sorted.indices.map { at in
            let own = sorted[at]
            let before = sorted[..<at].reversed().filter {
                $0.city == own.city && own.time - $0.time <= within ?? .max
            }
            let fields = (0..<count).map { back in
                back < before.count
                    ? "\(before[back].id) \(before[back].amount.map { Decimal.string($0, scale: 2) } ?? "-") S\(before[back].shop)"
                    : "- - -"
            }
            return "\(own.id): \(fields.joined(separator: ", "))"
        }.sorted()
    }

    /// Records of more than the one of their key before them.
    static func risen(_ events: [Event], within: Int64?) -> Int {
        var last: [Int: Event] = [:]
        var count = 0
        for event in events.sorted(by: { $0.time < $1.time }) {
            if let before = last[event.city], event.time - before.time <= within ?? .max,
                let amount = event.amount,
                let other = before.amount, amount > other
            {
                count += 1
            }
            last[event.city] = event
        }
        return count
    }

    static func rows(_ texts: [String], count: Int) throws -> [String] {
        try texts.map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func value(_ name: String) -> String {
                switch object[name] {
                case let text as String: text
                case let number as NSNumber: "\(number)"
                default: "-"
                }
            }
            let fields = (1...count).map {
                "\(value("lag\($0).id")) \(value("lag\($0).amount")) \(value("lag\($0).shop"))"
            }
            return "\(value("id")): \(fields.joined(separator: ", "))"
        }.sorted()
    }

    @Test(arguments: [(1, nil), (3, nil), (2, 4000)] as [(Int, Int64?)]) func theRecordsBefore(
        count: Int, within: Int64?
    ) throws {
        let lag =
            "{ fields: [id, amount, shop], count: \(count)\(within.map { ", within: \($0 / 1000)s" } ?? "") }"
        for seed in FundFlowTests.seeds {
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 600)
            let shuffled = events.map { ($0, $0.time + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }
                .map(\.0)
            let expected = Self.oracle(events, count: count, within: within)
            let risen = Self.risen(events, within: within)
            var first: [TaskCluster.Output] = []
            for (partitions, rowsMax, crashes) in [
                (1, 2048, 0), (1, 1, 0), (1, 7, 0), (1, 16, 100), (4, 16, 100),
            ] {
                print("seed \(seed), \(partitions) partitions, batches of \(rowsMax), crashes \(crashes)")
                let cluster = try Self.run(
                    lag, shuffled, partitions: partitions, rowsMax: rowsMax, crashes: UInt64(crashes), &random
                )
                #expect(try Self.rows(cluster.sorted("before"), count: count) == expected, "seed \(seed)")
                #expect(cluster.sorted("risen").count == risen && risen > 50, "seed \(seed)")
                if first.isEmpty { first = cluster.outputs }
                if partitions == 1 {
                    #expect(cluster.outputs == first, "the same bytes in the same order, seed \(seed)")
                }
            }
        }
    }

    /// Of one instant the order is one of contents, and always the same.
    @Test func recordsOfOneInstant() throws {
        var outputs: Set<[String]> = []
        for seed in UInt64(1)...5 {
            var random = SplitMix64(seed: seed)
            let events = (0..<20).map { Event(id: $0, shop: 0, amount: Int64($0), time: 1_000_000_000) }
                .shuffled(using: &random)
            let cluster = try Self.run(
                "{ fields: [id, amount, shop] }", events, partitions: 1, rowsMax: 7, crashes: 0, &random)
            outputs.insert(cluster.outputs.filter { $0.sink == "before" }.map(\.text))
        }
        #expect(outputs.count == 1 && outputs.first?.count == 20)
    }

    @Test(arguments: [
        ("{ fields: [amuont] }", "no field of in 'amuont'; did you mean 'amount'?"),
        ("{ fields: [amount], count: 0 }", "count"),
        ("{ fields: [amount], count: 101 }", "count"),
        ("{ fields: [amount, amount] }", "twice"),
        ("{ count: 1 }", "fields"),
        ("{ fields: [amount], within: 0s }", "within"),
        ("{ fields: [amount], limit: { items: 3 } }", "items"),
        ("[amount]", "lag"),
    ]) func mistakes(lag: String, message: String) {
        let (spec, diagnostics) = TopologyReader.read(Self.topology(lag), file: "t.yaml")
        #expect(
            spec == nil && diagnostics.count == 1 && diagnostics[0].message.contains(message),
            "\(diagnostics)")
        #expect(diagnostics.first?.position.line == 10, "\(diagnostics)")
    }

    @Test func aLagOfALag() throws {
        let text = Self.topology("{ fields: [amount] }").replacing(
            "risen: { from: before, where: amount > lag1.amount }",
            with: "risen: { from: before, key: shop, lag: { fields: [amount] } }")
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        let names = spec.steps.last.map { $0.schema.fields.map(\.name) } ?? []
        #expect(names.contains("lag1.amount_before") && names.contains("lag1.amount"), "\(names)")
    }
}
