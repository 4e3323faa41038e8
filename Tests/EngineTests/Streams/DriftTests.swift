import Base
import Engine
import Foundation
import Models
import Records
import Testing
import Topology

/// Goal: drift is told where there is some, and not where there are few rows; the numbers are those of the
/// definition, however many tasks count. Method: random rows of known distributions against plain sums over
/// them.
@Suite struct DriftTests {
    static func topology(size: String) -> String {
        """
        topology: t
        latency: 2d
        models: { m: \(ScoreTests.models)/amounts }
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 2s, idle: 1h }
            schema: { shop: text, kind: text?, amount: decimal(2)?, time: { type: timestamp, unit: ms } }
        steps:
          risk: { from: in, key: shop, score: { model: m } }
          watch: { from: risk, drift: { model: m, size: \(size) } }
          needed: { from: watch, where: retrain }
        sinks:
          watch: { kafka: { topic: watch }, from: [watch] }
          needed: { kafka: { topic: t-retrain }, from: [needed] }
        """
    }

    struct Row {
        var shop: Int
        var kind: String?
        var amount: Int64?
        var time: Int64
    }

    static let start: Int64 = 1_700_000_040_000

    /// As the model's training rows were drawn, with amounts shifted.
    static func row(_ random: inout SplitMix64, at time: Int64, shift: Int64 = 0) -> Row {
        Row(
            shop: Int(random.next() % 50), kind: ["x", "y", "z"][Int(random.next() % 3)],
            amount: random.next() % 10 == 0 ? nil : 100 + Int64(random.next() % 2000) + shift, time: time)
    }

