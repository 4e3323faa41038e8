import Base
import Engine
import Foundation
import Testing
import Topology

/// Goal: a step with `only` hands on the fields that it names and no others, to sinks, rules, windows,
/// operators and through repartition topics. Method: by hand, and the same results on one task and on
/// several.
@Suite struct OnlyTests {
    static let text = """
        topology: t
        latency: 1d
        sources:
          e:
            kafka: { topic: e }
            key: id
            time: { field: at }
            schema: { id: text, unused: text?, user: text, kind: text, amount: int, at: { type: timestamp, unit: ms } }
          d:
            kafka: { topic: d }
            key: id
            time: { field: at }
            schema: { id: text, city: text, at: { type: timestamp, unit: ms } }
        steps:
          narrow: { from: e, where: kind == "a", fields: { twice: amount * 2 }, only: [twice, at, user], key: user }
          bare: { from: narrow, only: [user] }
          sums: { from: narrow, key: user, window: { size: 10s }, aggregate: { n: count(), s: sum(twice) } }
          best: { from: narrow, key: user, top: { count: 1, by: twice }, only: [user, rank, at] }
          pairs: { from: e, join: { stream: d, on: id, within: 1h }, only: [d.city, id, user, joined_at] }
          both: { from: [narrow, other] }
          other: { from: e, fields: { twice: amount }, only: [user, at, twice] }
        rules:
          r: { on: narrow, when: twice > 190, risk: r, severity: low, message: "{user} {twice}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
          narrow: { kafka: { topic: narrow }, from: [narrow] }
          bare: { kafka: { topic: bare }, from: [bare] }
          sums: { kafka: { topic: sums }, from: [sums] }
          best: { kafka: { topic: best }, from: [best] }
          pairs: { kafka: { topic: pairs }, from: [pairs] }
          both: { kafka: { topic: both }, from: [both] }
        """

    static func run(partitions: Int) throws -> TaskCluster {
        let cluster = try TaskCluster(text, partitions: partitions)
        var random = SplitMix64(seed: 5)
        for index in 0..<300 {
            let (id, user, amount) = ("i\(index)", "u\(random.next() % 7)", Int(random.next() % 100))
            let kind = random.next() % 2 == 0 ? "a" : "b"
            try cluster.append(
                "e", key: id,
                "{\"id\":\"\(id)\",\"user\":\"\(user)\",\"kind\":\"\(kind)\",\"amount\":\(amount),\"at\":\(1000 + index * 50)}"
            )
            if index % 3 == 0 {
                try cluster.append(
                    "d", key: id, "{\"id\":\"\(id)\",\"city\":\"c\(index)\",\"at\":\(1000 + index * 50)}")
            }
        }
        try cluster.run(&random, until: 1_000_000)
        return cluster
    }

    @Test func fieldsThatAreNamedGoOn() throws {
        let one = try Self.run(partitions: 1)
        let several = try Self.run(partitions: 4)
        #expect(one.deadCount == 0 && several.deadCount == 0)
        for (sink, keys) in [
            ("narrow", ["twice", "at", "user"]), ("bare", ["user"]), ("best", ["user", "rank", "at"]),
            ("pairs", ["d.city", "id", "user", "joined_at"]), ("both", ["twice", "at", "user"]),
        ] {
            let rows = one.sorted(sink)
            #expect(rows.count > 20, "\(sink)")
            for row in rows {
                // In the order in which they are named.
                let places = keys.map { row.range(of: "\"\($0)\":")?.lowerBound }
                #expect(
                    places.allSatisfy { $0 != nil }
                        && places.compactMap { $0 } == places.compactMap { $0 }.sorted(), "\(row)")
                #expect(
                    row.filter { $0 == ":" }.count - row.components(separatedBy: "T00:00").dropFirst().count
                        * 2 == keys.count, "\(row)")
            }
            #expect(rows == several.sorted(sink), "\(sink)")
        }
        #expect(one.sorted("sums").count > 7 && one.sorted("sums") == several.sorted("sums"))
        #expect(one.sorted("alerts").first?.contains("\"values\":{\"twice\":19") == true)
    }

    @Test(arguments: [
        ("x: { from: e, only: [nobody] }", "'nobody'"),
        ("x: { from: e, only: [user], key: id }", "leaves out 'id'"),
        (
            "x: { from: e, only: [user], key: user, window: { size: 1h }, aggregate: { n: count() } }",
            "only is for the records"
        ),
        (
            "y: { from: e, only: [user] }\n  x: { from: y, key: user, window: { size: 1h }, aggregate: { n: count() } }",
            "event time"
        ),
        (
            "y: { from: e, only: [user, amount] }\n  x: { from: y, key: user, top: { count: 1, by: amount } }",
            "event time"
        ),
        ("y: { from: e, only: [user] }\n  x: { from: [y, e] }", "event time"),
        ("y: { from: e, only: [user] }\n  x: { from: y, where: amount > 1 }", "amount"),
    ])
    func mistakes(steps: String, message: String) {
        let text = """
            topology: t
            sources: { e: { kafka: { topic: e }, time: { field: at }, schema: { id: text, user: text, amount: int, at: { type: timestamp, unit: ms } } } }
            steps:
              \(steps)
            """
        let errors = TopologyReader.read(text, file: "t").diagnostics.filter { $0.severity == .error }.map(
            \.description)
        #expect(errors.count == 1 && errors.first?.contains(message) == true, "\(errors)")
    }
}
