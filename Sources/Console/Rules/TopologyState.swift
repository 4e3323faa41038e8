import Base
import Connectors
import Engine
import Models
import Records
import Topology

/// What is known of one topology, from its topics.
package struct TopologyState: Sendable {
    package var name: String
    package var deployment: Deployment?
    /// Of `--topology`: nobody needs to have deployed it.
    package var file: RuleSetText?
    package var history: RuleSetHistory
    /// By key, as `RuleSetTopics.acknowledgements` has them.
    package var acknowledgements: [String: String] = [:]
    package var tasks = 0
    package var changes: [String: RuleChange] = [:]
    package var audit: [Deed] = []
    /// Marks of links that were used (`AcknowledgePage`).
    package var usedLinks: Set<String> = []
    package var chain = AuditChain()
    package var auditFault: (sequence: Int64, reason: String)?
    /// As it runs, and what is wrong with the text.
    package private(set) var spec: TopologySpec?
    package private(set) var diagnostics: [Diagnostic] = []
    private var readText: RuleSetText?

    package struct Deed: Sendable {
        package var sequence: Int64
        package var at: Int64
        package var who: String
        package var action: String
        package var object: String
        package var json: String
    }

    package init(name: String, policy: ApprovalPolicy? = nil) {
        self.name = name
        history = RuleSetHistory(policy, group: name)
    }

    /// What runs, as far as is known.
    package var text: RuleSetText? { history.text(ofEpoch: history.epoch) ?? deployment?.text ?? file }

    package mutating func readAgain() {
        guard let text, text != readText else { return }
        readText = text
        (spec, diagnostics) = text.read()
    }

    /// Topics of its alerts.
    package var alertTopics: Set<String> {
        Set(
            (spec?.sinks ?? []).compactMap { sink in if case .alerts = sink.input { sink.topic } else { nil }
            })
    }

    package var acknowledged: Int {
        (0..<Int32(max(0, tasks))).filter { acknowledgements["\(history.epoch)/\($0)"] != nil }.count
    }

    package mutating func takeAudit(_ value: [UInt8]) {
        let mistake = chain.take(value)
        if let mistake, auditFault == nil { auditFault = (chain.count, mistake) }
        guard let record = try? AuditRecord(value) else { return }
        func detail(_ name: String) -> String? { record.details.first { $0.name == name }?.value }
        let object = detail("object") ?? detail("ruleset") ?? detail("epoch") ?? name
        if let link = detail("link") { usedLinks.insert(link) }
        let known = ["object", "from", "roles", "old", "new", "reason", "link"]
        let rest = record.details.filter { !known.contains($0.name) }.map { "\($0.name) \($0.value)" }.joined(
            separator: ", ")
        let json = Json.object([
            ("seq", .int(record.number)), ("at", .text(record.at)), ("who", .text(record.by)),
            (
                "roles",
                .texts((detail("roles") ?? "").split(separator: ",").map { String($0.drop { $0 == " " }) })
            ),
            ("from", .optional(detail("from"))), ("action", .text(record.action)), ("topology", .text(name)),
            ("object", .text(object)),
            ("old", .optional(detail("old"))),
            ("new", .optional(detail("new") ?? (rest.isEmpty ? nil : rest))),
            ("reason", .optional(detail("reason"))), ("hash", .text("sha256:\(Sha256.hex(value))")),
            ("previous", .text("sha256:\(record.before)")),
        ])
        audit.append(
            Deed(
                sequence: record.number, at: CivilTime.parse(record.at)?.milliseconds ?? 0, who: record.by,
                action: record.action, object: object,
                json: json.string))
    }

    // MARK: For pages

    var zone: String? { spec.flatMap(\.zoneName) }

    func json(metrics: Json?) -> Json {
        let activation = history.activations.last
        var members: [(String, Json)] = [
            ("name", .text(name)), ("file", .optional(text?.file)), ("zone", .text(zone ?? "UTC")),
            ("epoch", .int(history.epoch)),
            ("ruleset", .optional(spec?.ruleset)), ("logic", .optional(spec?.logic)),
            ("author", .optional(activation?.author)),
            ("since", .optional(activation?.at)), ("reason", .optional(activation?.reason)),
            ("tasks", .int(Int64(tasks))),
            ("acknowledged", .int(Int64(history.epoch == 0 ? tasks : acknowledged))),
            ("pool", .optional(deployment?.pool)),
            ("deployed", .bool(deployment?.isWanted ?? false)),
            ("latency_ms", spec.map { .int($0.latency) } ?? .null),
            ("rules", .int(Int64(spec?.rules.count ?? 0))),
            ("sinks", .texts((spec?.sinks ?? []).compactMap(\.topic))),
            ("readable", .bool(spec != nil)),
            (
                "error",
                .optional(
                    spec == nil
                        ? (diagnostics.first.map { "\($0)" } ?? "its text is not known: no epoch was deployed")
                        : nil)
            ),
        ]
        if let metrics { members.append(("metrics", metrics)) }
        return .object(members)
    }

    func activationJson() -> Json {
        let activation = history.activations.last
        var rows: [Json] = []
        for task in 0..<Int32(max(0, tasks)) {
            if let json = acknowledgements["\(history.epoch)/\(task)"] { rows.append(.written(json)) }
        }
        return .object([
            ("topology", .text(name)), ("epoch", .int(history.epoch)),
            ("previous", activation.map { .int($0.previous) } ?? .null),
            ("ruleset", .optional(activation?.ruleset ?? spec?.ruleset)),
            ("logic", .optional(activation?.logic ?? spec?.logic)),
            ("author", .optional(activation?.author)), ("reason", .optional(activation?.reason)),
            ("at", .optional(activation?.at)),
            ("tasks", .int(Int64(tasks))), ("acknowledged", .int(Int64(rows.count))),
            ("complete", .bool(history.epoch == 0 || rows.count == tasks)), ("acknowledgements", .list(rows)),
        ])
    }
}

extension TopologySpec {
    /// The zone that its texts and windows speak in; nil: none is named.
    var zoneName: String? { zones.count == 1 ? zones.first : nil }
}

extension SourceSpec {
    /// The topic that its records come from; nil: they come from elsewhere.
    var kafkaTopic: String? { if case .kafka(let topic, _) = origin { topic } else { nil } }
}
