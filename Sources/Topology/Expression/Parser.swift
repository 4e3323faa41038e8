import Base
import Records

/// An expression before its names and types are known.
struct Syntax: Hashable {
    indirect enum Node: Hashable {
        case number(Int64, scale: Int)
        case duration(Int64)
        case text(String)
        case bool(Bool)
        case null
        /// `a`, `a.b`, `` `odd name` ``
        case name([String])
        case not(Syntax)
        case negate(Syntax)
        case binary(BinaryOperator, Syntax, Syntax)
        case inList(Syntax, [Syntax])
        case inRange(Syntax, Syntax, Syntax)
        case isNull(Syntax)
        case conditional(Syntax, Syntax, Syntax)
        case call(String, [Syntax])
        /// `exact: 10000`, an argument of a call that is told by its name.
        case named(String, Syntax)
    }

    var node: Node
    /// Unicode scalars from the start of the text; of an operator's own sign where there is one.
    var offset: Int
    /// Levels of the tree, this one included.
    var depth: Int

    init(_ node: Node, at offset: Int, over operands: [Syntax] = []) {
        self.node = node
        self.offset = offset
        depth = 1 + (operands.map(\.depth).max() ?? 0)
    }
}

/// Recursive descent, weakest operator first: `if`, `or`, `and`, `not`, comparisons, `+ -`, `* / %`, unary
/// `-`.
struct ExpressionParser {
    static let keywords: Set<String> = [
        "or", "and", "not", "in", "is", "null", "if", "then", "else", "true", "false",
    ]
    /// Long chains of one operator make deep trees without nesting.
    private static let treeDepthMax = Limits.expressionDepthMax * 4

    private let tokens: [Token]
    private var at = 0
    private var nesting = 0

    static func parse(_ text: String) throws(ExpressionMistake) -> Syntax {
        var parser = ExpressionParser(tokens: try Lexer.tokens(of: text))
        guard parser.current.kind != .end else {
            throw ExpressionMistake(offset: 0, message: "an expression is missing")
        }
        let syntax = try parser.expression()
        guard parser.current.kind == .end else { throw parser.trailing() }
        return syntax
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    private var current: Token { tokens[at] }

    private mutating func takeWord(_ word: String) -> Bool {
        guard current.kind == .word(word) else { return false }
        at += 1
        return true
    }

    private mutating func takeSymbol(_ symbol: String) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        at += 1
        return true
    }

    private mutating func expect(symbol: String, _ what: String) throws(ExpressionMistake) {
        if takeSymbol(symbol) { return }
        throw mistake("expected '\(symbol)' \(what), not \(current.description)")
    }

    private func mistake(_ message: String) -> ExpressionMistake {
        ExpressionMistake(offset: current.offset, message: message)
    }

    private func checked(_ syntax: Syntax) throws(ExpressionMistake) -> Syntax {
        guard syntax.depth <= Self.treeDepthMax else {
            throw ExpressionMistake(
                offset: syntax.offset,
                message: "the expression is too large; put parts of it into fields, or write x in [a, b, ...]"
            )
        }
        return syntax
    }

    private func trailing() -> ExpressionMistake {
        switch current.kind {
        case .symbol(")"): mistake("unexpected ')'; there is no '(' for it")
        case .word, .quotedWord, .number, .text, .duration:
            mistake("expected an operator before \(current.description)")
        default: mistake("unexpected \(current.description)")
        }
    }

    // MARK: Operators, weakest first

    private mutating func expression() throws(ExpressionMistake) -> Syntax {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Limits.expressionDepthMax else {
            throw mistake("the expression is nested more than \(Limits.expressionDepthMax) deep")
        }
        let offset = current.offset
        guard takeWord("if") else { return try disjunction() }
        let condition = try expression()
        guard takeWord("then") else {
            throw mistake("expected 'then', not \(current.description); write: if a > 0 then a else 0")
        }
        let yes = try expression()
        guard takeWord("else") else {
            throw mistake("expected 'else', not \(current.description); write: if a > 0 then a else 0")
        }
        let no = try expression()
        return try checked(Syntax(.conditional(condition, yes, no), at: offset, over: [condition, yes, no]))
    }

    private mutating func disjunction() throws(ExpressionMistake) -> Syntax {
        var left = try conjunction()
        while current.kind == .word("or") {
            let offset = current.offset
            at += 1
            let right = try conjunction()
            left = try checked(Syntax(.binary(.or, left, right), at: offset, over: [left, right]))
        }
        return left
    }

    private mutating func conjunction() throws(ExpressionMistake) -> Syntax {
        var left = try negation()
        while current.kind == .word("and") {
            let offset = current.offset
            at += 1
            let right = try negation()
            left = try checked(Syntax(.binary(.and, left, right), at: offset, over: [left, right]))
        }
        return left
    }

    private mutating func negation() throws(ExpressionMistake) -> Syntax {
        let offset = current.offset
        guard takeWord("not") else { return try comparison() }
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Limits.expressionDepthMax else {
            throw mistake("the expression is nested more than \(Limits.expressionDepthMax) deep")
        }
        let operand = try negation()
        return try checked(Syntax(.not(operand), at: offset, over: [operand]))
    }

    private var comparisonOperator: BinaryOperator? {
        guard case .symbol(let symbol) = current.kind, let operation = BinaryOperator(rawValue: symbol) else {
            return nil
        }
        switch operation {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return operation
        default: return nil
        }
    }

