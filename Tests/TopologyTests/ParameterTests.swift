import Engine
import Testing

@testable import Topology

/// Goal: what a form needs to know of a parameter is read, and a value out of its bounds is a mistake with
/// its place.
@Suite struct ParameterTests {
    private func read(_ parameters: String, _ given: [String: String] = [:]) -> (
        spec: TopologySpec?, mistakes: [String]
    ) {
        let text = """
            topology: t
            parameters:
              limit: \(parameters)
            sources:
              orders: { kafka: { topic: orders }, time: { field: t, out_of_order: 1s }, schema: { shop: text, t: timestamp } }
            steps:
              pace: { from: orders, key: shop, window: { size: 10s, slide: 2s }, aggregate: { n: count() } }
            rules:
              burst: { on: pace, when: "n >= 5 and '${limit}' != 'x'", risk: r, severity: high, message: "{n}" }
            sinks: { alerts: { kafka: { topic: alerts } } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml", parameters: given)
        return (spec, diagnostics.map { "\($0.position.line):\($0.position.column): \($0.message)" })
    }

    @Test func allOfIt() throws {
        let (spec, mistakes) = read(
            "{ default: 20, description: d, label: { en: Limit, zh: 限额 }, unit: orders, min: 1, max: 100, step: 5, soft: [10, 50] }",
            ["limit": "60"])
        let parameter = try #require(spec?.parameters.first, "\(mistakes)")
        #expect(parameter.value == "60" && parameter.standard == "20" && parameter.unit == "orders")
        #expect(parameter.labels == ["en": "Limit", "zh": "限额"] && parameter.isOutsideSoft)
        #expect(parameter.least == "1" && parameter.most == "100" && parameter.step == "5")
        #expect(read("{ default: 20, soft: [10, 50] }").spec?.parameters.first?.isOutsideSoft == false)
        #expect(read("{ default: 10, soft: [10, 50] }").spec?.parameters.first?.isOutsideSoft == false)
        #expect(read("{ default: 9.5, soft: [10, 50] }").spec?.parameters.first?.isOutsideSoft == true)
        #expect(read("{ default: 90m, soft: [10s, 1h] }").spec?.parameters.first?.isOutsideSoft == true)
        #expect(read("20").spec?.parameters.first?.standard == "20")
    }

    @Test(arguments: [
        ("{ default: 0, min: 1 }", "3:21: parameter limit is 0, below its min of 1"),
        ("{ default: 101, max: 100 }", "3:21: parameter limit is 101, above its max of 100"),
        ("{ default: 5, min: 10, max: 1 }", "3:21: parameter limit: min 10 is above max 1"),
        (
            "{ default: some, min: 1 }",
            "3:21: parameter limit has bounds, so its value is a number or a duration, not 'some'"
        ),
        ("{ default: 5, min: one }", "3:29: min needs a number or a duration, not 'one'"),
        ("{ default: 5, min: 1s }", "3:29: min is a duration, and the value '5' is a number"),
        ("{ default: 5, step: 0 }", "3:21: parameter limit: step must be above 0"),
        ("{ default: 5, soft: 3 }", "3:30: soft needs the range that is usual; write soft: [10, 50]"),
        ("{ default: 5, soft: [9, 3] }", "3:21: parameter limit: soft begins above its end"),
    ])
    func mistakes(_ parameters: String, _ mistake: String) {
        let (spec, mistakes) = read(parameters)
        #expect(spec == nil && mistakes.contains(mistake), "\(mistakes)")
    }

    @Test func whatIsGivenIsHeldToTheBoundsToo() {
        let (spec, mistakes) = read("{ default: 5, max: 10 }", ["limit": "11"])
        #expect(spec == nil && mistakes == ["1:1: parameter limit is 11, above its max of 10"])
    }
}
