import Base
import Records

/// Checks calls of functions of one row. What they are called with is checked by the checker of the
/// expression they stand in.
enum FunctionChecker {
    /// Functions of one row, and how each is written.
    private static let usages: [(name: String, usage: String)] = [
        ("abs", "abs(x)"), ("least", "least(a, b)"), ("greatest", "greatest(a, b)"), ("round", "round(x, 2)"),
        ("floor", "floor(x)"), ("ceil", "ceil(x)"), ("coalesce", "coalesce(a, b)"), ("length", "length(t)"),
        ("lower", "lower(t)"), ("upper", "upper(t)"), ("trim", "trim(t)"),
        ("starts_with", "starts_with(t, \"a\")"), ("ends_with", "ends_with(t, \"a\")"),
        ("contains", "contains(t, \"a\")"), ("substring", "substring(t, 0, 3)"), ("concat", "concat(a, b)"),
        ("replace", "replace(t, \"-\", \"\")"), ("split", "split(t, \",\", 0)"),
        ("position", "position(t, \"a\")"),
        ("matches", "matches(t, \"^[0-9]+$\")"), ("extract", "extract(t, \"id=([0-9]+)\")"),
        ("sqrt", "sqrt(x) or sqrt(x, 2)"), ("ln", "ln(x) or ln(x, 2)"), ("log10", "log10(x) or log10(x, 2)"),
        ("exp", "exp(x) or exp(x, 2)"), ("power", "power(x, 2) or power(x, 0.5, 4)"),
        ("distance", "distance(latitude, longitude, latitude2, longitude2)"),
        ("text", "text(x)"), ("number", "number(t, 2)"),
        ("timestamp", "timestamp(t, \"%d.%m.%Y\")"), ("hour", "hour(time)"), ("minute", "minute(time)"),
        ("weekday", "weekday(time)"), ("day", "day(time)"), ("month", "month(time)"), ("year", "year(time)"),
        ("date", "date(time)"), ("start_of_day", "start_of_day(time)"), ("second", "second(time)"),
        ("week", "week(time)"),
        ("quarter", "quarter(time)"), ("start_of_week", "start_of_week(time)"),
        ("start_of_month", "start_of_month(time)"), ("milliseconds", "milliseconds(d)"),
        ("seconds", "seconds(d)"), ("minutes", "minutes(d)"), ("hours", "hours(d)"),
    ]

    static func usage(of name: String) -> String? {
        usages.first { $0.name == name }?.usage ?? AggregateName(rawValue: name)?.usage
    }

    static func check(
        _ name: String,
        _ arguments: [Syntax],
        _ syntax: Syntax,
        in checker: inout ExpressionChecker
    ) -> ExpressionChecker.Operand {
        guard let usage = Self.usage(of: name) else {
            var names = Self.usages.map(\.name)
            if checker.scope.window != nil { names += AggregateName.allCases.map(\.rawValue) }
            let hint = NearestName.nearest(to: name, among: names).map {
                "; did you mean \(Self.usage(of: $0) ?? $0)?"
            }
            checker.report(syntax, "no function '\(name)'\(hint ?? NearestName.hint(name, among: names))")
            // Mistakes inside are mistakes all the same.
            let wasInside = checker.isInsideAggregate
            checker.isInsideAggregate = true
            for argument in arguments { _ = checker.operand(argument) }
            checker.isInsideAggregate = wasInside
            return .unknown
        }
        let counts = Self.argumentCounts(name)
        guard counts.contains(arguments.count) else {
            checker.report(syntax, "\(name) does not take \(Self.count(arguments)); write \(usage)")
            return .unknown
        }
        guard let (function, operands, type) = resolve(name, arguments, syntax, in: &checker) else {
            return .unknown
        }
        return .typed(Expression(.call(function, operands), type, at: checker.position(syntax.offset)))
    }

    static func count(_ arguments: [Syntax]) -> String {
        arguments.count == 1 ? "1 argument" : "\(arguments.count) arguments"
    }

