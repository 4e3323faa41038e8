import Base
import Records

/// `sinks.<name>`
package struct SinkReader {
    package static let keys = ["kafka", "redis", "file", "from", "rules"]
    package static let example = "{ kafka: { topic: risk-alerts } }"

    package let context: ReadingContext
    package let steps: [StepDraft]
    package let stepNames: [String]
    /// Rules without mistakes, and the names of all.
    package let rules: [RuleSpec]
    package let ruleNames: [String]
    /// Topics that sources read, with the sources' names.
    package let sourceTopics: [String: String]
    /// The topology's name.
    package let topology: String

    /// What no sink may be called: `replay` writes late records and dead letters to files of these names.
    package static let reserved = ["late", "dead-letter"]

    package func read(_ entry: YamlEntry) -> SinkSpec? {
        let before = context.diagnostics.count
        guard context.checkName(entry, "sink"),
            let mapping = MappingReader(
                entry.value,
                "sink \(entry.key)",
                keys: Self.keys,
                at: entry.keyPosition,
                context,
                example: Self.example
            )
        else { return nil }
        if Self.reserved.contains(entry.key) {
            let what = entry.key == "late" ? "late records" : "dead letters"
            context.error(
                entry.keyPosition,
                "'\(entry.key)' is where \(what) go (\(entry.key).jsonl in replay); give the sink another name")
        }
        let input = readInput(mapping)
        let target = readTarget(mapping, input)
        guard context.diagnostics.count == before, let target, let input else { return nil }
        return SinkSpec(name: entry.key, target: target, input: input, position: entry.keyPosition)
    }

    private func readInput(_ mapping: MappingReader) -> SinkSpec.Input? {
        if let node = mapping["from"] {
            if mapping["rules"] != nil {
                context.error(
                    mapping.keyPosition("rules"),
                    "a sink takes the results of steps ('from') or alerts ('rules'), not both"
                )
            }
            guard let names = context.names(node, "from", example: "from: [turnover, today]") else {
                return nil
            }
            let indices = resolve(names, "step", known: steps.map(\.name), all: stepNames)
            return indices.map { .steps($0) }
        }
        guard let node = mapping["rules"] else { return .alerts(rules: Array(rules.indices)) }
        guard let names = context.names(node, "rules", example: "rules: [volume-spike]") else { return nil }
        return resolve(names, "rule", known: rules.map(\.name), all: ruleNames).map { .alerts(rules: $0) }
    }

    /// Two sinks must not write one file, nor one that a source reads.
    package static func checkFiles(_ sinks: [SinkSpec], _ sources: [SourceSpec], _ context: ReadingContext) {
        var owners: [String: String] = [:]
        for source in sources {
            if case .file(let path) = source.origin { owners[normal(path)] = "source \(source.name) reads" }
        }
        for sink in sinks {
            guard case .file(let path) = sink.target else { continue }
            if let owner = owners[normal(path)] {
                context.error(sink.position, "\(owner) the file of sink \(sink.name); give this one a path of its own")
            }
            owners[normal(path)] = "sink \(sink.name) writes"
        }
    }

    /// A path without what makes no difference: `./a//b/../c` is `a/c`.
    private static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
        }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }

    /// nil if one is not there; no mistake for those that have one of their own.
    private func resolve(_ names: [ScalarText], _ what: String, known: [String], all: [String]) -> [Int]? {
        var indices: [Int] = []
        for name in names {
            if let index = known.firstIndex(of: name.text) {
                indices.append(index)
            } else if !all.contains(name.text) {
                context.error(
                    name.position,
                    "no \(what) '\(name.shown)'\(NearestName.hint(name.text, among: all))"
                )
            }
        }
        return indices.count == names.count ? indices : nil
    }

    // MARK: Targets

    private func readTarget(_ mapping: MappingReader, _ input: SinkSpec.Input?) -> SinkSpec.Target? {
        let given = ["kafka", "redis", "file"].filter { mapping.isGiven($0) }
        guard given.count == 1, let kind = given.first else {
            let place = given.count > 1 ? mapping.keyPosition(given[1]) : mapping.position
            let found = given.isEmpty ? "none" : ReadingContext.list(given, "and")
            context.error(
                place,
                "\(mapping.what) needs one of kafka, redis and file, not \(found); write kafka: { topic: "
                    + "risk-alerts }"
            )
            return nil
        }
        guard let node = mapping[kind] else { return nil }
        let place = mapping.keyPosition(kind)
        switch kind {
        case "kafka":
            guard
                let kafka = MappingReader(
                    node,
                    "kafka",
                    keys: ["topic"],
                    at: place,
                    context,
                    example: "kafka: { topic: risk-alerts }"
                ),
                let topicNode = kafka.required("topic", example: "topic: risk-alerts"),
                let topic = context.topic(topicNode)
            else { return nil }
            if let source = sourceTopics[topic] {
                context.error(
                    topicNode.position,
                    "source \(source) reads this topic; a topology must not read what it writes"
                )
            }
            if let use = TopologySpec.ownTopicUse(topic, of: topology) {
                context.error(topicNode.position, "'\(topic)' is the topology's own topic of \(use); take another one")
            }
            return .kafka(topic: topic)
        case "file":
            guard
                let file = MappingReader(
                    node,
                    "file",
                    keys: ["path"],
                    at: place,
                    context,
                    example: "file: { path: alerts.jsonl }"
                ),
                let path = file.requiredText("path", example: "path: alerts.jsonl")
            else { return nil }
            return .file(path: path.text)
        default: return readRedis(node, place, mapping, input)
        }
    }

    private func readRedis(
        _ node: YamlNode,
        _ place: Position,
        _ mapping: MappingReader,
        _ input: SinkSpec.Input?
    ) -> SinkSpec.Target? {
        let example = "redis: { key: \"merchant:{merchant_id}\", ttl: 2d }"
        guard
            let redis = MappingReader(
                node,
                "redis",
                keys: ["key", "ttl", "url"],
                at: place,
                context,
                example: example
            )
        else {
            return nil
        }
        let pattern = redis.requiredText("key", example: "key: \"merchant:{merchant_id}\"")
        let ttl = redis.required("ttl", example: "ttl: 2d").flatMap { context.duration($0, "ttl", least: 1) }
        let url = redis.text("url", example: "url: \"${env:REDIS_URL}\"")
        guard mapping.isGiven("from") else {
            context.error(
                mapping.position,
                "\(mapping.what) needs 'from'; Redis takes the results of steps with a window, like "
                    + "from: [today]"
            )
            return nil
        }
        var drafts: [StepDraft] = []
        if case .steps(let indices) = input { drafts = indices.map { steps[$0] } }
        for draft in drafts where !draft.hasWindow {
            context.error(
                mapping.keyPosition("from"),
                "step \(draft.name) has no window; Redis takes the results of steps with a window"
            )
        }
        guard let pattern, let parts = keyParts(pattern, drafts.filter(\.hasWindow)), let ttl else {
            return nil
        }
        if redis["url"] != nil, url == nil { return nil }
        return .redis(key: parts, ttl: ttl, url: url?.text)
    }

    private func keyParts(_ pattern: ScalarText, _ drafts: [StepDraft]) -> [SinkSpec.KeyPart]? {
        let parts: [ScalarText.TemplatePart]
        switch pattern.templateParts() {
        case .failure(let mistake):
            context.report(mistake, pattern)
            return nil
        case .success(let found): parts = found
        }
        var result: [SinkSpec.KeyPart] = []
        var named: Set<String> = []
        for part in parts {
            switch part {
            case .text(let text): result.append(.text(text))
            case .expression(let text):
                let quoted = text.text.count > 2 && text.text.hasPrefix("`") && text.text.hasSuffix("`")
                let name = quoted ? String(text.text.dropFirst().dropLast()) : text.text
                for draft in drafts {
                    guard let key = draft.key, !key.contains(name) else { continue }
                    context.error(
                        text.position,
                        "step \(draft.name) has no key field "
                            + "'\(text.shown)'\(NearestName.hint(name, among: key))"
                    )
                    return nil
                }
                named.insert(name)
                result.append(.field(name))
            }
        }
        for draft in drafts {
            guard let missing = draft.key?.first(where: { !named.contains($0) }) else { continue }
            context.error(
                pattern.position,
                "the key leaves out '\(missing)', so different keys of step \(draft.name) would share "
                    + "one entry; write {\(missing)} in it"
            )
            return nil
        }
        return result
    }
}
