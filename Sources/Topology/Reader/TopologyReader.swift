import Base
import Records

/// Reads a topology file strictly: everything in it is known, typed and bounded, or it is a mistake with its
/// place. All mistakes are found in one go; what follows only from another mistake is not reported.
package enum TopologyReader {
    /// Rules of another text of the topology that are read beside its own, and named apart. The text has no
    /// mistake by itself.
    package struct Variant: Sendable {
        package var prefix: String
        package var text: String
        package var parameters: [String: String]

        package init(prefix: String, text: String, parameters: [String: String]) {
            (self.prefix, self.text, self.parameters) = (prefix, text, parameters)
        }
    }

    /// `parameters` are those of the command line. The spec is there exactly if no diagnostic is an error.
    /// Rules of `variants` are behind its own, and no sink takes them.
    package static func read(
        _ text: String,
        file: String,
        catalogue: Catalogue,
        parameters: [String: String] = [:],
        variants: [Variant] = [],
        environment: Environment = .system
    ) -> (spec: TopologySpec?, diagnostics: [Diagnostic]) {
        let yaml = YamlReader.read(text, file: file)
        guard let root = yaml.root else { return (nil, yaml.diagnostics) }
        let context = ReadingContext(file: file, catalogue: catalogue, environment: environment)
        for diagnostic in yaml.diagnostics { context.error(diagnostic.position, diagnostic.message) }
        let spec = FileReader(context: context, text: text, variants: variants).read(root, parameters)
        return (context.hasErrors ? nil : spec, context.sortedDiagnostics())
    }

    /// The parameters of a text alone, the same on every machine: what stands for secrets is not looked up.
    /// nil: it is no mapping of YAML.
    package static func parameters(of text: String, given: [String: String]) -> [ParameterSpec]? {
        let unknown = Environment(variable: { _ in "?" }, fileText: { _ in "?" }, zones: .system)
        let context = ReadingContext(file: "", catalogue: Catalogue(), environment: unknown)
        return YamlReader.read(text, file: "").root.flatMap {
            FileReader(context: context, text: text, variants: []).parameters($0, given)
        }
    }
}

private struct FileReader {
    static let keys = [
        "topology", "guarantee", "latency", "zone", "keys", "parameters", "kafka", "models", "sources",
        "steps", "rules", "sinks",
    ]

    let context: ReadingContext
    let text: String
    let variants: [TopologyReader.Variant]

    private var start: Position { Position(line: 1, column: 1) }

    private func top(_ root: YamlNode) -> MappingReader? {
        MappingReader(
            root, "the topology", keys: Self.keys, at: start, context, example: "topology: merchant-risk")
    }

    func parameters(_ root: YamlNode, _ given: [String: String]) -> [ParameterSpec]? {
        top(root).map { readParameters($0, given) }
    }

