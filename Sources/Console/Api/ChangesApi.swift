import Base
import Connectors
import Engine
import Glibc
import Http
import Records
import Security
import Topology

/// Drafts of rules: checked, tried on history, approved, activated.
struct ChangesApi: ApiPart {
    let console: Console

    static let textBytesMax = 512 << 10

    // MARK: Trying a text

    private func given(_ call: Call, file: String = "topology.yaml") throws(ApiError) -> RuleSetText {
        RuleSetText(
            file: file, text: try call.text("text", bytesMax: Self.textBytesMax),
            parameters: try call.texts("parameters") ?? [:])
    }

    /// A text's mistakes, with those of its bounds and of what cannot run.
    static func check(_ text: RuleSetText, running: RuleSetText? = nil) -> (
        spec: TopologySpec?, diagnostics: [Diagnostic]
    ) {
        // A secret of the console's machine is none of an author's business.
        for (number, line) in text.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        {
            for part in line.split(separator: "$").dropFirst()
            where part.hasPrefix("{env:") || part.hasPrefix("{file:") {
                let name = part.prefix { $0 != "}" }
                guard running?.text.contains("$\(name)}") != true else { continue }
                return (
                    nil,
                    [
                        Diagnostic(
                            file: text.file, at: Position(line: number + 1, column: 1),
                            "$\(name)} is not in the text that runs, and the console would read it from its own machine: deploy it with "
                                + "`millrace deploy`")
                    ]
                )
            }
        }
        let (spec, diagnostics) = text.read()
        guard let spec else { return (nil, diagnostics) }
        let more = LatencyProof.check(spec, file: text.file) + StateBound.check(spec, file: text.file)
        let refusals = Worker.refusals(of: spec).map {
            Diagnostic(file: text.file, at: $0.position, $0.message)
        }
        return (spec, diagnostics + more + refusals)
    }

    func lint(_ call: Call) throws(ApiError) -> ServedAnswer {
        let text = try given(call)
        let running = try call.optionalText("topology").flatMap { board[$0]?.text }
        let (spec, diagnostics) = Self.check(text, running: running)
        let isRight = spec != nil && !diagnostics.contains { $0.severity == .error }
        var latency: [Json] = []
        var bounds: [Json] = []
        if let spec {
            for path in LatencyProof.paths(spec) {
                latency.append(
                    .object([
                        ("rule", .text(spec.rules[path.rule].name)), ("milliseconds", .int(path.total)),
                        ("bound", .int(spec.latency)),
                        ("path", .text(path.description)),
                    ]))
            }
            bounds = StateBound.all(spec).map { .text("\(spec.steps[$0.step].name): \($0.description)") }
        }
        return ServedAnswer(
            200,
            .object([
                ("ok", .bool(isRight)), ("diagnostics", .list(diagnostics.map(\.apiJson))),
                ("ruleset", .optional(spec?.ruleset)),
                ("logic", .optional(spec?.logic)), ("latency", .list(latency)), ("state", .list(bounds)),
                ("parameters", ParameterList(text).json),
            ]))
    }

    /// The spec of a text without mistakes, of the topology that it is for.
    func checked(_ text: RuleSetText, _ topology: String) throws(ApiError) -> TopologySpec {
        let (spec, diagnostics) = Self.check(text, running: board[topology]?.text)
        guard let spec, !diagnostics.contains(where: { $0.severity == .error }) else {
            throw ApiError(diagnostics)
        }
        guard spec.name == topology else {
            throw ApiError(
                422, "bad-text", "the text is of topology '\(spec.name)', not '\(topology)'", field: "text")
        }
        return spec
    }

    private func planJson(_ text: RuleSetText, _ spec: TopologySpec, _ state: TopologyState) throws(ApiError)
        -> Json
    {
        guard let current = state.spec, let currentText = state.text else {
            throw ApiError(
                409, "not-available", "it is not known what \(state.name) runs: nothing was deployed")
        }
        let plan = try asked { () throws(Fault) in try ChangePlan(from: current, to: spec) }
        var differences: [Json] = []
        func add(_ kind: String, _ name: String, _ old: String?, _ new: String?) {
            guard old != new else { return }
            differences.append(
                .object([
                    ("kind", .text(kind)), ("name", .text(name)), ("old", .optional(old)),
                    ("new", .optional(new)),
                ]))
        }
        let (before, after) = (ParameterList(currentText), ParameterList(text))
        for name in Set(before.parameters.map(\.name) + after.parameters.map(\.name)).sorted() {
            add(
                "parameter", name, before.parameters.first { $0.name == name }?.value,
                after.parameters.first { $0.name == name }?.value)
        }
        for name in Set(current.rules.map(\.name) + spec.rules.map(\.name)).sorted() {
            let (old, new) = (current.rules.first { $0.name == name }, spec.rules.first { $0.name == name })
            add("condition", name, old?.condition, new?.condition)
            add("severity", name, old?.severity.rawValue, new?.severity.rawValue)
            add("risk", name, old?.risk, new?.risk)
            add("measure", name, old?.measure, new?.measure)
        }
        return .object([
            ("class", .text(plan.changeClass.rawValue)),
            (
                "elements",
                .list(
                    plan.elements.map {
                        .object([
                            ("element", .text($0.element)), ("class", .text($0.changeClass.rawValue)),
                            ("reason", .text($0.reason)),
                        ])
                    })
            ), ("differences", .list(differences)), ("way", .text(plan.way.rawValue)),
            ("base_epoch", .int(state.history.epoch)),
        ])
    }

