/// Reads a regular expression. What would not be matched in linear time, or is not known, is a mistake.
struct TextPatternParser {
    typealias Tree = TextPattern.Tree
    typealias Mistake = TextPattern.Mistake

    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private var ignoresCase = false
    private(set) var groupCount = 0

    static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
    static let words: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    static let blanks: [ClosedRange<UInt32>] = [0x09...0x0A, 0x0C...0x0D, 0x20...0x20]

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    mutating func parse() throws(Mistake) -> Tree {
        guard scalars.count <= TextPattern.charactersMax else {
            throw mistake("the pattern has more than \(TextPattern.charactersMax) characters")
        }
        if take("(?i)") { ignoresCase = true }
        let tree = try choice()
        guard at == scalars.count else { throw mistake("')' without a '('; write \\) for the character") }
        return tree
    }

    private func mistake(_ message: String) -> Mistake { Mistake(message: message, offset: at) }

    private var current: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[at...].starts(with: wanted) else { return false }
        at += wanted.count
        return true
    }

    private mutating func choice() throws(Mistake) -> Tree {
        var ways = [try sequence()]
        while take("|") { ways.append(try sequence()) }
        return ways.count == 1 ? ways[0] : .choice(ways)
    }

    private mutating func sequence() throws(Mistake) -> Tree {
        var parts: [Tree] = []
        while let scalar = current, scalar != "|", scalar != ")" { parts.append(try repetition()) }
        return parts.isEmpty ? .empty : .sequence(parts)
    }

    private mutating func repetition() throws(Mistake) -> Tree {
        let tree = try atom()
        guard let bounds = try bounds() else { return tree }
        if case .begin = tree { throw mistake("nothing to repeat before this") }
        if case .end = tree { throw mistake("nothing to repeat before this") }
        let isGreedy = !take("?")
        if current == "*" || current == "+" || current == "?" {
            throw mistake("two repetitions in a row; write (?:a*)+ if it is meant")
        }
        return .repeated(tree, least: bounds.least, most: bounds.most, isGreedy: isGreedy)
    }

    private mutating func bounds() throws(Mistake) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard current == "{" else { return nil }
        let start = at
        at += 1
        let least = number()
        guard let least else {
            at = start
            throw mistake("'{' begins a repetition like {2,3}; write \\{ for the character")
        }
        var most: Int? = least
        if take(",") { most = number() }
        guard take("}") else { throw mistake("expected '}' behind the repetition, like {2,3}") }
        guard least <= TextPattern.instructionsMax, (most ?? least) <= TextPattern.instructionsMax,
            (most ?? least) >= least
        else {
            at = start
            throw mistake(
                "a repetition goes from less to more, like {2,3}, and to \(TextPattern.instructionsMax)")
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = current, scalar.value >= 0x30, scalar.value <= 0x39 {
            value = min(100_000, (value ?? 0) * 10 + Int(scalar.value - 0x30))
            at += 1
        }
        return value
    }

    private mutating func atom() throws(Mistake) -> Tree {
        guard let scalar = current else { return .empty }
        switch scalar {
        case "(": return try group()
        case "[": return .scalar(try set())
        case "*", "+", "?", "{":
            throw mistake("nothing to repeat before '\(scalar)'; write \\\(scalar) for the character")
        case ".":
            at += 1
            return .scalar(Self.inverted([0x0A...0x0A]))
        case "^":
            at += 1
            return .begin
        case "$":
            at += 1
            return .end
        case "\\":
            if take("\\b") { return .boundary(true) }
            if take("\\B") { return .boundary(false) }
            if take("\\A") { return .begin }
            if take("\\z") { return .end }
            return .scalar(folded(try escape()))
        default:
            at += 1
            return .scalar(folded([scalar.value...scalar.value]))
        }
    }

    private mutating func group() throws(Mistake) -> Tree {
        let start = at
        at += 1
        depth += 1
        defer { depth -= 1 }
        guard depth <= 64 else { throw mistake("groups are nested more than 64 deep") }
        var number: Int?
        if !take("?:") {
            if current == "?" {
                throw mistake(
                    "groups are (…) and (?:…), and (?i) may begin the pattern; what looks ahead or behind is not matched in linear time"
                )
            }
            groupCount += 1
            number = groupCount
        }
        let inner = try choice()
        guard take(")") else {
            at = start
            throw mistake("'(' without a ')'; write \\( for the character")
        }
        return number.map { .group(inner, $0) } ?? inner
    }

    /// What a backslash and the character behind it stand for.
    private mutating func escape() throws(Mistake) -> [ClosedRange<UInt32>] {
        let start = at
        at += 1
        guard let scalar = current else {
            throw mistake("a backslash at the end; write \\\\ for the character")
        }
        at += 1
        switch scalar {
        case "d": return Self.digits
        case "D": return Self.inverted(Self.digits)
        case "w": return Self.words
        case "W": return Self.inverted(Self.words)
        case "s": return Self.blanks
        case "S": return Self.inverted(Self.blanks)
        case "n": return [0x0A...0x0A]
        case "r": return [0x0D...0x0D]
        case "t": return [0x09...0x09]
        case "f": return [0x0C...0x0C]
        case "v": return [0x0B...0x0B]
        case "x": return try hexadecimal(start)
        default:
            let isWord = Self.words.contains { $0.contains(scalar.value) }
            guard !isWord, scalar.value < 0x80 else {
                at = start
                let why =
                    Self.digits[0].contains(scalar.value)
                    ? "; what was matched before cannot be asked for in linear time" : ""
                throw mistake("'\\\(scalar)' means nothing here\(why)")
            }
            return [scalar.value...scalar.value]
        }
    }

    /// `\x41`, `\x{4E2D}`
    private mutating func hexadecimal(_ start: Int) throws(Mistake) -> [ClosedRange<UInt32>] {
        let isBraced = take("{")
        var text = ""
        while let scalar = current, Character(scalar).isHexDigit, text.count < (isBraced ? 6 : 2) {
            text.unicodeScalars.append(scalar)
            at += 1
        }
        guard let value = UInt32(text, radix: 16), Unicode.Scalar(value) != nil,
            isBraced ? take("}") : text.count == 2
        else {
            at = start
            throw mistake("a character by its number is written \\x41 or \\x{4E2D}")
        }
        return [value...value]
    }

    /// `[a-z_]`, `[^0-9]`
    private mutating func set() throws(Mistake) -> [ClosedRange<UInt32>] {
        let start = at
        at += 1
        let isInverted = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while let scalar = current, scalar != "]" || isFirst {
            isFirst = false
            if scalar == "[", at + 1 < scalars.count, scalars[at + 1] == ":" {
                throw mistake("classes with names are not known; write [A-Za-z]")
            }
            let from = try member()
            guard from.count == 1, from[0].count == 1, current == "-", at + 1 < scalars.count,
                scalars[at + 1] != "]"
            else {
                ranges += from
                continue
            }
            at += 1
            let to = try member()
            guard to.count == 1, to[0].count == 1, from[0].lowerBound <= to[0].lowerBound else {
                throw mistake("a range goes from a character to one behind it, like a-z")
            }
            ranges.append(from[0].lowerBound...to[0].lowerBound)
        }
        guard take("]") else {
            at = start
            throw mistake("'[' without a ']'; write \\[ for the character")
        }
        let found = folded(ranges)
        return isInverted ? Self.inverted(found) : found
    }

    private mutating func member() throws(Mistake) -> [ClosedRange<UInt32>] {
        guard let scalar = current else { throw mistake("'[' without a ']'") }
        if scalar == "\\" { return try escape() }
        at += 1
        return [scalar.value...scalar.value]
    }

    // MARK: Ranges

    /// With the other case of ASCII's letters.
    private func folded(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        guard ignoresCase else { return Self.merged(ranges) }
        var all = ranges
        for range in ranges {
            let upper = range.clamped(to: 0x41...0x5A)
            if range.overlaps(0x41...0x5A) { all.append(upper.lowerBound + 32...upper.upperBound + 32) }
            let lower = range.clamped(to: 0x61...0x7A)
            if range.overlaps(0x61...0x7A) { all.append(lower.lowerBound - 32...lower.upperBound - 32) }
        }
        return Self.merged(all)
    }

    static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    static func inverted(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in merged(ranges) {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return result
    }
}
