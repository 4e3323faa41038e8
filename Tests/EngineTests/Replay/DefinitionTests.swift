import Testing
import Topology

/// Goal: what the language's page defines to the letter is so.
@Suite struct DefinitionTests {
    static func values(_ fields: String, _ record: String) throws -> [String: Any] {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              e:
                kafka: { topic: e }
                time: { field: ts }
                schema: { v: int, w: int, t: text, lo: "int?", hi: "int?", ts: timestamp }
            steps:
              s: { from: e, fields: { \(fields) } }
            sinks:
              out: { kafka: { topic: o }, from: [s] }
            """)
        let line = "{\"v\":0,\"w\":0,\"t\":\"\",\(record)\"ts\":1700000000000}"
        return try #require(try ReplayRun(spec, [("e", [line])], rowsMax: 1).objects("out").first)
    }

    @Test(
        arguments: [
            (7, 3, 1), (-7, 3, -1), (7, -3, 1), (-7, -3, -1), (6, -3, 0), (Int64.min, -1, 0),
            (Int64.min, 7, -1), (5, Int64.min, 5),
        ] as [(Int64, Int64, Int64)])
    func theRemainderHasTheSignOfTheDividend(v: Int64, w: Int64, remainder: Int64) throws {
        #expect(try Self.values("r: v % w", "\"v\":\(v),\"w\":\(w),")["r"] as? Int64 == remainder)
    }

    @Test func theRemainderByZeroIsNull() throws {
        #expect(try Self.values("r: v % w is null", "\"v\":5,")["r"] as? Bool == true)
    }

    @Test(
        arguments: [
            (0, 3, "hål"), (-2, 3, "hål"), (1, -1, ""), (-1, -1, ""), (3, 100, "lo中"), (5, 1, ""),
            (Int64.min, Int64.max, "hållo中"),
            (Int64.max, Int64.max, ""), (5, 9, ""), (4, 9, "o中"),
        ] as [(Int64, Int64, String)])
    func partsOfTexts(start: Int64, count: Int64, part: String) throws {
        let text = start == 5 ? "hållo" : start == 3 || start == 4 || start == .min ? "hållo中" : "hållo"
        #expect(
            try Self.values("r: \"substring(t, v, w)\"", "\"t\":\"\(text)\",\"v\":\(start),\"w\":\(count),")[
                "r"] as? String == part)
    }

    @Test(
        arguments: [
            (5, 1, 9, true), (0, 1, 9, false), (10, 1, 9, false), (1, 1, 9, true), (9, 1, 9, true),
            (5, 9, 1, false),
            (5, nil, 9, nil), (10, nil, 9, false), (5, 1, nil, nil), (0, 1, nil, false), (5, nil, nil, nil),
        ] as [(Int, Int?, Int?, Bool?)])
    func rangesWithAnEndThatIsNull(v: Int, low: Int?, high: Int?, isInside: Bool?) throws {
        let ends = [low.map { "\"lo\":\($0)," }, high.map { "\"hi\":\($0)," }].compactMap { $0 }.joined()
        let found = try Self.values("r: v in lo..hi, n: not (v in lo..hi)", "\"v\":\(v),\(ends)")
        #expect(found["r"] as? Bool == isInside)
        #expect(found["n"] as? Bool == isInside.map { !$0 })
    }

    /// A record is late once every window that it falls into has closed; with `until: previous` that is a
    /// slide later.
    @Test(arguments: [
        ("{ size: 10s }", 9_999, false), ("{ size: 10s }", 10_000, true),
        ("{ size: 10s, until: previous }", 19_999, false),
        ("{ size: 10s, until: previous }", 20_000, true), ("{ size: 20s, slide: 10s }", 19_999, false),
        ("{ size: 20s, slide: 10s }", 20_000, true),
        ("{ size: 20s, slide: 10s, until: previous }", 29_999, false),
        ("{ size: 20s, slide: 10s, until: previous }", 30_000, true),
    ])
    func lateness(window: String, reached: Int, isLate: Bool) throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            latency: 1d
            sources:
              e:
                kafka: { topic: e }
                time: { field: ts, out_of_order: 0s }
                schema: { k: text, ts: timestamp }
            steps:
              w: { from: e, key: k, window: \(window), aggregate: { n: count() } }
            sinks:
              out: { kafka: { topic: o }, from: [w] }
            """)
        let start = 1_700_000_000_000
        let records = [0, reached, 1].map { "{\"k\":\"a\",\"ts\":\(start + $0)}" }
        for rowsMax in [1, 2, 2048] {
            let run = try ReplayRun(spec, [("e", records)], rowsMax: rowsMax)
            #expect(run.summary.late == (isLate ? 1 : 0))
            // The first and the last record are in the same windows, or the last is in none.
            let greatest = try run.objects("out").compactMap { ($0["values"] as? [String: Int])?["n"] }.max()
            #expect(isLate ? greatest == 1 || window.contains("20s") : greatest ?? 0 >= 2)
        }
    }
}
