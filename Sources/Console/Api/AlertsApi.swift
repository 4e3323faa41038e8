import Base
import Connectors
import Http
import Models
import Records

/// Alerts: lists, one of them, what people do with them.
struct AlertsApi: ApiPart {
    let console: Console

    private func filter(_ call: Call) throws(ApiError) -> AlertFilter {
        try AlertFilter(call.request.query, caller: call.caller)
    }

    func listAlerts(_ call: Call) throws(ApiError) -> ServedAnswer {
        let order = try AlertOrder(
            sort: call.request.parameter("sort"), cursor: call.request.parameter("cursor"))
        let filter = try filter(call)
        let limit = try call.limit()
        let time = now()
        let page = try asked { () throws(Fault) in try index.list(filter, order, limit: limit, now: time) }
        return ServedAnswer(
            200,
            .object([
                ("alerts", .list(page.alerts.map { $0.json(masked: call.caller.seesMasked) })),
                ("next", .optional(page.next)),
                ("total", .int(page.total)), ("total_is_exact", .bool(page.isTotalExact)),
                ("index", indexJson),
            ]))
    }

    func countAlerts(_ call: Call) throws(ApiError) -> ServedAnswer {
        let filter = try filter(call)
        let time = now()
        var members: [(String, Json)] = []
        for column in ["topology", "rule", "risk", "severity", "status", "owner"] {
            let counts = try asked { () throws(Fault) in try index.counts(column, filter, now: time) }
            let rows = counts.map { (name, count) -> Json in
                let shown =
                    column == "severity"
                    ? name.flatMap { Int($0) }.map { AlertRow.severities[max(0, min(3, $0))] } : name
                return .object([("name", .optional(shown)), ("count", .int(count))])
            }
            members.append((column, .list(rows)))
        }
        return ServedAnswer(200, .object(members))
    }

    func alert(_ call: Call) throws(ApiError) -> AlertRow {
        let id = call.values["id"] ?? ""
        let time = now()
        guard let row = try asked({ () throws(Fault) in try index.alert(id, now: time) }) else {
            throw ApiError(
                404, index.isBuilding ? "index-building" : "not-found", "there is no alert '\(id.prefix(64))'"
            )
        }
        return row
    }

    func getAlert(_ call: Call) throws(ApiError) -> ServedAnswer {
        let row = try alert(call)
        let masked = call.caller.seesMasked
        let time = now()
        let stored = try asked { () throws(Fault) in
            try KafkaTopicReader.record(
                options.kafka, topic: row.topic, partition: Int32(row.partition), offset: row.offset)
        }
        let node = stored?.value.flatMap { try? JsonDocument.read($0) }.map { DocumentNode($0) }
        func member(_ name: String) -> Json { node?.optional(name).map { Json($0.value) } ?? .null }
        let values = ((try? node?["values"].members) ?? []).map { (name, node) -> Json in
            let text: Json
            if case .text(let value) = node.value {
                text = .text(masked && value == row.customer ? Mask.text(value) : value)
            } else {
                text = Json(node.value)
            }
            return .object([("name", .text(name)), ("value", text)])
        }
        let others = try asked { () throws(Fault) in
            try index.alerts(of: row.customer, except: row.id, limit: 100, now: time)
        }
        let state = board[row.topology]
        let history = (state?.audit ?? []).filter { $0.object == row.id }.suffix(100).map { record -> Json in
            let node = (try? JsonDocument.read(Array(record.json.utf8))).map { DocumentNode($0) }
            func text(_ name: String) -> Json { .optional(try? node?.optional(name)?.text) }
            return .object([
                ("at", .time(record.at)), ("by", .text(record.who)), ("action", .text(record.action)),
                ("old", text("old")), ("new", text("new")),
                ("note", masked ? .null : text("reason")),
            ])
        }
        let ruleset = try? node?["ruleset"].text
        let rule = ruleset.flatMap { hash in
            state?.spec?.ruleset == hash ? state?.spec : state?.history.texts[hash]?.read().spec
        }?.rules.first { $0.name == row.rule }
        let tree =
            rule.map { ConditionTree(rule: $0, values: (try? node?["values"].members) ?? []).json } ?? .null
        var key = member("key")
        if masked, case .object(let members) = key { key = .object(members.map { ($0.0, "•••") }) }
        return ServedAnswer(
            200,
            .object([
                ("alert", row.json(masked: masked)), ("ruleset", .optional(ruleset)),
                ("logic", member("logic")), ("key", key),
                ("window", member("window")), ("zone", .text(state?.zone ?? "UTC")),
                ("values", .list(values)), ("condition", member("condition")),
                ("tree", masked ? .null : tree), ("cause", member("cause")),
                ("completeness", member("completeness")), ("model", member("model")),
                ("reasons", masked ? [] : node?.optional("reasons").map { Json($0.value) } ?? []),
                (
                    "position",
                    .object([
                        ("topic", .text(row.topic)), ("partition", .int(row.partition)),
                        ("offset", .int(row.offset)),
                    ])
                ), ("raw", masked ? .null : node.map { Json($0.value) } ?? .null),
                ("others", .list(others.map { $0.json(masked: masked) })), ("history", .list(history)),
                (
                    "command",
                    .text(
                        "millrace alerts explain \(row.id) --topology \(row.topology) --bootstrap-server \(options.kafka.bootstrapServers)"
                    )
                ),
            ]))
    }

