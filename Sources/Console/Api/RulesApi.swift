import Base
import Connectors
import Engine
import Glibc
import Http
import Records
import Topology

/// What runs: topologies, their rules, graphs, tasks and letters.
struct RulesApi: ApiPart {
    let console: Console

    func listTopologies(_ call: Call) -> ServedAnswer {
        ServedAnswer(200, .object([("topologies", .list(board.all.map { $0.json(metrics: nil) }))]))
    }

    // MARK: Rules

    private func ruleJson(
        _ rule: RuleSpec, _ state: TopologyState, _ spec: TopologySpec, _ counts: AlertIndex.RuleCounts,
        _ lines: ParameterList
    ) -> Json {
        let first = rule.on.first.map { spec.steps[$0] }
        // The newest epoch in which it is another one than before.
        var last: RuleSetActivation?
        for activation in state.history.activations.reversed() {
            let (now, before) = (
                state.history.texts[activation.ruleset], state.history.text(ofEpoch: activation.previous)
            )
            guard let now, let before else { break }
            if now != before,
                now.read().spec?.rules.first(where: { $0.name == rule.name }).map({
                    "\($0.when)\($0.severity)\($0.message)"
                })
                    != before.read().spec?.rules.first(where: { $0.name == rule.name }).map({
                        "\($0.when)\($0.severity)\($0.message)"
                    })
            {
                last = activation
                break
            }
            if state.history.epoch - activation.epoch >= 5 { break }
        }
        return .object([
            ("topology", .text(state.name)), ("name", .text(rule.name)), ("risk", .text(rule.risk)),
            ("severity", .text(rule.severity.rawValue)),
            ("keys", .texts(first.map { step in step.key.map { step.schema.fields[$0].name } } ?? [])),
            ("steps", .texts(rule.on.map { spec.steps[$0].name })), ("when", .text(rule.condition)),
            ("hits_24h", .int(Int64(counts.lastDay))),
            ("hits_per_hour", .list(counts.perHour.map { .int(Int64($0)) })),
            ("open", .int(Int64(counts.open))),
            ("closed_30d", .int(Int64(counts.closed))),
            (
                "false_positive_share",
                counts.closed == 0 ? .null : .number(Double(counts.falsePositives) / Double(counts.closed))
            ),
            (
                "last_change",
                last.map {
                    .object([
                        ("epoch", .int($0.epoch)), ("author", .text($0.author)), ("at", .text($0.at)),
                        ("reason", .text($0.reason)),
                    ])
                } ?? .null
            ), ("line", .int(Int64(lines.ruleLines[rule.name]?.lowerBound ?? rule.position.line))),
        ])
    }

    func listRules(_ call: Call) throws(ApiError) -> ServedAnswer {
        let wanted = call.list("topology")
        let time = now()
        let counts = try asked { () throws(Fault) in try index.ruleCounts(now: time) }
        var rows: [Json] = []
        for state in board.all where wanted.isEmpty || wanted.contains(state.name) {
            guard let spec = state.spec, let text = state.text else { continue }
            let lines = ParameterList(text)
            for rule in spec.rules {
                rows.append(
                    ruleJson(
                        rule, state, spec, counts["\(state.name)/\(rule.name)"] ?? AlertIndex.RuleCounts(),
                        lines))
            }
        }
        return ServedAnswer(200, .object([("rules", .list(rows))]))
    }

    func getRule(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let name = call.values["rule"] ?? ""
        let time = now()
        guard let spec = state.spec, let text = state.text,
            let rule = spec.rules.first(where: { $0.name == name })
        else {
            throw .notFound("\(state.name) has no rule '\(name.prefix(100))'")
        }
        let counts = try asked { () throws(Fault) in try index.ruleCounts(now: time) }
        let lines = ParameterList(text)
        let range = lines.ruleLines[name] ?? rule.position.line...rule.position.line
        let all = text.text.split(separator: "\n", omittingEmptySubsequences: false)
        let part = all[(range.lowerBound - 1)..<min(all.count, range.upperBound)]
        let members = lines.ruleMembers[name] ?? [:]
        return ServedAnswer(
            200,
            .object([
                (
                    "rule",
                    ruleJson(
                        rule, state, spec, counts["\(state.name)/\(name)"] ?? AlertIndex.RuleCounts(), lines)
                ),
                ("clear", .optional(members["clear"])), ("at", .text(rule.at.rawValue)),
                ("message", .optional(members["message"])),
                ("measure", .text(rule.measure)), ("first_line", .int(Int64(range.lowerBound))),
                ("last_line", .int(Int64(range.upperBound))),
                ("text", .text(part.joined(separator: "\n"))),
                ("parameters", .list(lines.parameters.filter { $0.rules.contains(name) }.map(\.json))),
                (
                    "command",
                    .text(
                        "millrace deploy --status \(state.name) --bootstrap-server \(options.kafka.bootstrapServers)"
                    )
                ),
            ]))
    }

