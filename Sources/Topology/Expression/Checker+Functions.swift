import Base
import Records

extension ExpressionChecker {
    /// Functions of one row, and how each is written.
    private static let usages: [(name: String, usage: String)] = [
        ("abs", "abs(x)"), ("least", "least(a, b)"), ("greatest", "greatest(a, b)"), ("round", "round(x, 2)"),
        ("floor", "floor(x)"), ("ceil", "ceil(x)"), ("coalesce", "coalesce(a, b)"), ("length", "length(t)"),
        ("lower", "lower(t)"), ("upper", "upper(t)"), ("trim", "trim(t)"),
        ("starts_with", "starts_with(t, \"a\")"), ("ends_with", "ends_with(t, \"a\")"),
        ("contains", "contains(t, \"a\")"), ("substring", "substring(t, 0, 3)"), ("concat", "concat(a, b)"),
        ("text", "text(x)"), ("number", "number(t, 2)"), ("hour", "hour(time)"), ("minute", "minute(time)"),
        ("weekday", "weekday(time)"), ("day", "day(time)"), ("month", "month(time)"), ("year", "year(time)"),
        ("date", "date(time)"), ("start_of_day", "start_of_day(time)"), ("milliseconds", "milliseconds(d)"),
        ("seconds", "seconds(d)"), ("minutes", "minutes(d)"), ("hours", "hours(d)"),
    ]

    static func usage(of name: String) -> String? {
        usages.first { $0.name == name }?.usage ?? AggregateName(rawValue: name)?.usage
    }

    mutating func call(_ name: String, _ arguments: [Syntax], _ syntax: Syntax) -> Operand {
        guard let usage = Self.usage(of: name) else {
            var names = Self.usages.map(\.name)
            if scope.window != nil { names += AggregateName.allCases.map(\.rawValue) }
            let hint = NearestName.nearest(to: name, among: names).map {
                "; did you mean \(Self.usage(of: $0) ?? $0)?"
            }
            report(syntax, "no function '\(name)'\(hint ?? NearestName.hint(name, among: names))")
            // Mistakes inside are mistakes all the same.
            let wasInside = isInsideAggregate
            isInsideAggregate = true
            for argument in arguments { _ = operand(argument) }
            isInsideAggregate = wasInside
            return .unknown
        }
        let counts = Self.argumentCounts(name)
        guard counts.contains(arguments.count) else {
            report(syntax, "\(name) does not take \(Self.count(arguments)); write \(usage)")
            return .unknown
        }
        guard let (function, operands, type) = resolve(name, arguments, syntax) else { return .unknown }
        return .typed(Expression(.call(function, operands), type, at: position(syntax.offset)))
    }

    static func count(_ arguments: [Syntax]) -> String {
        arguments.count == 1 ? "1 argument" : "\(arguments.count) arguments"
    }

    private static func argumentCounts(_ name: String) -> ClosedRange<Int> {
        switch name {
        case "least", "greatest", "coalesce", "concat": 2...64
        case "round", "starts_with", "ends_with", "contains", "number": 2...2
        case "substring": 3...3
        case "hour", "minute", "weekday", "day", "month", "year", "date", "start_of_day": 1...2
        default: 1...1
        }
    }

    private typealias Call = (Function, [Expression], ValueType)

