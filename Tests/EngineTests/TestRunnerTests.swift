import Engine
import Foundation
import Testing
import Topology

/// Goal: a test says exactly what differs from it. Method: one topology, cases that are right and cases that are not.
@Suite struct TestRunnerTests {
    static let topology = """
        topology: shop
        sources:
          orders:
            kafka: { topic: orders }
            format: json
            time: { field: at, out_of_order: 0s, idle: 1s }
            schema: { shop: text, kind: text, amount: decimal(2), at: timestamp }
        steps:
          paid: { from: orders, where: kind == "paid", key: shop }
          minute:
            from: paid
            key: shop
            window: { size: 1m }
            aggregate: { amount: sum(amount) }
        rules:
          large: { on: paid, when: amount > 100, risk: r, severity: low, measure: look, message: "{shop}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
          all: { kafka: { topic: all }, from: paid }
          minutes: { file: { path: minutes.jsonl }, from: minute }
          board: { redis: { key: "shop:{shop}", ttl: 1d }, from: minute }
        """

    static let given = """
        given:
              - orders: { shop: S1, kind: paid, amount: 50.00, at: 2026-01-01T00:00:00Z }
              - orders: { shop: S1, kind: other, amount: 7.00, at: 2026-01-01T00:00:01Z }
              - orders: { shop: S1, kind: paid, amount: 150.00, at: 2026-01-01T00:00:02Z }
              - clock: 2026-01-01T00:01:00Z
        """

    private func differences(_ expected: String) throws -> [String] {
        let text = "tests:\n  - name: a\n    \(Self.given)\n    \(expected)\n"
        let result = TestSuiteReader.read(text, file: "t")
        #expect(result.diagnostics == [])
        let outcomes = try TestRunner(file: "shop", text: Self.topology).run(#require(result.suite))
        return try #require(outcomes.first).differences
    }

    @Test("What is expected of alerts and of each sink's records holds")
    func passes() throws {
        #expect(try differences("expect: [{ rule: large }]") == [])
        #expect(try differences("expect_records: { all: [{ amount: 50.00 }, { amount: 150.00, kind: paid }] }") == [])
        #expect(
            try differences(
                "expect_records: { minutes: [{ step: minute, key: { shop: S1 }, values: { amount: 200.00 } }], all: [{ shop: S1 }, { shop: S1 }] }") == [])
    }

    @Test("Records that differ, are missing, or were not expected are told with their line and the sink")
    func differs() throws {
        let all = try differences("expect: []\n    expect_records: { all: [{ amount: 51.00 }], minutes: [{ step: minute }, { step: x }] }")
        #expect(all.count == 5, "\(all)")
        #expect(all[0].hasPrefix("not expected: {"))
        #expect(all[1] == "line 9: amount: expected 51.00, found 50.00")
        #expect(all[2].hasPrefix("  in: {") && all[2].contains("\"amount\":\"50.00\""))
        #expect(all[3].hasPrefix("all: not expected: {") && all[3].contains("150.00"))
        #expect(all[4] == "line 9: missing: {\"step\":\"x\"}")
        #expect(try differences("expect_records: { all: [{ amuont: 50.00 }, {shop: S1}] }").first == "line 8: amuont: expected 50.00, found nothing")
    }

    @Test("A sink that takes no records of steps", arguments: ["alerts", "board", "al"])
    func noSink(_ name: String) throws {
        #expect(
            try differences("expect_records: { \(name): [] }") == [
                "line 8: the topology has no sink '\(name)' that takes the records of steps; there are all, minutes"
            ])
    }

    /// Goal: the levels that the library comes with do what its tests say.
    @Test func afterTheAlert() throws {
        let folder = ReplayTests.root.path + "/Topologies/after-the-alert/"
        let text = try String(contentsOfFile: folder + "topology.yaml", encoding: .utf8)
        let tests = try String(contentsOfFile: folder + "tests.yaml", encoding: .utf8)
        let (suite, diagnostics) = TestSuiteReader.read(tests, file: "tests.yaml")
        #expect(diagnostics == [])
        let outcomes = try TestRunner(file: "topology.yaml", text: text).run(#require(suite))
        #expect(outcomes.count > 20)
        for outcome in outcomes { #expect(outcome.differences == [], "\(outcome.name)") }
    }
}
