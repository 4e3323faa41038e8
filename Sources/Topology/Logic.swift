import Base
import Records

/// What a topology computes, whatever its file looks like: a text of the typed plan in which everything has its name
/// instead of its place, and its hash. It changes with every condition, field, window, bound, topic and parameter that is
/// used, and not with comments, layout, the order of named things, what nothing uses, or where it connects to (raw `kafka`
/// settings and addresses, which may hold secrets). Of levels, keys and lists the order has a meaning and counts.
enum Logic {
    static func hash(_ spec: TopologySpec) -> String { "sha256:\(Sha256.hex(Array(text(spec).utf8)))" }

    /// A line for each node, sorted.
    static func text(_ spec: TopologySpec) -> String {
        let plan = Plan(spec)
        var lines = spec.sources.indices.map { plan.source($0) }
        lines += spec.steps.indices.map { plan.step($0) }
        lines += spec.rules.map { plan.rule($0) }
        lines += spec.sinks.map { plan.sink($0) }
        let head = "topology \(JsonText.quoted(spec.name)) \(spec.guarantee.rawValue) \(spec.latency)"
        return ([head] + lines.sorted()).joined(separator: "\n") + "\n"
    }

    private struct Plan {
        let spec: TopologySpec
        /// Names by place. Several steps of one operator have one name, and are told apart by their order.
        let sources: [String]
        let steps: [String]

        init(_ spec: TopologySpec) {
            self.spec = spec
            sources = Self.unique(spec.sources.map(\.name))
            steps = Self.unique(spec.steps.map(\.name))
        }

        private static func unique(_ names: [String]) -> [String] {
            var counts: [String: Int] = [:]
            return names.map { name in
                counts[name, default: 0] += 1
                return "\(JsonText.quoted(name))#\(counts[name] ?? 0)"
            }
        }

        // MARK: Nodes

        func source(_ index: Int) -> String {
            let source = spec.sources[index]
            let names = names(of: source.schema)
            let origin =
                switch source.origin {
                case .stream(let step): "stream \(steps[step])"
                case .redis(let table): "redis \(dump(table.key)) \(table.stale) \(table.timeout)"
                default: dump(source.origin)
                }
            var parts = [origin, source.format.rawValue, dump(source.key)]
            parts.append(list(source.wire.map { field in
                "\(dump(field.path)) \(text(field.field)) \(field.zone ?? "") \(field.isRounded)"
            }))
            parts.append(list(source.derived.map { derived($0, names) }))
            parts.append(source.timeField >= 0 ? names[source.timeField] : "timeless")
            parts.append("\(source.outOfOrder) \(source.idle) \(source.ahead)")
            if let table = source.table {
                let deleted = names.indices.contains(table.deleted) ? names[table.deleted] : ""
                parts.append("table \(table.key.map { names[$0] }) \(table.versions) \(table.isBroadcast) \(deleted)")
            }
            return "source \(sources[index]) \(parts.joined(separator: "; "))"
        }

        func step(_ index: Int) -> String {
            let step = spec.steps[index]
            let names = names(of: step.schema)
            let input =
                switch step.input {
                case .source(let source): "source \(sources[source])"
                case .step(let before): "step \(steps[before])"
                }
            // The order of the fields is that of what a sink writes.
            var parts = [input, step.only == nil ? list(step.schema.fields.map { text($0) }) : "only \(names)"]
            if let join = step.join {
                let table = self.names(of: spec.sources[join.table].schema)
                parts.append(
                    "join \(sources[join.table]) \(join.on.map { names[$0] }) \(join.isLeft) "
                        + list(join.columns.map { table[$0] }))
            }
            if let condition = step.condition { parts.append("where \(text(condition, names))") }
            parts.append(list(step.derived.map { derived($0, names) }))
            parts.append("key \(step.key.map { names[$0] })")
            if let window = step.window {
                parts.append("window \(dump(window.length)) \(window.excludesCurrent)")
                parts.append(results(step.outputs, of: step.aggregates, names))
            }
            if let maker = step.maker { parts.append(self.maker(maker)) }
            return "step \(steps[index]) \(parts.joined(separator: "; "))"
        }

