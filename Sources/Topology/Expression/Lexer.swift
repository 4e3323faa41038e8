import Base
import Records

/// A mistake in an expression; `offset` counts Unicode scalars from the start of its text.
package struct ExpressionMistake: Error, Hashable {
    var offset: Int
    var message: String
}

struct Token: Hashable {
    enum Kind: Hashable {
        /// `name`, or a name in backticks, which is never a keyword.
        case word(String)
        case quotedWord(String)
        case number(Int64, scale: Int)
        case duration(Int64)
        case text(String)
        case symbol(String)
        case end
    }

    var kind: Kind
    /// Unicode scalars from the start of the expression.
    var offset: Int
    var end: Int

    /// For messages.
    var description: String {
        switch kind {
        case .word(let word): "'\(word)'"
        case .quotedWord(let word): "'`\(word)`'"
        case .number(let value, let scale): "'\(Decimal.string(value, scale: scale))'"
        case .duration(let value): "'\(ValueText.duration(value))'"
        case .text(let text): "\"\(text)\""
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end"
        }
    }
}

/// Cuts the text of an expression into tokens; the last one is `end`.
struct Lexer {
    private let scalars: [Unicode.Scalar]
    private var at = 0

    static func tokens(of text: String) throws(ExpressionMistake) -> [Token] {
        var lexer = Lexer(scalars: Array(text.unicodeScalars))
        var tokens: [Token] = []
        while let token = try lexer.next() { tokens.append(token) }
        tokens.append(Token(kind: .end, offset: lexer.scalars.count, end: lexer.scalars.count))
        return tokens
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        at + ahead < scalars.count ? scalars[at + ahead] : nil
    }

    private mutating func next() throws(ExpressionMistake) -> Token? {
        while let scalar = peek(), scalar.properties.isWhitespace { at += 1 }
        guard let scalar = peek() else { return nil }
        let start = at
        let kind: Token.Kind
        if Self.isDigit(scalar) {
            kind = try number()
        } else if Self.startsName(scalar) {
            kind = .word(takeName())
        } else if scalar == "\"" || scalar == "'" {
            kind = .text(try text(scalar))
        } else if scalar == "`" {
            kind = try quotedWord()
        } else {
            kind = .symbol(try symbol(scalar))
        }
        return Token(kind: kind, offset: start, end: at)
    }

    private mutating func takeName() -> String {
        var name = String.UnicodeScalarView()
        while let scalar = peek(), Self.continuesName(scalar) {
            name.append(scalar)
            at += 1
        }
        return String(name)
    }

    // MARK: Numbers and durations

    private mutating func number() throws(ExpressionMistake) -> Token.Kind {
        let start = at
        var digits = ""
        var scale = 0
        takeDigits(&digits)
        // `0..5` is a range, not a number with a point.
        if peek() == ".", let after = peek(1), Self.isDigit(after) {
            at += 1
            digits += "."
            let before = digits.utf8.count
            takeDigits(&digits)
            scale = digits.utf8.count - before
        }
        let unitStart = at
        let unit = takeName()
        guard unit.isEmpty else {
            guard let milliseconds = DurationText.milliseconds(ofUnit: unit) else {
                throw mistake(unitStart, "unknown unit in '\(digits)\(unit)'; \(DurationText.howToWrite)")
            }
            guard scale == 0, let count = Int64(digits), count <= DurationText.max / milliseconds else {
                throw mistake(start, "'\(digits)\(unit)' is no duration; \(DurationText.howToWrite)")
            }
            return .duration(count * milliseconds)
        }
        guard scale <= Limits.decimalScaleMax else {
            throw mistake(start, "\(digits) has more than \(Limits.decimalScaleMax) digits after the point")
        }
        // Not through Decimal.parse alone: zeros at the end count, `12.50` has two places.
        guard case .success(let value) = Decimal.parse(digits, scale: scale) else {
            throw mistake(start, "\(digits) is too large; numbers have at most 18 digits")
        }
        return .number(value, scale: scale)
    }

    private mutating func takeDigits(_ digits: inout String) {
        while let scalar = peek(), Self.isDigit(scalar) {
            digits.unicodeScalars.append(scalar)
            at += 1
        }
    }

    // MARK: Texts and names in quotes

    private mutating func text(_ quote: Unicode.Scalar) throws(ExpressionMistake) -> String {
        let start = at
        at += 1
        var text = String.UnicodeScalarView()
        while let scalar = peek() {
            at += 1
            if scalar == quote { return String(text) }
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            guard let escaped = peek() else { break }
            at += 1
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "\\", "\"", "'": text.append(escaped)
            default: throw mistake(at - 2, "unknown escape '\\\(escaped)'; known are \\n \\t \\\\ \\\" \\'")
            }
        }
        throw mistake(start, "the text that begins here has no closing \(quote)")
    }

    private mutating func quotedWord() throws(ExpressionMistake) -> Token.Kind {
        let start = at
        at += 1
        var name = String.UnicodeScalarView()
        while let scalar = peek() {
            at += 1
            if scalar == "`" {
                guard !name.isEmpty else { throw mistake(start, "a name in backticks must not be empty") }
                return .quotedWord(String(name))
            }
            name.append(scalar)
        }
        throw mistake(start, "the name that begins here has no closing backtick")
    }

    // MARK: Symbols

    private mutating func symbol(_ scalar: Unicode.Scalar) throws(ExpressionMistake) -> String {
        let pair = String(scalar) + (peek(1).map { String($0) } ?? "")
        switch pair {
        case "==", "!=", "<=", ">=", "..":
            if pair == "==", peek(2) == "=" { throw mistake(at, "unknown operator '==='; write ==") }
            at += 2
            return pair
        case "&&": throw mistake(at, "unknown operator '&&'; write and")
        case "||": throw mistake(at, "unknown operator '||'; write or")
        case "<>": throw mistake(at, "unknown operator '<>'; write !=")
        default: break
        }
        switch scalar {
        case "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".", ":":
            at += 1
            return String(scalar)
        case "=": throw mistake(at, "unknown operator '='; write == to compare")
        case "!": throw mistake(at, "unknown operator '!'; write not")
        default: throw mistake(at, "unexpected character '\(scalar)'")
        }
    }

    private func mistake(_ offset: Int, _ message: String) -> ExpressionMistake {
        ExpressionMistake(offset: offset, message: message)
    }

    static func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar >= "0" && scalar <= "9" }

    static func startsName(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic
    }

    static func continuesName(_ scalar: Unicode.Scalar) -> Bool { startsName(scalar) || isDigit(scalar) }
}
