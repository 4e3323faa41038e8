import Base
import Records

/// A mistake in an expression, at a position in characters from its beginning.
struct ExpressionFailure: Error {
    var offset: Int
    var message: String
}

struct ExpressionToken: Equatable {
    enum Kind: Equatable {
        case name(String)
        /// In units of 10^-scale.
        case number(Int64, scale: Int)
        case duration(Int64)
        case text(String)
        case symbol(String)
        case end
    }

    var kind: Kind
    var offset: Int

    var description: String {
        switch kind {
        case .name(let name): "'\(name)'"
        case .number(let value, let scale): "'\(Decimal.string(value, scale: scale))'"
        case .duration(let value): "'\(ValueText.duration(value))'"
        case .text(let text): "\"\(text)\""
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end"
        }
    }
}

/// Cuts an expression's text into tokens.
struct Lexer {
    private let characters: [Character]
    private var at = 0

    init(_ text: String) { characters = Array(text) }

    static func tokens(of text: String) throws(ExpressionFailure) -> [ExpressionToken] {
        var lexer = Lexer(text)
        var tokens: [ExpressionToken] = []
        while true {
            let token = try lexer.next()
            tokens.append(token)
            if token.kind == .end { return tokens }
        }
    }

    private static let symbols = ["==", "!=", "<=", ">=", "..", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."]

    private mutating func next() throws(ExpressionFailure) -> ExpressionToken {
        while at < characters.count, characters[at].isWhitespace { at += 1 }
        guard at < characters.count else { return ExpressionToken(kind: .end, offset: at) }
        let start = at
        let character = characters[at]
        if character.isLetter || character == "_" {
            while at < characters.count, characters[at].isLetter || characters[at].isNumber || characters[at] == "_" {
                at += 1
            }
            return ExpressionToken(kind: .name(String(characters[start..<at])), offset: start)
        }
        if character == "`" {
            at += 1
            while at < characters.count, characters[at] != "`" { at += 1 }
            guard at < characters.count else { throw ExpressionFailure(offset: start, message: "the name after ` has no closing `") }
            at += 1
            return ExpressionToken(kind: .name(String(characters[start + 1..<at - 1])), offset: start)
        }
        if isDigit(at) { return try number() }
        if character == "\"" || character == "'" { return try text(character) }
        for symbol in Self.symbols where characters[at...].starts(with: symbol) {
            at += symbol.count
            return ExpressionToken(kind: .symbol(symbol), offset: start)
        }
        let advice: String
        switch character {
        case "=": advice = "; equality is written =="
        case "&": advice = "; write 'and'"
        case "|": advice = "; write 'or'"
        case "!": advice = "; write 'not'"
        default: advice = ""
        }
        throw ExpressionFailure(offset: start, message: "'\(character)' has no meaning here\(advice)")
    }

    private func isDigit(_ index: Int) -> Bool {
        index < characters.count && characters[index].isASCII && characters[index].isNumber
    }

    private mutating func number() throws(ExpressionFailure) -> ExpressionToken {
        let start = at
        while isDigit(at) { at += 1 }
        var places = 0
        // `1..5` is a range, not a decimal.
        if at < characters.count, characters[at] == ".", isDigit(at + 1) {
            at += 1
            while isDigit(at) {
                at += 1
                places += 1
            }
        }
        let digits = String(characters[start..<at])
        let unitStart = at
        while at < characters.count, characters[at].isLetter { at += 1 }
        guard places <= Limits.decimalScaleMax else {
            throw ExpressionFailure(offset: start, message: "\(digits) has more than \(Limits.decimalScaleMax) places")
        }
        guard case .success(let value) = Decimal.parse(digits, scale: places) else {
            throw ExpressionFailure(offset: start, message: "\(digits) does not fit in 64 bits")
        }
        if unitStart == at { return ExpressionToken(kind: .number(value, scale: places), offset: start) }
        switch DurationText.parse(String(characters[start..<at])) {
        case .success(let duration): return ExpressionToken(kind: .duration(duration), offset: start)
        case .failure(let failure): throw ExpressionFailure(offset: start, message: failure.message)
        }
    }

    private mutating func text(_ quote: Character) throws(ExpressionFailure) -> ExpressionToken {
        let start = at
        at += 1
        var text = ""
        while at < characters.count, characters[at] != quote {
            if characters[at] == "\\" {
                at += 1
                guard at < characters.count else { break }
                switch characters[at] {
                case "n": text.append("\n")
                case "t": text.append("\t")
                case "\\", "\"", "'": text.append(characters[at])
                default:
                    throw ExpressionFailure(offset: at - 1, message: "unknown escape \\\(characters[at]); \\n \\t \\\\ \\\" and \\' are known")
                }
            } else {
                text.append(characters[at])
            }
            at += 1
        }
        guard at < characters.count else {
            throw ExpressionFailure(offset: start, message: "the text that begins here has no closing \(quote)")
        }
        at += 1
        return ExpressionToken(kind: .text(text), offset: start)
    }
}

/// Durations as people write them.
enum DurationText {
    struct Failure: Error { var message: String }

    static let units: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// `10s`, `5m`: a whole number and a unit.
    static func parse(_ text: String) -> Result<Int64, Failure> {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = String(text.dropFirst(digits.count))
        guard !digits.isEmpty else {
            return .failure(Failure(message: "'\(text)' is no duration; durations are written like 10s, 5m, 2h, 30d"))
        }
        guard !unit.isEmpty else {
            return .failure(Failure(message: "'\(text)' has no unit; durations are written like 10s, 5m, 2h, 30d"))
        }
        guard let factor = units.first(where: { $0.name == unit })?.milliseconds else {
            return .failure(Failure(message: "unknown unit in '\(text)'; durations are written like 10s, 5m, 2h, 30d"))
        }
        guard let count = Int64(digits), case let (value, overflow) = count.multipliedReportingOverflow(by: factor),
            !overflow, value <= 36_500 * 86_400_000
        else { return .failure(Failure(message: "'\(text)' is longer than a hundred years")) }
        return .success(value)
    }
}
