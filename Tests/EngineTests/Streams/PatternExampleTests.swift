import Engine
import Testing
import Topology

/// Goal: patterns, rankings and sessions as an author writes them, with what their rules and sinks make of
/// them. Method: one small topology, given and expected by hand.
@Suite struct PatternExampleTests {
    static let topology = """
        topology: shop
        latency: 1h
        sources:
          orders:
            kafka: { topic: orders }
            time: { field: at, out_of_order: 0s, idle: 1s }
            schema: { id: text, shop: text, kind: text, amount: decimal(2), at: timestamp }
        steps:
          refunds: { from: orders, key: shop, sequence: { repeat: kind == "refunded", times: 3, within: 1h, gap: 10m } }
          returned:
            from: orders
            key: shop
            sequence: { first: kind == "paid", then: kind == "refunded", within: 30m, by: id }
          unshipped: { from: orders, key: shop, sequence: { first: kind == "paid", without: kind == "shipped", within: 1h, by: id } }
          sales: { from: orders, where: kind == "paid", key: [kind, shop], window: { size: 1h }, aggregate: { sold: sum(amount) } }
          best: { from: sales, key: kind, top: { count: 2, by: sold } }
          visits:
            from: orders
            key: shop
            window: { gap: 15m, max: 1h }
            aggregate:
              orders: count()
              sold: sum(amount, kind == "paid")
              last: last(id)
        rules:
          run: { on: refunds, when: amount > 1, risk: r, severity: low, message: "{sequence.count} since {sequence.start}" }
          quick: { on: returned, when: amount == first.amount, risk: r, severity: low, message: "{first.id} back" }
          missing: { on: unshipped, when: amount > 5, risk: r, severity: low, message: "{id} not shipped" }
          busy: { on: visits, when: orders >= 4, at: close, risk: r, severity: low, message: "{orders} until {last}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
          best: { file: { path: best.jsonl }, from: best }
          visits: { file: { path: visits.jsonl }, from: visits }
        """

    static let tests = """
        tests:
          - name: patterns
            given:
              - orders: { id: o1, shop: S1, kind: paid, amount: 10.00, at: 2026-01-01T00:00:00Z }
              - orders: { id: o2, shop: S1, kind: paid, amount: 20.00, at: 2026-01-01T00:01:00Z }
              - orders: { id: o9, shop: S2, kind: paid, amount: 7.00, at: 2026-01-01T00:02:00Z }
              - orders: { id: o8, shop: S3, kind: paid, amount: 9.00, at: 2026-01-01T00:02:00Z }
              - orders: { id: o1, shop: S1, kind: shipped, amount: 10.00, at: 2026-01-01T00:10:00Z }
              - orders: { id: o1, shop: S1, kind: refunded, amount: 10.00, at: 2026-01-01T00:20:00Z }
              - orders: { id: o2, shop: S1, kind: refunded, amount: 15.00, at: 2026-01-01T00:30:00Z }
              - orders: { id: o0, shop: S1, kind: refunded, amount: 3.00, at: 2026-01-01T00:41:00Z }
              - orders: { id: o4, shop: S1, kind: refunded, amount: 4.00, at: 2026-01-01T00:50:00Z }
              - orders: { id: o5, shop: S1, kind: refunded, amount: 5.00, at: 2026-01-01T00:51:00Z }
              - clock: 2026-01-01T03:00:00Z
            expect:
              - { rule: quick, message: "o1 back" }
              - { rule: run, message: "3 since 2026-01-01T00:41:00Z" }
              - { rule: missing, message: "o2 not shipped" }
              - { rule: missing, message: "o9 not shipped" }
              - { rule: missing, message: "o8 not shipped" }
              - { rule: busy, message: "8 until o5" }
            expect_records:
              best: [{ shop: S1, sold: 30.00, rank: 1 }, { shop: S3, sold: 9.00, rank: 2 }]
              visits:
                - { shop: S2, orders: 1, window_end: 2026-01-01T00:17:00Z }
                - { shop: S3, orders: 1, window_end: 2026-01-01T00:17:00Z }
                - { shop: S1, orders: 8, sold: 30.00, window_start: 2026-01-01T00:00:00Z, window_end: 2026-01-01T01:00:00Z, last: o5 }
        """

    @Test func asWritten() throws {
        let result = TestSuiteReader.read(Self.tests, file: "t")
        #expect(result.diagnostics == [])
        let outcomes = try TestRunner(file: "shop", text: Self.topology).run(#require(result.suite))
        let differences = try #require(outcomes.first).differences
        #expect(differences == [], "\(differences.joined(separator: "\n"))")
    }
}