    func plan(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try board.topology(try call.text("topology"))
        let text = try given(call)
        return ServedAnswer(200, try planJson(text, try checked(text, state.name), state))
    }

    // MARK: Backtests

    /// Sources whose history is there.
    private func history(_ spec: TopologySpec?) -> [(source: String, paths: [String])] {
        guard let folder = options.historyFolder, let spec else { return [] }
        return spec.sources.compactMap { source in
            if case .stream = source.origin { return nil }
            let path = "\(folder)/\(source.name)"
            return access(path, R_OK) == 0 ? (source.name, [path]) : nil
        }
    }

    func listBacktests(_ call: Call) -> ServedAnswer {
        var sources: [String: Bool] = [:]
        for state in board.all {
            let there = Set(history(state.spec).map(\.source))
            for source in state.spec?.sources ?? [] where source.kafkaTopic != nil {
                sources[source.name] = there.contains(source.name)
            }
        }
        return ServedAnswer(
            200,
            .object([
                ("backtests", .list(jobs.backtests().map { $0.json(withReport: false) })),
                ("history", .object(sources.sorted { $0.key < $1.key }.map { ($0.key, .bool($0.value)) })),
            ]))
    }

    func startBacktest(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try board.topology(try call.text("topology"))
        let changeId = try call.optionalText("change")
        let text: RuleSetText
        if let changeId {
            guard let change = state.changes[changeId] else {
                throw .notFound("there is no change '\(changeId.prefix(64))'")
            }
            text = change.text
        } else {
            text = try given(call)
        }
        guard let current = state.text else {
            throw ApiError(409, "not-available", "it is not known what \(state.name) runs")
        }
        let spec = try checked(text, state.name)
        let inputs = history(spec)
        guard !inputs.isEmpty else {
            throw ApiError(
                501, "backtest-without-history",
                "backtests run over files, not over topics yet: start the console with --history DIR, a folder for each source"
            )
        }
        var options = Backtest.Options()
        func time(_ name: String) throws(ApiError) -> Int64? {
            guard let text = try call.optionalText(name) else { return nil }
            return try AlertFilter.time(text.count == 10 ? "\(text)T00:00:00Z" : text, name)
        }
        options.from = try time("from")
        options.to = try time("to")
        if let curve = try call.texts("curve") {
            guard let parameter = curve["parameter"], let from = curve["from"], let to = curve["to"] else {
                throw .badRequest("parameter, from and to were expected", field: "curve")
            }
            do throws(Fault) {
                options.curve = try BacktestCurve("\(parameter)=\(from)..\(to)/\(curve["points"] ?? "20")")
            } catch {
                throw .badRequest(error.detail, field: "curve")
            }
        }
        let made = options
        let backtest = try asked { () throws(Fault) in try Backtest(current, text, inputs: inputs, made) }
        let job = try jobs.start(
            backtest, of: text, topology: state.name, change: changeId, by: call.caller.name)
        return ServedAnswer(202, job.json(withReport: false))
    }

    // MARK: Changes

    func listChanges(_ call: Call) -> ServedAnswer {
        let topologies = call.list("topology")
        let wanted = call.list("state")
        let found = board.all.filter { topologies.isEmpty || topologies.contains($0.name) }.flatMap {
            $0.changes.values
        }
        .filter { wanted.isEmpty || wanted.contains($0.state.rawValue) }.sorted {
            ($0.createdAt, $0.id) > ($1.createdAt, $1.id)
        }
        return ServedAnswer(200, .object([("changes", .list(found.prefix(500).map(\.row)))]))
    }

    private func change(_ call: Call) throws(ApiError) -> (state: TopologyState, change: RuleChange) {
        let id = call.values["id"] ?? ""
        for state in board.all { if let change = state.changes[id] { return (state, change) } }
        throw .notFound("there is no change '\(id.prefix(64))'")
    }