    static func run(
        _ rows: [Row], size: String, partitions: Int, _ random: inout SplitMix64, crashes: UInt64 = 0
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(topology(size: size), partitions: partitions, rowsMax: 256)
        for row in rows {
            let (kind, amount) = (
                row.kind.map { "\"\($0)\"" } ?? "null",
                row.amount.map { Decimal.string(Int128($0), scale: 2) } ?? "null"
            )
            try cluster.append(
                "in", key: "S\(row.shop)",
                "{\"shop\":\"S\(row.shop)\",\"kind\":\(kind),\"amount\":\(amount),\"time\":\(row.time)}")
        }
        try cluster.run(&random, crashesPerMille: crashes, until: (rows.map(\.time).max() ?? 0) + 10_000_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        return cluster
    }

    static func rows(_ cluster: TaskCluster, _ sink: String = "watch") throws -> [[String: Any]] {
        try cluster.outputs.filter { $0.sink == sink }
            .map { try #require(JSONSerialization.jsonObject(with: Data($0.text.utf8)) as? [String: Any]) }
    }

    /// By the definition, with the C library's logarithm.
    static func index(_ counts: [Int], _ trained: [Int]) -> Double {
        let (n, m) = (Double(counts.reduce(0, +)), Double(trained.reduce(0, +)))
        return zip(counts, trained).reduce(0) { sum, pair in
            let (q, p) = (max(Double(pair.0) / n, 1e-4), max(Double(pair.1) / m, 1e-4))
            return sum + (q - p) * log(q / p)
        }
    }

    @Test(arguments: [1, 8]) func numbersAreThoseOfTheDefinition(partitions: Int) throws {
        let card = try ScoreTests.loaded("amounts").card
        let amounts = try #require(card.features[0].histogram)
        for seed in UInt64(1)...2 {
            print("seed \(seed), \(partitions) partitions")
            var random = SplitMix64(seed: seed)
            var time = Self.start
            let rows = (0..<2500).map { index -> Row in
                time += Int64(random.next() % 200)
                var row = Self.row(&random, at: time, shift: index % 3 == 0 ? 900 : 0)
                if random.next() % 50 == 0 { row.kind = "unknown" }
                return row
            }
            let found = try Self.rows(
                Self.run(rows, size: "60s", partitions: partitions, &random, crashes: 20))
            let windows = Dictionary(grouping: rows) { $0.time / 60_000 }
            #expect(found.count == 3 * windows.count)
            for (window, members) in windows {
                let end = (window + 1) * 60_000
                let own = try found.filter {
                    FeatureTimes.milliseconds(try #require($0["window_end"] as? String)) == end
                }
                #expect(
                    own.compactMap { $0["feature"] as? String } == ["amount", "kind", "score"], "seed \(seed)"
                )
                let row = try #require(own.first)
                var counts = Array(repeating: 0, count: amounts.counts.count + 1)
                for member in members {
                    guard let amount = member.amount.map({ Double($0) / 100 }) else {
                        counts[counts.count - 1] += 1
                        continue
                    }
                    counts[amounts.edges.count { $0 <= amount }] += 1
                }
                #expect(
                    row["n"] as? Int == members.count && row["counts"] as? String == "\(counts)",
                    "seed \(seed), \(window)")
                #expect(row["trained"] as? String == "\(amounts.counts + [amounts.missing])")
                let psi = try #require(Double(row["psi"] as? String ?? ""))
                #expect(abs(psi - Self.index(counts, amounts.counts + [amounts.missing])) <= 1e-6)
                let bins = zip(counts, amounts.counts + [amounts.missing]).count { $0 > 0 || $1 > 0 }
                #expect(bins == 11)
                let chance = 18.307 * (1 / Double(members.count) + 1 / 4000.0)
                #expect(abs(try #require(Double(row["chance"] as? String ?? "")) - chance) <= 1e-6)
                #expect(
                    row["level"] as? String
                        == (members.count < 500
                            ? "few" : psi <= max(chance, 0.1) ? "none" : psi < 0.25 ? "moderate" : "major"))
                let outside = members.count {
                    $0.amount.map {
                        Double($0) / 100 > card.features[0].greatest ?? 0
                            || Double($0) / 100 < card.features[0].least ?? 0
                    } ?? false
                }
                #expect(
                    row["outside"] as? String
                        == ScoreTests.rounded(Double(outside) / Double(members.count), 6))
                let unknown = members.count { $0.kind == "unknown" }
                #expect(
                    own[1]["unknown"] as? String
                        == ScoreTests.rounded(Double(unknown) / Double(members.count), 6))
                #expect(
                    own[1]["missing"] as? String
                        == ScoreTests.rounded(Double(unknown) / Double(members.count), 6))
            }
        }
    }

    /// A shift is told in both windows that have it, and one record asks for a new training set.
    @Test func twoMajorWindowsInARowAskOnce() throws {
        var random = SplitMix64(seed: 3)
        // Two windows as ever, three shifted, one as ever, one shifted; each of 600 rows.
        let rows = (0..<7).flatMap { window in
            (0..<600).map {
                Self.row(
                    &random, at: Self.start + Int64(window) * 60_000 + Int64($0) * 90,
                    shift: [2, 3, 4, 6].contains(window) ? 700 : 0)
            }
        }
        let cluster = try Self.run(rows, size: "60s", partitions: 1, &random, crashes: 30)
        let amounts = try Self.rows(cluster).filter { $0["feature"] as? String == "amount" }
        #expect(
            amounts.compactMap { $0["level"] as? String } == [
                "none", "none", "major", "major", "major", "none", "major",
            ])
        #expect(amounts.compactMap { $0["running"] as? Int } == [0, 0, 1, 2, 3, 0, 1])
        let needed = try Self.rows(cluster, "needed").filter { $0["feature"] as? String == "amount" }
        #expect(
            needed.count == 1 && (needed.first?["command"] as? String)?.contains("--features risk") == true)
    }

    /// Goal: without drift nothing is told. Method: 200 windows of 500 rows from the training distribution,
    /// and 200 of 50.
    @Test func chanceIsNoDrift() throws {
        let trained = Array(repeating: 1000, count: 10) + [1000]
        var (random, mean) = (SplitMix64(seed: 5), 0.0)
        var beyond = 0
        for _ in 0..<200 {
            func draw(_ n: Int) -> [Int] {
                (0..<n).reduce(into: Array(repeating: 0, count: 11)) { counts, _ in
                    counts[Int(random.next() % 11)] += 1
                }
            }
            let (many, few) = (
                try #require(PopulationStability(draw(500), trained: trained)),
                try #require(PopulationStability(draw(50), trained: trained))
            )
            #expect(many.level == .none && few.level == .few)
            mean += many.index / 200
            if many.index > many.chance { beyond += 1 }
        }
        // (B - 1)(1/N + 1/M), and one window in twenty beyond the 95 % point.
        #expect(abs(mean - 10 * (1 / 500.0 + 1 / 11_000.0)) < 0.003 && beyond < 25)
        #expect(
            PopulationStability([0, 0], trained: [1, 2]) == nil
                && PopulationStability([1, 2], trained: [0, 0]) == nil)
    }

    @Test func theLogarithmIsTheLibrarys() {
        var random = SplitMix64(seed: 6)
        for _ in 0..<100_000 {
            let x = Double.random(in: 1e-6...1e6, using: &random)
            let (own, wanted) = (logarithm(x), log(x))
            #expect(abs(own - wanted) <= 4e-16 * max(1, abs(wanted)), "\(x)")
        }
        #expect(logarithm(1) == 0 && logarithm(0) == -.infinity && logarithm(-1).isNaN)
    }

    @Test(arguments: [
        ("{ model: m }", "needs 'size'"), ("{ model: n, size: 1d }", "no model 'n'"),
        ("{ model: m, size: 10ms }", "size"),
        ("{ model: m, size: 1d, features: { amount: idd } }", "no field"),
        ("{ model: m, size: 1d, feature: 1 }", "no 'feature'"),
    ]) func mistakes(drift: String, message: String) {
        let text = Self.topology(size: "1d").replacing("{ model: m, size: 1d }", with: drift)
        let errors = TopologyReader.read(text, file: "t.yaml").diagnostics.filter { $0.severity == .error }
        #expect(
            errors.count == 1 && errors[0].message.contains(message) && errors[0].position.line == 12,
            "\(errors)")
    }
}

/// Times as outputs have them.
enum FeatureTimes {
    static func milliseconds(_ text: String) -> Int64? { CivilTime.parse(text)?.milliseconds }
}