    func read(_ root: YamlNode, _ parameters: [String: String]) -> TopologySpec? {
        guard let mapping = top(root) else { return nil }
        let declared = readParameters(mapping, parameters)
        let name = readName(mapping)
        let guarantee = mapping["guarantee"].flatMap {
            context.choice($0, "guarantee", ["exactly-once", "at-least-once"])
        }
        let latency = mapping["latency"].flatMap { context.duration($0, "latency", least: 1) } ?? 3000
        let zone = mapping["zone"].flatMap { context.zone($0) }
        let keys = mapping["keys"].flatMap {
            context.integer($0, "keys", 1...1_000_000_000, example: "keys: 1000000")
        }
        let kafka = readKafka(mapping)
        var spec = TopologySpec(
            name: name ?? "",
            guarantee: guarantee == "at-least-once" ? .atLeastOnce : .exactlyOnce,
            latency: latency,
            sources: [],
            steps: [],
            rules: [],
            sinks: [],
            kafka: kafka,
            ruleset: ruleset(),
            keys: keys ?? Limits.keysPerTaskDefault
        )
        spec.parameters = declared
        readNodes(mapping, zone: zone, isZoneKnown: mapping["zone"] == nil || zone != nil, into: &spec)
        guard !context.hasErrors else { return nil }
        warnOfUnusedParameters()
        for (name, model) in context.models.sorted(by: { $0.key < $1.key }) where !model.isUsed {
            context.warn(model.position, "no step scores with the model '\(name)'")
        }
        if spec.steps.isEmpty {
            context.warn(start, "the topology has no steps; write steps: { paid: \(StepReader.example) }")
        }
        for diagnostic in StateBound.check(spec, file: context.file) {
            context.error(diagnostic.position, diagnostic.message)
        }
        Pruning.warnOfUnused(spec, context)
        for index in spec.sources.indices {
            guard let mistake = spec.keyMistake(of: index) else { continue }
            context.warn(spec.sources[index].position, "source '\(spec.sources[index].name)' \(mistake)")
        }
        for index in spec.steps.indices {
            guard let mistake = spec.joinMistake(of: index) else { continue }
            context.warn(spec.steps[index].position, "step '\(spec.steps[index].name)' \(mistake)")
        }
        var pruned = Pruning.withoutUnusedFields(spec)
        pruned.logic = Logic.hash(pruned)
        return pruned
    }

    // MARK: The top of the file

    private func readName(_ mapping: MappingReader) -> String? {
        guard let text = mapping.requiredText("topology", example: "topology: merchant-risk") else {
            return nil
        }
        if TopologySpec.isName(text.text) { return text.text }
        context.error(
            text.position,
            "'\(text.shown)' is no name for a topology; it has a-z, 0-9 and -, and begins with a letter"
        )
        return nil
    }

    private func readKafka(_ mapping: MappingReader) -> [String: String] {
        guard let node = mapping["kafka"] else { return [:] }
        let example = "kafka: { linger.ms: 5 }"
        var settings: [String: String] = [:]
        for entry in context.named(node, "kafka", example: example) {
            settings[entry.key] = context.scalar(entry.value, entry.key, example: example)?.text
        }
        return settings
    }

    // MARK: Parameters

    private func readParameters(_ mapping: MappingReader, _ given: [String: String]) -> [ParameterSpec] {
        var specs: [ParameterSpec] = []
        if let node = mapping["parameters"] {
            for entry in context.named(node, "parameters", example: "parameters: { spike: 5 }") {
                guard context.checkName(entry, "parameter") else { continue }
                // Declared also after a mistake, so that its uses are no mistakes.
                let given = given[entry.key].map { ScalarText(text: $0, position: start, columns: []) }
                let (value, spec) = ParameterReader(context: context).read(entry, given: given)
                context.parameters[entry.key] = .init(value: value, position: entry.keyPosition)
                specs.append(spec)
            }
        }
        let declared = context.parameters.keys.sorted()
        for name in given.keys.sorted() where context.parameters[name] == nil {
            let hint =
                declared.isEmpty
                ? "; the file declares no parameters" : NearestName.hint(name, among: declared)
            context.error(
                mapping.keyPosition("parameters"),
                "--set \(name): no parameter '\(name)'\(hint)"
            )
        }
        context.hasParameters = true
        return specs
    }

    private func warnOfUnusedParameters() {
        for (name, parameter) in context.parameters.sorted(by: { $0.key < $1.key }) where !parameter.isUsed {
            context.warn(
                parameter.position,
                "the parameter '\(name)' is not used; write ${\(name)} where its value belongs"
            )
        }
    }

    /// Changes exactly when the file or a parameter does. Secrets stand in it as they are written.
    private func ruleset() -> String {
        var bytes = Array(text.utf8)
        for (name, parameter) in context.parameters.sorted(by: { $0.key < $1.key }) {
            bytes += Array("\n\(name)=\(parameter.value?.shown ?? "")".utf8)
        }
        return "sha256:\(Sha256.hex(bytes))"
    }

    // MARK: Nodes

