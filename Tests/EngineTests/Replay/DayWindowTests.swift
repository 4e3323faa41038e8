import Testing

/// Goal: where clocks go back over midnight, a record falls into the window whose bounds hold it, and none
/// that comes in order is late. Method: Newfoundland's clocks went back at 00:01 to 23:01 of the day before.
@Suite struct DayWindowTests {
    @Test(arguments: [1, 3, 2048])
    func clocksThatGoBackOverMidnight(rowsMax: Int) throws {
        let minutes = [0, 20, 42, 55, 80, 100, 180]
        let records = minutes.enumerated().map { index, minute in
            "{\"k\":\"a\",\"v\":\(1 << index),\"ts\":\(1_257_040_800_000 + minute * 60_000)}"
        }
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              e:
                kafka: { topic: e }
                time: { field: ts }
                schema: { k: text, v: int, ts: timestamp }
            steps:
              w: { from: e, key: k, window: { size: 1d, zone: America/St_Johns }, aggregate: { n: count(), s: sum(v) } }
            sinks:
              out: { kafka: { topic: o }, from: [w] }
            """)
        let run = try ReplayRun(spec, [("e", records)], rowsMax: rowsMax)
        let results = run["out"]
        #expect(results.count == 2)
        #expect(
            results.first?.contains("\"start\":\"2009-10-31T02:30:00Z\",\"end\":\"2009-11-01T02:30:00Z\"")
                == true)
        #expect(
            results.last?.contains("\"start\":\"2009-11-01T02:30:00Z\",\"end\":\"2009-11-02T03:30:00Z\"")
                == true)
        let values = try run.objects("out").map { ($0["values"] as? [String: Int]) ?? [:] }
        #expect(values == [["n": 2, "s": 3], ["n": 5, "s": 124]])
        #expect(run.summary.late == 0 && run.summary.dead == 0)
    }
}
