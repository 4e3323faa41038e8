import Base
import Foundation
import Testing
import Topology

/// Goal: what an aggregate says is so for values of any size and number, and what it cannot say is null,
/// counted, or a dead letter that names the step and the result; for every batch size.
@Suite struct AggregateTests {
    static func spec(_ schema: String, _ aggregate: String, more: String = "") throws -> TopologySpec {
        try ReplayRun.spec(
            """
            topology: t
            latency: 1d
            sources:
              e:
                kafka: { topic: e }
                time: { field: ts }
                schema: { k: text, \(schema), ts: timestamp }
            steps:
              w: { from: e, key: k, window: { size: 10s }, aggregate: \(aggregate) }
            \(more)
            """)
    }

    static let out = "sinks: { out: { kafka: { topic: o }, from: [w] } }"

    /// The results of each key, as they are written.
    static func results(_ run: ReplayRun) throws -> [String: [String: String]] {
        var results: [String: [String: String]] = [:]
        for line in run["out"] {
            let key = String(line.prefix { $0 != " " })
            let start = try #require(line.range(of: "\"values\":{"))
            for member in line[start.upperBound...].split(separator: ",") {
                let parts = member.split(separator: ":").map { $0.filter { !"\"{}".contains($0) } }
                results[key, default: [:]][parts[0]] = parts[1]
            }
        }
        return results
    }

    static func record(_ key: String, _ value: String, _ index: Int) -> String {
        "{\"k\":\"\(key)\",\"v\":\(value),\"ts\":\(1_700_000_000_000 + index)}"
    }

    @Test(arguments: [1, 2, 2048]) func theGreatestAndTheLeastNumbers(rowsMax: Int) throws {
        let values: [(String, Int64)] = [
            ("max", .max), ("min", .min), ("sd", -.max), ("sd", .max), ("sd", -.max), ("sd", .max),
            ("same", .max), ("same", .max),
            ("both", .min), ("both", .max), ("both", 0),
        ]
        let records = values.enumerated().map { Self.record($1.0, "\($1.1)", $0) }
        for type in ["int", "int?"] {
            let spec = try Self.spec(
                "v: \"\(type)\"",
                "{ lo: min(v), hi: max(v), f: first(v), l: last(v), d: distinct(v), s: sum(v), sd: stddev(v), a: \"round(avg(v), 0)\" }",
                more: Self.out)
            let run = try ReplayRun(spec, [("e", records)], rowsMax: rowsMax)
            let results = try Self.results(run)
            let (most, least) = ("\(Int64.max)", "\(Int64.min)")
            let wanted: [String: [String: String]] = [
                "max": [
                    "lo": most, "hi": most, "f": most, "l": most, "d": "1", "s": most, "sd": "0.000000",
                    "a": "null",
                ],
                "min": [
                    "lo": least, "hi": least, "f": least, "l": least, "d": "1", "s": least, "sd": "0.000000",
                    "a": "null",
                ],
                "sd": [
                    "lo": "-\(most)", "hi": most, "f": "-\(most)", "l": most, "d": "2", "s": "0",
                    "sd": "null", "a": "0",
                ],
                "same": [
                    "lo": most, "hi": most, "f": most, "l": most, "d": "1", "s": "null", "sd": "0.000000",
                    "a": "null",
                ],
                "both": [
                    "lo": least, "hi": most, "f": least, "l": "0", "d": "3", "s": "-1", "sd": "null",
                    "a": "0",
                ],
            ]
            #expect(results == wanted)
            // avg has six more digits: of two keys it does not fit, and of "same" neither does the sum; two
            // deviations.
            #expect(run.summary.overflows == 6 && run.summary.dead == 0)
        }
    }

