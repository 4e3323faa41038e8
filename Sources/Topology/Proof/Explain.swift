import Records

/// What a topology compiles to, for people and for drawing programs. Shows no setting that may be secret.
package enum Explain {
    package enum Format: String, Sendable, CaseIterable { case text, dot, mermaid, json }

    package static func render(
        _ spec: TopologySpec,
        format: Format,
        _ model: LatencyModel = LatencyModel()
    ) -> String {
        switch format {
        case .text: text(spec, model)
        case .dot: dot(spec)
        case .mermaid: mermaid(spec)
        case .json: json(spec, model)
        }
    }

    // MARK: Text

    private static func text(_ spec: TopologySpec, _ model: LatencyModel) -> String {
        var lines = [
            "topology \(spec.name): \(spec.guarantee.rawValue), latency \(ValueText.duration(spec.latency))",
            "ruleset \(spec.ruleset)",
            "logic \(spec.logic)",
        ]
        let operators = OperatorBound.all(spec)
        for (index, source) in spec.sources.enumerated() {
            let isStream = source.origin.isStream
            lines += [
                "",
                isStream
                    ? "stream \(source.name): \(made(source, spec))"
                    : "source \(source.name): \(origin(source)), \(source.format.name)",
            ]
            let names = source.schema.fields.map { "\($0.name) \($0.type)\($0.isOptional ? "?" : "")" }
            lines.append("  fields: \(names.joined(separator: ", "))")
            if let key = spec.partitionKey(of: index) {
                lines.append(
                    key.isEmpty ? "  all in one task" : "  partitioned by: \(key.joined(separator: ", "))")
            }
            if isStream { continue }
            for bound in operators where bound.source == index {
                lines += bound.lines.map { "  state: \($0)" }
            }
            if let table = source.table {
                let key = table.key.map { source.schema.fields[$0].name }.joined(separator: ", ")
                let kind = table.isBroadcast ? ", in every lane" : ""
                let versions =
                    source.redisTable == nil ? ", versions of \(ValueText.duration(table.versions))" : ""
                lines.append("  table: by \(key)\(versions)\(kind)")
            }
            guard source.timeField >= 0 else { continue }
            lines.append(
                "  time: \(source.schema.fields[source.timeField].name), out of order by "
                    + "\(ValueText.duration(source.outOfOrder)), "
                    + "idle after \(ValueText.duration(source.idle)), ahead by "
                    + "\(ValueText.duration(source.ahead))"
            )
        }
        let bounds = StateBound.all(spec)
        let estimates = Estimate.all(spec)
        for (index, step) in spec.steps.enumerated() {
            lines += [
                "",
                "step \(name(of: index, spec)): from \(input(step, spec))\(step.condition == nil ? "" : ", filtered")",
            ]
            if let join = joinText(step, spec) { lines.append("  join: \(join)") }
            if step.only != nil {
                lines.append("  only: \(step.schema.fields.map(\.name).joined(separator: ", "))")
            }
            if !step.key.isEmpty { lines.append("  key: \(keyNames(step).joined(separator: ", "))") }
            for estimate in estimates where estimate.step == index {
                lines.append("  \(estimate.description)")
            }
            for bound in operators where bound.step == index { lines += bound.lines.map { "  state: \($0)" } }
            guard let window = step.window else { continue }
            lines.append("  window: \(windowText(window))")
            let outputs = step.outputs.map { "\($0.name) \($0.expression.type)" }
            lines.append("  results: \(outputs.joined(separator: ", "))")
            for bound in bounds where bound.step == index { lines.append("  state: \(bound.description)") }
        }
        let paths = LatencyProof.paths(spec, model)
        for (index, rule) in spec.rules.enumerated() {
            let names = rule.on.map { spec.steps[$0].name }.joined(separator: ", ")
            lines += [
                "",
                "rule \(rule.name): on \(names) at \(rule.at.rawValue), \(rule.risk), "
                    + "\(rule.severity.rawValue)",
            ]
            lines.append("  when: \(rule.condition)")
            for path in paths where path.rule == index {
                let terms = path.terms.map { "\($0.name) \(ValueText.duration($0.milliseconds))" }
                lines.append(
                    "  latency: \(ValueText.duration(path.total)) over \(path.description) "
                        + "(\(terms.joined(separator: ", ")))"
                )
            }
        }
        for sink in spec.sinks {
            lines += [
                "",
                "sink \(sink.name): \(inputs(sink, spec).joined(separator: ", ")) to \(sink.target.shown)",
            ]
        }
        lines += ["", "topics:"]
        lines += topics(spec).map { "  \($0.name): \($0.use)" }
        return lines.joined(separator: "\n") + "\n"
    }

    package static func origin(_ source: SourceSpec) -> String {
        switch source.origin {
        case .kafka(let topic, let start): "topic \(topic) from \(start.rawValue)"
        case .repartition(let topic): "topic \(topic)"
        case .stream: "a stream"
        case .file(let path): "file \(path)"
        case .redis(let table):
            "Redis at \(table.key.pattern), kept for \(ValueText.duration(table.stale)), waits "
                + ValueText.duration(table.timeout)
        case .generate(let generate):
            "generated, \(generate.rate) records/s of \(generate.merchants) merchants"
        }
    }

    /// What a stream is made by.
    static func made(_ source: SourceSpec, _ spec: TopologySpec) -> String {
        guard case .stream(let step) = source.origin else { return origin(source) }
        guard let operation = spec.steps[step].operation else {
            return "the closed windows of \(spec.steps[step].name)"
        }
        let inputs = operation.inputs.map { name(of: $0, spec) }.joined(separator: " and ")
        return "\(operation.part.definition ?? operation.part.name) of \(inputs)"
    }

    static func input(_ step: StepSpec, _ spec: TopologySpec) -> String {
        switch step.input {
        case .source(let index): spec.sources[index].name
        case .step(let index): name(of: index, spec)
        }
    }

    /// Steps that take in the rows of an operator go by its step's name and a number, since an author's name
    /// stands for what the operator makes.
    static func name(of step: Int, _ spec: TopologySpec) -> String {
        let intakes = spec.steps.compactMap(\.operation?.inputs).first { $0.contains(step) }
        guard let place = intakes?.firstIndex(of: step) else {
            let name = spec.steps[step].name
            // What a step with `only` has before it hands on some.
            let isWhole = spec.steps.contains { $0.only != nil && $0.name == name && $0.input == .step(step) }
            return isWhole ? "\(name)/whole" : name
        }
        return "\(spec.steps[step].name)/\(place + 1)"
    }

    /// `left with registry on merchant_id`
    static func joinText(_ step: StepSpec, _ spec: TopologySpec) -> String? {
        guard let join = step.join else { return nil }
        let on = join.on.map { step.schema.fields[$0].name }.joined(separator: ", ")
        return "\(join.isLeft ? "left" : "inner") with \(spec.sources[join.table].name) on \(on)"
    }

    static func keyNames(_ step: StepSpec) -> [String] { step.key.map { step.schema.fields[$0].name } }

    static func windowText(_ window: WindowSpec) -> String {
        let until = window.excludesCurrent
        switch window.length {
        case .milliseconds(let size, let slide):
            let sliding = size == slide ? "" : " sliding by \(ValueText.duration(slide))"
            return ValueText.duration(size) + sliding + (until ? ", until the current slide" : "")
        case .days(let size, let slide, let zone):
            let sliding = size == slide ? "" : " sliding by \(slide)d"
            return "\(size)d\(sliding) in \(zone)" + (until ? ", until yesterday" : "")
        case .weeks(let size, let slide, let zone): return calendarText(size, slide, "w", zone, until)
        case .months(let size, let slide, let zone): return calendarText(size, slide, "mo", zone, until)
        }
    }

    private static func calendarText(_ size: Int, _ slide: Int, _ unit: String, _ zone: String, _ until: Bool)
        -> String
    {
        "\(size)\(unit)\(size == slide ? "" : " sliding by \(slide)\(unit)") in \(zone)"
            + (until ? ", until the current slide" : "")
    }

    static func inputs(_ sink: SinkSpec, _ spec: TopologySpec) -> [String] {
        switch sink.input {
        case .alerts(let rules): rules.map { spec.rules[$0].name }
        case .steps(let steps): steps.map { spec.steps[$0].name }
        }
    }

    /// Topics that are read or written by name, and the two that refused and late records go to.
    static func topics(_ spec: TopologySpec) -> [(name: String, use: String)] {
        var topics: [(String, String)] = []
        for source in spec.sources {
            if case .kafka(let topic, _) = source.origin {
                let reader =
                    source.isBroadcast
                    ? "by every lane, table" : source.table != nil ? "by table" : "by source"
                topics.append((topic, "read \(reader) \(source.name)"))
            }
        }
        let split = spec.repartitioned()
        for repartition in split.repartitions {
            let key = split.sources[repartition.source].key.joined(separator: ", ")
            let step = split.steps[repartition.step].name
            let what = "records of \(split.sources[repartition.origin].name)"
            let place =
                repartition.isGathered ? "all in the first partition, for \(step)" : "partitioned by \(key)"
            topics.append((repartition.topic, "\(what), \(place)"))
        }
        for sink in spec.sinks {
            if let topic = sink.topic { topics.append((topic, "written by sink \(sink.name)")) }
        }
        topics.append(("\(spec.name)-dead-letter", "records that cannot be used"))
        topics.append(("\(spec.name)-late", "records that come after their windows are closed"))
        return topics
    }
}
