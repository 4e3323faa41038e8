import Records

extension Explain {
    private enum Kind { case source, step, window, rule, sink }

    private struct Graph {
        var nodes: [(id: String, kind: Kind, lines: [String])] = []
        var edges: [(from: String, to: String)] = []
    }

    private static func graph(_ spec: TopologySpec) -> Graph {
        var graph = Graph()
        for (index, source) in spec.sources.enumerated() {
            graph.nodes.append(
                (
                    "source\(index)", source.origin.isStream ? .step : .source,
                    [source.name, made(source, spec)]
                ))
            if case .stream(let step) = source.origin {
                for input in spec.steps[step].operation?.inputs ?? [step] {
                    graph.edges.append(("step\(input)", "source\(index)"))
                }
            }
        }
        let bounds = StateBound.all(spec)
        let operators = OperatorBound.all(spec)
        for (index, step) in spec.steps.enumerated() {
            var lines = [name(of: index, spec)]
            if !step.key.isEmpty { lines.append("key \(keyNames(step).joined(separator: ", "))") }
            if let window = step.window { lines.append(windowText(window)) }
            for bound in bounds where bound.step == index {
                lines.append("\(StateBound.size(bound.bytesPerKey)) per key")
            }
            for bound in operators where bound.step == index {
                lines.append(bound.bytesMax.map { "at most \(StateBound.size($0))" } ?? "grows with its keys")
            }
            graph.nodes.append(("step\(index)", step.window == nil ? .step : .window, lines))
            for view in step.operation?.views ?? [] { graph.edges.append(("step\(view)", "step\(index)")) }
            if let join = step.join { graph.edges.append(("source\(join.table)", "step\(index)")) }
            switch step.input {
            case .source(let input): graph.edges.append(("source\(input)", "step\(index)"))
            case .step(let input): graph.edges.append(("step\(input)", "step\(index)"))
            }
        }
        for (index, rule) in spec.rules.enumerated() {
            graph.nodes.append(
                ("rule\(index)", .rule, [rule.name, "at \(rule.at.rawValue)", rule.severity.rawValue])
            )
            for step in rule.on { graph.edges.append(("step\(step)", "rule\(index)")) }
        }
        for (index, sink) in spec.sinks.enumerated() {
            graph.nodes.append(("sink\(index)", .sink, [sink.name, sink.target.shown]))
            switch sink.input {
            case .alerts(let rules): graph.edges += rules.map { ("rule\($0)", "sink\(index)") }
            case .steps(let steps): graph.edges += steps.map { ("step\($0)", "sink\(index)") }
            }
        }
        return graph
    }

    /// For Graphviz.
    static func dot(_ spec: TopologySpec) -> String {
        func quoted(_ lines: [String]) -> String {
            let escaped = lines.map { $0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") }
            return "\"\(escaped.joined(separator: "\\n"))\""
        }
        let graph = graph(spec)
        var lines = ["digraph \(quoted([spec.name])) {", "    rankdir=LR;", "    node [shape=box];"]
        for node in graph.nodes {
            let shape =
                switch node.kind {
                case .source, .sink: "cylinder"
                case .step: "box"
                case .window: "box3d"
                case .rule: "diamond"
                }
            lines.append("    \(node.id) [shape=\(shape), label=\(quoted(node.lines))];")
        }
        lines += graph.edges.map { "    \($0.from) -> \($0.to);" }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    /// For Mermaid.
    static func mermaid(_ spec: TopologySpec) -> String {
        func escaped(_ lines: [String]) -> String {
            lines.map {
                $0.replacing("#", with: "#35;").replacing("\"", with: "#quot;").replacing("<", with: "#lt;")
            }
            .joined(separator: "<br/>")
        }
        let graph = graph(spec)
        var lines = ["flowchart LR"]
        for node in graph.nodes {
            let label = "\"\(escaped(node.lines))\""
            let shape =
                switch node.kind {
                case .source, .sink: "[(\(label))]"
                case .step: "[\(label)]"
                case .window: "[[\(label)]]"
                case .rule: "{{\(label)}}"
                }
            lines.append("    \(node.id)\(shape)")
        }
        lines += graph.edges.map { "    \($0.from) --> \($0.to)" }
        return lines.joined(separator: "\n") + "\n"
    }
}
