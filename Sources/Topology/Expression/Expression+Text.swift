import Base
import Records

/// The tree in full, every operator with its type: `(less (column 3):decimal(2) 5:int):bool`. Two expressions
/// that print alike compute the same.
extension Expression: CustomStringConvertible {
    package var description: String {
        switch node {
        case .literal(let value): "\(value.description):\(type)"
        case .column(let index): "$\(index):\(type)"
        case .not(let operand): "(not \(operand)):\(type)"
        case .negate(let operand): "(negate \(operand)):\(type)"
        case .binary(let operation, let left, let right): "(\(left) \(operation.rawValue) \(right)):\(type)"
        case .inList(let operand, let values):
            "(\(operand) in [\(values.map(\.description).joined(separator: ", "))]):\(type)"
        case .inRange(let operand, let low, let high): "(\(operand) in \(low)..\(high)):\(type)"
        case .isNull(let operand): "(\(operand) is null):\(type)"
        case .conditional(let condition, let yes, let no): "(if \(condition) then \(yes) else \(no)):\(type)"
        case .call(let function, let arguments):
            "\(function)(\(arguments.map(\.description).joined(separator: ", "))):\(type)"
        }
    }
}

extension AggregateCall: CustomStringConvertible {
    /// The same for an aggregate: equal texts, equal results.
    package var description: String {
        if case .distinct(Limits.distinctExactMax) = function { return text(of: "distinct") }
        return text(of: "\(function)")
    }

    private func text(of function: String) -> String {
        let parts = [argument?.description, condition.map { "where \($0)" }].compactMap { $0 }
        return "\(function)(\(parts.joined(separator: " "))):\(type)"
    }

    /// What is kept for it: the same with columns by their names, since their numbers change when another
    /// rule uses another field, and without what `distinct` counts exactly, since what was kept with another
    /// limit can be read; and whether its values are counted.
    package func text(in schema: Schema) -> String {
        let isDistinct = if case .distinct = function { true } else { false }
        let text = named(text(of: isDistinct ? "distinct" : "\(function)"), in: schema)
        return text + (isCounted(in: schema) ? "?" : "")
    }

    /// True if the values must be counted to tell whether there is one: a sum of nothing but nulls is null,
    /// and the least of none is.
    package func isCounted(in schema: Schema) -> Bool {
        let mayBeNull = argument.map { $0.mayBeNull(in: schema) } ?? false
        return switch function {
        case .sum: mayBeNull
        case .min, .max: mayBeNull || condition != nil
        default: false
        }
    }
}

extension Expression {
    /// The same with columns by their names.
    package func text(in schema: Schema) -> String { named(description, in: schema) }
}

/// A description with the names of columns in place of their numbers.
private func named(_ description: String, in schema: Schema) -> String {
    var result = ""
    var rest = description[...]
    while let dollar = rest.firstIndex(of: "$") {
        let digits = rest[rest.index(after: dollar)...].prefix { $0.isNumber }
        result += rest[..<dollar]
        if let index = Int(digits), schema.fields.indices.contains(index) {
            result += schema.fields[index].name
        }
        rest = rest[digits.endIndex...]
    }
    return result + rest
}

extension Value: CustomStringConvertible {
    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let value, let scale): Decimal.string(value, scale: scale)
        case .text(let text): text.debugDescription
        case .timestamp(let value): CivilTime.string(value)
        case .duration(let value): ValueText.duration(value)
        }
    }
}

extension Expression {
    /// Every column that it reads, added to `columns`.
    package func collectColumns(into columns: inout Set<Int>) {
        if case .column(let index) = node { columns.insert(index) }
        for operand in operands { operand.collectColumns(into: &columns) }
    }

    /// The expressions below this one.
    package var operands: [Expression] {
        switch node {
        case .literal, .column: []
        case .not(let operand), .negate(let operand), .isNull(let operand), .inList(let operand, _): [operand]
        case .binary(_, let left, let right): [left, right]
        case .inRange(let operand, let low, let high): [operand, low, high]
        case .conditional(let condition, let yes, let no): [condition, yes, no]
        case .call(_, let arguments): arguments
        }
    }

    /// The same with column i as column `map[i]`.
    package func remapped(_ map: [Int]) -> Expression {
        var result = self
        switch node {
        case .literal: break
        case .column(let index): result.node = .column(map[index])
        case .not(let operand): result.node = .not(operand.remapped(map))
        case .negate(let operand): result.node = .negate(operand.remapped(map))
        case .binary(let operation, let left, let right):
            result.node = .binary(operation, left.remapped(map), right.remapped(map))
        case .inList(let operand, let values): result.node = .inList(operand.remapped(map), values)
        case .inRange(let operand, let low, let high):
            result.node = .inRange(operand.remapped(map), low.remapped(map), high.remapped(map))
        case .isNull(let operand): result.node = .isNull(operand.remapped(map))
        case .conditional(let condition, let yes, let no):
            result.node = .conditional(condition.remapped(map), yes.remapped(map), no.remapped(map))
        case .call(let function, let arguments):
            result.node = .call(function, arguments.map { $0.remapped(map) })
        }
        return result
    }

    /// False where every row has a value: its columns have one always, and nothing in it makes a null of
    /// them. A number that does not fit is no null: its record is refused.
    package func mayBeNull(in schema: Schema) -> Bool {
        switch node {
        case .literal(let value): return value == .null
        case .column(let index): return schema.fields[index].isOptional
        case .isNull: return false
        // By zero.
        case .binary(.divide, _, _), .binary(.remainder, _, _): return true
        // A condition that is null is as one that is false.
        case .conditional(_, let yes, let no): return yes.mayBeNull(in: schema) || no.mayBeNull(in: schema)
        case .call(.coalesce, let arguments): return arguments.allSatisfy { $0.mayBeNull(in: schema) }
        case .call(.number, _), .call(.timestamp, _), .call(.split, _), .call(.position, _),
            .call(.extract, _),
            .call(.squareRoot, _), .call(.naturalLogarithm, _), .call(.decimalLogarithm, _), .call(.power, _),
            .call(.distance, _):
            return true
        default: return operands.contains { $0.mayBeNull(in: schema) }
        }
    }
}
