import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: pairs of two streams are those within the interval, each once, and missing partners are told,
/// whatever order records come in and whichever tasks they are in. Method: random streams against every pair
/// of all records.
@Suite struct StreamJoinTests {
    static func topology(kind: String, before: Int64, after: Int64, join: String = "", key: String = "order")
        -> String
    {
        """
        topology: t
        latency: 1d
        sources:
          left:
            kafka: { topic: left }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { order: text, shop: text, value: int, time: { type: timestamp, unit: ms } }
          right:
            kafka: { topic: right }
            key: ref
            time: { field: time, out_of_order: 5s }
            schema: { ref: text, size: int?, time: { type: timestamp, unit: ms } }
        steps:
          pairs:
            from: left
            join: { stream: right, on: { order: ref }, kind: \(kind), before: \(before)ms, after: \(after)ms }
          shops:
            from: pairs
            key: shop
            window: { size: 1m }
            aggregate: { pairs: count(), sizes: sum(right.size), values: sum(value) }
        sinks:
          pairs: { kafka: { topic: pairs }, from: [pairs] }
          shops: { kafka: { topic: shops }, from: [shops] }
        """
    }

    struct Left {
        var order: String
        var shop: String
        var value: Int
        var time: Int64
    }

    struct Right {
        var ref: String
        var size: Int?
        var time: Int64
    }

    static func oracle(
        _ lefts: [Left], _ rights: [Right], isLeft: Bool, isFull: Bool = false, before: Int64, after: Int64
    ) -> [String] {
        var lines: [String] = []
        for left in lefts {
            let partners = rights.filter {
                $0.ref == left.order && $0.time >= left.time - before && $0.time <= left.time + after
            }
            for right in partners {
                let size = right.size.map { "\($0)" } ?? "null"
                lines.append(
                    "\(left.order) \(left.shop) \(left.value) \(left.time) \(right.ref) \(size) \(right.time) true "
                        + CivilTime.string(max(left.time, right.time)))
            }
            if isLeft, partners.isEmpty {
                lines.append(
                    "\(left.order) \(left.shop) \(left.value) \(left.time) null null null false "
                        + CivilTime.string(left.time + after))
            }
        }
        for right in rights where isFull {
            let hasPartner = lefts.contains {
                $0.order == right.ref && right.time >= $0.time - before && right.time <= $0.time + after
            }
            if hasPartner { continue }
            let size = right.size.map { "\($0)" } ?? "null"
            lines.append(
                "\(right.ref) null null null \(right.ref) \(size) \(right.time) true \(CivilTime.string(right.time + before)) false"
            )
        }
        return lines.map { isFull && !$0.hasSuffix(" false") ? $0 + " true" : $0 }.sorted()
    }

    static func lines(_ cluster: TaskCluster, isLeft: Bool, isFull: Bool = false) throws -> [String] {
        try cluster.sorted("pairs").map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func member(_ name: String) -> String {
                guard let value = object[name], !(value is NSNull) else { return "null" }
                return "\(value)"
            }
            func milliseconds(_ name: String) -> String {
                CivilTime.parse(member(name)).map { "\($0.milliseconds)" } ?? "null"
            }
            let found = isLeft ? (object["right.found"] as? Bool ?? false) : true
            return
                "\(member("order")) \(member("shop")) \(member("value")) \(milliseconds("time")) \(member("right.ref")) "
                + "\(member("right.size")) \(milliseconds("right.time")) \(found) \(member("joined_at"))"
                + (isFull ? (object["left.found"] as? Bool ?? false) ? " true" : " false" : "")
        }.sorted()
    }

    static let seeds = FundFlowTests.seeds

    static func cluster(
        _ text: String, _ lefts: [Left], _ rights: [Right], partitions: Int, rowsMax: Int,
        _ random: inout SplitMix64,
        crashesPerMille: UInt64
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(text, partitions: partitions, rowsMax: rowsMax)
        func shuffled<T>(_ events: [T], _ time: (T) -> Int64) -> [T] {
            events.map { ($0, time($0) + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }.map(\.0)
        }
        for left in shuffled(lefts, \.time) {
            try cluster.append(
                "left", key: left.shop,
                "{\"order\":\"\(left.order)\",\"shop\":\"\(left.shop)\",\"value\":\(left.value),\"time\":\(left.time)}"
            )
        }
        for right in shuffled(rights, \.time) {
            let size = right.size.map { "\($0)" } ?? "null"
            try cluster.append(
                "right", key: right.ref, "{\"ref\":\"\(right.ref)\",\"size\":\(size),\"time\":\(right.time)}")
        }
        let last = (lefts.map(\.time) + rights.map(\.time)).max() ?? 0
        try cluster.run(&random, crashesPerMille: crashesPerMille, until: last + 300_000)
        return cluster
    }

    static func events(_ random: inout SplitMix64, count: Int) -> (lefts: [Left], rights: [Right]) {
        var time: Int64 = 1_000_000_000
        var lefts: [Left] = []
        var rights: [Right] = []
        for _ in 0..<count {
            time += Int64(random.next() % 1500)
            let order = "O\(random.next() % 60)"
            if random.next() % 2 == 0 {
                lefts.append(
                    Left(
                        order: order, shop: "S\(random.next() % 5)", value: Int(random.next() % 100),
                        time: time))
            } else {
                rights.append(
                    Right(
                        ref: order, size: random.next() % 8 == 0 ? nil : Int(random.next() % 100), time: time)
                )
            }
            // Duplicates make pairs of their own.
            if random.next() % 20 == 0, let last = rights.last { rights.append(last) }
        }
        return (lefts, rights)
    }

    @Test(arguments: [(1, 1, 0), (1, 64, 0), (3, 7, 0), (8, 64, 0), (1, 16, 100), (4, 16, 100)])
    func everyPairOnce(partitions: Int, rowsMax: Int, crashes: Int) throws {
        for seed in Self.seeds {
            for (isLeft, before, after, isFull) in [
                (true, Int64(20_000), Int64(40_000), false), (false, 0, 30_000, false),
                (true, 15_000, 0, false),
                (true, 20_000, 10_000, true),
            ] {
                var random = SplitMix64(seed: seed)
                let (lefts, rights) = Self.events(&random, count: 400)
                let kind = isFull ? "full" : isLeft ? "left" : "inner"
                print(
                    "seed \(seed), \(kind) \(before) \(after), \(partitions) partitions, batches of \(rowsMax)"
                )
                let expected = Self.oracle(
                    lefts, rights, isLeft: isLeft, isFull: isFull, before: before, after: after)
                let cluster = try Self.cluster(
                    Self.topology(kind: kind, before: before, after: after), lefts, rights,
                    partitions: partitions,
                    rowsMax: rowsMax, &random, crashesPerMille: UInt64(crashes))
                let found = try Self.lines(cluster, isLeft: isLeft, isFull: isFull)
                // Rows without a left part have no shop: the windows of shops refuse them.
                let shopless = isFull ? expected.count { $0.hasSuffix(" false") } : 0
                #expect(cluster.lateCount == 0 && cluster.deadCount == shopless)
                #expect(expected.count > 50)
                let difference = zip(expected, found).first { $0 != $1 }
                #expect(
                    found == expected,
                    "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))"
                )
                // The windows over the pairs are those of their shops.
                let sums = try cluster.sorted("shops").map { text -> Int in
                    let object = try #require(
                        try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
                    return (object["values"] as? [String: Any])?["pairs"] as? Int ?? 0
                }
                #expect(sums.reduce(0, +) == expected.count - shopless)
            }
        }
    }
}
