import Records

/// What a topology computes as text, with everything under its name. An operator writes its own part of it
/// with this.
package struct LogicText {
    /// By input: the names of its columns.
    let inputs: [[String]]

    /// Every property of an operator. `columns`: those that are columns, with the input that they are of.
    package func dump(_ operation: any OperatorPart, columns: [String: Int] = [:]) -> String {
        Self.dump(operation) { label, value in
            if let input = columns[label], let column = value as? Int { return inputs[input][column] }
            if let input = columns[label], let columns = value as? [Int] {
                return "\(columns.map { inputs[input][$0] })"
            }
            // What an operator computes, it computes of its last input.
            if let expression = value as? Expression {
                return Self.text(expression, inputs[inputs.count - 1])
            }
            return nil
        }
    }

    /// Results by their names, with the aggregates of an input's columns in the place of theirs.
    package func results(_ outputs: [DerivedField], of calls: [AggregateCall], input: Int) -> String {
        Self.results(outputs, of: calls, inputs[input])
    }

    /// Fields over the columns of an input and others behind them, in an order of their own.
    package func fields(_ fields: [DerivedField], input: Int, more: [String]) -> String {
        Self.list(fields.map { Self.derived($0, inputs[input] + more.map { JsonText.quoted($0) }) })
    }

    /// Columns of an input, in an order of their own.
    package func list(_ columns: [Int], input: Int) -> String { Self.list(columns.map { inputs[input][$0] }) }

    static func names(of schema: Schema) -> [String] { schema.fields.map { JsonText.quoted($0.name) } }

    static func derived(_ field: DerivedField, _ names: [String]) -> String {
        "\(JsonText.quoted(field.name)) \(text(field.expression, names)) \(field.isOptional)"
    }

    static func results(_ outputs: [DerivedField], of calls: [AggregateCall], _ names: [String]) -> String {
        let texts = calls.map { call in
            "\(call.function)(\(call.argument.map { text($0, names) } ?? "") "
                + "where \(call.condition.map { text($0, names) } ?? "")):\(call.type)"
        }
        return list(outputs.map { derived($0, texts) })
    }

    static func list(_ parts: [String]) -> String { "[\(parts.sorted().joined(separator: ", "))]" }

    static func text(_ expression: Expression, _ names: [String]) -> String {
        func text(_ operand: Expression) -> String { self.text(operand, names) }
        let node =
            switch expression.node {
            case .literal(let value): value.description
            case .column(let index): names[index]
            case .not(let operand): "(not \(text(operand)))"
            case .negate(let operand): "(- \(text(operand)))"
            case .binary(let operation, let left, let right):
                "(\(text(left)) \(operation.rawValue) \(text(right)))"
            case .inList(let operand, let values): "(\(text(operand)) in \(values.map(\.description)))"
            case .inRange(let operand, let low, let high): "(\(text(operand)) in \(text(low))..\(text(high)))"
            case .isNull(let operand): "(\(text(operand)) is null)"
            case .conditional(let condition, let yes, let no):
                "(if \(text(condition)) then \(text(yes)) else \(text(no)))"
            case .call(let function, let arguments):
                "\(function)(\(arguments.map(text).joined(separator: ", ")))"
            }
        return "\(node):\(expression.type)"
    }

    /// Every property of a value, its places in the file left out; what `known` has a text for is that text.
    static func dump(_ value: Any, _ known: (String, Any) -> String?) -> String {
        if let text = value as? String { return JsonText.quoted(text) }
        let mirror = Mirror(reflecting: value)
        if mirror.children.isEmpty { return "\(value)" }
        let parts = mirror.children.compactMap { label, child -> String? in
            if child is Position { return nil }
            let label = label ?? ""
            // What an optional has, has the name of the optional.
            let mirror = Mirror(reflecting: child)
            let content = mirror.displayStyle == .optional ? mirror.children.first?.value ?? child : child
            return "\(label): \(known(label, content) ?? dump(content, known))"
        }
        return "{\(parts.joined(separator: ", "))}"
    }
}
