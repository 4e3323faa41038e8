import Testing

@testable import Topology

/// Goal: names that a step's rows have already, times that a record may lack, and limits that are none are
/// mistakes that say what to write.
@Suite struct NameMistakeTests {
    static func mistakes(_ steps: String, time: String = "at") -> [String] {
        Samples.read(
            """
            topology: t
            sources:
              e:
                kafka: { topic: e }
                time: { field: \(time) }
                schema: { k: text, v: int, window_start: timestamp, level: text, at: timestamp, later: "timestamp?", other: { type: "timestamp?", from: at + 1h } }
            steps:
            \(steps)
            """
        ).diagnostics.filter { !$0.contains("warning") }
    }

    @Test(arguments: ["window_start", "window_end", "window_time"])
    func resultsCannotHaveTheNamesOfAWindow(name: String) {
        for window in ["{ size: 1h }", "{ gap: 1h, max: 1d }"] {
            let found = Self.mistakes(
                "  w: { from: e, key: k, window: \(window), aggregate: { \(name): min(v) } }")
            #expect(
                found.count == 1 && found.first?.contains("'\(name)'") == true
                    && found.first?.contains("another name") == true, "\(found)")
        }
    }

    @Test func norCanKeysOfRows() {
        let step = "  w: { from: e, key: window_start, window: { size: 1h }, aggregate: { n: count() } }"
        #expect(Self.mistakes(step) == [])
        let found = Self.mistakes(step + "\n  x: { from: w, where: n > 1 }")
        #expect(found.count == 1 && found.first?.contains("two fields 'window_start'") == true, "\(found)")
    }

    @Test(arguments: ["later", "other"]) func theTimeCannotBeOptional(name: String) {
        let found = Self.mistakes("  w: { from: e }", time: name)
        #expect(found.count == 1 && found.first?.contains("'\(name)' is optional") == true, "\(found)")
    }

    @Test(arguments: [
        ("distinct(v, exact: 0)", "exact must be a whole number from 1 to 100000"),
        ("distinct(v, exact: 1.5)", "exact must be"),
        ("distinct(v, exact: 100001)", "exact must be"), ("distinct(v, exact: v)", "exact must be"),
        ("distinct(v, most: 5)", "no argument is called 'most'"),
        ("distinct(exact: 5)", "distinct does not take 0 arguments"),
        ("distinct(v, exact: 5, v > 0)", "distinct does not take 3 arguments"),
        ("count(exact: 5)", "no argument is called 'exact'"),
        (
            "distinct(v, exact: 60000) + distinct(k, exact: 60000)",
            "count 120000 different values of a key exactly"
        ),
    ])
    func limitsOfDistinct(call: String, message: String) {
        let found = Self.mistakes(
            "  w: { from: e, key: k, window: { size: 1h }, aggregate: { d: \"\(call)\" } }")
        #expect(found.count == 1 && found.first?.contains(message) == true, "\(found)")
    }

    @Test func estimatesAreSaid() throws {
        let text = """
            topology: t
            sources: { e: { kafka: { topic: e }, time: { field: at }, schema: { k: text, v: int, at: timestamp } } }
            steps:
              w: { from: e, key: k, window: { size: 1h }, aggregate: { d: distinct(v), many: "distinct(v, v > 1, exact: 20000)", q: "quantile(v, 0.9)" } }
              s: { from: e, key: k, window: { gap: 1h, max: 1d }, aggregate: { d: distinct(v) } }
            """
        let spec = try #require(Samples.read(text).spec)
        let lines = Estimate.all(spec).map { "\(spec.steps[$0.step].name) \($0.description)" }
        #expect(lines.count == 4)
        #expect(
            lines[0]
                == "w d: distinct is exact up to 1,000 different values in the panes of a key, and an estimate beyond, standard error 1.6 %"
        )
        #expect(
            lines[1].contains("many: distinct is exact up to 20,000")
                && lines[2].contains("q: the quantile is an estimate"))
        #expect(lines[3].hasPrefix("s d:"))
        for line in lines {
            #expect(Explain.render(spec, format: .text).contains(line.dropFirst(2)), "\(line)")
        }
        #expect(Explain.render(spec, format: .json).contains("\"exact_values\":20000"))
    }
}
