import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: every record knows what the last N of its key come to, in event-time order, however they came, were
/// cut into batches, lie in partitions and whatever died. Method: random records against a walk over the
/// sorted list.
@Suite struct LastTests {
    private static func topology(_ count: Int, _ within: String) -> String {
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
          ran:
            from: in
            key: city
            last:
              count: \(count)\(within)
              aggregate:
                n: count()
                big: count(amount > 20)
                s: sum(amount)
                low: min(amount)
                high: max(amount, amount < 40)
                mean: avg(amount)
                f: first(shop)
                l: last(amount)
                d: distinct(shop)
                da: distinct(amount)
                med: quantile(amount, 0.5)
                spread: max(amount) - min(amount)
        sinks:
          ran: { kafka: { topic: ran }, from: [ran] }
        """
    }

    private static func oracle(_ events: [LagTests.Event], count: Int, within: Int64?) -> [String] {
        let sorted = events.sorted { $0.time < $1.time }
        return sorted.indices.map { at in
            let own = sorted[at]
            let last = sorted[...at].filter { $0.city == own.city && own.time - $0.time <= within ?? .max }
                .suffix(count)
            let amounts = last.compactMap(\.amount)
            func text(_ value: Int64?) -> String { value.map { Decimal.string($0, scale: 2) } ?? "-" }
            let ranks = amounts.sorted()
            let mean =
                amounts.isEmpty
                ? nil : Int64(Decimal.divideHalfEven(Int128(amounts.reduce(0, +)), Int128(amounts.count)))
            let spread = ranks.last.flatMap { high in ranks.first.map { high - $0 } }
            return
                "\(own.id): \(last.count) \(amounts.count { $0 > 2000 }) \(text(amounts.isEmpty ? nil : amounts.reduce(0, +))) "
                + "\(text(ranks.first)) \(text(amounts.filter { $0 < 4000 }.max())) \(text(mean)) S\(last.first?.shop ?? -1) "
                + "\(text(last.last { $0.amount != nil }?.amount)) \(Set(last.map(\.shop)).count) \(Set(amounts).count) "
                + "\(text(ranks.isEmpty ? nil : ranks[(ranks.count + 1) / 2 - 1])) \(text(spread))"
        }.sorted()
    }

    @Test(arguments: [(1, 1, 0), (1, 64, 0), (3, 7, 0), (1, 16, 100), (4, 16, 100)])
    func agreesWithAWalk(partitions: Int, rowsMax: Int, crashes: UInt64) throws {
        for (seed, count, within) in [
            (UInt64(1), 1, Int64?.none), (2, 5, nil), (3, 4, 6000), (4, 40, 20_000),
        ] {
            var random = SplitMix64(seed: seed)
            print(
                "seed \(seed), last \(count), \(partitions) partitions, batches of \(rowsMax), crashes \(crashes)"
            )
            let events = LagTests.events(&random, count: 300).map { event in
                var event = event
                event.amount = event.amount.map { $0 * 100 + Int64(random.next() % 3) }
                return event
            }
            let text = Self.topology(count, within.map { "\n      within: \($0)ms" } ?? "")
            let cluster = try TaskCluster(text, partitions: partitions, rowsMax: rowsMax)
            for event in events {
                let amount = event.amount.map { Decimal.string($0, scale: 2) } ?? "null"
                try cluster.append(
                    "in", key: "S\(event.shop)",
                    "{\"id\":\(event.id),\"shop\":\"S\(event.shop)\",\"city\":\"C\(event.city)\",\"amount\":\(amount),\"time\":\(event.time)}"
                )
            }
            try cluster.run(
                &random, crashesPerMille: crashes, until: (events.map(\.time).max() ?? 0) + 300_000)
            #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
            let found = try cluster.sorted("ran").map { line -> String in
                let object = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                func member(_ name: String) -> String {
                    guard let value = object[name], !(value is NSNull) else { return "-" }
                    guard let number = value as? NSNumber, !["n", "big", "d", "da", "id"].contains(name)
                    else { return "\(value)" }
                    return Decimal.string(Int64((number.doubleValue * 100).rounded()), scale: 2)
                }
                let results = ["n", "big", "s", "low", "high", "mean", "f", "l", "d", "da", "med", "spread"]
                    .map(member)
                return "\(member("id")): \(results.joined(separator: " "))"
            }.sorted()
            let expected = Self.oracle(events, count: count, within: within)
            let difference = zip(expected, found).first { $0 != $1 }
            #expect(
                found == expected,
                "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))")
        }
    }
}
