import Base
import Records

/// An expression as it was written: no types, names unresolved.
struct Syntax {
    indirect enum Node {
        case literal(Value)
        /// `a` or `step.output`
        case name([String])
        case not(Syntax)
        case negate(Syntax)
        case binary(BinaryOperator, Syntax, Syntax)
        case inList(Syntax, [Syntax])
        case inRange(Syntax, Syntax, Syntax)
        case isNull(Syntax)
        case conditional(Syntax, Syntax, Syntax)
        case call(String, [Syntax])
    }

    var node: Node
    /// In characters from the beginning of the expression.
    var offset: Int
}

/// Recursive descent, lowest precedence first: if, or, and, not, comparison, + -, * / %, unary -.
struct Parser {
    private let tokens: [ExpressionToken]
    private var at = 0
    private var depth = 0

    static let keywords: Set<String> = ["and", "or", "not", "in", "is", "null", "true", "false", "if", "then", "else"]

    static func parse(_ text: String) throws(ExpressionFailure) -> Syntax {
        var parser = Parser(tokens: try Lexer.tokens(of: text))
        let syntax = try parser.expression()
        if parser.current.kind != .end {
            throw ExpressionFailure(
                offset: parser.current.offset, message: "\(parser.current.description) was not expected here; the expression was complete")
        }
        return syntax
    }

    private init(tokens: [ExpressionToken]) { self.tokens = tokens }

    private var current: ExpressionToken { tokens[at] }

    private mutating func advance() { if at < tokens.count - 1 { at += 1 } }

    private func isWord(_ word: String) -> Bool { current.kind == .name(word) }

    private mutating func take(_ symbol: String) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    private mutating func takeWord(_ word: String) -> Bool {
        guard isWord(word) else { return false }
        advance()
        return true
    }

    private mutating func expect(_ symbol: String, _ purpose: String) throws(ExpressionFailure) {
        guard take(symbol) else {
            // YAML cuts `{ a: sum(b, c) }` at the comma.
            let advice = current.kind == .end ? "; inside { } an expression with a comma stands in quotes" : ""
            throw ExpressionFailure(
                offset: current.offset, message: "'\(symbol)' \(purpose) was expected, not \(current.description)\(advice)")
        }
    }

    private mutating func expression() throws(ExpressionFailure) -> Syntax {
        depth += 1
        defer { depth -= 1 }
        if depth > Limits.expressionDepthMax {
            throw ExpressionFailure(offset: current.offset, message: "nested deeper than \(Limits.expressionDepthMax) levels")
        }
        let start = current.offset
        guard takeWord("if") else { return try or() }
        let condition = try expression()
        guard takeWord("then") else {
            throw ExpressionFailure(offset: current.offset, message: "'then' was expected, not \(current.description)")
        }
        let yes = try expression()
        guard takeWord("else") else {
            throw ExpressionFailure(offset: current.offset, message: "'else' was expected, not \(current.description)")
        }
        return Syntax(node: .conditional(condition, yes, try expression()), offset: start)
    }

    private mutating func or() throws(ExpressionFailure) -> Syntax {
        var left = try and()
        while isWord("or") {
            let offset = current.offset
            advance()
            left = Syntax(node: .binary(.or, left, try and()), offset: offset)
        }
        return left
    }

    private mutating func and() throws(ExpressionFailure) -> Syntax {
        var left = try not()
        while isWord("and") {
            let offset = current.offset
            advance()
            left = Syntax(node: .binary(.and, left, try not()), offset: offset)
        }
        return left
    }

    private mutating func not() throws(ExpressionFailure) -> Syntax {
        let offset = current.offset
        guard isWord("not") else { return try comparison() }
        depth += 1
        defer { depth -= 1 }
        if depth > Limits.expressionDepthMax {
            throw ExpressionFailure(offset: offset, message: "nested deeper than \(Limits.expressionDepthMax) levels")
        }
        advance()
        return Syntax(node: .not(try not()), offset: offset)
    }

