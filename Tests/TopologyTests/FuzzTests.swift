import Base
import Engine
import Testing
import Topology

/// Damaged files never stop the program: there is a spec, or an error, and never both. Seeds are printed on
/// failure, and are the same in every run.
@Suite struct FuzzTests {
    /// Pieces that are likely to mean something where they do not belong.
    private static let pieces = [
        "{", "}", "[", "]", "(", ")", ":", ": ", ",", "\"", "'", "`", "\n", "\n  ", "- ", "#", "&a ", "*a",
        "!t ", "|", ">", "..", ".",
        "${spike}", "${", "${env:SECRET}", "null", "not ", "if ", "then", " and ", " or ", "in ", " is ", "0",
        "-1",
        "9223372036854775807", "99999999999999999999", "1.5", "10s", "5min", "30d", "amount", "at", "sum(",
        "count()",
        "days()", "paid", "sums", "orders", "from", "window", "key", "decimal(9)", "text?", "\u{e9}",
        "\u{1F600}", "\t", "\u{0}", "\\", "%", "*", "/",
    ]

    private func mutate(_ text: String, _ random: inout SplitMix64) -> String {
        var scalars = Array(text.unicodeScalars)
        for _ in 0...Int.random(in: 0..<4, using: &random) {
            let at = Int.random(in: 0...scalars.count, using: &random)
            let end = min(scalars.count, at + Int.random(in: 0..<12, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: scalars.removeSubrange(at..<end)
            case 1:
                scalars.insert(contentsOf: Self.pieces.randomElement(using: &random)!.unicodeScalars, at: at)
            case 2:
                scalars.replaceSubrange(
                    at..<end,
                    with: Self.pieces.randomElement(using: &random)!.unicodeScalars
                )
            case 3:
                scalars.insert(
                    contentsOf: Array(scalars[at..<end]),
                    at: Int.random(in: 0...scalars.count, using: &random)
                )
            default:
                // Swap two lines' beginnings, which changes what belongs to what.
                let other = Int.random(in: 0...scalars.count, using: &random)
                if at < scalars.count, other < scalars.count { scalars.swapAt(at, other) }
            }
        }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: scalars)
        return String(result)
    }

    /// A spec or an error; whatever has a spec can be proven and explained.
    private func check(_ text: String, seed: UInt64) -> Bool {
        let result = TopologyReader.read(text, file: "t", parameters: [:], environment: Samples.environment)
        let hasErrors = result.diagnostics.contains { $0.severity == .error }
        #expect((result.spec == nil) == hasErrors, "seed \(seed): \(text)")
        #expect(
            result.diagnostics.allSatisfy { $0.position.line >= 1 && $0.position.column >= 1 },
            "seed \(seed)"
        )
        guard let spec = result.spec else { return false }
        for format in Explain.Format.allCases { #expect(!Explain.render(spec, format: format).isEmpty) }
        _ = LatencyProof.check(spec, file: "t")
        return true
    }

    @Test("Mutated topologies", arguments: [1, 2, 3, 4])
    func topologies(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var good = 0
        for _ in 0..<3000 {
            let base = Bool.random(using: &random) ? mistakeBase : Samples.merchantRisk
            if check(mutate(base, &random), seed: seed) { good += 1 }
        }
        // Both outcomes come up, or the mutations test nothing.
        #expect(good > 30 && good < 2900, "seed \(seed): \(good) good")
    }

    @Test("Conditions made of random pieces", arguments: [5, 6])
    func conditions(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let words = [
            "amount", "fee", "count", "kind", "at", "share", "5", "1.50", "10s", "2d", "\"a\"", "true",
            "null", "(", ")", "(", ")", "[", "]",
            ",", "..", "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or", "not", "in", "is",
            "is null", "if", "then", "else",
            "round(", "coalesce(", "hour(at, \"UTC\")", "least(", "text(", "length(kind)", "seconds(", "abs(",
        ]
        var good = 0
        for _ in 0..<5000 {
            // Every other one begins as a good condition, so that some get past the parser.
            var parts =
                Bool.random(using: &random)
                ? []
                : [
                    "not", "(", "amount", "*", "2", ">", "fee", "and", "count", "in", "[", "5", "]", ")",
                    "or", "at", "<", "at", "+", "10s",
                ]
            for _ in 0...Int.random(in: 0..<8, using: &random) {
                parts.insert(
                    words.randomElement(using: &random)!,
                    at: Int.random(in: 0...parts.count, using: &random)
                )
            }
            let condition = parts.joined(separator: " ").replacing("'", with: "''")
            if check(mistakeBase.replacing("kind == \"paid\"", with: "'\(condition)'"), seed: seed) {
                good += 1
            }
        }
        #expect(good > 10, "seed \(seed): \(good) good")
    }

    @Test("Mutated tests.yaml", arguments: [7, 8])
    func suites(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var good = 0
        for _ in 0..<10_000 {
            let text = mutate(suiteBase, &random)
            let result = TestSuiteReader.read(text, file: "t")
            #expect(
                (result.suite == nil) == result.diagnostics.contains { $0.severity == .error },
                "seed \(seed): \(text)"
            )
            for test in result.suite?.cases ?? [] {
                for alert in test.expected ?? [] { #expect(alert.members.json(replacing: 1).hasPrefix("{")) }
            }
            if result.suite != nil { good += 1 }
        }
        #expect(good > 100 && good < 9900, "seed \(seed): \(good) good")
    }
}
