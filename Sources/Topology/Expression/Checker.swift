import Base
import Records

/// The names that an expression may use, and what is known about the place where it stands.
struct Scope {
    /// Column i has this name (`amount`, or `today.amount`) and type.
    var columns: [Field]
    /// Other names of columns: a bare output name where only one step is meant.
    var aliases: [String: Int] = [:]
    /// Names of things that are broken elsewhere; whoever uses them is not told again.
    var broken: Set<String> = []
    /// Zone of time functions without one of their own.
    var zone: String?
    /// What the names are called in messages.
    var noun = "field"
}

/// Gives every part of an expression its type and column, or says what is wrong. One for each text.
struct Checker {
    /// Nil where a mistake elsewhere makes the expression meaningless: nothing is said then.
    enum Failure: Error {
        case mistake(ExpressionFailure)
        case silent
    }

    private let scope: Scope
    private let environment: ReaderEnvironment
    private let origin: Position
    /// Set for the expressions of `aggregate`: calls of aggregate functions are collected here.
    private(set) var calls: [AggregateCall]?
    private var window: WindowSpec?
    private var isInsideAggregate = false

    init(_ scope: Scope, environment: ReaderEnvironment, origin: Position) {
        self.scope = scope
        self.environment = environment
        self.origin = origin
    }

    /// For aggregate expressions: `calls` are those found in the step's outputs before.
    init(_ scope: Scope, environment: ReaderEnvironment, origin: Position, calls: [AggregateCall], window: WindowSpec) {
        self.init(scope, environment: environment, origin: origin)
        self.calls = calls
        self.window = window
    }

    mutating func check(_ syntax: Syntax) throws(Failure) -> Expression {
        let expression = try check(any: syntax)
        if isNull(expression) { throw .mistake(ExpressionFailure(offset: syntax.offset, message: "null alone has no type")) }
        return expression
    }

    private func position(_ offset: Int) -> Position { Position(line: origin.line, column: origin.column + offset) }

    private func mistake(_ offset: Int, _ message: String) -> Failure {
        .mistake(ExpressionFailure(offset: offset, message: message))
    }

    private func isNull(_ expression: Expression) -> Bool { expression.node == .literal(.null) }

    private func make(_ node: Expression.Node, _ type: ValueType, _ offset: Int) -> Expression {
        Expression(node, type, at: position(offset))
    }

    private mutating func check(any syntax: Syntax) throws(Failure) -> Expression {
        let offset = syntax.offset
        switch syntax.node {
        case .literal(let value):
            let type: ValueType =
                switch value {
                case .null, .bool: .bool
                case .number(_, let scale): .number(scale: scale)
                case .text: .text
                case .timestamp: .timestamp
                case .duration: .duration
                }
            return make(.literal(value), type, offset)
        case .name(let path): return try name(path, offset)
        case .not(let operand):
            return make(.not(try bool(operand, "'not'")), .bool, offset)
        case .negate(let operand):
            let value = try check(any: operand)
            guard value.type.isNumber || value.type == .duration else {
                throw mistake(offset, "'-' needs a number, not a \(value.type)")
            }
            if case .literal(.number(let number, let scale)) = value.node, number != .min {
                return make(.literal(.number(-number, scale: scale)), value.type, offset)
            }
            return make(.negate(value), value.type, offset)
        case .isNull(let operand): return make(.isNull(try check(any: operand)), .bool, offset)
        case .binary(let operation, let left, let right): return try binary(operation, left, right, offset)
        case .inList(let operand, let members): return try inList(operand, members, offset)
        case .inRange(let operand, let low, let high):
            let value = try check(any: operand)
            let (lower, upper) = (try check(any: low), try check(any: high))
            guard value.type != .text, value.type != .bool else {
                throw mistake(offset, "a range needs a number, a time or a duration, not a \(value.type)")
            }
            for end in [lower, upper] where !isLike(value.type, end.type) || isNull(end) {
                throw mistake(end.position.column - origin.column, "the range's end is a \(end.type), the value a \(value.type)")
            }
            return make(.inRange(value, lower, upper), .bool, offset)
        case .conditional(let condition, let yes, let no):
            let test = try bool(condition, "the condition after 'if'")
            let branches = [try check(any: yes), try check(any: no)]
            let type = try common(branches, "the two branches of 'if'", offset)
            return make(.conditional(test, typed(branches[0], type), typed(branches[1], type)), type, offset)
        case .call(let name, let arguments): return try call(name, arguments, offset)
        }
    }