    private mutating func comparison() throws(ExpressionFailure) -> Syntax {
        let left = try sum()
        let offset = current.offset
        if takeWord("is") {
            let isNegated = takeWord("not")
            guard takeWord("null") else {
                throw ExpressionFailure(offset: current.offset, message: "'is' is followed by 'null' or 'not null', not by \(current.description)")
            }
            let test = Syntax(node: .isNull(left), offset: offset)
            return isNegated ? Syntax(node: .not(test), offset: offset) : test
        }
        let isNegated = isWord("not") && tokens[min(at + 1, tokens.count - 1)].kind == .name("in")
        if isNegated { advance() }
        if takeWord("in") {
            let test = try membership(left, offset)
            return isNegated ? Syntax(node: .not(test), offset: offset) : test
        }
        for operation in [BinaryOperator.equal, .notEqual, .lessOrEqual, .greaterOrEqual, .less, .greater]
        where current.kind == .symbol(operation.rawValue) {
            advance()
            let right = try sum()
            if case .symbol(let symbol) = current.kind, ["==", "!=", "<", "<=", ">", ">="].contains(symbol) {
                throw ExpressionFailure(offset: current.offset, message: "comparisons do not chain; join them with 'and'")
            }
            return Syntax(node: .binary(operation, left, right), offset: offset)
        }
        return left
    }

    private mutating func membership(_ left: Syntax, _ offset: Int) throws(ExpressionFailure) -> Syntax {
        if take("[") {
            var members: [Syntax] = []
            repeat { members.append(try sum()) } while take(",")
            try expect("]", "after the last member")
            return Syntax(node: .inList(left, members), offset: offset)
        }
        let low = try sum()
        guard take("..") else {
            throw ExpressionFailure(
                offset: current.offset, message: "'in' is followed by a list [a, b] or a range low..high, not by \(current.description)")
        }
        return Syntax(node: .inRange(left, low, try sum()), offset: offset)
    }

    private mutating func sum() throws(ExpressionFailure) -> Syntax {
        var left = try product()
        while case .symbol(let symbol) = current.kind, symbol == "+" || symbol == "-" {
            let offset = current.offset
            advance()
            left = Syntax(node: .binary(symbol == "+" ? .add : .subtract, left, try product()), offset: offset)
        }
        return left
    }

    private mutating func product() throws(ExpressionFailure) -> Syntax {
        var left = try unary()
        while case .symbol(let symbol) = current.kind, let operation = BinaryOperator(rawValue: symbol),
            [.multiply, .divide, .remainder].contains(operation)
        {
            let offset = current.offset
            advance()
            left = Syntax(node: .binary(operation, left, try unary()), offset: offset)
        }
        return left
    }

    private mutating func unary() throws(ExpressionFailure) -> Syntax {
        let offset = current.offset
        guard take("-") else { return try primary() }
        depth += 1
        defer { depth -= 1 }
        if depth > Limits.expressionDepthMax {
            throw ExpressionFailure(offset: offset, message: "nested deeper than \(Limits.expressionDepthMax) levels")
        }
        return Syntax(node: .negate(try unary()), offset: offset)
    }

    private mutating func primary() throws(ExpressionFailure) -> Syntax {
        let token = current
        switch token.kind {
        case .number(let value, let scale):
            advance()
            return Syntax(node: .literal(.number(value, scale: scale)), offset: token.offset)
        case .duration(let value):
            advance()
            return Syntax(node: .literal(.duration(value)), offset: token.offset)
        case .text(let text):
            advance()
            return Syntax(node: .literal(.text(text)), offset: token.offset)
        case .symbol("("):
            advance()
            let inner = try expression()
            try expect(")", "that closes the parenthesis")
            return inner
        case .name(let name): return try word(name, token.offset)
        default:
            throw ExpressionFailure(offset: token.offset, message: "a value was expected, not \(token.description)")
        }
    }

    private mutating func word(_ name: String, _ offset: Int) throws(ExpressionFailure) -> Syntax {
        switch name {
        case "true", "false":
            advance()
            return Syntax(node: .literal(.bool(name == "true")), offset: offset)
        case "null":
            advance()
            return Syntax(node: .literal(.null), offset: offset)
        case "if": return try expression()
        default: break
        }
        if Self.keywords.contains(name) {
            throw ExpressionFailure(offset: offset, message: "a value was expected, not '\(name)'")
        }
        advance()
        if take("(") {
            var arguments: [Syntax] = []
            if !take(")") {
                repeat { arguments.append(try expression()) } while take(",")
                try expect(")", "after the arguments of \(name)")
            }
            return Syntax(node: .call(name, arguments), offset: offset)
        }
        var path = [name]
        while take(".") {
            guard case .name(let part) = current.kind else {
                throw ExpressionFailure(offset: current.offset, message: "a name was expected after the point, not \(current.description)")
            }
            path.append(part)
            advance()
        }
        return Syntax(node: .name(path), offset: offset)
    }
}
