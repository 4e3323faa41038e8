import Base
import Http
import Models
import Records

/// The console itself: overview, events, notifications, audit, people.
struct SystemApi: ApiPart {
    let console: Console

    func info(_ call: Call) throws(ApiError) -> ServedAnswer {
        ServedAnswer(
            200,
            .object([
                ("version", .text(options.version)),
                ("login", options.proxyHeader == nil ? ["password"] : ["password", "proxy"]),
                ("languages", ["en", "zh"]), ("tls", .bool(options.http.certificate != nil)),
            ]))
    }

    func setLanguage(_ call: Call) throws(ApiError) -> ServedAnswer {
        let language = try call.text("language")
        guard ["en", "zh"].contains(language) else {
            throw .badRequest("there is en and zh", field: "language")
        }
        if let session = call.caller.session { sessions.setLanguage(session, language) }
        return ServedAnswer(204)
    }

    func events(_ call: Call) throws(ApiError) -> ServedAnswer {
        let stream = EventStream()
        if let session = call.caller.session, !sessions.addStream(session, 1) {
            throw ApiError(429, "too-many", "a session has at most 4 streams")
        }
        let last = call.request.headers["last-event-id"] ?? call.request.parameter("last")
        hub.add(stream, call.caller, topologies: Set(call.list("topology")), last: last)
        return ServedAnswer(
            200, headers: [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")], stream: stream
        )
    }

    func overview(_ call: Call) throws(ApiError) -> ServedAnswer {
        let time = now()
        let day: Int64 = 86_400_000
        let wanted = call.list("topology")
        let condition =
            wanted.isEmpty ? "1" : "topology IN (\(wanted.map { _ in "?" }.joined(separator: ",")))"
        let values = wanted.map { SqlValue.text($0) }
        func count(_ more: String, _ rest: [SqlValue] = []) throws(ApiError) -> Int64 {
            var found: Int64 = 0
            try asked { () throws(Fault) in
                try index.read("SELECT count(*) FROM alerts WHERE \(condition) AND \(more)", values + rest) {
                    found = $0.int(0)
                }
            }
            return found
        }
        func bySeverity(_ more: String) throws(ApiError) -> Json {
            var found: [Int64] = [0, 0, 0, 0]
            try asked { () throws(Fault) in
                try index.read(
                    "SELECT severity, count(*) FROM alerts WHERE \(condition) AND \(more) GROUP BY 1", values
                ) {
                    found[Int(max(0, min(3, $0.int(0))))] = $0.int(1)
                }
            }
            return .object(
                AlertRow.severities.indices.reversed().map { (AlertRow.severities[$0], .int(found[$0])) })
        }
        var perHour = [Int64](repeating: 0, count: 24)
        var perDay = [Int64](repeating: 0, count: 8)
        try asked { () throws(Fault) in
            try index.read(
                "SELECT (\(time) - detected) / 3600000, count(*) FROM alerts WHERE \(condition) AND detected > \(time - 8 * day) AND detected <= \(time) GROUP BY 1",
                values
            ) { row in
                let hour = Int(row.int(0))
                if hour < 24 { perHour[23 - hour] += row.int(1) }
                perDay[min(7, hour / 24)] += row.int(1)
            }
        }
        let usual = perDay[1...].sorted()[3]
        let isOpen =
            "status <> 'closed' AND NOT (status = 'snoozed' AND until > \(time)) AND state = 'raised'"
        func aged(_ from: Int64, _ to: Int64) throws(ApiError) -> Json {
            .int(try count("\(isOpen) AND detected > \(time - to) AND detected <= \(time - from)"))
        }
        let states = board.all.filter { wanted.isEmpty || wanted.contains($0.name) }
        let waiting = states.flatMap { $0.changes.values }.filter { $0.state == .submitted }.count
        return ServedAnswer(
            200,
            .object([
                ("at", .time(time)), ("index", indexJson),
                (
                    "alerts",
                    .object([
                        ("last_24h", .int(perDay[0])), ("day_before", .int(perDay[1])),
                        ("usual", .int(usual)),
                        ("by_severity", try bySeverity("detected > \(time - day)")),
                        ("per_hour", .list(perHour.map { .int($0) })),
                    ])
                ),
                (
                    "open",
                    .object([
                        ("total", .int(try count(isOpen))),
                        ("mine", .int(try count("\(isOpen) AND owner = ?", [.text(call.caller.name)]))),
                        ("unowned", .int(try count("\(isOpen) AND owner IS NULL"))),
                        ("by_severity", try bySeverity(isOpen)),
                        (
                            "by_age",
                            .object([
                                ("under_1h", try aged(0, 3_600_000)), ("under_24h", try aged(3_600_000, day)),
                                ("under_7d", try aged(day, 7 * day)),
                                ("older", try aged(7 * day, time + 1)),
                            ])
                        ),
                    ])
                ), ("changes", .object([("waiting", .int(Int64(waiting)))])),
                ("topologies", .list(states.map { $0.json(metrics: watch[$0.name]?.json ?? .null) })),
                ("problems", .list(problems(states))),
            ]))
    }

    /// What is not as it should be, in words.
    private func problems(_ states: [TopologyState]) -> [Json] {
        func problem(
            _ severity: String, _ code: String, _ topology: String?, _ parameters: [(String, String)],
            _ text: String
        ) -> Json {
            .object([
                ("severity", .text(severity)), ("code", .text(code)), ("topology", .optional(topology)),
                ("parameters", .object(parameters.map { ($0.0, .text($0.1)) })), ("text", .text(text)),
            ])
        }
        var found: [Json] = []
        if let reason = follower.problem {
            found.append(problem("error", "kafka-unreachable", nil, [("reason", reason)], "Kafka: \(reason)"))
        }
        if index.unreadable > 0 {
            found.append(
                problem(
                    "warning", "unreadable-records", nil, [("count", "\(index.unreadable)")],
                    "\(index.unreadable) records are no alerts"))
        }
        for state in states {
            let behind = state.tasks - state.acknowledged
            if state.history.epoch > 0, behind > 0 {
                found.append(
                    problem(
                        "warning", "tasks-behind", state.name,
                        [("behind", "\(behind)"), ("tasks", "\(state.tasks)")],
                        "\(behind) of \(state.tasks) tasks of \(state.name) do not go on with epoch \(state.history.epoch) yet"
                    ))
            }
            if let fault = state.auditFault {
                found.append(
                    problem(
                        "error", "audit-broken", state.name, [("record", "\(fault.sequence)")],
                        "the audit of \(state.name) is not whole from record \(fault.sequence) on: \(fault.reason)"
                    ))
            }
            if state.spec == nil, let first = state.diagnostics.first {
                found.append(
                    problem("error", "text-unreadable", state.name, [("reason", "\(first)")], "\(first)"))
            }
        }
        for worker in watch.workers where !worker.isAnswering || !worker.isReady {
            let what = worker.isAnswering ? "is not ready" : "does not answer"
            found.append(
                problem(
                    "error", worker.isAnswering ? "worker-not-ready" : "worker-silent", nil,
                    [("address", worker.address)],
                    "\(worker.address) \(what)"))
        }
        return found
    }

    // MARK: Notifications, audit, people

    func listNotifications(_ call: Call) throws(ApiError) -> ServedAnswer {
        var parts: [String] = ["1"]
        var values: [String] = []
        for (name, column) in [
            ("topology", "topology"), ("state", "state"), ("channel", "channel"), ("alert", "alert_id"),
        ] {
            let list = call.list(name)
            if list.isEmpty { continue }
            parts.append("\(column) IN (\(list.map { _ in "?" }.joined(separator: ",")))")
            values += list
        }
        let after = try call.request.parameter("cursor").flatMap { $0.isEmpty ? nil : $0 }.map {
            (text) throws(ApiError) in
            guard let number = Int64(text) else {
                throw .badRequest("this is the cursor of no page", field: "cursor")
            }
            return number
        }
        let limit = try call.limit()
        let found = try asked { () throws(Fault) in
            try index.deliveries(parts.joined(separator: " AND "), values, after: after, limit: limit)
        }
        let isThere = board.all.contains { !index.positions(of: "\($0.name)-deliveries").isEmpty }
        return ServedAnswer(
            200,
            .object([
                (
                    "notifications",
                    .list(found.rows.map { AlertsApi(console: console).deliveryJson($0, call) })
                ), ("next", .optional(found.next)),
                ("available", .bool(isThere || !found.rows.isEmpty)),
            ]))
    }

    func listAudit(_ call: Call) throws(ApiError) -> ServedAnswer {
        let topologies = call.list("topology")
        let who = call.list("who")
        let actions = call.list("action")
        func time(_ name: String) throws(ApiError) -> Int64? {
            guard let text = call.request.parameter(name), !text.isEmpty else { return nil }
            return try AlertFilter.time(text, name)
        }
        let from = try time("from")
        let to = try time("to")
        let limit = try call.limit()
        let skipped =
            try call.request.parameter("cursor").flatMap { $0.isEmpty ? nil : $0 }.map {
                (text) throws(ApiError) in
                guard let number = Int(text), number >= 0 else {
                    throw .badRequest("this is the cursor of no page", field: "cursor")
                }
                return number
            } ?? 0
        let found = board.all.filter { topologies.isEmpty || topologies.contains($0.name) }.flatMap(\.audit)
            .filter { record in
                (who.isEmpty || who.contains(record.who)) && (from.map { record.at >= $0 } ?? true)
                    && (to.map { record.at < $0 } ?? true)
                    && (actions.isEmpty
                        || actions.contains { record.action == $0 || record.action.hasPrefix("\($0).") })
            }.sorted { ($0.at, $0.sequence) > ($1.at, $1.sequence) }
        let page = found.dropFirst(skipped).prefix(limit)
        let isMore = skipped + page.count < found.count
        return ServedAnswer(
            200,
            .object([
                ("records", .list(page.map { .written($0.json) })),
                ("next", isMore ? .text("\(skipped + page.count)") : .null),
            ]))
    }

    func verifyAudit(_ call: Call) -> ServedAnswer {
        let rows = board.all.map { state -> Json in
            .object([
                ("topology", .text(state.name)), ("ok", .bool(state.auditFault == nil)),
                ("records", .int(Int64(state.audit.count))),
                ("first_bad", state.auditFault.map { .int($0.sequence) } ?? .null),
                ("reason", .optional(state.auditFault?.reason)),
            ])
        }
        return ServedAnswer(200, .object([("topologies", .list(rows))]))
    }

    func listPeople(_ call: Call) -> ServedAnswer {
        let alive = sessions.all
        let known = people.people.values.sorted { $0.name < $1.name }
        func roles(_ person: UsersFile.Person) -> Json {
            .texts(Role.allCases.filter { person.roles.contains($0) }.map(\.rawValue))
        }
        let rows = known.filter { $0.key == nil }.map { person -> Json in
            let own = alive.filter { $0.caller.name == person.name }
            return .object([
                ("name", .text(person.name)), ("roles", roles(person)),
                ("language", .optional(person.language)),
                ("sessions", .int(Int64(own.count))), ("last_seen", .time(own.map(\.lastSeen).max())),
            ])
        }
        let keys = known.filter { $0.key != nil }.map {
            Json.object([("name", .text($0.name)), ("roles", roles($0))])
        }
        return ServedAnswer(
            200,
            .object([("people", .list(rows)), ("keys", .list(keys)), ("file", .optional(options.usersFile))]))
    }

    func listSessions(_ call: Call) -> ServedAnswer {
        let rows = sessions.all.map { session -> Json in
            .object([
                ("id", .optional(session.caller.session)), ("name", .text(session.caller.name)),
                ("from", .text(session.caller.peer)),
                ("since", .time(session.since)), ("last_seen", .time(session.lastSeen)),
                ("streams", .int(Int64(session.streams))),
            ])
        }
        return ServedAnswer(200, .object([("sessions", .list(rows))]))
    }

    func listModels(_ call: Call) -> ServedAnswer {
        let rows = board.all.flatMap { state -> [Json] in
            (state.spec?.models ?? []).map { model in
                .object([
                    ("topology", .text(state.name)), ("name", .text(model.name)), ("kind", .text(model.text)),
                    ("version", .null),
                    ("sha256", .text(model.card.sha256)), ("steps", []),
                    ("rows_per_second", .int(model.rowsPerSecond)),
                ])
            }
        }
        return ServedAnswer(200, .object([("models", .list(rows))]))
    }
}