    private static func argumentCounts(_ name: String) -> ClosedRange<Int> {
        switch name {
        case "least", "greatest", "coalesce", "concat": 2...64
        case "round", "starts_with", "ends_with", "contains", "number", "position", "matches", "extract":
            2...2
        case "substring", "replace", "split": 3...3
        case "sqrt", "ln", "log10", "exp": 1...2
        case "power": 2...3
        case "distance": 4...4
        case "timestamp", "text": 1...3
        case "hour", "minute", "weekday", "day", "month", "year", "date", "start_of_day", "second", "week",
            "quarter",
            "start_of_week", "start_of_month":
            1...2
        default: 1...1
        }
    }

    private typealias Call = (Function, [Expression], ValueType)

    private static func resolve(
        _ name: String,
        _ arguments: [Syntax],
        _ syntax: Syntax,
        in checker: inout ExpressionChecker
    ) -> Call? {
        switch name {
        case "abs", "floor", "ceil", "round": return rounding(name, arguments, in: &checker)
        case "least", "greatest", "coalesce": return choice(name, arguments, in: &checker)
        case "timestamp": return TimeFunctions.timestamp(arguments, syntax, in: &checker)
        case "text" where arguments.count > 1: return TimeFunctions.text(arguments, in: &checker)
        case "text":
            guard let operand = checker.expression(arguments[0]) else { return nil }
            return (.text, [operand], .text)
        case "number":
            let operand = checker.expecting(.text, arguments[0], "number")
            guard let places = places(arguments[1], "number(t, 2)", in: &checker), let operand else {
                return nil
            }
            return (.number(scale: places), [operand], .number(scale: places))
        case "length": return texts(.length, arguments, name, .int, in: &checker)
        case "lower": return texts(.lower, arguments, name, .text, in: &checker)
        case "upper": return texts(.upper, arguments, name, .text, in: &checker)
        case "trim": return texts(.trim, arguments, name, .text, in: &checker)
        case "starts_with": return texts(.startsWith, arguments, name, .bool, in: &checker)
        case "ends_with": return texts(.endsWith, arguments, name, .bool, in: &checker)
        case "contains": return texts(.contains, arguments, name, .bool, in: &checker)
        case "replace": return texts(.replace, arguments, name, .text, in: &checker)
        case "position": return texts(.position, arguments, name, .int, in: &checker)
        case "split":
            let operands = arguments.prefix(2).map { checker.expecting(.text, $0, name) }
            guard let place = checker.expecting(.int, arguments[2], name), let text = operands[0],
                let mark = operands[1]
            else {
                return nil
            }
            return (.split, [text, mark, place], .text)
        case "matches", "extract": return PatternFunctions.check(name, arguments, in: &checker)
        case "sqrt", "ln", "log10", "exp", "power", "distance":
            return MathFunctions.check(name, arguments, in: &checker)
        case "concat": return texts(.concat, arguments, name, .text, in: &checker)
        case "substring":
            let operand = checker.expecting(.text, arguments[0], name)
            let start = checker.expecting(.int, arguments[1], name)
            let count = checker.expecting(.int, arguments[2], name)
            guard let operand, let start, let count else { return nil }
            return (.substring, [operand, start, count], .text)
        case "milliseconds": return duration(.milliseconds, arguments, name, in: &checker)
        case "seconds": return duration(.seconds, arguments, name, in: &checker)
        case "minutes": return duration(.minutes, arguments, name, in: &checker)
        case "hours": return duration(.hours, arguments, name, in: &checker)
        default: return timePart(name, arguments, syntax, in: &checker)
        }
    }

    private static func rounding(
        _ name: String,
        _ arguments: [Syntax],
        in checker: inout ExpressionChecker
    ) -> Call? {
        let operand = checker.expression(arguments[0])
        let places = name == "round" ? places(arguments[1], "round(x, 2)", in: &checker) : 0
        guard let operand, let places else { return nil }
        guard operand.type.isNumber || (name == "abs" && operand.type == .duration) else {
            checker.report(arguments[0], "\(name) needs a number, not \(operand.type)")
            return nil
        }
        switch name {
        case "abs": return (.abs, [operand], operand.type)
        case "floor": return (.floor, [operand], .int)
        case "ceil": return (.ceil, [operand], .int)
        default: return (.round(places: places), [operand], .number(scale: places))
        }
    }

