import Testing
import Topology

/// Every kind of mistake is found at its place, says what was expected, and brings no others with it.
@Suite struct MistakeTests {
    @Test(
        "One mistake in a topology gives exactly these diagnostics",
        arguments: Mistake.parse(topologyMistakes)
    )
    func topology(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test(
        "One mistake in a condition",
        arguments: Mistake.parse(conditionMistakes, replacing: "kind == \"paid\"")
    )
    func condition(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test(
        "One mistake in an aggregate",
        arguments: Mistake.parse(aggregateMistakes, replacing: "sum(amount)")
    )
    func aggregate(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test("One mistake in a table or a join with one", arguments: Mistake.parse(tableMistakes, in: tableBase))
    func table(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test(
        "One mistake in an operator that makes rows",
        arguments: Mistake.parse(operatorMistakes, in: operatorBase))
    func operation(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test("One mistake in levels", arguments: Mistake.parse(levelsMistakes, in: levelsBase))
    func levels(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test(
        "One mistake in how a source's records are written",
        arguments: Mistake.parse(formatMistakes, in: formatBase))
    func format(_ mistake: Mistake) throws {
        try mistake.check()
    }

    @Test("The topology that the mistakes are made in has none")
    func base() {
        let result = Samples.read(mistakeBase)
        #expect(result.spec != nil)
        #expect(result.diagnostics == [])
        #expect(Samples.read(tableBase).diagnostics == [])
        #expect(Samples.read(operatorBase).diagnostics == [])
        #expect(Samples.read(levelsBase).diagnostics == [])
        #expect(Samples.read(formatBase).diagnostics == [])
    }

    @Test("Several mistakes are found in one go, in the order of the file, without what follows from them")
    func several() {
        let text =
            mistakeBase
            .replacing("latency: 3s", with: "latency: 3")
            .replacing("amount: decimal(2)", with: "amount: money")
            .replacing("kind == \"paid\"", with: "knd == \"paid\" and amount > 1 and coutn > 2")
            .replacing("slide: 10s", with: "slide: 7s")
            .replacing("severity: low", with: "severity: lowest")
            .replacing("ttl: 2d", with: "ttl: 2 days")
        #expect(
            Samples.read(text).diagnostics == [
                "t:2:10: '3' has no unit; durations are written like 10s, 5m, 2h, 30d",
                "t:12:15: unknown type 'money'; did you mean 'decimal(2)'?",
                "t:20:12: no field of orders 'knd'; did you mean 'kind'?",
                "t:20:45: no field of orders 'coutn'; did you mean 'count'?",
                "t:26:32: slide 7s must divide size 5m without a rest",
                "t:47:15: severity must be low, medium, high or critical, not 'lowest'",
                "t:51:40: unknown unit in '2 days'; durations are written like 10s, 5m, 2h, 30d",
            ]
        )
    }
}

/// A change to `mistakeBase` and what it must bring.
struct Mistake: CustomTestStringConvertible {
    var old: String
    var new: String
    var expected: [String]
    var base = mistakeBase

    var testDescription: String { new.isEmpty ? "without \(old)" : new }

    func check() throws {
        let place = try #require(base.firstRange(of: old))
        var text = base
        text.replaceSubrange(place, with: new)
        let result = Samples.read(text)
        #expect(result.diagnostics.map { String($0.dropFirst(2)) } == expected)
        #expect((result.spec == nil) == expected.contains { !$0.contains(": warning: ") })
    }

    /// Blocks of `- old`, `+ new` and the expected diagnostics; ⏎ stands for a new line, ⇥ for a tab. Without
    /// `- old` the text that `replacing` names is replaced.
    static func parse(_ table: String, replacing standard: String = "", in base: String = mistakeBase)
        -> [Mistake]
    {
        table.split(separator: "\n\n").map { block in
            var mistake = Mistake(old: standard, new: "", expected: [], base: base)
            for line in block.split(separator: "\n") {
                let text = String(line.dropFirst(2)).replacing("⏎", with: "\n").replacing("⇥", with: "\t")
                switch line.prefix(2) {
                case "- ": mistake.old = text
                case "+ ": mistake.new = text
                default: mistake.expected.append(String(line))
                }
            }
            return mistake
        }
    }
}