        private func maker(_ maker: OperatorSpec) -> String {
            let inputs = maker.inputs.map { names(of: spec.steps[$0].schema) }
            var text = "\(maker.kind.name) of \(maker.inputs.map { steps[$0] }) makes "
                + list(maker.schema.fields.map { self.text($0) })
            if let session = maker.kind as? SessionSpec {
                return text + " \(session.gap) \(session.max) \(results(session.outputs, of: session.aggregates, inputs[0]))"
            }
            if let union = maker.kind as? UnionSpec {
                let pairs = union.columns.enumerated().map { input, columns in list(columns.map { inputs[input][$0] }) }
                return text + " \(pairs)"
            }
            let columns = Self.columns[maker.kind.name] ?? [:]
            text += " " + dump(maker.kind) { label, value in
                if let input = columns[label], let column = value as? Int { return inputs[input][column] }
                if let input = columns[label], let columns = value as? [Int] { return "\(columns.map { inputs[input][$0] })" }
                // What an operator computes, it computes of its last input but a loop's.
                if let expression = value as? Expression { return self.text(expression, inputs[inputs.count - 1]) }
                return nil
            }
            return text
        }

        /// Properties of operators that are columns, with the input that they are of.
        private static let columns: [String: [String: Int]] = [
            "top": ["by": 0], "sequence": ["by": 0],
            "fund flow": ["account": 0, "loan": 0, "disbursed": 0, "source": 1, "target": 1, "amount": 1],
            "levels": ["action": 0, "item": 0, "until": 0, "reason": 0, "owner": 0],
        ]

        func rule(_ rule: RuleSpec) -> String {
            let names = names(of: rule.scope)
            let message = rule.message.map { part in
                switch part {
                case .text(let text): JsonText.quoted(text)
                case .value(let expression): text(expression, names)
                }
            }
            let parts = [
                "on \(rule.on.map { steps[$0] })", "when \(text(rule.when, names))",
                "clear \(rule.clear.map { text($0, names) } ?? "")", rule.at.rawValue, JsonText.quoted(rule.risk),
                rule.severity.rawValue, JsonText.quoted(rule.measure), message.joined(separator: " "),
            ]
            return "rule \(JsonText.quoted(rule.name)) \(parts.joined(separator: "; "))"
        }

        func sink(_ sink: SinkSpec) -> String {
            let input =
                switch sink.input {
                case .alerts(let rules): "alerts \(list(rules.map { JsonText.quoted(spec.rules[$0].name) }))"
                case .steps(let indices): "results \(list(indices.map { steps[$0] }))"
                }
            return "sink \(JsonText.quoted(sink.name)) \(sink.target.logic); \(input)"
        }

        // MARK: Parts

        private func names(of schema: Schema) -> [String] { schema.fields.map { JsonText.quoted($0.name) } }

        private func text(_ field: Field) -> String {
            "\(JsonText.quoted(field.name)) \(field.type)\(field.isOptional ? "?" : "")"
        }

        private func derived(_ field: DerivedField, _ names: [String]) -> String {
            "\(JsonText.quoted(field.name)) \(text(field.expression, names)) \(field.isOptional)"
        }

        /// Results by their names, with the aggregates in the place of their columns.
        private func results(_ outputs: [DerivedField], of calls: [AggregateCall], _ names: [String]) -> String {
            let texts = calls.map { call in
                "\(call.function)(\(call.argument.map { text($0, names) } ?? "") "
                    + "where \(call.condition.map { text($0, names) } ?? "")):\(call.type)"
            }
            return list(outputs.map { derived($0, texts) })
        }

        /// In an order of their own.
        private func list(_ parts: [String]) -> String { "[\(parts.sorted().joined(separator: ", "))]" }

        private func text(_ expression: Expression, _ names: [String]) -> String {
            func text(_ operand: Expression) -> String { self.text(operand, names) }
            let node =
                switch expression.node {
                case .literal(let value): value.description
                case .column(let index): names[index]
                case .not(let operand): "(not \(text(operand)))"
                case .negate(let operand): "(- \(text(operand)))"
                case .binary(let operation, let left, let right): "(\(text(left)) \(operation.rawValue) \(text(right)))"
                case .inList(let operand, let values): "(\(text(operand)) in \(values.map(\.description)))"
                case .inRange(let operand, let low, let high): "(\(text(operand)) in \(text(low))..\(text(high)))"
                case .isNull(let operand): "(\(text(operand)) is null)"
                case .conditional(let condition, let yes, let no): "(if \(text(condition)) then \(text(yes)) else \(text(no)))"
                case .call(let function, let arguments): "\(function)(\(arguments.map(text).joined(separator: ", ")))"
                }
            return "\(node):\(expression.type)"
        }

        /// Every property of a value, its places in the file left out; what `known` has a text for is that text.
        private func dump(_ value: Any, _ known: (String, Any) -> String? = { _, _ in nil }) -> String {
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
}