    private static func choice(
        _ name: String,
        _ arguments: [Syntax],
        in checker: inout ExpressionChecker
    ) -> Call? {
        guard let (expressions, type) = checker.alike(arguments, "the arguments of \(name)") else {
            return nil
        }
        if name == "coalesce" { return (.coalesce, expressions, type) }
        guard type != .bool else {
            checker.report(arguments[0], "\(name) needs numbers, texts, durations or timestamps, not \(type)")
            return nil
        }
        return (name == "least" ? .least : .greatest, expressions, type)
    }

    private static func texts(
        _ function: Function,
        _ arguments: [Syntax],
        _ name: String,
        _ type: ValueType,
        in checker: inout ExpressionChecker
    ) -> Call? {
        var operands: [Expression] = []
        for argument in arguments {
            guard let operand = checker.expression(argument) else { continue }
            guard operand.type == .text else {
                checker.report(
                    argument,
                    "\(name) needs text, not \(operand.type); text(x) makes text of a value"
                )
                continue
            }
            operands.append(operand)
        }
        return operands.count == arguments.count ? (function, operands, type) : nil
    }

    private static func duration(
        _ function: Function,
        _ arguments: [Syntax],
        _ name: String,
        in checker: inout ExpressionChecker
    ) -> Call? {
        guard let operand = checker.expecting(.duration, arguments[0], name) else { return nil }
        return (function, [operand], .int)
    }

    static func places(
        _ syntax: Syntax,
        _ usage: String,
        in checker: inout ExpressionChecker
    ) -> Int? {
        if case .number(let places, 0) = syntax.node, places >= 0, places <= Limits.decimalScaleMax {
            return Int(places)
        }
        checker.report(
            syntax,
            "the digits after the point must be a number from 0 to \(Limits.decimalScaleMax), like \(usage)"
        )
        return nil
    }

    private static func timePart(
        _ name: String,
        _ arguments: [Syntax],
        _ syntax: Syntax,
        in checker: inout ExpressionChecker
    ) -> Call? {
        let operand = checker.expecting(.timestamp, arguments[0], name)
        var zone = checker.scope.zone
        if arguments.count == 2 {
            guard case .text(let name) = arguments[1].node else {
                checker.report(arguments[1], "the zone must be a written name, like \"Asia/Shanghai\"")
                return nil
            }
            guard checker.scope.zones.isZone(name) else {
                checker.report(arguments[1], checker.scope.zones.mistake(name))
                return nil
            }
            zone = name
        }
        guard let operand else { return nil }
        guard let zone else {
            guard checker.scope.isComplete else { return nil }
            checker.report(
                syntax,
                "\(name) needs a time zone; write \(name)(\(sample(arguments[0])), \"Asia/Shanghai\"), "
                    + "or zone: Asia/Shanghai at the top of the file"
            )
            return nil
        }
        switch name {
        case "hour": return (.hour(zone: zone), [operand], .int)
        case "minute": return (.minute(zone: zone), [operand], .int)
        case "weekday": return (.weekday(zone: zone), [operand], .int)
        case "day": return (.day(zone: zone), [operand], .int)
        case "month": return (.month(zone: zone), [operand], .int)
        case "year": return (.year(zone: zone), [operand], .int)
        case "date": return (.date(zone: zone), [operand], .text)
        case "second": return (.second(zone: zone), [operand], .int)
        case "week": return (.week(zone: zone), [operand], .int)
        case "quarter": return (.quarter(zone: zone), [operand], .int)
        case "start_of_week": return (.startOfWeek(zone: zone), [operand], .timestamp)
        case "start_of_month": return (.startOfMonth(zone: zone), [operand], .timestamp)
        default: return (.startOfDay(zone: zone), [operand], .timestamp)
        }
    }

    private static func sample(_ argument: Syntax) -> String {
        if case .name(let parts) = argument.node { parts.joined(separator: ".") } else { "time" }
    }
}
