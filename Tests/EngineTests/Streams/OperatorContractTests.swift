import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: what every operator owes to whoever runs it: the same rows however its input is cut into batches,
/// lies in partitions, comes out of order or late; after any crash, restored from a changelog, compacted or
/// not, or from a snapshot; and under a topology that was compiled anew with other steps around it. An
/// operator is a line here; what it computes is its own suite's.
@Suite struct OperatorContractTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var step: String
        /// Its rows have no order among those of several inputs.
        var isUnordered = false
        /// Whether the rows that it makes come often with this input.
        var least = 30

        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "union", step: "{ from: [a, b] }", isUnordered: true),
        Case(name: "join", step: "{ from: a, join: { stream: b, on: shop, within: 2s } }"),
        Case(
            name: "left join",
            step: "{ from: a, join: { stream: b, on: [shop, kind], before: 1s, after: 4s, kind: left } }"),
        Case(
            name: "full join",
            step: "{ from: a, join: { stream: b, on: [shop, kind], before: 1s, after: 4s, kind: full } }"),
        Case(name: "deduplicate", step: "{ from: a, deduplicate: { by: [city, kind], within: 4s } }"),
        Case(
            name: "repeat",
            step:
                "{ from: a, key: city, sequence: { repeat: kind != \"x\", times: 3, within: 10s, gap: 4s } }"),
        Case(
            name: "then",
            step:
                "{ from: a, key: city, sequence: { first: kind == \"x\", then: kind == \"y\", within: 5s, by: shop } }",
            least: 5),
        Case(
            name: "without",
            step:
                "{ from: a, key: city, sequence: { first: kind == \"x\", without: kind == \"y\", within: 5s } }"
        ),
        Case(
            name: "session",
            step:
                "{ from: a, key: shop, window: { gap: 3s, max: 20s }, aggregate: { n: count(), s: sum(amount), d: distinct(kind) } }"
        ),
        Case(name: "top", step: "{ from: a, key: city, top: { count: 2, by: amount } }"),
        Case(
            name: "fund flow",
            step:
                "{ from: a, fund_flow: { source: shop, target: city, amount: amount, disbursements: { from: b, loan: kind, "
                + "account: shop, amount: amount }, within: 1h, settle: 1s } }"),
        Case(
            name: "levels",
            step:
                "{ from: a, key: city, levels: { item: shop, active: kind != \"x\", weight: amount, expire: 20s, "
                + "steps: { watch: { at: 20, below: 10, hold: 2s }, act: { at: 40, below: 25 } } } }"),
        Case(
            name: "lag", step: "{ from: a, key: city, lag: { fields: [amount, kind], count: 2, within: 6s } }"
        ),
        Case(
            name: "last",
            step:
                "{ from: a, key: city, last: { count: 4, within: 9s, aggregate: { s: sum(amount), f: first(kind), d: distinct(kind), "
                + "q: \"quantile(amount, 0.5)\" } } }"),
        Case(
            name: "features",
            step: "{ from: a, key: shop, features: { every: 2s, fields: { n: amount * 2, kind: kind } } }"),
        Case(
            name: "sequence of",
            step: "{ from: a, key: city, sequence_of: { fields: [amount, id], steps: 3, least: 2 } }"),
        Case(name: "drift", step: "{ from: a, drift: { model: amounts, size: 20s } }", least: 10),
        Case(name: "score", step: "{ from: a, key: shop, score: { model: amounts } }", isUnordered: true),
    ]

    /// Goal: an operator that is added is here.
    @Test func everyOperatorOfTheCatalogueIsACase() throws {
        let own = try Self.cases.flatMap { own in
            try #require(TopologyReader.read(Self.topology(own.step), file: "t.yaml").spec, "\(own.name)")
                .steps.compactMap { $0.operation.map { ObjectIdentifier(type(of: $0.part)) } }
        }
        let missing = Catalogue.standard.operators.filter { !own.contains(ObjectIdentifier($0)) }
        #expect(missing.isEmpty, "\(missing) has no line in OperatorContractTests.cases")
    }

    /// `around`: with other steps before and behind it, and rules.
    static func topology(_ step: String, around: Bool = false) -> String {
        let source =
            "{ kafka: { topic: NAME }, key: shop, time: { field: time, out_of_order: 2s, idle: 1h }, schema: { id: int, "
            + "shop: text, city: text, kind: text, amount: decimal(2), time: { type: timestamp, unit: ms } } }"
        let before = """
              0first: { from: b, key: [city, kind], window: { size: 10s }, aggregate: { n: count() } }
              1second: { from: [a, b], where: amount > 1, deduplicate: { by: id, within: 1s } }

            """
        let behind = """

              third: { from: o, window: { size: 1m }, key: shop, aggregate: { n: count() } }
            """
        // Not every operator's rows have a shop.
        let hasShop = !step.contains("levels") && !step.contains("drift")
        return """
            topology: t
            latency: 1d
            models: { amounts: \(ScoreTests.models)/amounts }
            sources:
              a: \(source.replacing("NAME", with: "a"))
              b: \(source.replacing("NAME", with: "b"))
            steps:
            \(around ? before.replacing("0first", with: "first").replacing("1second", with: "second") : "")  o: \(step)\(around && hasShop ? behind : "")
            \(around ? "rules:\n  many: { on: first, when: n > 3, at: close, risk: r, severity: low }" : "")
            sinks:
              \(around ? "counts: { kafka: { topic: counts }, from: [first] }\n  " : "")out: { kafka: { topic: out }, from: [o] }
            """
    }

    struct Event {
        var source: String
        var shop: String
        var text: String
        var time: Int64
    }

    /// Of each source, in an order that `out_of_order` allows but for some that are late.
    static func events(_ random: inout SplitMix64, count: Int) -> [Event] {
        var time: Int64 = 1_000_000_000
        let events = (0..<count).map { id in
            time += Int64(random.next() % 700)
            let shop = Int(random.next() % 8)
            let kind = ["x", "y", "z"].randomElement(using: &random) ?? "x"
            let amount = Decimal.string(Int64(100 + random.next() % 2000), scale: 2)
            let source = random.next() % 3 == 0 ? "b" : "a"
            let text =
                "{\"id\":\(id),\"shop\":\"S\(shop)\",\"city\":\"S\(shop % 3)\",\"kind\":\"\(kind)\",\"amount\":\(amount),\"time\":\(time)}"
            return Event(source: source, shop: "S\(shop)", text: text, time: time)
        }
        let places = events.map {
            $0.time + Int64(random.next() % 1900) + (random.next() % 40 == 0 ? 9000 : 0)
        }
        return zip(events, places).sorted { $0.1 < $1.1 }.map(\.0)
    }

    static func cluster(_ text: String, _ events: [Event], partitions: Int, rowsMax: Int) throws
        -> TaskCluster
    {
        let cluster = try TaskCluster(text, partitions: partitions, rowsMax: rowsMax)
        for event in events { try cluster.append(event.source, key: event.shop, event.text) }
        return cluster
    }

    static func end(_ events: [Event]) -> Int64 { (events.map(\.time).max() ?? 0) + 7_200_000 }

    static func outputs(_ cluster: TaskCluster, _ own: Case, sorted: Bool = false) -> [String] {
        let texts = cluster.outputs.filter { $0.sink == "out" }.map(\.text)
        return sorted || own.isUnordered ? texts.sorted() : texts
    }

    @Test(arguments: cases) func batchesPartitionsAndCrashes(own: Case) throws {
        for seed in UInt64(1)...3 {
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 500)
            var (first, late) = ([String](), 0)
            for (partitions, rowsMax, crashes) in [
                (1, 2048, 0), (1, 1, 0), (1, 7, 0), (1, 64, 0), (1, 16, 120), (1, 1, 60), (3, 16, 120),
            ] {
                print(
                    "\(own.name), seed \(seed), \(partitions) partitions, batches of \(rowsMax), crashes \(crashes)"
                )
                let cluster = try Self.cluster(
                    Self.topology(own.step), events, partitions: partitions, rowsMax: rowsMax)
                try cluster.run(&random, crashesPerMille: UInt64(crashes), until: Self.end(events))
                #expect(cluster.deadCount == 0)
                if partitions > 1 {
                    // What is late is so in its partition, of which each has its own event time.
                    #expect(!cluster.outputs.isEmpty)
                    continue
                }
                let found = Self.outputs(cluster, own)
                if first.isEmpty {
                    (first, late) = (found, cluster.lateCount)
                    #expect(
                        found.count >= own.least && (late > 3 || own.isUnordered),
                        "seed \(seed): \(found.count) rows, \(late) late")
                }
                #expect(
                    found == first, "seed \(seed), batches of \(rowsMax): \(found.count) of \(first.count)")
                #expect(cluster.lateCount == late)
            }
        }
    }

    /// Without late records, partitions make no difference.
    @Test(arguments: cases) func partitions(own: Case) throws {
        for seed in UInt64(4)...5 {
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 400).sorted { $0.time < $1.time }
            var first: [String] = []
            for partitions in [1, 2, 5] {
                print("\(own.name), seed \(seed), \(partitions) partitions")
                let cluster = try Self.cluster(
                    Self.topology(own.step), events, partitions: partitions, rowsMax: 32)
                try cluster.run(&random, crashesPerMille: 50, until: Self.end(events))
                #expect(cluster.deadCount == 0 && cluster.lateCount == 0)
                let found = Self.outputs(cluster, own, sorted: true)
                if first.isEmpty { first = found }
                #expect(
                    found == first, "seed \(seed), \(partitions) partitions: \(found.count) of \(first.count)"
                )
            }
        }
    }

    @Test(arguments: cases, [false, true]) func takenOverByATopologyCompiledAnew(
        own: Case, fromSnapshot: Bool
    ) throws {
        for seed in UInt64(6)...8 {
            print("\(own.name), seed \(seed), from \(fromSnapshot ? "a snapshot" : "the changelog")")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 400)
            let straight = try Self.cluster(Self.topology(own.step), events, partitions: 1, rowsMax: 32)
            try straight.run(&random, until: Self.end(events))
            let cluster = try Self.cluster(
                Self.topology(own.step), Array(events[..<200]), partitions: 1, rowsMax: 32)
            while !cluster.isRead { for place in cluster.unread(0) { cluster.process(place, rows: 5) } }
            cluster.commit(0)
            let before = cluster.description(0)
            try cluster.recompile(Self.topology(own.step, around: true), fromSnapshot: fromSnapshot)
            #expect(cluster.description(0) == before, "seed \(seed)")
            for event in events[200...] { try cluster.append(event.source, key: event.shop, event.text) }
            while !cluster.isRead {
                for place in cluster.unread(0) { cluster.process(place, rows: 5) }
                if random.next() % 4 == 0 { cluster.commit(0) }
            }
            cluster.commit(0)
            // And back again, in the middle of what waits.
            try cluster.recompile(Self.topology(own.step), fromSnapshot: !fromSnapshot)
            try cluster.run(&random, until: Self.end(events))
            #expect(
                Self.outputs(cluster, own, sorted: true) == Self.outputs(straight, own, sorted: true),
                "seed \(seed): \(cluster.outputs.count) of \(straight.outputs.count)")
        }
    }
}
