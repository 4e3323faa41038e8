import Records

extension Explain {
    /// One JSON object; durations in milliseconds.
    static func json(_ spec: TopologySpec, _ model: LatencyModel) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", spec.name)
        json.member("ruleset", spec.ruleset)
        json.member("logic", spec.logic)
        json.member("guarantee", spec.guarantee.rawValue)
        json.member("latency", spec.latency)
        let bounds = StateBound.all(spec)
        let estimates = Estimate.all(spec)
        let operators = OperatorBound.all(spec)
        let paths = LatencyProof.paths(spec, model)
        array(&json, "sources", Array(spec.sources.indices)) { index, json in
            write(spec.sources[index], &json)
            names(&json, "key", spec.partitionKey(of: index) ?? [])
            if let bound = operators.first(where: { $0.source == index }) { write(bound, &json) }
        }
        array(&json, "steps", Array(spec.steps.indices)) { index, json in
            json.member("name", name(of: index, spec))
            write(spec.steps[index], bounds.first { $0.step == index }, spec, &json)
            if let bound = operators.first(where: { $0.step == index }) { write(bound, &json) }
            let own = estimates.filter { $0.step == index }
            if own.isEmpty { return }
            array(&json, "estimates", own) { estimate, json in
                json.member("result", estimate.result)
                if let exact = estimate.exact { json.member("exact_values", Int64(exact)) }
                json.member("error", estimate.error)
                json.member("text", estimate.description)
            }
        }
        array(&json, "rules", Array(spec.rules.indices)) { index, json in
            write(spec.rules[index], paths.filter { $0.rule == index }, spec, &json)
        }
        array(&json, "sinks", spec.sinks) { sink, json in
            json.member("name", sink.name)
            json.member("target", sink.target.shown)
            names(&json, "inputs", inputs(sink, spec))
        }
        array(&json, "topics", topics(spec)) { topic, json in
            json.member("name", topic.name)
            json.member("use", topic.use)
        }
        json.endObject()
        return json.string + "\n"
    }

    /// `bytes_max` null: it grows with the keys.
    private static func write(_ bound: OperatorBound, _ json: inout JsonWriter) {
        json.name("state")
        json.beginObject()
        json.name("bytes_max")
        if let bytes = bound.bytesMax { json.raw("\(bytes)") } else { json.null() }
        names(&json, "lines", bound.lines)
        json.endObject()
    }

    private static func write(_ source: SourceSpec, _ json: inout JsonWriter) {
        json.member("name", source.name)
        json.member("origin", origin(source))
        json.member("format", source.format.name)
        if let table = source.table {
            names(&json, "table", table.key.map { source.schema.fields[$0].name })
            json.member("broadcast", table.isBroadcast ? "true" : "false")
            json.member("versions", table.versions)
        }
        if source.timeField >= 0 { json.member("time", source.schema.fields[source.timeField].name) }
        json.member("out_of_order", source.outOfOrder)
        json.member("idle", source.idle)
        json.member("ahead", source.ahead)
        fields(&json, "fields", source.schema.fields)
    }

    private static func write(
        _ step: StepSpec,
        _ bound: StateBound?,
        _ spec: TopologySpec,
        _ json: inout JsonWriter
    ) {
        json.member("from", input(step, spec))
        if let join = joinText(step, spec) { json.member("join", join) }
        names(&json, "key", keyNames(step))
        fields(&json, "fields", step.schema.fields)
        guard let window = step.window, let bound else { return }
        json.member("window", windowText(window))
        fields(&json, "results", step.outputs.map { Field(name: $0.name, type: $0.expression.type) })
        json.name("state")
        json.beginObject()
        json.member("panes", bound.panes)
        json.member("bytes_per_key", bound.bytesPerKey)
        json.member("bytes_per_key_max", bound.bytesPerKeyMax)
        json.member("keys", bound.keys)
        json.member("text", bound.description)
        json.endObject()
    }

    private static func write(
        _ rule: RuleSpec,
        _ paths: [LatencyPath],
        _ spec: TopologySpec,
        _ json: inout JsonWriter
    ) {
        json.member("name", rule.name)
        names(&json, "on", rule.on.map { spec.steps[$0].name })
        json.member("at", rule.at.rawValue)
        json.member("when", rule.condition)
        json.member("risk", rule.risk)
        json.member("severity", rule.severity.rawValue)
        array(&json, "paths", paths) { path, json in
            names(&json, "nodes", path.nodes)
            json.member("total", path.total)
            array(&json, "terms", path.terms) { term, json in
                json.member("name", term.name)
                json.member("milliseconds", term.milliseconds)
            }
        }
    }

    // MARK: Lists

    /// A list of objects, of which `body` writes the members.
    private static func array<Element>(
        _ json: inout JsonWriter,
        _ name: String,
        _ elements: [Element],
        _ body: (Element, inout JsonWriter) -> Void
    ) {
        let objects = elements.map { element in
            var inner = JsonWriter()
            inner.beginObject()
            body(element, &inner)
            inner.endObject()
            return inner.string
        }
        json.name(name)
        json.raw("[\(objects.joined(separator: ","))]")
    }

    private static func names(_ json: inout JsonWriter, _ name: String, _ names: [String]) {
        json.name(name)
        json.raw("[\(names.map(JsonText.quoted).joined(separator: ","))]")
    }

    private static func fields(_ json: inout JsonWriter, _ name: String, _ fields: [Field]) {
        array(&json, name, fields) { field, json in
            json.member("name", field.name)
            json.member("type", "\(field.type)\(field.isOptional ? "?" : "")")
        }
    }
}