    private mutating func resolve(_ name: String, _ arguments: [Syntax], _ syntax: Syntax) -> Call? {
        switch name {
        case "abs", "floor", "ceil", "round": return rounding(name, arguments)
        case "least", "greatest", "coalesce": return choice(name, arguments)
        case "text":
            guard let operand = expression(arguments[0]) else { return nil }
            return (.text, [operand], .text)
        case "number":
            let operand = expecting(.text, arguments[0], "number")
            guard let places = places(arguments[1], "number(t, 2)"), let operand else { return nil }
            return (.number(scale: places), [operand], .number(scale: places))
        case "length": return texts(.length, arguments, name, .int)
        case "lower": return texts(.lower, arguments, name, .text)
        case "upper": return texts(.upper, arguments, name, .text)
        case "trim": return texts(.trim, arguments, name, .text)
        case "starts_with": return texts(.startsWith, arguments, name, .bool)
        case "ends_with": return texts(.endsWith, arguments, name, .bool)
        case "contains": return texts(.contains, arguments, name, .bool)
        case "concat": return texts(.concat, arguments, name, .text)
        case "substring":
            let operand = expecting(.text, arguments[0], name)
            let start = expecting(.int, arguments[1], name)
            let count = expecting(.int, arguments[2], name)
            guard let operand, let start, let count else { return nil }
            return (.substring, [operand, start, count], .text)
        case "milliseconds": return duration(.milliseconds, arguments, name)
        case "seconds": return duration(.seconds, arguments, name)
        case "minutes": return duration(.minutes, arguments, name)
        case "hours": return duration(.hours, arguments, name)
        default: return timePart(name, arguments, syntax)
        }
    }

    private mutating func rounding(_ name: String, _ arguments: [Syntax]) -> Call? {
        let operand = expression(arguments[0])
        let places = name == "round" ? places(arguments[1], "round(x, 2)") : 0
        guard let operand, let places else { return nil }
        guard operand.type.isNumber || (name == "abs" && operand.type == .duration) else {
            report(arguments[0], "\(name) needs a number, not \(operand.type)")
            return nil
        }
        switch name {
        case "abs": return (.abs, [operand], operand.type)
        case "floor": return (.floor, [operand], .int)
        case "ceil": return (.ceil, [operand], .int)
        default: return (.round(places: places), [operand], .number(scale: places))
        }
    }

    private mutating func choice(_ name: String, _ arguments: [Syntax]) -> Call? {
        guard let (expressions, type) = alike(arguments, "the arguments of \(name)") else { return nil }
        if name == "coalesce" { return (.coalesce, expressions, type) }
        guard type != .text, type != .bool else {
            report(arguments[0], "\(name) needs numbers, durations or timestamps, not \(type)")
            return nil
        }
        return (name == "least" ? .least : .greatest, expressions, type)
    }

    private mutating func texts(
        _ function: Function,
        _ arguments: [Syntax],
        _ name: String,
        _ type: ValueType
    ) -> Call? {
        var operands: [Expression] = []
        for argument in arguments {
            guard let operand = expression(argument) else { continue }
            guard operand.type == .text else {
                report(argument, "\(name) needs text, not \(operand.type); text(x) makes text of a value")
                continue
            }
            operands.append(operand)
        }
        return operands.count == arguments.count ? (function, operands, type) : nil
    }

    private mutating func duration(_ function: Function, _ arguments: [Syntax], _ name: String) -> Call? {
        guard let operand = expecting(.duration, arguments[0], name) else { return nil }
        return (function, [operand], .int)
    }

    private mutating func places(_ syntax: Syntax, _ usage: String) -> Int? {
        if case .number(let places, 0) = syntax.node, places >= 0, places <= Limits.decimalScaleMax {
            return Int(places)
        }
        report(
            syntax,
            "the digits after the point must be a number from 0 to \(Limits.decimalScaleMax), like \(usage)"
        )
        return nil
    }

    private mutating func timePart(_ name: String, _ arguments: [Syntax], _ syntax: Syntax) -> Call? {
        let operand = expecting(.timestamp, arguments[0], name)
        var zone = scope.zone
        if arguments.count == 2 {
            guard case .text(let name) = arguments[1].node else {
                report(arguments[1], "the zone must be a written name, like \"Asia/Shanghai\"")
                return nil
            }
            guard scope.zones.isZone(name) else {
                report(arguments[1], scope.zones.mistake(name))
                return nil
            }
            zone = name
        }
        guard let operand else { return nil }
        guard let zone else {
            guard scope.isComplete else { return nil }
            report(
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
        default: return (.startOfDay(zone: zone), [operand], .timestamp)
        }
    }

    private func sample(_ argument: Syntax) -> String {
        if case .name(let parts) = argument.node { parts.joined(separator: ".") } else { "time" }
    }
}
