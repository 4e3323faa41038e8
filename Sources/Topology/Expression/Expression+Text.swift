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
        let parts = [argument?.description, condition.map { "where \($0)" }].compactMap { $0 }
        return "\(function)(\(parts.joined(separator: " "))):\(type)"
    }

    /// The same with columns by their names: their numbers change when another rule uses another field.
    package func text(in schema: Schema) -> String {
        var result = ""
        var rest = description[...]
        while let dollar = rest.firstIndex(of: "$") {
            let digits = rest[rest.index(after: dollar)...].prefix { $0.isNumber }
            result += rest[..<dollar]
            if let index = Int(digits), schema.fields.indices.contains(index) { result += schema.fields[index].name }
            rest = rest[digits.endIndex...]
        }
        return result + rest
    }
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
    func remapped(_ map: [Int]) -> Expression {
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
}
