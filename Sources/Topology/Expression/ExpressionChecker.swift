import Base
import Records

/// Resolves the names of an expression and gives every part its type. Goes on after a mistake, so that all
/// of them are found; what depends on a mistake is passed over in silence.
struct ExpressionChecker {
    enum Operand {
        case typed(Expression)
        /// The literal `null`, which takes the type of what stands beside it.
        case null(Position)
        /// A mistake was reported.
        case unknown
    }

    let scope: ExpressionScope
    /// The place in the file of an offset in the text.
    var position: (Int) -> Position
    var mistakes: [ExpressionMistake] = []
    /// Where aggregates are split off: those found so far.
    var aggregates = AggregateCalls()
    var isInsideAggregate = false

    init(_ scope: ExpressionScope, position: @escaping (Int) -> Position) {
        self.scope = scope
        self.position = position
    }

    /// The typed expression; nil if there are mistakes.
    mutating func check(_ syntax: Syntax) -> Expression? {
        let before = mistakes.count
        guard let expression = expression(syntax), mistakes.count == before else { return nil }
        return expression
    }

    /// The same for an expression that must be true or false; `what` names it: `where`.
    mutating func checkCondition(_ syntax: Syntax, _ what: String) -> Expression? {
        guard let expression = check(syntax) else { return nil }
        guard expression.type == .bool else {
            report(
                syntax,
                "\(what) must be true or false, not \(expression.type); compare it, like amount > 100"
            )
            return nil
        }
        return expression
    }

    mutating func report(_ syntax: Syntax, _ message: String) {
        mistakes.append(ExpressionMistake(offset: syntax.offset, message: message))
    }

    // MARK: Nodes

    mutating func expression(_ syntax: Syntax) -> Expression? {
        switch operand(syntax) {
        case .typed(let expression): return expression
        case .unknown: return nil
        case .null:
            report(syntax, "null has no type here; it may stand in if, coalesce, and after 'is'")
            return nil
        }
    }

    mutating func operand(_ syntax: Syntax) -> Operand {
        let place = position(syntax.offset)
        func typed(_ node: Expression.Node, _ type: ValueType) -> Operand {
            .typed(Expression(node, type, at: place))
        }
        switch syntax.node {
        case .null: return .null(place)
        case .number(let value, let scale):
            return typed(.literal(.number(value, scale: scale)), .number(scale: scale))
        case .duration(let value): return typed(.literal(.duration(value)), .duration)
        case .text(let text):
            guard text.utf8.count <= Limits.textBytesMax else {
                report(syntax, "the text is longer than \(Limits.textBytesMax) bytes")
                return .unknown
            }
            return typed(.literal(.text(text)), .text)
        case .bool(let value): return typed(.literal(.bool(value)), .bool)
        case .name(let parts): return name(parts.joined(separator: "."), syntax)
        case .isNull(let inner):
            switch operand(inner) {
            case .typed(let expression): return typed(.isNull(expression), .bool)
            case .unknown: return .unknown
            case .null:
                report(inner, "this is always null; name a field before 'is'")
                return .unknown
            }
        case .not(let inner):
            guard let condition = expecting(.bool, inner, "'not'") else { return .unknown }
            return typed(.not(condition), .bool)
        case .negate(let inner): return negate(inner, place)
        case .binary(let operation, let left, let right): return binary(operation, left, right, syntax)
        case .inList(let inner, let members): return inList(inner, members, place)
        case .inRange(let inner, let low, let high): return inRange(inner, low, high, syntax)
        case .conditional(let condition, let yes, let no): return conditional(condition, yes, no, syntax)
        case .call(let name, let arguments):
            if AggregateName(rawValue: name) != nil {
                return AggregateChecker.check(name, arguments, syntax, in: &self)
            }
            return FunctionChecker.check(name, arguments, syntax, in: &self)
        case .named(let name, _):
            report(
                syntax,
                "no argument is called '\(name)' here; distinct(buyer_id, exact: 10000) has one that is called 'exact'"
            )
            return .unknown
        }
    }

