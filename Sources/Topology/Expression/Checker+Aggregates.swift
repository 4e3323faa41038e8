import Base
import Records

/// Aggregate functions as they are written.
enum AggregateName: String, CaseIterable {
    case count, sum, avg, min, max, first, last, distinct, stddev, quantile, days
    case windowStart = "window_start"
    case windowEnd = "window_end"

    var usage: String {
        switch self {
        case .count: "count() or count(amount > 100)"
        case .quantile: "quantile(amount, 0.99)"
        case .days, .windowStart, .windowEnd: "\(rawValue)()"
        case .distinct: "distinct(buyer_id) or distinct(buyer_id, exact: 10000)"
        default: "\(rawValue)(amount) or \(rawValue)(amount, kind == \"paid\")"
        }
    }

    /// Arguments, without the condition that may follow.
    var argumentCount: Int {
        switch self {
        case .count, .days, .windowStart, .windowEnd: 0
        case .quantile: 2
        default: 1
        }
    }

    var takesCondition: Bool {
        switch self {
        case .days, .windowStart, .windowEnd: false
        default: true
        }
    }
}

extension ExpressionChecker {
    /// Checks the call against the records of the window and puts it among `aggregates`; what stands in the
    /// output's expression is a column of these. Equal calls are kept once.
    mutating func aggregate(_ text: String, _ arguments: [Syntax], _ syntax: Syntax) -> Operand {
        guard let name = AggregateName(rawValue: text) else { return .unknown }
        guard let window = scope.window else {
            report(
                syntax,
                "\(text) is for the 'aggregate' of a step with a window; here there is one record at a time"
            )
            return .unknown
        }
        guard !isInsideAggregate else {
            report(syntax, "\(text) stands inside another aggregate; each takes values of single records")
            return .unknown
        }
        var (arguments, exact) = (arguments, Limits.distinctExactMax)
        if name == .distinct, let last = arguments.last, case .named("exact", let number) = last.node {
            arguments.removeLast()
            guard let value = exactMax(number) else { return .unknown }
            exact = value
        }
        let required = name.argumentCount
        guard arguments.count == required || (name.takesCondition && arguments.count == required + 1) else {
            report(syntax, "\(text) does not take \(Self.count(arguments)); write \(name.usage)")
            return .unknown
        }
        if name == .days, window == .milliseconds {
            report(
                syntax,
                "days() is for windows of days, like { size: 30d, slide: 1d, zone: Asia/Shanghai }"
            )
            return .unknown
        }
        if window == .session, name == .days || name == .windowStart || name == .windowEnd {
            report(syntax, "\(text) is not for windows with a gap; a session's row has window_start and window_end")
            return .unknown
        }
        isInsideAggregate = true
        defer { isInsideAggregate = false }
        let before = mistakes.count
        let argument = required > 0 ? expression(arguments[0]) : nil
        var condition: Expression?
        if arguments.count > required {
            condition = expecting(.bool, arguments[required], "the condition of \(text)")
        }
        let perMille = name == .quantile ? quantile(arguments[1]) : 0
        guard mistakes.count == before, let perMille, required == 0 || argument != nil,
            arguments.count == required || condition != nil
        else { return .unknown }
        guard var function = function(name, argument, perMille, arguments.first ?? syntax) else {
            return .unknown
        }
        if name == .distinct { function = .distinct(exact: exact) }
        let call = AggregateCall(
            function,
            argument: argument,
            condition: condition,
            type: Self.type(function, argument?.type ?? .int),
            at: position(syntax.offset)
        )
        let column = add(call)
        return .typed(Expression(.column(column), call.type, at: position(syntax.offset)))
    }

    private mutating func add(_ call: AggregateCall) -> Int {
        let text = call.description
        if let index = aggregateTexts.firstIndex(of: text) { return index }
        aggregates.append(call)
        aggregateTexts.append(text)
        return aggregates.count - 1
    }

    /// Different values that `distinct` counts exactly.
    private mutating func exactMax(_ syntax: Syntax) -> Int? {
        if case .number(let value, 0) = syntax.node, value >= 1, value <= Int64(Limits.distinctExactOfStepMax) {
            return Int(value)
        }
        report(
            syntax,
            "exact must be a whole number from 1 to \(Limits.distinctExactOfStepMax), like distinct(buyer_id, exact: 10000)")
        return nil
    }

    /// 0.99 as 990.
    private mutating func quantile(_ syntax: Syntax) -> Int? {
        if case .number(let value, let scale) = syntax.node,
            let perMille = Decimal.rescale(value, from: scale, to: 3),
            Decimal.rescale(perMille, from: 3, to: scale) == value, perMille > 0, perMille < 1000
        {
            return Int(perMille)
        }
        report(syntax, "the quantile must be a number between 0.001 and 0.999, like quantile(amount, 0.99)")
        return nil
    }

    private mutating func function(
        _ name: AggregateName,
        _ argument: Expression?,
        _ perMille: Int,
        _ syntax: Syntax
    ) -> AggregateFunction? {
        let type = argument?.type ?? .int
        let isGood: Bool
        let wanted: String
        switch name {
        case .sum, .avg, .stddev, .quantile: (isGood, wanted) = (type.isNumber, "numbers")
        case .min, .max:
            (isGood, wanted) = (type != .text && type != .bool, "numbers, timestamps or durations")
        default: (isGood, wanted) = (true, "anything")
        }
        guard isGood else {
            report(syntax, "\(name.rawValue) takes \(wanted), not \(type)")
            return nil
        }
        switch name {
        case .count: return .count
        case .sum: return .sum
        case .avg: return .avg
        case .min: return .min
        case .max: return .max
        case .first: return .first
        case .last: return .last
        case .distinct: return .distinct(exact: Limits.distinctExactMax)
        case .stddev: return .stddev
        case .quantile: return .quantile(perMille: perMille)
        case .days: return .days
        case .windowStart: return .windowStart
        case .windowEnd: return .windowEnd
        }
    }

    private static func type(_ function: AggregateFunction, _ argument: ValueType) -> ValueType {
        switch function {
        case .count, .distinct, .days: .int
        case .sum, .min, .max, .first, .last, .quantile: argument
        case .avg: argument == .int ? .decimal(scale: 6) : argument
        case .stddev:
            argument == .int
                ? .decimal(scale: 6) : .decimal(scale: min(argument.scale + 2, Limits.decimalScaleMax))
        case .windowStart, .windowEnd: .timestamp
        }
    }
}