    private mutating func comparison() throws(ExpressionMistake) -> Syntax {
        let left = try sum()
        let offset = current.offset
        var result = left
        if let operation = comparisonOperator {
            at += 1
            let right = try sum()
            result = Syntax(.binary(operation, left, right), at: offset, over: [left, right])
        } else if takeWord("is") {
            let isNot = takeWord("not")
            guard takeWord("null") else {
                throw mistake("expected 'null' after 'is', not \(current.description); use == to compare")
            }
            let test = Syntax(.isNull(left), at: offset, over: [left])
            result = isNot ? Syntax(.not(test), at: offset, over: [test]) : test
        } else if takeWord("in") {
            result = try membership(left, offset)
        } else if current.kind == .word("not"), tokens[at + 1].kind == .word("in") {
            at += 2
            let test = try membership(left, offset)
            result = Syntax(.not(test), at: offset, over: [test])
        }
        if comparisonOperator != nil {
            throw mistake("comparisons do not chain; write a < b and b < c")
        }
        return try checked(result)
    }

    private mutating func membership(_ operand: Syntax, _ offset: Int) throws(ExpressionMistake) -> Syntax {
        guard takeSymbol("[") else {
            let low = try sum()
            guard takeSymbol("..") else {
                throw mistake(
                    "expected '..' after the lower end, not \(current.description); "
                        + "write x in 0..5 or x in [1, 2]"
                )
            }
            let high = try sum()
            return Syntax(.inRange(operand, low, high), at: offset, over: [operand, low, high])
        }
        var members: [Syntax] = []
        repeat {
            if members.isEmpty, current.kind == .symbol("]") { break }
            members.append(try unary())
        } while takeSymbol(",")
        guard !members.isEmpty else { throw mistake("the list is empty; write x in [1, 2]") }
        try expect(symbol: "]", "at the end of the list")
        return Syntax(.inList(operand, members), at: offset, over: [operand])
    }

    private mutating func sum() throws(ExpressionMistake) -> Syntax {
        var left = try product()
        while current.kind == .symbol("+") || current.kind == .symbol("-") {
            let operation: BinaryOperator = current.kind == .symbol("+") ? .add : .subtract
            let offset = current.offset
            at += 1
            let right = try product()
            left = try checked(Syntax(.binary(operation, left, right), at: offset, over: [left, right]))
        }
        return left
    }

    private mutating func product() throws(ExpressionMistake) -> Syntax {
        var left = try unary()
        while case .symbol(let symbol) = current.kind, symbol == "*" || symbol == "/" || symbol == "%",
            let operation = BinaryOperator(rawValue: symbol)
        {
            let offset = current.offset
            at += 1
            let right = try unary()
            left = try checked(Syntax(.binary(operation, left, right), at: offset, over: [left, right]))
        }
        return left
    }

    private mutating func unary() throws(ExpressionMistake) -> Syntax {
        let offset = current.offset
        guard takeSymbol("-") else { return try primary() }
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Limits.expressionDepthMax else {
            throw mistake("the expression is nested more than \(Limits.expressionDepthMax) deep")
        }
        let operand = try unary()
        switch operand.node {
        case .number(let value, let scale): return Syntax(.number(-value, scale: scale), at: offset)
        case .duration(let value): return Syntax(.duration(-value), at: offset)
        default: return try checked(Syntax(.negate(operand), at: offset, over: [operand]))
        }
    }

    // MARK: Operands

    private mutating func primary() throws(ExpressionMistake) -> Syntax {
        let token = current
        switch token.kind {
        case .number(let value, let scale):
            at += 1
            return Syntax(.number(value, scale: scale), at: token.offset)
        case .duration(let value):
            at += 1
            return Syntax(.duration(value), at: token.offset)
        case .text(let text):
            at += 1
            return Syntax(.text(text), at: token.offset)
        case .symbol("("):
            at += 1
            let inner = try expression()
            try expect(symbol: ")", "to close the '('")
            return inner
        case .word(let word):
            return try name(startingWith: word, token)
        case .quotedWord(let word):
            at += 1
            return Syntax(.name(try path(startingWith: word)), at: token.offset)
        default:
            throw mistake("expected a value, not \(token.description)")
        }
    }

    private mutating func name(startingWith word: String, _ token: Token) throws(ExpressionMistake) -> Syntax
    {
        switch word {
        case "true", "false":
            at += 1
            return Syntax(.bool(word == "true"), at: token.offset)
        case "null":
            at += 1
            return Syntax(.null, at: token.offset)
        case "if": return try expression()
        default:
            guard !Self.keywords.contains(word) else { throw mistake("expected a value, not '\(word)'") }
        }
        at += 1
        guard takeSymbol("(") else { return Syntax(.name(try path(startingWith: word)), at: token.offset) }
        var arguments: [Syntax] = []
        if !takeSymbol(")") {
            repeat { arguments.append(try argument()) } while takeSymbol(",")
            guard takeSymbol(")") else { throw openCall(word) }
        }
        return try checked(Syntax(.call(word, arguments), at: token.offset, over: arguments))
    }

    private mutating func argument() throws(ExpressionMistake) -> Syntax {
        guard case .word(let name) = current.kind, tokens[at + 1].kind == .symbol(":") else {
            return try expression()
        }
        let offset = current.offset
        at += 2
        let value = try expression()
        return Syntax(.named(name, value), at: offset, over: [value])
    }

    private func openCall(_ name: String) -> ExpressionMistake {
        let hint = current.kind == .end ? "; inside { } an expression with a comma must be in quotes" : ""
        return mistake("expected ',' or ')' in the call of \(name), not \(current.description)\(hint)")
    }

    private mutating func path(startingWith first: String) throws(ExpressionMistake) -> [String] {
        var parts = [first]
        while takeSymbol(".") {
            switch current.kind {
            case .word(let word), .quotedWord(let word): parts.append(word)
            default: throw mistake("expected a name after '.', not \(current.description)")
            }
            at += 1
        }
        return parts
    }
}