    func alertRecords(_ call: Call) throws(ApiError) -> ServedAnswer {
        let row = try alert(call)
        func answer(_ records: [Json], _ missing: String?) -> ServedAnswer {
            ServedAnswer(200, .object([("records", .list(records)), ("missing", .optional(missing))]))
        }
        let stored = try asked { () throws(Fault) in
            try KafkaTopicReader.record(
                options.kafka, topic: row.topic, partition: Int32(row.partition), offset: row.offset)
        }
        guard let value = stored?.value, let node = (try? JsonDocument.read(value)).map({ DocumentNode($0) })
        else {
            return answer([], "the alert itself is no more in topic '\(row.topic)'")
        }
        guard let cause = node.optional("cause"), let topic = try? cause["topic"].text,
            let partition = try? cause["partition"].integer,
            let offset = try? cause["offset"].integer
        else { return answer([], "time made it true, or an activation: no record did") }
        let found = try asked { () throws(Fault) in
            try KafkaTopicReader.record(
                options.kafka, topic: topic, partition: Int32(truncatingIfNeeded: partition),
                offset: Int64(offset))
        }
        guard let found else {
            return answer([], "topic '\(topic)' has offset \(offset) of partition \(partition) no more")
        }
        return answer([Self.json(found, topic: topic)], nil)
    }

    private static let shownBytesMax = 16 << 10

    static func json(_ record: KafkaStored, topic: String) -> Json {
        func text(_ bytes: [UInt8]?) -> Json {
            bytes.map { .text(String(decoding: $0.prefix(shownBytesMax), as: UTF8.self)) } ?? .null
        }
        return .object([
            ("topic", .text(topic)), ("partition", .int(Int64(record.partition))),
            ("offset", .int(record.offset)),
            ("at", record.timestamp < 0 ? .null : .time(record.timestamp)), ("key", text(record.key)),
            ("value", text(record.value)),
            ("bytes", .int(Int64(record.value?.count ?? 0))),
            ("truncated", .bool((record.value?.count ?? 0) > shownBytesMax)),
        ])
    }

    func alertDeliveries(_ call: Call) throws(ApiError) -> ServedAnswer {
        let row = try alert(call)
        let found = try asked { () throws(Fault) in
            try index.deliveries("alert_id = ?", [row.id], after: nil, limit: 500)
        }
        return ServedAnswer(200, .object([("deliveries", .list(found.rows.map { deliveryJson($0, call) }))]))
    }

    func deliveryJson(_ text: String, _ call: Call) -> Json {
        guard call.caller.seesMasked, let value = try? JsonDocument.read(Array(text.utf8)),
            case .object(let members) = value
        else {
            return .written(text)
        }
        return .object(members.map { ($0.name, $0.name == "recipient" ? "•••" : Json($0.value)) })
    }

    // MARK: Dispositions

    func dispose(_ call: Call, _ action: Disposition.Action) throws(ApiError) -> ServedAnswer {
        let row = try alert(call)
        let revision = try call.revision()
        let outcome = try call.optionalText("outcome")
        let note = try call.optionalText("note", bytesMax: 8000)
        let until = try call.optionalText("until").map { (text) throws(ApiError) in
            try AlertFilter.time(text, "until")
        }
        let time = now()
        let next = try ledger(row.topology).write { (book) throws(ApiError) in
            try book.dispose(
                row.id, topology: row.topology, action, revision: revision, caller: call.caller,
                outcome: outcome, until: until, note: note,
                at: time)
        }
        return ServedAnswer(200, next.json)
    }