    private mutating func name(_ name: String, _ syntax: Syntax) -> Operand {
        if let index = scope.index(of: name) {
            if scope.window != nil, !isInsideAggregate {
                report(
                    syntax,
                    "'\(name)' is a field of single records; say which of the window is meant, "
                        + "like sum(\(name)), max(\(name)) or last(\(name))"
                )
                return .unknown
            }
            guard let type = scope.columns[index].type else { return .unknown }
            return .typed(Expression(.column(index), type, at: position(syntax.offset)))
        }
        guard scope.isComplete else { return .unknown }
        if scope.laterNames.contains(name) {
            report(syntax, "'\(name)' is not computed yet here; fields are computed in the order of the file")
        } else if let candidates = scope.ambiguousNames[name] {
            report(syntax, "'\(name)' is not clear; write \(candidates.joined(separator: " or "))")
        } else if NearestName.nearest(to: name, among: scope.names) == nil,
            let usage = FunctionChecker.usage(of: name)
        {
            report(syntax, "no \(scope.nameKind) '\(name)'; as a function it is written \(usage)")
        } else {
            report(syntax, "no \(scope.nameKind) '\(name)'\(NearestName.hint(name, among: scope.names))")
        }
        return .unknown
    }

    private mutating func negate(_ inner: Syntax, _ place: Position) -> Operand {
        guard let operand = expression(inner) else { return .unknown }
        guard operand.type.isNumber || operand.type == .duration else {
            report(inner, "'-' needs a number or a duration, not \(operand.type)")
            return .unknown
        }
        return .typed(Expression(.negate(operand), operand.type, at: place))
    }

    // MARK: Binary operators

    private mutating func binary(
        _ operation: BinaryOperator,
        _ left: Syntax,
        _ right: Syntax,
        _ syntax: Syntax
    ) -> Operand {
        let type: ValueType?
        let sides: (Expression, Expression)
        switch operation {
        case .and, .or:
            // Both are checked, so that both mistakes are found.
            let first = expecting(.bool, left, "'\(operation.rawValue)'")
            let second = expecting(.bool, right, "'\(operation.rawValue)'")
            guard let first, let second else { return .unknown }
            (type, sides) = (.bool, (first, second))
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            for side in [left, right] where side.node == .null {
                report(side, "nothing compares with null; write x is null or x is not null")
                return .unknown
            }
            let (first, second) = (expression(left), expression(right))
            guard let first, let second else { return .unknown }
            (type, sides) = (resultType(operation, first.type, second.type, syntax), (first, second))
        case .add, .subtract, .multiply, .divide, .remainder:
            let (first, second) = (expression(left), expression(right))
            guard let first, let second else { return .unknown }
            (type, sides) = (resultType(operation, first.type, second.type, syntax), (first, second))
        }
        guard let type else { return .unknown }
        return .typed(Expression(.binary(operation, sides.0, sides.1), type, at: position(syntax.offset)))
    }

    private mutating func resultType(
        _ operation: BinaryOperator,
        _ left: ValueType,
        _ right: ValueType,
        _ syntax: Syntax
    ) -> ValueType? {
        do throws(OperatorTyping.Mistake) {
            return try OperatorTyping.type(of: operation, left, right)
        } catch {
            report(syntax, error.message)
            return nil
        }
    }

    // MARK: Membership

    private mutating func inList(_ inner: Syntax, _ members: [Syntax], _ place: Position) -> Operand {
        let operand = expression(inner)
        var values: [Value] = []
        var isGood = true
        for member in members {
            let (value, type): (Value, ValueType)
            switch member.node {
            case .number(let number, let scale):
                (value, type) = (.number(number, scale: scale), .number(scale: scale))
            case .duration(let duration): (value, type) = (.duration(duration), .duration)
            case .text(let text): (value, type) = (.text(text), .text)
            case .bool(let bool): (value, type) = (.bool(bool), .bool)
            default:
                report(
                    member,
                    "a list holds only written values, like \"paid\" or 5; use == and or for others"
                )
                isGood = false
                continue
            }
            if let operand, !(type == operand.type || (type.isNumber && operand.type.isNumber)) {
                report(
                    member,
                    "the list must hold \(operand.type), like what stands before 'in', not \(type)"
                )
                isGood = false
            }
            values.append(value)
        }
        guard let operand, isGood else { return .unknown }
        return .typed(Expression(.inList(operand, values), .bool, at: place))
    }