    @Test(arguments: [1, 2048]) func nothingButNullsIsNull(rowsMax: Int) throws {
        let records = [("a", "null"), ("b", "null"), ("b", "0"), ("c", "7")].enumerated().map {
            Self.record($1.0, $1.1, $0)
        }
        let spec = try Self.spec(
            "v: \"int?\"",
            "{ n: count(), c: count(v is not null), s: sum(v), a: avg(v), lo: min(v), hi: max(v), f: first(v), d: distinct(v), sd: stddev(v), "
                + "some: \"sum(v, v > 5)\", most: \"max(v, v > 5)\" }",
            more: Self.out)
        let results = try Self.results(try ReplayRun(spec, [("e", records)], rowsMax: rowsMax))
        let none = Dictionary(
            uniqueKeysWithValues: ["s", "a", "lo", "hi", "f", "sd", "most"].map { ($0, "null") })
        #expect(results["a"] == none.merging(["n": "1", "c": "0", "d": "0", "some": "0"]) { $1 })
        #expect(
            results["b"]?.filter { ["n", "c", "s", "lo", "d", "some", "most"].contains($0.key) }
                == ["n": "2", "c": "1", "s": "0", "lo": "0", "d": "1", "some": "0", "most": "null"])
        #expect(results["c"]?["some"] == "7" && results["c"]?["most"] == "7")
    }

    /// An argument, or a condition, that does not fit: the record is refused by that step, and by no other.
    @Test(arguments: [1, 2, 2048]) func overflowInsideAnAggregate(rowsMax: Int) throws {
        let records = [2, 4_000_000_000, 3].enumerated().map { Self.record("a", "\($1)", $0) }
        let spec = try Self.spec(
            "v: int", "{ n: count(), s: sum(v * v), mx: max(v * v), c: \"count(v * v > 5)\" }",
            more: """
                  x: { from: e, key: k, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
                  y: { from: e, where: v * v > 5 }
                sinks:
                  out: { kafka: { topic: o }, from: [w] }
                  x: { kafka: { topic: x }, from: [x] }
                  y: { kafka: { topic: y }, from: [y] }
                """)
        let run = try ReplayRun(spec, [("e", records)], rowsMax: rowsMax)
        #expect(try Self.results(run) == ["a": ["n": "2", "s": "13", "mx": "9", "c": "1"]])
        #expect(run["x"].first?.contains("\"n\":3,\"s\":4000000005") == true)
        #expect(run["y"].count == 1)
        #expect(run["dead-letter"].count == 1)
        let letter = try #require(run["dead-letter"].first)
        #expect(letter.contains("millrace.NumberOutOfRange") && letter.contains("4000000000"))
        for words in ["step y: where", "step w: s does not fit in 64 bits"] {
            #expect(letter.contains(words), "\(letter)")
        }
    }

    /// A condition that does not fit raises nothing and clears nothing, and is counted.
    @Test(arguments: [1, 2, 2048]) func overflowInsideARule(rowsMax: Int) throws {
        let most = "\(Int64.max)"
        let records = ["5", most, "1", "-\(most)", "-9"].enumerated().map { Self.record("a", $1, $0) }
        let spec = try Self.spec(
            "v: int", "{ s: sum(v) }",
            more: """
                rules:
                  big: { on: w, when: s * 2 > 5, risk: r, severity: low, message: "{s * 2}" }
                  plain: { on: w, when: s > 4, risk: r, severity: low }
                  cleared: { on: w, when: s > 4, clear: "s - 10 < 0", risk: r, severity: low }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                """)
        let run = try ReplayRun(spec, [("e", records)], rowsMax: rowsMax)
        let alerts = try run.objects("alerts").map {
            "\($0["rule"] ?? "") \($0["state"] ?? "") \($0["event_time"] ?? "")"
        }
        // Sums: 5, none, none, 6, -3; of 6 `cleared` is cleared, though it is above 4.
        let raised = "raised 2023-11-14T22:13:20Z"
        #expect(
            alerts.sorted() == [
                "big cleared 2023-11-14T22:13:20.004Z", "big \(raised)",
                "cleared cleared 2023-11-14T22:13:20.003Z",
                "cleared \(raised)", "plain cleared 2023-11-14T22:13:20.004Z", "plain \(raised)",
            ])
        // Of two records the sum does not fit, and of the rule with `clear` neither does that.
        #expect(run.summary.overflows == 2 + 2 + 4 && run.summary.dead == 0)
    }

    @Test(arguments: [65, 1000]) func distinctIsExactWhileThereAreFew(count: Int) throws {
        let records = (0..<count).map { Self.record("a", "\($0)", 0) }
        let run = try ReplayRun(
            try Self.spec("v: int", "{ d: distinct(v) }", more: Self.out), [("e", records)], rowsMax: 2048)
        #expect(try Self.results(run) == ["a": ["d": "\(count)"]])
    }

    @Test(arguments: [(0, 9000), (10_000, 9000), (10_000, 20_000)]) func distinctOfIdsThatCount(
        exact: Int, count: Int
    ) throws {
        let records = (0..<count).map { Self.record("a", "\"buyer-\(100_000 + $0)\"", $0 / 20) }
        let call = exact == 0 ? "distinct(v)" : "distinct(v, exact: \(exact))"
        let run = try ReplayRun(
            try Self.spec("v: text", "{ d: \"\(call)\" }", more: Self.out), [("e", records)], rowsMax: 2048)
        let found = try #require(Int(try Self.results(run)["a"]?["d"] ?? ""))
        #expect(
            abs(found - count) <= (count <= exact ? 0 : count * 3 * 1625 / 100_000),
            "\(count) counted as \(found)")
    }
}
