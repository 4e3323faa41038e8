import Base
import Engine
import Testing
import Topology

/// Goal: what a change takes is said of every element, and rightly. Method: pairs of one topology and an edit
/// of it.
@Suite struct ChangePlanTests {
    static let text = """
        topology: plan
        parameters: { limit: 2000, least: 10 }
        sources:
          orders:
            kafka: { topic: orders }
            key: shop
            time: { field: t, out_of_order: 2s }
            schema: { shop: text, buyer: text, kind: text, amount: decimal(2), t: timestamp }
          limits:
            kafka: { topic: limits }
            table: { key: shop }
            time: { field: t, out_of_order: 2s }
            schema: { shop: text, level: int, t: timestamp }
        steps:
          paid: { from: orders, where: 'kind == "paid" and amount > ${least}' }
          sold: { from: paid, key: shop, window: { size: 5m, slide: 10s }, aggregate: { n: count(), total: sum(amount) } }
          days: { from: paid, key: shop, window: { size: 1d, zone: UTC }, aggregate: { n: count() } }
          known: { from: orders, join: { table: limits, on: shop }, key: shop }
          buyers: { from: paid, key: buyer, window: { size: 1h }, aggregate: { n: count() } }
        rules:
          big: { on: sold, when: "total > ${limit}", risk: r, severity: high, message: "{total}" }
          many: { on: days, at: close, when: n > 100, risk: r, severity: low }
          odd: { on: known, when: limits.level > 3, risk: r, severity: low }
          busy: { on: buyers, when: n > 50, risk: r, severity: low }
        sinks:
          alerts: { kafka: { topic: alerts } }
          sums: { kafka: { topic: sums }, from: [sold] }
        """

    struct Edit: Sendable, CustomTestStringConvertible {
        var title: String
        var from: String
        var to: String
        /// Elements that must be named, each with its class; nothing heavier may be.
        var elements: [(String, ChangeClass)]

        init(_ title: String, _ from: String, _ to: String, _ elements: (String, ChangeClass)...) {
            (self.title, self.from, self.to, self.elements) = (title, from, to, elements)
        }

        var testDescription: String { title }
    }