    func getChange(_ call: Call) throws(ApiError) -> ServedAnswer {
        let (state, change) = try change(call)
        let (spec, diagnostics) = Self.check(change.text, running: state.text)
        var plan: Json = .null
        if let spec { plan = (try? planJson(change.text, spec, state)) ?? .null }
        let events = state.audit.filter { $0.object == change.id }.map { Json.written($0.json) }
        return ServedAnswer(
            200,
            .object([
                ("change", change.row(backtest: jobs.backtest(of: change)?.id)),
                ("text", .text(change.text.text)),
                (
                    "parameters",
                    .object(
                        change.text.parameters.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) })
                ),
                ("diagnostics", .list(diagnostics.map(\.apiJson))), ("plan", plan), ("events", .list(events)),
                (
                    "command",
                    .text(
                        "millrace deploy \(change.text.file) --reason '…' --bootstrap-server \(options.kafka.bootstrapServers)"
                    )
                ),
            ]))
    }

    private func title(_ call: Call) throws(ApiError) -> String {
        let title = try call.text("title", bytesMax: 300)
        if title.allSatisfy({ $0 == " " }) { throw .badRequest("what changes, in a line", field: "title") }
        return title
    }

    func createChange(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try board.topology(try call.text("topology"))
        let time = now()
        let stamp = CivilTime.string(time).filter { ("0"..."9").contains($0) || $0 == "T" }.prefix(15).map {
            $0 == "T" ? "-" : $0
        }
        let change = RuleChange(
            id: "c-\(String(stamp))-\(Secret.text(3))", topology: state.name, title: try title(call),
            reason: try call.optionalText("reason") ?? "", baseEpoch: state.history.epoch,
            author: call.caller.name, at: time,
            text: try given(call, file: state.text?.file ?? "topology.yaml"))
        try ledger(state.name).write { (book) throws(ApiError) in
            book.put(change)
            book.note(AuditEvent(call.caller, "change.create", change.id, new: change.title))
        }
        board.change(state.name) { $0.changes[change.id] = change }
        return ServedAnswer(201, change.row)
    }

    /// Changes a change, if it still is at the revision that was seen.
    private func update(
        _ call: Call, _ step: RuleChange.Step, reason: String?,
        _ body: (inout RuleChange) throws(ApiError) -> Void
    ) throws(ApiError) -> RuleChange {
        let (state, known) = try change(call)
        let revision = try call.revision()
        let time = now()
        let next = try ledger(state.name).write { (book) throws(ApiError) -> RuleChange in
            guard var change = book.changes[known.id] else {
                throw .notFound("there is no change '\(known.id)'")
            }
            guard change.revision == revision else {
                throw ApiError(
                    409, "conflict", "it was changed: it is at revision \(change.revision)",
                    current: change.row)
            }
            try change.check(step, by: call.caller.name)
            let old = change.state.rawValue
            try body(&change)
            change.revision += 1
            change.updatedAt = time
            book.put(change)
            book.note(
                AuditEvent(
                    call.caller, "change.\(step.rawValue)", change.id, old: old, new: change.state.rawValue,
                    reason: reason))
            return change
        }
        board.change(state.name) { $0.changes[next.id] = next }
        return next
    }

    func editChange(_ call: Call) throws(ApiError) -> ServedAnswer {
        let title = try call.optionalText("title", bytesMax: 300)
        let reason = try call.optionalText("reason")
        let text = try call.optionalText("text", bytesMax: Self.textBytesMax)
        let parameters = try call.texts("parameters")
        let (state, _) = try change(call)
        let next = try update(call, .edit, reason: nil) { (change) throws(ApiError) in
            if let title { change.title = title }
            if let reason { change.reason = reason }
            if let text { change.text.text = text }
            if let parameters { change.text.parameters = parameters }
            // What was approved was another text.
            (change.approvals, change.state, change.baseEpoch) = ([], .draft, state.history.epoch)
            (change.ruleset, change.logic, change.submittedAt) = (nil, nil, nil)
        }
        return ServedAnswer(200, next.row)
    }

    func step(_ call: Call, _ step: RuleChange.Step) throws(ApiError) -> ServedAnswer {
        let time = now()
        let words = try call.optionalText(step == .approve || step == .return ? "comment" : "reason")
        if step == .return, words == nil { throw .badRequest("say why", field: "comment") }
        let (_, known) = try change(call)
        let spec = step == .submit ? try checked(known.text, known.topology) : nil
        let next = try update(call, step, reason: words) { (change) throws(ApiError) in
            switch step {
            case .submit:
                // Checked above: of the text that the revision has.
                (change.state, change.ruleset, change.logic, change.submittedAt) = (
                    .submitted, spec?.ruleset, spec?.logic, time
                )
                if let words, !words.isEmpty { change.reason = words }
                change.approvals = []
                change.approvalsNeeded = max(1, Int64(options.policy?.approvals(for: change.text) ?? 1))
            case .approve:
                change.approvals.append(
                    RuleChange.Approval(
                        by: call.caller.name, at: time, comment: words ?? "", ruleset: change.ruleset ?? ""))
                // Else it waits for the next one.
                if change.isApproved { change.state = .approved }
            case .return: (change.state, change.approvals) = (.returned, [])
            case .discard: change.state = .discarded
            case .edit, .activate: break
            }
        }
        return ServedAnswer(200, next.row)
    }

    // MARK: Activation

    func activateChange(_ call: Call) throws(ApiError) -> ServedAnswer {
        let (state, known) = try change(call)
        let consent: ChangePlan.Way =
            try call.flag("restart") ? .restart : try call.flag("begin_empty") ? .empty : .hot
        try known.check(.activate, by: call.caller.name)
        guard known.baseEpoch == state.history.epoch else {
            throw ApiError(
                409, "base-moved",
                "it was written for epoch \(known.baseEpoch), and the rules are at \(state.history.epoch): edit it again",
                current: known.row)
        }
        let spec = try checked(known.text, state.name)
        // Noted before anything is done: who asked for it stands there whatever comes of it.
        let noted = try update(call, .activate, reason: known.reason) { (_) throws(ApiError) in }
        let ledger = ledger(state.name)
        let board = board
        let caller = call.caller
        ledger.release()
        let job = try jobs.activate(
            kafka(of: state.name), topology: state.name, change: known.id, text: known.text, spec: spec,
            author: known.author,
            approvers: known.approvals.map(\.by), reason: known.reason.isEmpty ? known.title : known.reason,
            expected: known.baseEpoch, consent: consent
        ) { result in
            do throws(ApiError) {
                let next = try ledger.write { (book) throws(ApiError) -> RuleChange in
                    guard var change = book.changes[noted.id] else { throw .notFound("the change is gone") }
                    switch result {
                    case .success(let epoch):
                        (change.state, change.epoch, change.outcome) = (.active, epoch, nil)
                    case .failure(let fault):
                        (change.state, change.outcome) = (
                            fault.domain == .user ? .refused : .approved, fault.detail
                        )
                    }
                    change.revision += 1
                    book.put(change)
                    book.note(
                        AuditEvent(
                            caller, "change.activated", change.id, old: "approved",
                            new: change.epoch.map { "epoch \($0)" } ?? change.state.rawValue,
                            reason: change.outcome))
                    return change
                }
                board.change(next.topology) { $0.changes[next.id] = next }
            } catch { Log.error("what became of change \(noted.id) could not be written: \(error.message)") }
        }
        return ServedAnswer(202, job.head)
    }

    func rollBack(_ call: Call) throws(ApiError) -> ServedAnswer {
        let state = try topology(call)
        let reason = try call.text("reason")
        let newest = state.history.epoch
        let epoch = try call.optionalInteger("epoch") ?? newest - 1
        guard newest > 0, (0..<newest).contains(epoch) else {
            throw ApiError(
                422, "bad-request",
                "\(state.name) is at epoch \(newest), and epoch \(epoch) is none before it", field: "epoch")
        }
        guard let text = state.history.text(ofEpoch: epoch) else {
            throw .notFound("the text of epoch \(epoch) is not known")
        }
        let (spec, diagnostics) = text.read()
        guard let spec else { throw ApiError(diagnostics) }
        let caller = call.caller
        let ledger = ledger(state.name)
        try ledger.write { (book) throws(ApiError) in
            book.note(
                AuditEvent(
                    caller, "rules.rollback", state.name, old: "epoch \(newest)",
                    new: "text of epoch \(epoch)", reason: reason))
        }
        ledger.release()
        let job = try jobs.activate(
            kafka(of: state.name), topology: state.name, change: nil, text: text, spec: spec,
            author: caller.name,
            approvers: [], reason: "back to epoch \(epoch): \(reason)", expected: newest, consent: .empty
        ) { result in
            if case .failure(let fault) = result { Log.warning("rollback of \(state.name): \(fault.detail)") }
        }
        return ServedAnswer(202, job.head)
    }

    func getJob(_ call: Call) throws(ApiError) -> ServedAnswer {
        guard let job = jobs.activation(call.values["id"] ?? "") else {
            throw .notFound("there is no such job")
        }
        return ServedAnswer(200, job.json(board[job.topology]?.activationJson() ?? .null))
    }
}
