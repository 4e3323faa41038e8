import Base
import Records

/// Functions of numbers whose results are rounded: `sqrt(x)`, `ln(x, 4)`, `power(x, 2)`, `distance(…)`.
enum MathFunctions {
    typealias Call = (Function, [Expression], ValueType)

    /// Digits after the point where none are asked for.
    private static let placesDefault = 6

    static func check(_ name: String, _ arguments: [Syntax], in checker: inout ExpressionChecker) -> Call? {
        if name == "distance" {
            let operands = arguments.map { number($0, name, in: &checker) }
            let known = operands.compactMap { $0 }
            return known.count == operands.count ? (.distance, known, .decimal(scale: 3)) : nil
        }
        let count = name == "power" ? 2 : 1
        let operands = arguments.prefix(count).map { number($0, name, in: &checker) }
        let places =
            arguments.count == count
            ? placesDefault
            : FunctionChecker.places(arguments[count], FunctionChecker.usage(of: name) ?? name, in: &checker)
        let known = operands.compactMap { $0 }
        guard let places, known.count == count else { return nil }
        let type = ValueType.number(scale: places)
        switch name {
        case "sqrt": return (.squareRoot(places: places), known, type)
        case "ln": return (.naturalLogarithm(places: places), known, type)
        case "log10": return (.decimalLogarithm(places: places), known, type)
        case "exp": return (.exponential(places: places), known, type)
        default: return (.power(places: places), known, type)
        }
    }

    private static func number(_ syntax: Syntax, _ name: String, in checker: inout ExpressionChecker)
        -> Expression?
    {
        guard let operand = checker.expression(syntax) else { return nil }
        if operand.type.isNumber { return operand }
        checker.report(syntax, "\(name) needs a number, not \(operand.type)")
        return nil
    }
}