    private mutating func inRange(_ inner: Syntax, _ low: Syntax, _ high: Syntax, _ syntax: Syntax) -> Operand
    {
        let (operand, lower, upper) = (expression(inner), expression(low), expression(high))
        guard let operand, let lower, let upper else { return .unknown }
        guard operand.type.isNumber || operand.type == .timestamp || operand.type == .duration else {
            report(inner, "a range needs a number, a duration or a timestamp, not \(operand.type)")
            return .unknown
        }
        for (end, at) in [(lower, low), (upper, high)] {
            guard end.type == operand.type || (end.type.isNumber && operand.type.isNumber) else {
                report(
                    at,
                    "the range must be of \(operand.type), like what stands before 'in', not \(end.type)"
                )
                return .unknown
            }
        }
        if case .literal(.number(let a, let aScale)) = lower.node,
            case .literal(.number(let b, let bScale)) = upper.node,
            Int128(a) * Int128(Decimal.powerOfTen(bScale)) > Int128(b) * Int128(Decimal.powerOfTen(aScale))
        {
            report(low, "the range is empty: its lower end is above its upper end")
            return .unknown
        }
        return .typed(Expression(.inRange(operand, lower, upper), .bool, at: position(syntax.offset)))
    }

    private mutating func conditional(_ condition: Syntax, _ yes: Syntax, _ no: Syntax, _ syntax: Syntax)
        -> Operand
    {
        let test = expecting(.bool, condition, "'if'")
        let branches = alike([yes, no], "the branches of 'if'")
        guard let test, let branches else { return .unknown }
        let node = Expression.Node.conditional(test, branches.expressions[0], branches.expressions[1])
        return .typed(Expression(node, branches.type, at: position(syntax.offset)))
    }

    // MARK: Helpers

    /// The expression, if it has this type.
    mutating func expecting(_ type: ValueType, _ syntax: Syntax, _ what: String) -> Expression? {
        guard let expression = expression(syntax) else { return nil }
        guard expression.type == type else {
            report(syntax, "\(what) needs \(Self.noun(type)), not \(expression.type)")
            return nil
        }
        return expression
    }

    private static func noun(_ type: ValueType) -> String {
        switch type {
        case .bool: "true or false"
        case .int: "a whole number"
        case .timestamp, .duration: "a \(type)"
        case .text, .decimal: "\(type)"
        }
    }

    /// Expressions of one type, or numbers, which take the largest scale; `null` takes the others' type.
    mutating func alike(_ operands: [Syntax], _ what: String) -> (expressions: [Expression], type: ValueType)?
    {
        let checked = operands.map { operand($0) }
        var type: ValueType?
        for (operand, syntax) in zip(checked, operands) {
            switch operand {
            case .unknown: return nil
            case .null: continue
            case .typed(let expression):
                guard let first = type else {
                    type = expression.type
                    continue
                }
                if first.isNumber, expression.type.isNumber {
                    type = .number(scale: max(first.scale, expression.type.scale))
                } else if first != expression.type {
                    report(syntax, "\(what) must have one type, not \(first) and \(expression.type)")
                    return nil
                }
            }
        }
        guard let type else {
            report(operands[0], "\(what) are all null, which has no type")
            return nil
        }
        let expressions = checked.map { operand in
            switch operand {
            case .typed(let expression): expression
            case .null(let place): Expression(.literal(.null), type, at: place)
            case .unknown: unreachable("a mistake was passed over")
            }
        }
        return (expressions, type)
    }
}
