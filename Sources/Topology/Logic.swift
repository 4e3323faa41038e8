import Base
import Records

/// What a topology computes, whatever its file looks like: a text of the typed plan in which everything has
/// its name instead of its place, and its hash. It changes with every condition, field, window, bound, topic
/// and parameter that is used, and not with comments, layout, the order of named things, what nothing uses,
/// or where it connects to (raw `kafka` settings and addresses, which may hold secrets). Of levels, keys and
/// lists the order has a meaning and counts.
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

    /// What a rule computes, in the same words.
    static func text(of rule: RuleSpec, in spec: TopologySpec) -> String { Plan(spec).rule(rule) }
    static func text(ofStep step: Int, in spec: TopologySpec) -> String { Plan(spec).step(step) }

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
            var parts = [origin, source.format.name, dump(source.key)]
            if case .published(let part) = source.format, !part.logic.isEmpty { parts.append(part.logic) }
            parts.append(
                list(
                    source.wire.map { field in
                        "\(dump(field.path)) \(text(field.field)) \(field.zone ?? "") \(field.isRounded)"
                            + (field.reading == FieldReading() ? "" : " \(dump(field.reading))")
                            + (field.part.map { " \(dump($0))" } ?? "")
                    }))
            parts.append(list(source.derived.map { derived($0, names) }))
            parts.append(source.timeField >= 0 ? names[source.timeField] : "timeless")
            parts.append("\(source.outOfOrder) \(source.idle) \(source.ahead)")
            if let table = source.table {
                let deleted = names.indices.contains(table.deleted) ? names[table.deleted] : ""
                parts.append(
                    "table \(table.key.map { names[$0] }) \(table.versions) \(table.isBroadcast) \(deleted)")
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
            var parts = [
                input, step.only == nil ? list(step.schema.fields.map { text($0) }) : "only \(names)",
            ]
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
            if let operation = step.operation { parts.append(self.operation(operation)) }
            return "step \(steps[index]) \(parts.joined(separator: "; "))"
        }

        private func operation(_ operation: OperatorSpec) -> String {
            let text = LogicText(inputs: operation.inputs.map { LogicText.names(of: spec.steps[$0].schema) })
            let views = operation.views.isEmpty ? "" : " with \(operation.views.map { steps[$0] })"
            return "\(operation.part.name) of \(operation.inputs.map { steps[$0] })\(views) makes "
                + "\(list(operation.schema.fields.map { self.text($0) })) \(operation.part.logic(text))"
        }

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
                "clear \(rule.clear.map { text($0, names) } ?? "")", rule.at.rawValue,
                JsonText.quoted(rule.risk),
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

        private func names(of schema: Schema) -> [String] { LogicText.names(of: schema) }

        private func text(_ field: Field) -> String {
            "\(JsonText.quoted(field.name)) \(field.type)\(field.isOptional ? "?" : "")"
        }

        private func text(_ expression: Expression, _ names: [String]) -> String {
            LogicText.text(expression, names)
        }
        private func derived(_ field: DerivedField, _ names: [String]) -> String {
            LogicText.derived(field, names)
        }
        private func results(_ outputs: [DerivedField], of calls: [AggregateCall], _ names: [String])
            -> String
        {
            LogicText.results(outputs, of: calls, names)
        }
        private func list(_ parts: [String]) -> String { LogicText.list(parts) }
        private func dump(_ value: Any) -> String { LogicText.dump(value) { _, _ in nil } }
    }
}

extension TopologySpec {
    /// What one of its rules computes, however the file looks: equal for rules that are the same.
    package func logic(of rule: RuleSpec) -> String { Logic.text(of: rule, in: self) }
    package func logic(ofStep step: Int) -> String { Logic.text(ofStep: step, in: self) }
}
