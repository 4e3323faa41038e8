/// A regular expression that is matched in time linear in the text: what RE2 takes, without Unicode classes.
/// Matching walks all ways at once (Thompson 1968; priorities and groups as in Pike's VM, Cox 2009).
package struct TextPattern: Hashable, Sendable, CustomStringConvertible {
    /// As it was written.
    package let text: String
    let code: [Instruction]
    /// Groups that are remembered, `(…)` but not `(?:…)`.
    package let groupCount: Int

    /// Of a pattern, in characters and in instructions, which repetitions multiply.
    package static let charactersMax = 1_000
    package static let instructionsMax = 500

    enum Instruction: Hashable, Sendable {
        /// One scalar in these ranges, which are sorted and apart.
        case scalar([ClosedRange<UInt32>])
        /// Both ways; the first is preferred.
        case split(Int, Int)
        case jump(Int)
        case begin, end
        /// Where a word (ASCII) begins or ends, or where none does.
        case boundary(Bool)
        /// The place here is the begin (even) or end of a group.
        case save(Int)
        case match
    }

    package struct Mistake: Error {
        package let message: String
        /// Unicode scalars from the start of the pattern.
        package let offset: Int
    }

    package init(_ text: String) throws(Mistake) {
        self.text = text
        var parser = TextPatternParser(text)
        let tree = try parser.parse()
        groupCount = parser.groupCount
        var code: [Instruction] = [.save(0)]
        try Self.compile(tree, &code)
        code += [.save(1), .match]
        self.code = code
    }

    /// Within the text of an expression, where `$1` is a column.
    package var description: String {
        "/" + text.map { $0 == "$" ? "\\x{24}" : String($0) }.joined() + "/"
    }

    package static func == (a: TextPattern, b: TextPattern) -> Bool { a.text == b.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }

    indirect enum Tree {
        case empty, begin, end
        case boundary(Bool)
        case scalar([ClosedRange<UInt32>])
        case sequence([Tree])
        case choice([Tree])
        case repeated(Tree, least: Int, most: Int?, isGreedy: Bool)
        case group(Tree, Int)
    }

    private static func compile(_ tree: Tree, _ code: inout [Instruction]) throws(Mistake) {
        guard code.count < instructionsMax else {
            throw Mistake(
                message: "the pattern is too large: its repetitions make more than \(instructionsMax) steps",
                offset: 0)
        }
        switch tree {
        case .empty: break
        case .begin: code.append(.begin)
        case .end: code.append(.end)
        case .boundary(let isOne): code.append(.boundary(isOne))
        case .scalar(let ranges): code.append(.scalar(ranges))
        case .sequence(let parts): for part in parts { try compile(part, &code) }
        case .group(let inner, let number):
            code.append(.save(2 * number))
            try compile(inner, &code)
            code.append(.save(2 * number + 1))
        case .choice(let ways):
            var jumps: [Int] = []
            for (index, way) in ways.enumerated() {
                let split = code.count
                if index < ways.count - 1 { code.append(.jump(0)) }
                try compile(way, &code)
                guard index < ways.count - 1 else { continue }
                jumps.append(code.count)
                code.append(.jump(0))
                code[split] = .split(split + 1, code.count)
            }
            for jump in jumps { code[jump] = .jump(code.count) }
        case .repeated(let inner, let least, let most, let isGreedy):
            for _ in 0..<least { try compile(inner, &code) }
            func split(_ into: Int, _ past: Int) -> Instruction {
                isGreedy ? .split(into, past) : .split(past, into)
            }
            guard let most else {
                let start = code.count
                code.append(.jump(0))
                try compile(inner, &code)
                code.append(.jump(start))
                code[start] = split(start + 1, code.count)
                return
            }
            var splits: [Int] = []
            for _ in least..<max(least, most) {
                splits.append(code.count)
                code.append(.jump(0))
                try compile(inner, &code)
            }
            for place in splits { code[place] = split(place + 1, code.count) }
        }
    }
}