    private func name(_ path: [String], _ offset: Int) throws(Failure) -> Expression {
        let name = path.joined(separator: ".")
        if calls != nil, !isInsideAggregate {
            if scope.columns.contains(where: { $0.name == name }) {
                throw mistake(offset, "field '\(name)' has many values in a window; put it into an aggregate, like sum(\(name)) or last(\(name))")
            }
        }
        if let index = scope.columns.firstIndex(where: { $0.name == name }) ?? scope.aliases[name] {
            return make(.column(index), scope.columns[index].type, offset)
        }
        if scope.broken.contains(name) || scope.broken.contains(path[0]) { throw .silent }
        throw mistake(offset, "unknown \(scope.noun) '\(name)'\(hint(name, among: scope.columns.map(\.name) + scope.aliases.keys))")
    }

    private mutating func bool(_ syntax: Syntax, _ what: String) throws(Failure) -> Expression {
        let expression = try check(any: syntax)
        guard expression.type == .bool else {
            throw mistake(syntax.offset, "\(what) needs a condition (true or false), not a \(expression.type)")
        }
        return expression
    }

    private func isLike(_ a: ValueType, _ b: ValueType) -> Bool { a == b || (a.isNumber && b.isNumber) }

    /// The type that several values share: numbers take the largest scale, null takes any.
    private func common(_ expressions: [Expression], _ what: String, _ offset: Int) throws(Failure) -> ValueType {
        var type: ValueType?
        for expression in expressions where !isNull(expression) {
            guard let known = type else {
                type = expression.type
                continue
            }
            guard isLike(known, expression.type) else {
                throw mistake(offset, "\(what) must have one type, not \(known) and \(expression.type)")
            }
            if known.isNumber { type = .number(scale: max(known.scale, expression.type.scale)) }
        }
        guard let type else { throw mistake(offset, "\(what) are all null") }
        return type
    }

    private func typed(_ expression: Expression, _ type: ValueType) -> Expression {
        isNull(expression) ? Expression(expression.node, type, at: expression.position) : expression
    }

    // MARK: Operators

    private mutating func binary(_ operation: BinaryOperator, _ left: Syntax, _ right: Syntax, _ offset: Int)
        throws(Failure) -> Expression
    {
        let symbol = "'\(operation.rawValue)'"
        if operation == .and || operation == .or {
            return make(.binary(operation, try bool(left, symbol), try bool(right, symbol)), .bool, offset)
        }
        let (a, b) = (try check(any: left), try check(any: right))
        if isNull(a) || isNull(b) {
            throw mistake(offset, "\(symbol) with null is never true; write 'is null' or 'is not null'")
        }
        let type: ValueType
        switch operation {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard isLike(a.type, b.type) else {
                throw mistake(offset, "\(symbol) compares a \(a.type) with a \(b.type)")
            }
            if a.type == .bool, operation != .equal, operation != .notEqual {
                throw mistake(offset, "\(symbol) has no meaning for true and false")
            }
            type = .bool
        default: type = try arithmetic(operation, a.type, b.type, offset)
        }
        return make(.binary(operation, a, b), type, offset)
    }

