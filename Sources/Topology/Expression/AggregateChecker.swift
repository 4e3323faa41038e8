import Base
import Records

/// Checks calls of aggregates. What they are called with is checked by the checker of the expression they
/// stand in.
enum AggregateChecker {
    /// Checks the call against the records of the window and puts it among `aggregates`; what stands in the
    /// output's expression is a column of these. Equal calls are kept once.
    static func check(
        _ text: String,
        _ arguments: [Syntax],
        _ syntax: Syntax,
        in checker: inout ExpressionChecker
    ) -> ExpressionChecker.Operand {
        guard let name = AggregateName(rawValue: text) else { return .unknown }
        guard let window = checker.scope.window else {
            checker.report(
                syntax,
                "\(text) is for the 'aggregate' of a step with a window; here there is one record at a time"
            )
            return .unknown
        }
        guard !checker.isInsideAggregate else {
            checker.report(
                syntax,
                "\(text) stands inside another aggregate; each takes values of single records"
            )
            return .unknown
        }
        var (arguments, exact) = (arguments, Limits.distinctExactMax)
        if name == .distinct, let last = arguments.last, case .named("exact", let number) = last.node {
            arguments.removeLast()
            guard let value = exactMax(number, in: &checker) else { return .unknown }
            exact = value
        }
        let required = name.argumentCount
        guard arguments.count == required || (name.takesCondition && arguments.count == required + 1) else {
            checker.report(
                syntax,
                "\(text) does not take \(FunctionChecker.count(arguments)); write \(name.usage)"
            )
            return .unknown
        }
        if window == .records, name == .days || name == .windowStart || name == .windowEnd {
            checker.report(syntax, "\(text) is for windows; the last records of a key have none")
            return .unknown
        }
        if name == .days, window == .milliseconds {
            checker.report(
                syntax,
                "days() is for windows of days, like { size: 30d, slide: 1d, zone: Asia/Shanghai }"
            )
            return .unknown
        }
        if window == .session, name == .days || name == .windowStart || name == .windowEnd {
            checker.report(
                syntax,
                "\(text) is not for windows with a gap; a session's row has window_start and window_end"
            )
            return .unknown
        }
        checker.isInsideAggregate = true
        defer { checker.isInsideAggregate = false }
        let before = checker.mistakes.count
        let argument = required > 0 ? checker.expression(arguments[0]) : nil
        var condition: Expression?
        if arguments.count > required {
            condition = checker.expecting(.bool, arguments[required], "the condition of \(text)")
        }
        let perMille = name == .quantile ? quantile(arguments[1], in: &checker) : 0
        guard checker.mistakes.count == before, let perMille, required == 0 || argument != nil,
            arguments.count == required || condition != nil
        else { return .unknown }
        guard var function = function(name, argument, perMille, arguments.first ?? syntax, in: &checker)
        else {
            return .unknown
        }
        if name == .distinct { function = .distinct(exact: exact) }
        let call = AggregateCall(
            function,
            argument: argument,
            condition: condition,
            type: Self.type(function, argument?.type ?? .int),
            at: checker.position(syntax.offset)
        )
        let column = checker.aggregates.add(call)
        return .typed(Expression(.column(column), call.type, at: checker.position(syntax.offset)))
    }

    /// Different values that `distinct` counts exactly.
    private static func exactMax(_ syntax: Syntax, in checker: inout ExpressionChecker) -> Int? {
        if case .number(let value, 0) = syntax.node, value >= 1, value <= Int64(Limits.distinctExactOfStepMax)
        {
            return Int(value)
        }
        checker.report(
            syntax,
            "exact must be a whole number from 1 to \(Limits.distinctExactOfStepMax), like distinct(buyer_id, exact: 10000)"
        )
        return nil
    }

    /// 0.99 as 990.
    private static func quantile(_ syntax: Syntax, in checker: inout ExpressionChecker) -> Int? {
        if case .number(let value, let scale) = syntax.node,
            let perMille = Decimal.rescale(value, from: scale, to: 3),
            Decimal.rescale(perMille, from: 3, to: scale) == value, perMille > 0, perMille < 1000
        {
            return Int(perMille)
        }
        checker.report(
            syntax,
            "the quantile must be a number between 0.001 and 0.999, like quantile(amount, 0.99)"
        )
        return nil
    }

    private static func function(
        _ name: AggregateName,
        _ argument: Expression?,
        _ perMille: Int,
        _ syntax: Syntax,
        in checker: inout ExpressionChecker
    ) -> AggregateFunction? {
        let type = argument?.type ?? .int
        let isGood: Bool
        let wanted: String
        switch name {
        case .sum, .avg, .stddev, .quantile: (isGood, wanted) = (type.isNumber, "numbers")
        case .min, .max:
            (isGood, wanted) = (type != .bool, "numbers, texts, timestamps or durations")
        default: (isGood, wanted) = (true, "anything")
        }
        guard isGood else {
            checker.report(syntax, "\(name.rawValue) takes \(wanted), not \(type)")
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
