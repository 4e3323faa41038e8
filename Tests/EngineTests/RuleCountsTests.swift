import Base
import Dataflow
import Operators
import Testing

@testable import Engine

/// Goal: what each rule and step has counted is what a person counts, whatever the batch size; lanes add up,
/// and what was rolled back is not counted. Method: a topology of one of each kind, by hand.
@Suite struct RuleCountsTests {
    private static let text = """
        topology: counts
        sources:
          orders:
            kafka: { topic: orders }
            key: shop
            time: { field: t, out_of_order: 0s }
            schema: { shop: text, amount: int, t: timestamp }
          parcels:
            kafka: { topic: parcels }
            key: shop
            time: { field: t, out_of_order: 0s }
            schema: { shop: text, t: timestamp }
        steps:
          large: { from: orders, key: shop, where: amount > 10 }
          pace: { from: large, key: shop, window: { size: 10s }, aggregate: { n: count() } }
          again: { from: pace, where: n > 1 }
          thrice: { from: large, key: shop, sequence: { repeat: amount > 10, times: 3, within: 1m } }
          sent: { from: large, join: { stream: parcels, on: shop, within: 5s } }
        rules:
          many: { on: pace, when: n >= 3, clear: n < 1, risk: r, severity: low }
          huge: { on: large, when: amount > 100, risk: r, severity: low }
          closed: { on: pace, at: close, when: n >= 2, clear: n < 1, risk: r, severity: low }
        sinks:
          alerts: { kafka: { topic: alerts } }
        """

    private static func run(rows: Int) throws -> LaneStatus {
        let cluster = try TaskCluster(text, partitions: 1, rowsMax: 64)
        for (second, amount) in [(0, 5), (1, 20), (2, 30), (3, 200), (4, 1), (60, 50)] {
            try cluster.append(
                "orders", key: "a",
                "{\"shop\":\"a\",\"amount\":\(amount),\"t\":\(1_767_225_600_000 + second * 1000)}")
        }
        for second in [2, 60] {
            try cluster.append(
                "parcels", key: "a", "{\"shop\":\"a\",\"t\":\(1_767_225_600_000 + second * 1000)}")
        }
        while !cluster.isRead { for place in cluster.unread(0) { cluster.process(place, rows: rows) } }
        var outbox = Outbox()
        cluster.pipeline.finish(cluster.tasks[0], outbox: &outbox)
        var status = LaneStatus()
        PipelineCounts(cluster.pipeline).add(to: &status)
        return status
    }

    @Test(arguments: [1, 2, 64]) func areThoseOfTheRecords(_ rows: Int) throws {
        let status = try Self.run(rows: rows)
        func check(_ step: String, _ taken: Int64, _ given: Int64) {
            let found = status.stepRows[step]
            #expect(found?.taken == taken && found?.given == given, "\(step): \(String(describing: found))")
        }
        check("large", 6, 4)
        // Two windows have records, and are read as rows.
        check("pace", 4, 2)
        check("again", 2, 1)
        check("thrice", 4, 1)
        // Four orders and two parcels; the one of second 2 is within 5 s of three orders.
        check("sent", 6, 4)
        func rule(_ name: String) -> RuleCounts? { status.rules[name] }
        #expect(rule("many")?.raised == 1 && rule("many")?.cleared == 1)
        #expect(rule("huge")?.evaluations == 4 && rule("huge")?.raised == 1 && rule("huge")?.cleared == 0)
        #expect(rule("closed")?.raised == 1 && rule("closed")?.cleared == 1)
        #expect((rule("many")?.evaluations ?? 0) >= 4 && (rule("many")?.nanoseconds ?? 0) > 0)
    }

    @Test func goOnWhenALaneBeginsAgain() {
        func status(_ evaluations: Int64, _ rows: Int64) -> LaneStatus {
            var status = LaneStatus()
            var counts = RuleCounts()
            (counts.evaluations, counts.raised, counts.cleared, counts.nanoseconds) = (evaluations, 2, 1, 10)
            status.rules["many"] = counts
            var step = StepCounts()
            (step.taken, step.given) = (rows, rows / 2)
            status.stepRows["large"] = step
            return status
        }
        let board = StatusBoard()
        board.publish(status(10, 100), lane: 0)
        board.lose(lane: 0)
        board.publish(status(5, 10), lane: 0)
        let last = board.lane(0)
        #expect(last?.rules["many"]?.evaluations == 15 && last?.rules["many"]?.raised == 4)
        #expect(last?.rules["many"]?.nanoseconds == 20 && last?.rules["many"]?.cleared == 2)
        #expect(last?.stepRows["large"]?.taken == 110 && last?.stepRows["large"]?.given == 55)
    }

    @Test func areTold() throws {
        var status = try Self.run(rows: 64)
        status.raisedKeys["many"] = 3
        var step = LaneStatus.Step(name: "pace", partition: 0)
        step.keys = 7
        status.steps = [step, step]
        let text = MetricsText.render(
            try ReplayTests.spec("marketplace"), lanes: [status, LaneStatus()], sinks: [], isReady: true,
            now: 0)
        for line in [
            "millrace_rule_raised_total{topology=\"marketplace\",rule=\"many\"} 1",
            "millrace_rule_cleared_total{topology=\"marketplace\",rule=\"closed\"} 1",
            "millrace_rule_evaluations_total{topology=\"marketplace\",rule=\"huge\"} 4",
            "millrace_rule_raised_keys{topology=\"marketplace\",rule=\"many\"} 3",
            "millrace_step_rows_in_total{topology=\"marketplace\",step=\"large\"} 6",
            "millrace_step_rows_out_total{topology=\"marketplace\",step=\"large\"} 4",
            "millrace_step_keys{topology=\"marketplace\",step=\"pace\"} 14",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }
}