    private func arithmetic(_ operation: BinaryOperator, _ a: ValueType, _ b: ValueType, _ offset: Int)
        throws(Failure) -> ValueType
    {
        switch (operation, a, b) {
        case (.add, _, _) where a.isNumber && b.isNumber, (.subtract, _, _) where a.isNumber && b.isNumber:
            return .number(scale: max(a.scale, b.scale))
        case (.multiply, _, _) where a.isNumber && b.isNumber:
            let scale = a.scale + b.scale
            guard scale <= Limits.decimalScaleMax else {
                throw mistake(
                    offset, "the product has \(scale) places, at most \(Limits.decimalScaleMax) are kept; round a factor first, like round(x, 2)")
            }
            return .number(scale: scale)
        case (.divide, .decimal, .int): return a
        case (.divide, _, _) where a.isNumber && b.isNumber: return .decimal(scale: 6)
        case (.remainder, .int, .int): return .int
        case (.remainder, _, _): throw mistake(offset, "'%' needs two ints, not a \(a) and a \(b)")
        case (.add, .duration, .duration), (.subtract, .duration, .duration): return .duration
        case (.subtract, .timestamp, .timestamp): return .duration
        case (.add, .timestamp, .duration), (.add, .duration, .timestamp), (.subtract, .timestamp, .duration):
            return .timestamp
        case (.multiply, .duration, .int), (.multiply, .int, .duration), (.divide, .duration, .int): return .duration
        case (.divide, .duration, .duration): return .decimal(scale: 6)
        case (.add, .text, .text): throw mistake(offset, "texts are joined with concat(a, b)")
        default: throw mistake(offset, "'\(operation.rawValue)' does not work on a \(a) and a \(b)")
        }
    }

    private mutating func inList(_ operand: Syntax, _ members: [Syntax], _ offset: Int) throws(Failure) -> Expression {
        let value = try check(any: operand)
        var values: [Value] = []
        for member in members {
            let literal = try check(any: member)
            guard case .literal(let constant) = literal.node, constant != .null else {
                throw mistake(member.offset, "the members of a list are constants")
            }
            guard isLike(value.type, literal.type) else {
                throw mistake(member.offset, "the list's member is a \(literal.type), the value a \(value.type)")
            }
            values.append(constant)
        }
        return make(.inList(value, values), .bool, offset)
    }

    // MARK: Functions

    static let functions = [
        "abs", "least", "greatest", "round", "floor", "ceil", "coalesce", "length", "lower", "upper", "trim",
        "starts_with", "ends_with", "contains", "substring", "concat", "text", "number", "hour", "minute",
        "weekday", "day", "month", "year", "date", "start_of_day", "milliseconds", "seconds", "minutes", "hours",
    ]
    static let aggregates = [
        "count", "sum", "avg", "min", "max", "first", "last", "distinct", "stddev", "quantile", "days",
        "window_start", "window_end",
    ]