    func getText(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        var epoch = state.history.epoch
        if let text = call.request.parameter("epoch"), !text.isEmpty {
            guard let number = Int64(text) else {
                throw .badRequest("a whole number was expected", field: "epoch")
            }
            epoch = number
        }
        guard let text = epoch == state.history.epoch ? state.text : state.history.text(ofEpoch: epoch) else {
            throw .notFound("the text of epoch \(epoch) is not known")
        }
        let spec = text.read().spec
        return ServedAnswer(
            200,
            .object([
                ("topology", .text(state.name)), ("file", .text(text.file)), ("text", .text(text.text)),
                (
                    "parameters",
                    .object(text.parameters.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) })
                ),
                ("defaults", ParameterList(text).json), ("ruleset", .optional(spec?.ruleset)),
                ("logic", .optional(spec?.logic)),
                ("epoch", .int(epoch)),
            ]))
    }

    func getHistory(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let rows = state.history.activations.reversed().map { activation -> Json in
            .object([
                ("epoch", .int(activation.epoch)), ("previous", .int(activation.previous)),
                ("ruleset", .text(activation.ruleset)),
                ("logic", .text(activation.logic)), ("author", .text(activation.author)),
                ("reason", .text(activation.reason)),
                ("at", .text(activation.at)), ("text", .bool(state.history.texts[activation.ruleset] != nil)),
            ])
        }
        return ServedAnswer(200, .object([("epochs", .list(rows))]))
    }

    // MARK: The graph and its tasks

    func getGraph(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let time = now()
        guard let spec = state.spec, let text = state.text else {
            throw .notFound("the text of \(state.name) is not known")
        }
        let counts = try asked { () throws(Fault) in try index.ruleCounts(now: time) }
        let lines = ParameterList(text)
        let metrics = watch[state.name]
        var nodes: [Json] = []
        var edges: [Json] = []
        func edge(_ from: String, _ to: String) {
            edges.append(.object([("from", .text(from)), ("to", .text(to))]))
        }
        func node(
            _ kind: String, _ name: String, _ text: String, lag: Double? = nil, watermark: Double? = nil,
            waiting: Double? = nil, alerts: Int? = nil
        ) {
            let line = kind == "rule" ? lines.ruleLines[name]?.lowerBound : lines.stepLines[name]
            nodes.append(
                .object([
                    ("id", .text("\(kind):\(name)")), ("kind", .text(kind)), ("name", .text(name)),
                    ("text", .text(text)), ("line", .count(line)),
                    ("rate", .null), ("records", .null), ("lag_seconds", .decimal(lag)),
                    ("watermark", .time(watermark.map { Int64($0 * 1000) })),
                    ("waiting", waiting.map { .int(Int64($0)) } ?? .null), ("alerts_24h", .count(alerts)),
                ]))
        }
        for source in spec.sources {
            if case .stream = source.origin { continue }
            let own = metrics?.partitions.values.filter { $0.source == source.name } ?? []
            let what = source.kafkaTopic.map { "topic \($0), \(source.format.name)" } ?? source.format.name
            node(
                source.table == nil ? "source" : "table", source.name, what,
                lag: own.compactMap(\.seconds).max(),
                watermark: own.compactMap(\.watermark).min())
        }
        func id(ofSource index: Int) -> String {
            let source = spec.sources[index]
            if case .stream(let step) = source.origin { return "step:\(spec.steps[step].name)" }
            return "\(source.table == nil ? "source" : "table"):\(source.name)"
        }
        for (index, step) in spec.steps.enumerated() {
            let key = step.key.map { step.schema.fields[$0].name }
            let what =
                (step.window == nil ? (step.operation == nil ? "records" : "operator") : "window")
                + (key.isEmpty ? "" : " by \(key.joined(separator: ", "))")
            node(
                "step", step.name, what, watermark: metrics?.steps[step.name]?.time,
                waiting: metrics?.steps[step.name]?.waiting)
            switch step.input {
            case .source(let source): edge(id(ofSource: source), "step:\(spec.steps[index].name)")
            case .step(let other): edge("step:\(spec.steps[other].name)", "step:\(step.name)")
            }
        }
        for rule in spec.rules {
            node(
                "rule", rule.name, "\(rule.severity.rawValue) \(rule.risk)",
                alerts: counts["\(state.name)/\(rule.name)"]?.lastDay ?? 0)
            for step in Set(rule.on) { edge("step:\(spec.steps[step].name)", "rule:\(rule.name)") }
        }
        for sink in spec.sinks {
            node("sink", sink.name, sink.topic.map { "topic \($0)" } ?? sink.name)
            switch sink.input {
            case .alerts(let rules):
                for rule in rules { edge("rule:\(spec.rules[rule].name)", "sink:\(sink.name)") }
            case .steps(let steps):
                for step in steps { edge("step:\(spec.steps[step].name)", "sink:\(sink.name)") }
            }
        }
        return ServedAnswer(
            200,
            .object([
                ("topology", .text(state.name)), ("epoch", .int(state.history.epoch)),
                ("nodes", .list(nodes)), ("edges", .list(edges)),
                ("mermaid", .text(Explain.render(spec, format: .mermaid))),
            ]))
    }

    func getTasks(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let metrics = watch[state.name]
        var rows: [Json] = []
        for task in 0..<max(0, state.tasks) {
            let acknowledged = state.acknowledgements["\(state.history.epoch)/\(task)"].flatMap {
                Json.members($0)
            }
            let own =
                metrics?.partitions.values.filter { $0.partition == "\(task)" }.sorted {
                    $0.source < $1.source
                } ?? []
            let epoch: Json = state.history.epoch == 0 ? 0 : acknowledged?["epoch"] ?? .null
            func row(_ source: Json, _ lag: Json, _ seconds: Json, _ watermark: Json, _ holds: Bool) {
                rows.append(
                    .object([
                        ("task", .int(Int64(task))), ("source", source), ("epoch", epoch),
                        ("worker", acknowledged?["worker"] ?? .null),
                        ("first", acknowledged?["first"] ?? .null), ("lag_records", lag),
                        ("lag_seconds", seconds), ("watermark", watermark),
                        ("holds_back", .bool(holds)),
                    ]))
            }
            if own.isEmpty { row(.null, .null, .null, acknowledged?["watermark"] ?? .null, false) }
            for partition in own {
                row(
                    .text(partition.source), partition.lag.map { .int(Int64($0)) } ?? .null,
                    .decimal(partition.seconds),
                    .time(partition.watermark.map { Int64($0 * 1000) }), partition.holds)
            }
        }
        let workers = watch.workers.map { worker -> Json in
            .object([
                ("address", .text(worker.address)), ("answering", .bool(worker.isAnswering)),
                ("ready", .bool(worker.isReady)),
                ("unready_reason", .optional(worker.reason)), ("lanes", .int(Int64(worker.lanes))),
                ("state_bytes", .int(Int64(worker.stateBytes))),
                ("resident_bytes", .int(Int64(worker.residentBytes))),
            ])
        }
        return ServedAnswer(
            200,
            .object([
                ("topology", .text(state.name)), ("tasks", .list(rows)), ("workers", .list(workers)),
                ("measured", .bool(metrics != nil)),
            ]))
    }

    // MARK: Letters

    private static let lettersRead: Int64 = 2000

    private func letterTopic(_ topology: String, _ kind: String) throws(ApiError) -> String {
        switch kind {
        case "dead": return "\(topology)-dead-letter"
        case "late": return "\(topology)-late"
        default: throw .badRequest("there is dead and late", field: "kind")
        }
    }

    func listLetters(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let kind = call.request.parameter("kind").flatMap { $0.isEmpty ? nil : $0 } ?? "dead"
        let topic = try letterTopic(state.name, kind)
        let limit = try call.limit()
        let reasons = Set(call.list("reason"))
        let found =
            try asked { () throws(Fault) in
                try KafkaTopicReader.last(options.kafka, topic: topic, count: Self.lettersRead)
            } ?? []
        func reason(_ letter: KafkaStored) -> String { letter.header("__streams.errors.exception") ?? kind }
        var counts: [String: Int] = [:]
        for letter in found { counts[reason(letter), default: 0] += 1 }
        let shown = found.filter { reasons.isEmpty || reasons.contains(reason($0)) }
            .sorted { ($0.timestamp, $0.partition, $0.offset) > ($1.timestamp, $1.partition, $1.offset) }
        guard let skipped = Int(call.request.parameter("cursor").flatMap { $0.isEmpty ? nil : $0 } ?? "0"),
            skipped >= 0
        else {
            throw .badRequest("this is the cursor of no page", field: "cursor")
        }
        let page = shown.dropFirst(skipped).prefix(limit)
        let rows = page.map { letter -> Json in
            guard case .object(let members) = AlertsApi.json(letter, topic: topic) else { return .null }
            func number(_ name: String) -> Json {
                letter.header(name).flatMap { Int64($0) }.map { .int($0) } ?? .null
            }
            let record = Dictionary(members.map { ($0.0, $0.1) }) { a, _ in a }
            return .object([
                ("kind", .text(kind)), ("partition", .int(Int64(letter.partition))),
                ("offset", .int(letter.offset)), ("at", record["at"] ?? .null),
                ("reason", .text(reason(letter))),
                ("message", .optional(letter.header("__streams.errors.message"))),
                ("step", .optional(letter.header("millrace.errors.step"))),
                ("field", .optional(letter.header("millrace.errors.field"))),
                ("topic", .optional(letter.header("__streams.errors.topic"))),
                ("source_partition", number("__streams.errors.partition")),
                ("source_offset", number("__streams.errors.offset")), ("key", record["key"] ?? .null),
                ("value", record["value"] ?? .null),
                ("bytes", record["bytes"] ?? 0), ("resent_at", .null),
            ])
        }
        return ServedAnswer(
            200,
            .object([
                ("letters", .list(rows)),
                ("next", skipped + page.count < shown.count ? .text("\(skipped + page.count)") : .null),
                (
                    "by_reason",
                    .list(
                        counts.sorted { $0.value > $1.value }.map {
                            .object([("reason", .text($0.key)), ("count", .int(Int64($0.value)))])
                        })
                ), ("total", .int(Int64(shown.count))),
            ]))
    }

    func resendLetters(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let topic = try letterTopic(state.name, try call.optionalText("kind") ?? "dead")
        var wanted: [(partition: Int, offset: Int)] = []
        if let member = call.body.last(where: { $0.name == "letters" }), case .list(let values) = member.value
        {
            for value in values {
                guard let members = Json(value).members, case .written(let partition)? = members["partition"],
                    case .written(let offset)? = members["offset"], let partition = Int(partition),
                    let offset = Int(offset)
                else { throw .badRequest("{\"partition\", \"offset\"} were expected", field: "letters") }
                wanted.append((partition, offset))
            }
        }
        guard !wanted.isEmpty, wanted.count <= 100 else {
            throw .badRequest("1 to 100 letters", field: "letters")
        }
        var sent = 0
        var refused: [Json] = []
        let known = Set((state.spec?.sources ?? []).compactMap(\.kafkaTopic))
        let feeder = try asked { () throws(Fault) in try KafkaFeeder(options.kafka) }
        for (partition, offset) in wanted {
            func refuse(_ reason: String) {
                refused.append(
                    .object([
                        ("partition", .int(Int64(partition))), ("offset", .int(Int64(offset))),
                        ("reason", .text(reason)),
                    ]))
            }
            let letter = try asked { () throws(Fault) in
                try KafkaTopicReader.record(
                    options.kafka, topic: topic, partition: Int32(truncatingIfNeeded: partition),
                    offset: Int64(offset))
            }
            guard let letter else {
                refuse("it is not there any more")
                continue
            }
            // A letter says where it came from; only to this topology's own sources does it go back.
            guard let target = letter.header("__streams.errors.topic"), known.contains(target) else {
                refuse("it has no source topic of this topology")
                continue
            }
            do throws(Fault) {
                let empty: [UInt8] = [0]
                func with(_ bytes: [UInt8]?, _ body: (UnsafeBufferPointer<UInt8>?) -> Result<Void, Fault>)
                    -> Result<Void, Fault>
                {
                    guard let bytes else { return body(nil) }
                    return (bytes.isEmpty ? empty : bytes).withUnsafeBufferPointer {
                        body(UnsafeBufferPointer(start: $0.baseAddress, count: bytes.count))
                    }
                }
                let handle = try feeder.topic(target)
                try with(letter.key) { key in
                    with(letter.value) { value in
                        Result { () throws(Fault) in try feeder.send(to: handle, key: key, value: value) }
                    }
                }.get()
                sent += 1
            } catch { refuse(error.detail) }
        }
        try asked { () throws(Fault) in try feeder.flush() }
        let count = sent
        try ledger(state.name).write { (book) throws(ApiError) in
            book.note(AuditEvent(call.caller, "letters.resend", topic, new: "\(count) of \(wanted.count)"))
        }
        return ServedAnswer(200, .object([("sent", .int(Int64(sent))), ("refused", .list(refused))]))
    }
}

extension Json {
    /// Of an object's text, or nil.
    static func members(_ text: String) -> [String: Json]? { (try? JsonReading.value(text))?.members }

    var members: [String: Json]? {
        guard case .object(let members) = self else { return nil }
        return Dictionary(members.map { ($0.0, $0.1) }) { a, _ in a }
    }
}
