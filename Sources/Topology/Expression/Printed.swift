import Records

/// A typed expression as text, fully parenthesised: for `explain`, for tests, and to tell equal ones.
package enum Printed {
    package static func text(_ expression: Expression) -> String {
        switch expression.node {
        case .literal(let value): literal(value)
        case .column(let index): "#\(index)"
        case .not(let operand): "(not \(text(operand)))"
        case .negate(let operand): "(-\(text(operand)))"
        case .binary(let operation, let left, let right): "(\(text(left)) \(operation.rawValue) \(text(right)))"
        case .inList(let operand, let members):
            "(\(text(operand)) in [\(members.map(literal).joined(separator: ", "))])"
        case .inRange(let operand, let low, let high): "(\(text(operand)) in \(text(low))..\(text(high)))"
        case .isNull(let operand): "(\(text(operand)) is null)"
        case .conditional(let condition, let yes, let no):
            "(if \(text(condition)) then \(text(yes)) else \(text(no)))"
        case .call(let function, let arguments):
            "\(function)(\(arguments.map(text).joined(separator: ", ")))"
        }
    }

    private static func literal(_ value: Value) -> String {
        switch value {
        case .null: "null"
        case .bool(let truth): truth ? "true" : "false"
        case .number(let number, let scale): Decimal.string(number, scale: scale)
        case .text(let text): YamlNode.quoted(text)
        case .timestamp(let time): CivilTime.string(time)
        case .duration(let duration): ValueText.duration(duration)
        }
    }
}
