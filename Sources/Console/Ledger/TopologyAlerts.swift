import Base
import Connectors
import Engine
import Models
import Records
import Topology

/// A topology's alerts straight from its topics, without an index: for commands.
package struct TopologyAlerts {
    package struct Row {
        package var id: String
        package var time: String
        package var severity: String
        package var rule: String
        package var customer: String
        package var message: String
        package var status = "open"
        package var owner: String?
        fileprivate var value: DocumentValue
        fileprivate var disposition: Disposition?

        /// The alert's record, with its disposition.
        package var json: Json {
            .object([("alert", Json(value)), ("disposition", disposition?.json ?? .null)])
        }
    }

    private let kafka: KafkaSettings
    private let topology: String
    private let spec: TopologySpec?
    private let topics: Set<String>

    /// `file`: of a topology that is not deployed.
    package init(_ kafka: KafkaSettings, topology: String, file: RuleSetText?, policy: ApprovalPolicy? = nil)
        throws(ApiError)
    {
        (self.kafka, self.topology) = (kafka, topology)
        do throws(Fault) {
            var state = TopologyState(name: topology, policy: policy)
            state.file = file
            state.deployment = try Deployment.all(kafka)?[topology]
            if try KafkaAdmin(kafka).partitionCount(of: RuleSetTopics.ruleSets(topology)) != nil {
                try KafkaReader(kafka, topic: RuleSetTopics.ruleSets(topology)).readToEnd { record in
                    if let key = record.keyText { _ = state.history.take(key: key, value: record.value) }
                }
            }
            state.readAgain()
            spec = state.spec
            topics = state.alertTopics
            guard state.text != nil else {
                throw Fault(
                    .user,
                    "the rules of \(topology) are in no topic of \(kafka.bootstrapServers): --file names its file"
                )
            }
        } catch { throw ApiError(error) }
    }

    private func read(_ body: (DocumentValue, DocumentNode) -> Void) throws(Fault) {
        for topic in topics.sorted() where try KafkaAdmin(kafka).partitionCount(of: topic) != nil {
            try KafkaReader(kafka, topic: topic).readToEnd { record in
                guard let bytes = record.value, let value = try? JsonDocument.read(Array(bytes)) else {
                    return
                }
                let node = DocumentNode(value)
                if (try? node["topology"].text) == topology { body(value, node) }
            }
        }
    }

    private func dispositions() throws(Fault) -> [String: Disposition] {
        var found: [String: Disposition] = [:]
        let topic = TopologyLedger.dispositions(topology)
        guard try KafkaAdmin(kafka).partitionCount(of: topic) != nil else { return [:] }
        try KafkaReader(kafka, topic: topic).readToEnd { record in
            if let key = record.keyText, let value = record.value { found[key] = try? Disposition(value) }
        }
        return found
    }

    /// The newest first; of one alert its newest revision.
    package func list(_ filter: AlertFilter, limit: Int) throws(ApiError) -> [Row] {
        do throws(Fault) {
            let known = try dispositions()
            let now = SystemClock().nowMilliseconds
            var rows: [String: Row] = [:]
            try read { value, node in
                func text(_ name: String) -> String { (try? node.optional(name)?.text) ?? "" }
                var row = Row(
                    id: text("alert_id"), time: text("event_time"), severity: text("severity"),
                    rule: text("rule"), customer: text("customer"),
                    message: text("message"), value: value)
                if let disposition = known[row.id] {
                    row.disposition = disposition
                    row.status =
                        disposition.status == "snoozed" && (disposition.until ?? 0) <= now
                        ? "open" : disposition.status
                    row.owner = disposition.owner
                }
                rows[row.id] = row
            }
            return rows.values.filter { row in
                (filter.status.isEmpty || filter.status.contains(row.status))
                    && (filter.severity.isEmpty || filter.severity.contains(row.severity))
                    && (filter.rule.isEmpty || filter.rule.contains(row.rule))
                    && (filter.owner.isEmpty || filter.owner.contains(row.owner ?? ""))
                    && (filter.customer.map { $0 == row.customer } ?? true)
            }.sorted {
                (CivilTime.parse($0.time)?.milliseconds ?? 0, $0.id) > (
                    CivilTime.parse($1.time)?.milliseconds ?? 0, $1.id
                )
            }.prefix(limit).map { $0 }
        } catch { throw ApiError(error) }
    }

    private func find(_ id: String) throws(ApiError) -> Row {
        guard let row = try list(AlertFilter(), limit: .max).first(where: { $0.id == id }) else {
            throw .notFound("there is no alert '\(id.prefix(64))' of \(topology)")
        }
        return row
    }

    package func explain(_ id: String, isJson: Bool) throws(ApiError) -> [String] {
        let row = try find(id)
        let node = DocumentNode(row.value)
        let values = (try? node["values"].members) ?? []
        let rule = spec?.rules.first { $0.name == row.rule }
        let isSame = (try? node["ruleset"].text) == spec?.ruleset
        let tree = isSame ? rule.map { ConditionTree(rule: $0, values: values).json } : nil
        if isJson, case .object(let members) = row.json {
            return [Json.object(members + [("tree", tree ?? .null)]).string]
        }
        var lines = [
            "\(row.severity) \(row.rule) at \(row.time): \(row.message)",
            "  condition \((try? node["condition"].text) ?? "")",
        ]
        for (name, node) in values {
            lines.append("  \(name) = \((try? node.text) ?? Json(node.value).string)")
        }
        if let tree {
            Self.show(tree, depth: 1, into: &lines)
        } else {
            lines.append("  (raised under other rules than those that run now)")
        }
        lines.append(
            "  \(row.status)\(row.owner.map { " by \($0)" } ?? "")\(row.disposition?.note.map { ": \($0)" } ?? "")"
        )
        return lines
    }

    private static func show(_ tree: Json, depth: Int, into lines: inout [String]) {
        guard let members = tree.members, case .text(let text)? = members["text"] else { return }
        var line = String(repeating: "  ", count: depth) + text
        if case .text(let value)? = members["value"] { line += ": \(value)" }
        if case .text(let margin)? = members["margin"] { line += ", margin \(margin)" }
        lines.append(line)
        if case .list(let children)? = members["children"] {
            for child in children { show(child, depth: depth + 1, into: &lines) }
        }
    }

    package func dispose(
        _ id: String, _ action: Disposition.Action, by caller: Caller, outcome: String?, until: Int64?,
        note: String?, revision: Int64?
    ) throws(ApiError) -> Disposition {
        _ = try find(id)
        let now = SystemClock().nowMilliseconds
        return try TopologyLedger(kafka, topology: topology, now: { now }).write { (book) throws(ApiError) in
            try book.dispose(
                id, topology: topology, action, revision: revision ?? book.dispositions[id]?.revision ?? 0,
                caller: caller, outcome: outcome,
                until: until, note: note, at: now)
        }
    }
}