    func changeAlerts(_ call: Call) throws(ApiError) -> ServedAnswer {
        guard let action = Disposition.Action(rawValue: try call.text("action")), action != .note else {
            throw .badRequest("there is take, close, snooze, reopen", field: "action")
        }
        let outcome = try call.optionalText("outcome")
        let note = try call.optionalText("note", bytesMax: 8000)
        let until = try call.optionalText("until").map { (text) throws(ApiError) in
            try AlertFilter.time(text, "until")
        }
        var wanted: [(id: String, revision: Int64)] = []
        if let member = call.body.last(where: { $0.name == "alerts" }) {
            do throws(Fault) {
                for node in try DocumentNode(member.value, path: "alerts").list {
                    wanted.append((try node["id"].text, Int64(try node["revision"].integer)))
                }
            } catch { throw .badRequest(error.detail, field: "alerts") }
        }
        guard !wanted.isEmpty, wanted.count <= 500 else {
            throw .badRequest("1 to 500 alerts", field: "alerts")
        }
        var done: [Json] = []
        var refused: [Json] = []
        func refuse(_ id: String, _ error: ApiError) {
            if case .object(let members) = error.json {
                refused.append(.object([("id", .text(id))] + members))
            }
        }
        var topologies: [String: [(id: String, revision: Int64)]] = [:]
        let time = now()
        for (id, revision) in wanted {
            if let row = try asked({ () throws(Fault) in try index.alert(id, now: time) }) {
                topologies[row.topology, default: []].append((id, revision))
            } else {
                refuse(id, .notFound("there is no alert '\(id.prefix(64))'"))
            }
        }
        for (topology, alerts) in topologies.sorted(by: { $0.key < $1.key }) {
            let results = try ledger(topology).write {
                (book) throws(ApiError) -> [Result<Disposition, ApiError>] in
                var results: [Result<Disposition, ApiError>] = []
                for (id, revision) in alerts {
                    do throws(ApiError) {
                        results.append(
                            .success(
                                try book.dispose(
                                    id, topology: topology, action, revision: revision, caller: call.caller,
                                    outcome: outcome, until: until,
                                    note: note, at: time)))
                    } catch { results.append(.failure(error)) }
                }
                return results
            }
            for (alert, result) in zip(alerts, results) {
                switch result {
                case .success(let disposition): done.append(disposition.json)
                case .failure(let error): refuse(alert.id, error)
                }
            }
        }
        return ServedAnswer(200, .object([("done", .list(done)), ("refused", .list(refused))]))
    }

    func takeNext(_ call: Call) throws(ApiError) -> ServedAnswer {
        var filter = AlertFilter()
        if let texts = try call.texts("filter") {
            for name in texts.keys where !AlertFilter.names.contains(name) {
                throw ApiError(400, "unknown-field", "no filter '\(name)'", field: name)
            }
            filter = try AlertFilter(texts.map { (name: $0.key, value: $0.value) }, caller: call.caller)
        }
        filter.status = ["open"]
        filter.owner = []
        filter.state = "raised"
        let time = now()
        var order = AlertOrder()
        order.column = "severity"
        let found = try asked { () throws(Fault) in try index.list(filter, order, limit: 100, now: time) }
        // The gravest first, of these the oldest; who is too late goes on to the next.
        for row in found.alerts.sorted(by: { ($1.severity, $0.time ?? 0) < ($0.severity, $1.time ?? 0) }) {
            do throws(ApiError) {
                _ = try ledger(row.topology).write { (book) throws(ApiError) in
                    try book.dispose(
                        row.id, topology: row.topology, .take, revision: row.disposition, caller: call.caller,
                        outcome: nil, until: nil, note: nil,
                        at: time)
                }
            } catch {
                if error.status == 409 { continue }
                throw error
            }
            var taken = row
            (taken.status, taken.owner, taken.by, taken.at) = (
                "taken", call.caller.name, call.caller.name, time
            )
            taken.disposition += 1
            return ServedAnswer(200, .object([("alert", taken.json(masked: call.caller.seesMasked))]))
        }
        throw .notFound("nothing is open")
    }
}

extension TopologyLedger.Book {
    /// One step of an alert, if it still is at the revision that was seen.
    package mutating func dispose(
        _ id: String, topology: String, _ action: Disposition.Action, revision: Int64, caller: Caller,
        outcome: String?, until: Int64?,
        note: String?, at: Int64, link: String? = nil
    ) throws(ApiError) -> Disposition {
        let current = dispositions[id] ?? Disposition(alertId: id, topology: topology)
        guard current.revision == revision else {
            throw ApiError(
                409, "conflict",
                current.revision == 0
                    ? "nobody has touched it yet" : "\(current.by) was first: it is \(current.status)",
                current: current.json)
        }
        let next = try current.after(
            action, by: caller.name, outcome: outcome, until: until, note: note, at: at)
        put(next)
        self.note(
            AuditEvent(
                caller, "alert.\(action.rawValue)", id, old: current.status,
                new: next.outcome.map { "\(next.status): \($0)" } ?? next.status, reason: note, link: link))
        return next
    }
}
