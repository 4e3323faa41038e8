import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: of the records of one instant and key the best are ranked, whatever order they come in, however they
/// are cut into batches and whichever tasks they are in. Method: random records with many ties against a sort
/// of each instant.
@Suite struct TopTests {
    static let topology = """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, city: text, amount: decimal(2)?, time: { type: timestamp, unit: ms } }
        steps:
          least: { from: in, where: amount > 1 or amount is null, key: city, top: { count: 3, by: amount, order: least } }
          sales: { from: in, key: [city, shop], window: { size: 10s }, aggregate: { sold: sum(amount), orders: count() } }
          best: { from: sales, key: city, top: { count: 2, by: sold } }
          winners: { from: best, where: rank == 1, key: [city, shop], window: { size: 60s }, aggregate: { wins: count() } }
        sinks:
          least: { kafka: { topic: least }, from: [least] }
          best: { kafka: { topic: best }, from: [best] }
          winners: { kafka: { topic: winners }, from: [winners] }
        """

    struct Event {
        var id: Int
        var shop: String
        var city: String
        /// Hundredths.
        var amount: Int64?
        var time: Int64
    }

    static func events(_ random: inout SplitMix64, count: Int) -> [Event] {
        var time: Int64 = 1_000_000_000
        return (0..<count).map { id in
            if random.next() % 4 == 0 { time += 1000 * Int64(random.next() % 4) }
            let shop = random.next() % 12
            return Event(
                id: id, shop: "S\(shop)", city: "C\(shop % 3)",
                amount: random.next() % 10 == 0 ? nil : Int64(random.next() % 9) * 100, time: time)
        }
    }

    static func run(
        _ events: [Event], partitions: Int, rowsMax: Int, crashes: UInt64, _ random: inout SplitMix64
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(topology, partitions: partitions, rowsMax: rowsMax)
        for event in events {
            let amount = event.amount.map { Decimal.string($0, scale: 2) } ?? "null"
            try cluster.append(
                "in", key: event.shop,
                "{\"id\":\(event.id),\"shop\":\"\(event.shop)\",\"city\":\"\(event.city)\",\"amount\":\(amount),"
                    + "\"time\":\(event.time)}")
        }
        try cluster.run(&random, crashesPerMille: crashes, until: (events.map(\.time).max() ?? 0) + 300_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        return cluster
    }

    /// City, time, rank and value of each ranked row.
    static func oracle(_ events: [Event]) -> [String] {
        let groups = Dictionary(grouping: events.filter { ($0.amount ?? 0) > 100 }) {
            "\($0.city) \($0.time)"
        }
        return groups.flatMap { group, events in
            events.compactMap(\.amount).sorted().prefix(3).enumerated().map { "\(group) \($0 + 1) \($1)" }
        }.sorted()
    }

    static func oracleOfWindows(_ events: [Event]) -> [String] {
        let windows = Dictionary(grouping: events) { "\($0.city) \($0.time / 10_000)" }
        return windows.flatMap { window, events in
            // A shop whose orders have no amount has no rank.
            let sums = Dictionary(grouping: events, by: \.shop).values.map { $0.compactMap(\.amount) }
                .filter { !$0.isEmpty }.map { $0.reduce(0, +) }
            return sums.sorted(by: >).prefix(2).enumerated().map { "\(window) \($0 + 1) \($1)" }
        }.sorted()
    }

    static func lines(_ texts: [String], _ value: String, _ time: String, per: Int64) throws -> [String] {
        try texts.map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            let amount = try #require(object[value] as? String)
            guard case .success(let units) = Decimal.parse(amount, scale: 2) else { return text }
            let time = try #require(CivilTime.parse(object[time] as? String ?? "")?.milliseconds)
            return "\(object["city"] ?? "") \(time / per) \(object["rank"] ?? "") \(units)"
        }.sorted()
    }

    @Test func theBestOfEachInstant() throws {
        for seed in FundFlowTests.seeds {
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 800)
            let shuffled = events.map { ($0, $0.time + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }
                .map(\.0)
            var outputs: [TaskCluster.Output] = []
            for (partitions, rowsMax, crashes) in [
                (1, 2048, 0), (1, 1, 0), (1, 7, 0), (1, 100, 0), (8, 64, 0), (1, 16, 100), (4, 16, 100),
            ] {
                print("seed \(seed), \(partitions) partitions, batches of \(rowsMax), crashes \(crashes)")
                let cluster = try Self.run(
                    shuffled, partitions: partitions, rowsMax: rowsMax, crashes: UInt64(crashes), &random)
                if outputs.isEmpty {
                    outputs = cluster.outputs
                    let expected = Self.oracle(events)
                    #expect(expected.count > 100)
                    let sales = Dictionary(grouping: events) { "\($0.shop) \($0.time / 10_000)" }.values
                    #expect(sales.contains { $0.allSatisfy { $0.amount == nil } })
                    #expect(
                        try Self.lines(cluster.sorted("least"), "amount", "time", per: 1) == expected,
                        "seed \(seed)")
                    #expect(
                        try Self.lines(cluster.sorted("best"), "sold", "window_start", per: 10_000)
                            == Self.oracleOfWindows(events), "seed \(seed)")
                    #expect(cluster.sorted("winners").count > 10)
                }
                for sink in ["least", "best", "winners"] {
                    let first = outputs.filter { $0.sink == sink }.map(\.text)
                    // The same bytes in the same order; several tasks have none among them, nor have the keys
                    // of a window after a restore.
                    let found = cluster.outputs.filter { $0.sink == sink }.map(\.text)
                    #expect(
                        partitions == 1 && (crashes == 0 || sink != "winners")
                            ? found == first : found.sorted() == first.sorted(),
                        "seed \(seed), \(sink): \(found.count) of \(first.count)")
                }
            }
        }
    }
}
