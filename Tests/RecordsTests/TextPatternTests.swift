import Base
import Testing

@testable import Records

/// Patterns against a matcher that tries one way after the other.
@Suite struct TextPatternTests {
    private func find(_ pattern: String, _ text: String, group: Int = 0) throws -> String? {
        var text = text
        let matcher = PatternMatcher(try TextPattern(pattern))
        return text.withUTF8 { bytes in
            let found = matcher.extract(bytes, group: group)
            #expect(matcher.matches(bytes) == (matcher.extract(bytes, group: 0) != nil))
            return found.map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    @Test(
        arguments: [
            ("b+", "abbbc", "bbb"), ("b+?", "abbbc", "b"), ("a|ab", "ab", "a"), ("(?:ab|a)b?", "abb", "abb"),
            ("^b", "ab", nil),
            ("b$", "ab", "b"), ("^$", "", ""), ("", "abc", ""), ("[^a]", "aß", "ß"), (".", "\n", nil),
            (".", "🙂", "🙂"),
            ("中.", "a中国b", "中国"), ("\\d{2,3}", "1 12345", "123"), ("\\d{2}", "1 12345", "12"),
            ("\\d{3,}", "12 12345", "12345"),
            ("(?i)ab[x-z]", "AbY", "AbY"), ("\\bfoo\\b", "afoo foo", "foo"), ("\\Bo", "o fo", "o"),
            ("[]a]+", "x]a", "]a"),
            ("[a-]+", "b-a-", "-a-"), ("\\x41\\x{4E2D}", "A中", "A中"), ("a{0}b", "ab", "b"),
            ("(a*)*b", "aaab", "aaab"),
            ("(?:a?){3}a{3}", "aaa", "aaa"), ("\\.", "a.b", "."), ("\\s\\S", "a b", " b"),
            ("\\w+", "é_a1", "_a1"), ("x*", "aaa", ""),
            ("[\\d.]+", "v1.2", "1.2"), ("(?:)", "a", ""), ("a||b", "b", ""), ("\\A\\z", "", ""),
        ] as [(String, String, String?)])
    func finds(_ pattern: String, _ text: String, _ expected: String?) throws {
        #expect(try find(pattern, text) == expected)
    }

    @Test func groups() throws {
        #expect(try find("id=([0-9]+)", "x id=42;", group: 1) == "42")
        #expect(try find("(a)?b", "b", group: 1) == nil)
        #expect(try find("(a|b)*c", "abc", group: 1) == "b")
    }

    @Test(arguments: [
        "(", ")", "[a", "a**", "*a", "a{2,1}", "a{501}", "(?=a)", "(?<n>a)", "\\1", "\\p{Han}", "\\", "[z-a]",
        "[[:alpha:]]", "^*",
        "\\x4", "\\x{110000}", "((((a{9}){9}){9}){9})", "a{", "\\é",
    ])
    func refused(_ pattern: String) {
        #expect(throws: TextPattern.Mistake.self) { try TextPattern(pattern) }
    }

    /// A long text and a pattern that takes others for ever.
    @Test func isLinear() throws {
        #expect(try find("^(?:a*)*(?:a|aa)+$", String(repeating: "a", count: 50_000) + "b") == nil)
    }

    // MARK: Random patterns

    indirect enum Tree {
        case letter(Character)
        case any, begin, end
        case sequence([Tree])
        case choice([Tree])
        case repeated(Tree, Int, Int?, Bool)

        var text: String {
            switch self {
            case .letter(let letter): String(letter)
            case .any: "."
            case .begin: "^"
            case .end: "$"
            case .sequence(let parts): "(?:" + parts.map(\.text).joined() + ")"
            case .choice(let ways): "(?:" + ways.map(\.text).joined(separator: "|") + ")"
            case .repeated(let tree, let least, let most, let isGreedy):
                "(?:\(tree.text)){\(least),\(most.map(String.init) ?? "")}" + (isGreedy ? "" : "?")
            }
        }
    }

    private func tree(_ depth: Int, _ random: inout SplitMix64) -> Tree {
        switch depth == 0 ? random.next() % 4 : random.next() % 10 {
        case 0, 1: return .letter("a")
        case 2: return .letter("é")
        case 3: return .any
        case 4: return .begin
        case 5: return .end
        case 6, 7: return .sequence((0..<1 + random.next() % 3).map { _ in tree(depth - 1, &random) })
        case 8: return .choice((0..<2 + random.next() % 2).map { _ in tree(depth - 1, &random) })
        default:
            let least = Int(random.next() % 3)
            let most: Int? = random.next() % 2 == 0 ? nil : least + Int(random.next() % 3)
            return .repeated(tree(depth - 1, &random), least, most, random.next() % 2 == 0)
        }
    }

    /// Every end of a match that begins at `at`.
    private func ends(_ tree: Tree, _ text: [Character], _ at: Int) -> Set<Int> {
        switch tree {
        case .letter(let letter): return at < text.count && text[at] == letter ? [at + 1] : []
        case .any: return at < text.count ? [at + 1] : []
        case .begin: return at == 0 ? [0] : []
        case .end: return at == text.count ? [at] : []
        case .sequence(let parts):
            return parts.reduce([at]) { places, part in
                places.reduce(into: []) { $0.formUnion(ends(part, text, $1)) }
            }
        case .choice(let ways): return ways.reduce(into: []) { $0.formUnion(ends($1, text, at)) }
        case .repeated(let inner, let least, let most, _):
            var (places, found): (Set<Int>, Set<Int>) = ([at], least == 0 ? [at] : [])
            let last = most ?? least + text.count + 1
            for count in 0..<last {
                places = places.reduce(into: []) { $0.formUnion(ends(inner, text, $1)) }
                if count + 1 >= least { found.formUnion(places) }
            }
            return found
        }
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func agreesWithAllWays(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var hits = 0
        for _ in 0..<3_000 {
            let tree = tree(3, &random)
            guard let pattern = try? TextPattern(tree.text) else { continue }
            let matcher = PatternMatcher(pattern)
            for _ in 0..<5 {
                let characters = (0..<random.next() % 7).map { _ in
                    ["a", "é", "b"][Int(random.next() % 3)] as Character
                }
                var text = String(characters)
                let begin = (0...characters.count).first { !ends(tree, characters, $0).isEmpty }
                let found = text.withUTF8 { bytes in
                    matcher.extract(bytes, group: 0).map { range in
                        (
                            String(decoding: bytes[..<range.lowerBound], as: UTF8.self).count,
                            String(decoding: bytes[..<range.upperBound], as: UTF8.self).count
                        )
                    }
                }
                let matches = text.withUTF8 { matcher.matches($0) }
                guard found?.0 == begin, matches == (begin != nil),
                    begin.map({ ends(tree, characters, $0).contains(found?.1 ?? -1) }) ?? true
                else {
                    Issue.record(
                        "\(tree.text) in '\(text)': \(String(describing: found)), not at \(String(describing: begin))"
                    )
                    return
                }
                hits += begin == nil ? 0 : 1
            }
        }
        #expect(hits > 2_000, "\(hits)")
    }
}