    static let edits: [Edit] = [
        Edit("a comment", "topology: plan\n", "# a comment\ntopology: plan\n"),
        Edit("a parameter of a rule", "limit: 2000", "limit: 1500", ("rule big", .hot)),
        Edit("a condition", "n > 100", "n > 90", ("rule many", .hot)),
        Edit("a clear", "n > 100, risk", "n > 100, clear: n < 50, risk", ("rule many", .hot)),
        Edit("a severity", "severity: high", "severity: critical", ("rule big", .hot)),
        Edit("a message", "{total}\"", "{total} of {shop}\"", ("rule big", .hot)),
        Edit(
            "a rule goes", "  many: { on: days, at: close, when: n > 100, risk: r, severity: low }\n", "",
            ("rule many", .hot)),
        Edit(
            "a rule comes", "  odd:", "  two: { on: sold, when: n > 9, risk: r, severity: low }\n  odd:",
            ("rule two", .hot)),
        Edit("a rule is renamed", "  many:", "  lots:", ("rule lots", .hot), ("rule many", .hot)),
        Edit("a rule looks at another window", "many: { on: days", "many: { on: sold", ("rule many", .hot)),
        Edit(
            "a rule on a field that was not decoded", "  odd:",
            "  who: { on: known, when: buyer == \"x\", risk: r, severity: low }\n  odd:",
            ("rule who", .hot)),
        Edit("a sink's topic", "topic: alerts }", "topic: others }", ("sink alerts", .hot)),
        Edit("a sink comes", "  sums:", "  more: { kafka: { topic: more } }\n  sums:", ("sink more", .hot)),
        Edit("a sink goes", "  sums: { kafka: { topic: sums }, from: [sold] }", "", ("sink sums", .hot)),
        Edit(
            "a sink of a file", "  sums: { kafka: { topic: sums }", "  sums: { file: { path: sums.jsonl }",
            ("sink sums", .restart)),
        Edit("latency", "topology: plan\n", "topology: plan\nlatency: 5s\n", ("latency", .hot)),
        Edit(
            "a parameter before windows", "least: 10 }", "least: 20 }", ("step sold", .mixed),
            ("step days", .mixed),
            ("step buyers", .mixed)),
        Edit(
            "a condition before windows", "kind == \"paid\"", "kind != \"paid\"", ("step sold", .mixed),
            ("step days", .mixed),
            ("step buyers", .mixed)),
        Edit("a slide", "slide: 10s", "slide: 20s", ("step sold", .warmStart)),
        Edit("a size", "size: 5m", "size: 10m", ("step sold", .warmStart)),
        Edit(
            "an aggregate", "n: count(), total", "n: count(), most: max(amount), total",
            ("step sold", .warmStart)),
        Edit("a zone", "zone: UTC", "zone: Asia/Shanghai", ("step days", .warmStart)),
        Edit("a window is renamed", "sold", "turnover", ("step turnover", .warmStart), ("step sold", .hot)),
        Edit(
            "a window comes", "  known:",
            "  hour: { from: paid, key: shop, window: { size: 1h }, aggregate: { n: count() } }\n  known:",
            ("step hour", .warmStart)),
        Edit(
            "a key of a window", "from: paid, key: buyer", "from: paid, key: [buyer, shop]",
            ("step buyers", .warmStart),
            ("topic plan-buyers-repartition", .restart)),
        Edit(
            "another topic", "kafka: { topic: orders }", "kafka: { topic: sales }",
            ("source orders", .restart)),
        Edit(
            "another bound", "time: { field: t, out_of_order: 2s }\n    schema: { shop: text, buyer",
            "time: { field: t, out_of_order: 4s }\n    schema: { shop: text, buyer",
            ("source orders", .restart)),
        Edit("another type", "amount: decimal(2)", "amount: decimal(3)", ("source orders", .restart)),
        Edit(
            "the guarantee", "topology: plan\n", "topology: plan\nguarantee: at-least-once\n",
            ("guarantee", .restart)),
        Edit(
            "a setting of the client", "topology: plan\n", "topology: plan\nkafka: { linger.ms: 7 }\n",
            ("kafka", .restart)),
        Edit("the name", "topology: plan", "topology: other", ("topology", .newGroup)),
        Edit(
            "a table's memory", "table: { key: shop }", "table: { key: shop, versions: 9d }",
            ("table limits", .restart)),
    ]

    private func spec(_ text: String) throws -> TopologySpec {
        let (spec, diagnostics) = TopologyReader.read(text, file: "plan.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    @Test(arguments: edits) func itIsSaidWhatAChangeTakes(_ edit: Edit) throws {
        let text =
            edit.from == "sold"
            ? Self.text.replacing("sold", with: edit.to) : Self.text.replacing(edit.from, with: edit.to)
        #expect(text != Self.text)
        guard let new = TopologyReader.read(text, file: "plan.yaml").spec else {
            // An edit that lint refuses is none.
            Issue.record("\(edit.title): \(TopologyReader.read(text, file: "plan.yaml").diagnostics)")
            return
        }
        let plan = try ChangePlan(from: spec(Self.text), to: new)
        let said = plan.elements.map { "\($0.element): \($0.changeClass.rawValue): \($0.reason)" }.joined(
            separator: "\n")
        for (element, changeClass) in edit.elements {
            #expect(
                plan.elements.contains { $0.element == element && $0.changeClass == changeClass },
                "\(element) in\n\(said)")
        }
        #expect(plan.changeClass == edit.elements.map(\.1).max() ?? .hot, "\(said)")
        if edit.elements.isEmpty { #expect(plan.elements.isEmpty, "\(said)") }
    }

    @Test func thereAndBackIsAsHeavy() throws {
        let old = try spec(Self.text)
        let new = try spec(Self.text.replacing("n > 100", with: "n > 90"))
        #expect(try ChangePlan(from: new, to: old).elements.map(\.element) == ["rule many"])
        #expect(try ChangePlan(from: old, to: old).elements.isEmpty)
    }
}