    private func entries(_ mapping: MappingReader, _ key: String, example: String) -> [YamlEntry] {
        guard let node = mapping[key] else { return [] }
        let entries = context.named(node, key, example: example)
        if entries.count > Limits.nodesMax {
            context.error(entries[Limits.nodesMax].keyPosition, "more than \(Limits.nodesMax) \(key)")
        }
        return Array(entries.prefix(Limits.nodesMax))
    }

    private func readNodes(
        _ mapping: MappingReader,
        zone: String?,
        isZoneKnown: Bool,
        into spec: inout TopologySpec
    ) {
        // A zone with a mistake is as good as any for finding other mistakes.
        let zone = isZoneKnown ? zone : "UTC"
        let sourceExample = "sources: { orders: { kafka: { topic: orders }, ... } }"
        _ = mapping.required("sources", example: sourceExample)
        let sources: [SourceDraft] = entries(mapping, "sources", example: sourceExample).map {
            SourceReader(context: context, zone: zone).read($0)
        }
        let areSourcesGood = sources.allSatisfy { $0.spec != nil }
        spec.sources = sources.compactMap(\.spec)
        for source in spec.sources {
            guard case .kafka = source.origin, case .published(let format) = source.format,
                let lack = format.topicLack
            else { continue }
            context.warn(source.position, "source '\(source.name)': \(lack)")
        }
        spec.models = ModelReader(context: context).read(
            entries(mapping, "models", example: ModelReader.example))
        let stepEntries = entries(mapping, "steps", example: "steps: { paid: \(StepReader.example) }")
        let stepNames = stepEntries.map(\.key)
        let graph = StepGraph(context: context, zone: zone, sources: sources, entries: stepEntries)
        let steps = graph.read()
        spec.steps = steps.compactMap(\.spec)
        spec.sources += graph.streams
        // Indices of sources and steps hold only if none is left out.
        require(
            context.hasErrors || (areSourcesGood && spec.steps.count == steps.count),
            "a source or step was left out without a diagnostic"
        )
        let ruleEntries = entries(mapping, "rules", example: "rules: { big: \(RuleReader.example) }")
        let rules = RuleReader(context: context, zone: zone, steps: steps, stepNames: stepNames)
        spec.rules = ruleEntries.compactMap { rules.read($0) }
        var topics: [String: String] = [:]
        for source in spec.sources {
            guard case .kafka(let topic, _) = source.origin else { continue }
            topics[topic] = source.name
            if let use = TopologySpec.ownTopicUse(topic, of: spec.name) {
                context.error(
                    source.position,
                    "source \(source.name) reads '\(topic)', the topology's own topic of \(use); a topology must not read "
                        + "what it writes")
            }
        }
        let sinks = SinkReader(
            context: context,
            steps: steps,
            stepNames: stepNames,
            rules: spec.rules,
            ruleNames: ruleEntries.map(\.key),
            sourceTopics: topics,
            topology: spec.name
        )
        let example = "sinks: { alerts: \(SinkReader.example(context.catalogue)) }"
        spec.sinks = entries(mapping, "sinks", example: example).compactMap { sinks.read($0) }
        SinkReader.checkFiles(spec.sinks, spec.sources, context)
        for variant in variants { spec.rules += readRules(variant, rules) }
    }

    private func readRules(_ variant: TopologyReader.Variant, _ reader: RuleReader) -> [RuleSpec] {
        let own = (context.parameters, context.hasParameters)
        defer { (context.parameters, context.hasParameters) = own }
        (context.parameters, context.hasParameters) = ([:], false)
        guard let root = YamlReader.read(variant.text, file: context.file).root,
            let mapping = top(root)
        else { return [] }
        _ = readParameters(mapping, variant.parameters)
        return entries(mapping, "rules", example: "rules: { big: \(RuleReader.example) }").compactMap {
            entry in
            guard var rule = reader.read(entry) else { return nil }
            rule.alertName = rule.name
            rule.name = variant.prefix + rule.name
            return rule
        }
    }
}