    private mutating func call(_ name: String, _ arguments: [Syntax], _ offset: Int) throws(Failure) -> Expression {
        if Self.aggregates.contains(name) {
            guard calls != nil else {
                throw mistake(offset, "\(name)() is an aggregate; it stands in the 'aggregate' of a step with a window")
            }
            guard !isInsideAggregate else { throw mistake(offset, "an aggregate cannot stand inside another") }
            return try aggregate(name, arguments, offset)
        }
        guard Self.functions.contains(name) else {
            let known = calls == nil ? Self.functions : Self.functions + Self.aggregates
            let near = nearest(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            throw mistake(offset, "unknown function '\(name)'\(near)")
        }
        var values: [Expression] = []
        for argument in arguments { values.append(try check(any: argument)) }
        return try scalar(name, values, offset)
    }

    private func scalar(_ name: String, _ values: [Expression], _ offset: Int) throws(Failure) -> Expression {
        func need(_ types: String, _ isGood: [(ValueType) -> Bool]) throws(Failure) {
            guard values.count == isGood.count, zip(values, isGood).allSatisfy({ !isNull($0) && $1($0.type) }) else {
                let given = values.map(\.type.description).joined(separator: ", ")
                throw mistake(offset, "\(name) takes (\(types)), not (\(given))")
            }
        }
        let isText: (ValueType) -> Bool = { $0 == .text }
        let isInt: (ValueType) -> Bool = { $0 == .int }
        let isNumber: (ValueType) -> Bool = \.isNumber
        func result(_ function: Function, _ type: ValueType) -> Expression {
            make(.call(function, values), type, offset)
        }
        switch name {
        case "abs":
            try need("a number or duration", [{ $0.isNumber || $0 == .duration }])
            return result(.abs, values[0].type)
        case "floor", "ceil":
            try need("number", [isNumber])
            return result(name == "floor" ? .floor : .ceil, .int)
        case "least", "greatest", "coalesce":
            guard values.count >= 2 else { throw mistake(offset, "\(name) takes two arguments or more") }
            let type = try common(values, "the arguments of \(name)", offset)
            if name != "coalesce", type == .text || type == .bool {
                throw mistake(offset, "\(name) takes numbers, times or durations, not \(type)")
            }
            let function: Function = name == "least" ? .least : name == "greatest" ? .greatest : .coalesce
            return make(.call(function, values.map { typed($0, type) }), type, offset)
        case "round", "number":
            try need(name == "round" ? "number, places" : "text, places", [name == "round" ? isNumber : isText, isInt])
            guard case .literal(.number(let places, 0)) = values[1].node, (0...Int64(Limits.decimalScaleMax)).contains(places)
            else { throw mistake(offset, "the places of \(name) are a constant from 0 to \(Limits.decimalScaleMax)") }
            let function: Function = name == "round" ? .round(places: Int(places)) : .number(scale: Int(places))
            return make(.call(function, [values[0]]), .number(scale: Int(places)), offset)
        case "length":
            try need("text", [isText])
            return result(.length, .int)
        case "lower", "upper", "trim":
            try need("text", [isText])
            return result(name == "lower" ? .lower : name == "upper" ? .upper : .trim, .text)
        case "starts_with", "ends_with", "contains":
            try need("text, text", [isText, isText])
            return result(name == "starts_with" ? .startsWith : name == "ends_with" ? .endsWith : .contains, .bool)
        case "substring":
            try need("text, start, count", [isText, isInt, isInt])
            return result(.substring, .text)
        case "concat":
            guard values.count >= 2, values.allSatisfy({ $0.type == .text && !isNull($0) }) else {
                throw mistake(offset, "concat takes two texts or more; other values become texts with text(x)")
            }
            return result(.concat, .text)
        case "text":
            try need("value", [{ _ in true }])
            return result(.text, .text)
        case "milliseconds", "seconds", "minutes", "hours":
            try need("duration", [{ $0 == .duration }])
            let function: Function =
                name == "milliseconds" ? .milliseconds : name == "seconds" ? .seconds : name == "minutes" ? .minutes : .hours
            return result(function, .int)
        default: return try timePart(name, values, offset)
        }
    }

    private func timePart(_ name: String, _ values: [Expression], _ offset: Int) throws(Failure) -> Expression {
        guard let time = values.first, values.count <= 2, time.type == .timestamp, !isNull(time) else {
            throw mistake(offset, "\(name) takes a timestamp, and a zone if need be: \(name)(event_time, \"Asia/Shanghai\")")
        }
        var zone = scope.zone
        if values.count == 2 {
            guard case .literal(.text(let given)) = values[1].node else {
                throw mistake(values[1].position.column - origin.column, "the zone is a constant text, like \"Asia/Shanghai\"")
            }
            guard environment.isZone(given) else {
                throw mistake(
                    values[1].position.column - origin.column, "unknown time zone '\(given)'\(environment.zoneHint(given))")
            }
            zone = given
        }
        guard let zone else {
            throw mistake(offset, "\(name) needs a time zone: \(name)(event_time, \"Asia/Shanghai\"), or 'zone:' at the top of the file")
        }
        let function: Function
        var type = ValueType.int
        switch name {
        case "hour": function = .hour(zone: zone)
        case "minute": function = .minute(zone: zone)
        case "weekday": function = .weekday(zone: zone)
        case "day": function = .day(zone: zone)
        case "month": function = .month(zone: zone)
        case "year": function = .year(zone: zone)
        case "date": (function, type) = (.date(zone: zone), .text)
        default: (function, type) = (.startOfDay(zone: zone), .timestamp)
        }
        return make(.call(function, [time]), type, offset)
    }

    private mutating func aggregate(_ name: String, _ arguments: [Syntax], _ offset: Int) throws(Failure) -> Expression {
        isInsideAggregate = true
        defer { isInsideAggregate = false }
        var values: [Expression] = []
        for argument in arguments { values.append(try check(any: argument)) }
        var call = try aggregateCall(name, &values, offset)
        if let condition = values.first {
            guard values.count == 1, condition.type == .bool else {
                throw mistake(offset, "\(name) has too many arguments; after the value comes at most a condition")
            }
            call.condition = condition
        }
        var known = calls ?? []
        let index: Int
        if let same = known.firstIndex(where: { same($0, call) }) {
            index = same
        } else {
            index = known.count
            known.append(call)
        }
        calls = known
        return make(.column(index), call.type, offset)
    }

    /// Positions aside.
    private func same(_ a: AggregateCall, _ b: AggregateCall) -> Bool {
        a.function == b.function && a.argument.map(Printed.text) == b.argument.map(Printed.text)
            && a.condition.map(Printed.text) == b.condition.map(Printed.text)
    }

    /// Takes the value arguments off the front of `values`.
    private func aggregateCall(_ name: String, _ values: inout [Expression], _ offset: Int) throws(Failure) -> AggregateCall {
        func call(_ function: AggregateFunction, _ argument: Expression?, _ type: ValueType) -> AggregateCall {
            AggregateCall(function, argument: argument, condition: nil, type: type, at: position(offset))
        }
        switch name {
        case "count":
            if let first = values.first, first.type != .bool {
                throw mistake(offset, "count takes a condition or nothing; values that are not null: count(x is not null), different ones: distinct(x)")
            }
            return call(.count, nil, .int)
        case "days", "window_start", "window_end":
            guard values.isEmpty else { throw mistake(offset, "\(name)() takes no arguments") }
            if name == "days" {
                guard case .days = window?.length else {
                    throw mistake(offset, "days() needs a window of calendar days, like window: { size: 30d, slide: 1d, zone: Asia/Shanghai }")
                }
                return call(.days, nil, .int)
            }
            return call(name == "window_start" ? .windowStart : .windowEnd, nil, .timestamp)
        default: break
        }
        guard let argument = values.first, !isNull(argument) else {
            throw mistake(offset, "\(name) takes a value, like \(name)(amount)")
        }
        values.removeFirst()
        let type = argument.type
        func need(_ isGood: Bool, _ what: String) throws(Failure) {
            guard isGood else { throw mistake(offset, "\(name) takes \(what), not a \(type)") }
        }
        switch name {
        case "sum":
            try need(type.isNumber || type == .duration, "a number or duration")
            return call(.sum, argument, type)
        case "avg":
            try need(type.isNumber, "a number")
            return call(.avg, argument, type == .int ? .decimal(scale: 6) : type)
        case "stddev":
            try need(type.isNumber, "a number")
            let scale = type == .int ? 6 : min(type.scale + 2, Limits.decimalScaleMax)
            return call(.stddev, argument, .decimal(scale: scale))
        case "min", "max":
            try need(type != .text && type != .bool, "a number, time or duration")
            return call(name == "min" ? .min : .max, argument, type)
        case "first": return call(.first, argument, type)
        case "last": return call(.last, argument, type)
        case "distinct": return call(.distinct, argument, .int)
        default:
            try need(type.isNumber || type == .duration, "a number or duration")
            guard let share = values.first, case .literal(.number(let number, let scale)) = share.node,
                let perMille = Decimal.rescale(number, from: scale, to: 3), (0...1000).contains(perMille), scale <= 3
            else { throw mistake(offset, "quantile takes a value and a share from 0 to 1, like quantile(amount, 0.99)") }
            values.removeFirst()
            return call(.quantile(perMille: Int(perMille)), argument, type)
        }
    }
}
