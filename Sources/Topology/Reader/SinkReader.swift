import Base
import Records

/// `sinks.<name>`
package struct SinkReader {
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

    private var parts: [any SinkPart.Type] { context.catalogue.sinks }

    package static func example(_ catalogue: Catalogue) -> String {
        "{ \(catalogue.sinks.first?.example ?? "") }"
    }

    package func read(_ entry: YamlEntry) -> SinkSpec? {
        let before = context.diagnostics.count
        guard context.checkName(entry, "sink"),
            let mapping = MappingReader(
                entry.value,
                "sink \(entry.key)",
                keys: parts.map { $0.key } + ["from", "rules"],
                at: entry.keyPosition,
                context,
                example: Self.example(context.catalogue)
            )
        else { return nil }
        if Self.reserved.contains(entry.key) {
            let what = entry.key == "late" ? "late records" : "dead letters"
            context.error(
                entry.keyPosition,
                "'\(entry.key)' is where \(what) go (\(entry.key).jsonl in replay); give the sink another name"
            )
        }
        let input = readInput(mapping)
        let target = readTarget(entry.key, mapping, input)
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
            guard let path = sink.target.file else { continue }
            if let owner = owners[normal(path)] {
                context.error(
                    sink.position, "\(owner) the file of sink \(sink.name); give this one a path of its own")
            }
            owners[normal(path)] = "sink \(sink.name) writes"
        }
    }

    /// A path without what makes no difference: `./a//b/../c` is `a/c`.
    private static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else {
                parts.append(part)
            }
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

    private func readTarget(_ name: String, _ mapping: MappingReader, _ input: SinkSpec.Input?) -> (
        any SinkPart
    )? {
        let given = parts.filter { mapping.isGiven($0.key) }
        guard given.count == 1, let part = given.first else {
            let place = given.count > 1 ? mapping.keyPosition(given[1].key) : mapping.position
            let found = given.isEmpty ? "none" : ReadingContext.list(given.map { $0.key }, "and")
            context.error(
                place,
                "\(mapping.what) needs one of \(ReadingContext.list(parts.map { $0.key }, "and")), not \(found); write "
                    + (parts.first?.example ?? ""))
            return nil
        }
        guard let node = mapping[part.key] else { return nil }
        var takes = SinkScope.Input.alerts
        if mapping.isGiven("from") {
            var drafts: [StepDraft] = []
            if case .steps(let indices) = input { drafts = indices.map { steps[$0] } }
            takes = .steps(drafts)
        }
        let scope = SinkScope(
            context: context, name: name, what: mapping.what, position: mapping.position,
            place: mapping.keyPosition(part.key),
            inputPosition: mapping.keyPosition("from"), input: takes, sourceTopics: sourceTopics,
            topology: topology)
        return part.read(node, scope)
    }
}
