import Base
import Records

/// Which types the operators of two sides take, and which one they give.
enum OperatorTyping {
    struct Mistake: Error {
        let message: String

        init(_ message: String) { self.message = message }
    }

    /// `operation` is none of `and` and `or`, whose sides are conditions.
    static func type(
        of operation: BinaryOperator,
        _ left: ValueType,
        _ right: ValueType
    ) throws(Mistake) -> ValueType {
        switch operation {
        case .and, .or: unreachable("conditions are checked as such")
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            try comparison(operation, left, right)
        case .add, .subtract, .multiply, .divide, .remainder: try arithmetic(operation, left, right)
        }
    }

    private static func comparison(
        _ operation: BinaryOperator,
        _ left: ValueType,
        _ right: ValueType
    ) throws(Mistake) -> ValueType {
        guard left == right || (left.isNumber && right.isNumber) else {
            let isTime = [left, right].contains(.timestamp) && [left, right].contains(.text)
            let hint = isTime ? ", like timestamp(\"2023-01-05\")" : ""
            throw Mistake("\(left) and \(right) do not compare; both sides must have one type\(hint)")
        }
        if left == .bool, operation != .equal, operation != .notEqual {
            throw Mistake("true and false have no order; only == and != compare them")
        }
        return .bool
    }

    private static func arithmetic(
        _ operation: BinaryOperator,
        _ left: ValueType,
        _ right: ValueType
    ) throws(Mistake) -> ValueType {
        if left.isNumber, right.isNumber { return try number(operation, left, right) }
        switch (operation, left, right) {
        case (.add, .duration, .duration), (.subtract, .duration, .duration),
            (.subtract, .timestamp, .timestamp),
            (.multiply, .duration, .int), (.multiply, .int, .duration), (.multiply, .duration, .decimal),
            (.multiply, .decimal, .duration), (.divide, .duration, .int), (.divide, .duration, .decimal),
            (.remainder, .duration, .duration):
            return .duration
        case (.divide, .duration, .duration): return .decimal(scale: 6)
        case (.add, .timestamp, .duration), (.add, .duration, .timestamp), (.subtract, .timestamp, .duration):
            return .timestamp
        case (.add, .text, .text):
            throw Mistake("'+' does not join texts; write concat(a, b)")
        default:
            throw Mistake("'\(operation.rawValue)' does not take \(left) and \(right)")
        }
    }

    private static func number(
        _ operation: BinaryOperator,
        _ left: ValueType,
        _ right: ValueType
    ) throws(Mistake) -> ValueType {
        switch operation {
        case .multiply:
            let scale = left.scale + right.scale
            guard scale <= Limits.decimalScaleMax else {
                throw Mistake(
                    "the product would have \(scale) digits after the point, more than "
                        + "\(Limits.decimalScaleMax); round one side, like round(x, 2)"
                )
            }
            return .number(scale: scale)
        case .divide: return left != .int && right == .int ? left : .decimal(scale: 6)
        default: return .number(scale: max(left.scale, right.scale))
        }
    }
}
