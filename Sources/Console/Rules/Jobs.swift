import Base
import Connectors
import Engine
import Glibc
import Records
import Synchronization
import Topology

/// What takes longer than a request: activations and backtests, each on a thread of its own and told about as
/// it goes.
package final class Jobs: Sendable {
    struct Activation: Sendable {
        var id: String
        var topology: String
        var change: String?
        /// preparing, activated, done, refused, failed
        var state = "preparing"
        var epoch: Int64?
        var prepared = 0
        var tasks = 0
        /// What the switch itself would raise and clear; nil: not known.
        var trial: RuleSetTrials.Count?
        var reasons: [String] = []
        var error: String?
        var startedAt: Int64

        var head: Json {
            .object([("job", .text(id)), ("topology", .text(topology)), ("state", .text(state))])
        }

        func json(_ activation: Json) -> Json {
            .object([
                ("job", .text(id)), ("topology", .text(topology)), ("change", .optional(change)),
                ("state", .text(state)),
                ("epoch", epoch.map { .int($0) } ?? .null), ("prepared", .int(Int64(prepared))),
                ("tasks", .int(Int64(tasks))), ("raises", trial.map { .int(Int64($0.raised)) } ?? .null),
                ("clears", trial.map { .int(Int64($0.cleared)) } ?? .null),
                ("reasons", .texts(reasons)), ("error", .optional(error)), ("activation", activation),
            ])
        }
    }

    struct BacktestJob: Sendable {
        var id: String
        var topology: String
        var change: String?
        /// What was tried.
        var text: RuleSetText
        /// queued, running, done, failed, stopped
        var state = "queued"
        var by: String
        var at: Int64
        var done: Int64 = 0
        var total: Int64 = 0
        var records: Int64 = 0
        var error: String?
        var report: String?

        func json(withReport: Bool) -> Json {
            .object([
                ("id", .text(id)), ("topology", .text(topology)), ("change", .optional(change)),
                ("state", .text(state)), ("by", .text(by)),
                ("at", .time(at)),
                (
                    "progress",
                    .object([("done", .int(done)), ("total", .int(total)), ("records", .int(records))])
                ),
                ("error", .optional(error)),
                ("report", withReport ? (report.map { .written($0) } ?? .null) : .null),
            ])
        }
    }

    private struct State {
        var number = 0
        var activations: [String: Activation] = [:]
        var backtests: [BacktestJob] = []
    }

    private let state = Mutex(State())
    /// One backtest at a time: they take a core.
    private let running = Mutex<Void>(())
    private let hub: EventHub
    private let now: @Sendable () -> Int64

    /// As the workers hold it, and the key by which the console speaks for those who have logged in.
    private let policy: ApprovalPolicy?
    private let signer: (holder: String, keyFile: String)?

    init(
        _ hub: EventHub, policy: ApprovalPolicy?, signer: (holder: String, keyFile: String)?,
        now: @escaping @Sendable () -> Int64
    ) {
        (self.hub, self.policy, self.signer, self.now) = (hub, policy, signer, now)
    }

    // MARK: Activations

    func activation(_ id: String) -> Activation? { state.withLock { $0.activations[id] } }

    private func change(_ id: String, _ body: (inout Activation) -> Void) {
        let job: Activation? = state.withLock { state in
            if var job = state.activations[id] {
                body(&job)
                state.activations[id] = job
            }
            return state.activations[id]
        }
        if let job { hub.tell("job", job.json(.null), topology: job.topology) }
    }

    /// Makes a text the next epoch, as `millrace deploy` does. `finished` is told the epoch, or why there is
    /// none.
    func activate(
        _ kafka: KafkaSettings, topology: String, change: String?, text: RuleSetText, spec: TopologySpec,
        author: String,
        approvers: [String], reason: String, expected: Int64, consent: ChangePlan.Way,
        finished: @escaping @Sendable (Result<Int64, Fault>) -> Void
    ) throws(ApiError) -> Activation {
        let at = now()
        let started: Activation? = state.withLock { state in
            state.activations = state.activations.filter { at - $0.value.startedAt < 3_600_000 }
            if state.activations.values.contains(where: { $0.topology == topology && $0.state == "preparing" }
            ) {
                return nil
            }
            state.number += 1
            let job = Activation(id: "j-\(state.number)", topology: topology, change: change, startedAt: at)
            state.activations[job.id] = job
            return job
        }
        guard let started else {
            throw ApiError(409, "conflict", "an activation of \(topology) is under way")
        }
        let id = started.id
        _ = Background { [self] () throws(Fault) in
            do throws(Fault) {
                let epoch = try run(id, kafka, text, spec, author, approvers, reason, expected, consent)
                finished(.success(epoch))
                self.change(id) { if $0.state == "activated" { $0.state = "done" } }
            } catch {
                self.change(id) { job in
                    job.state = error.domain == .user ? "refused" : "failed"
                    job.error = error.detail
                }
                finished(.failure(error))
            }
        }
        return started
    }

    private func run(
        _ id: String, _ kafka: KafkaSettings, _ text: RuleSetText, _ spec: TopologySpec, _ author: String,
        _ approvers: [String],
        _ reason: String, _ expected: Int64, _ consent: ChangePlan.Way
    ) throws(Fault) -> Int64 {
        let signer = try self.signer.map { (signer) throws(Fault) in
            try RuleSetSigner(holder: signer.holder, keyFile: signer.keyFile)
        }
        var deployment = try RuleSetDeployment(kafka, policy: policy)
        change(id) { $0.tasks = deployment.tasks }
        guard deployment.history.epoch == expected else {
            throw Fault(
                .user,
                "the rules are at epoch \(deployment.history.epoch) by now, and the change was made for \(expected)"
            )
        }
        var request = RuleSetDeployment.Request(
            text, spec, author: author, reason: reason, consent: consent, signer: signer, milliseconds: 10_000
        )
        // The console vouches for those whom it has seen log in.
        request.approvers = approvers
        let outcome = try deployment.deploy(request, at: now) { answers in
            change(id) { job in
                job.prepared = answers.filter(\.isPrepared).count
                job.trial = RuleSetDeployment.total(answers)
                job.reasons = Set(answers.flatMap(\.reasons)).sorted()
            }
        }
        guard case .activated(let epoch, _) = outcome else { throw Self.fault(outcome, deployment) }
        change(id) { ($0.state, $0.epoch) = ("activated", epoch) }
        let acknowledged = try deployment.wait(for: epoch, milliseconds: 60_000)
        if acknowledged.count < deployment.tasks {
            change(id) {
                $0.error =
                    "\(acknowledged.count) of \(deployment.tasks) tasks go on with epoch \(epoch) after 60 s"
            }
        }
        return epoch
    }

    /// Why nothing was changed.
    private static func fault(_ outcome: RuleSetDeployment.Outcome, _ deployment: RuleSetDeployment) -> Fault
    {
        switch outcome {
        case .activated: Fault(.defect, "it was activated")
        case .otherPolicy(let worker, _):
            Fault(
                .user,
                "\(worker) goes by another policy than the console, or by none: --policy FILE of both must be the same"
            )
        case .refused(let refused):
            Fault(
                .user,
                "\(refused.count) of \(deployment.tasks) tasks refuse it (\(refused.first?.reasons.first ?? "")); nothing was changed"
            )
        case .unagreed(let way, _):
            Fault(
                .user,
                (way == .restart
                    ? "every worker must begin anew (restart)" : "what is new begins empty (begin_empty)")
                    + ", which nobody has agreed to; nothing was changed")
        case .tooManyAlerts(let count):
            Fault(
                .user,
                "it would raise \(count.raised) alerts and clear \(count.cleared) at once; nothing was changed"
            )
        case .unanswered(let tasks):
            Fault(
                .external,
                "\(deployment.tasks - tasks.count) of \(deployment.tasks) tasks have answered within 10 s (is every worker running?); "
                    + "nothing was changed")
        case .differentFiles: Fault(.user, "the workers run different files; nothing was changed")
        case .unapproved(let missing):
            Fault(.user, "\(missing) more must approve it, as the workers' policy says; nothing was changed")
        }
    }

    // MARK: Backtests

    func backtests() -> [BacktestJob] { state.withLock { Array($0.backtests.reversed()) } }
    func backtest(_ id: String) -> BacktestJob? { state.withLock { $0.backtests.first { $0.id == id } } }

    private func changeBacktest(_ id: String, _ body: (inout BacktestJob) -> Void) {
        state.withLock { state in
            guard let place = state.backtests.firstIndex(where: { $0.id == id }) else { return }
            body(&state.backtests[place])
        }
    }

    private func tellBacktest(_ id: String) {
        if let job = backtest(id) {
            hub.tell("backtest", job.json(withReport: false), topology: job.topology)
        }
    }

    /// False: it is over already, or under way, which ends by itself.
    func stopBacktest(_ id: String) -> Bool {
        state.withLock { state in
            guard let place = state.backtests.firstIndex(where: { $0.id == id && $0.state == "queued" })
            else { return false }
            state.backtests[place].state = "stopped"
            return true
        }
    }

    /// The newest that ran over a change's text as it is.
    func backtest(of change: RuleChange) -> BacktestJob? {
        state.withLock {
            $0.backtests.last { $0.change == change.id && $0.state == "done" && $0.text == change.text }
        }
    }

    func start(
        _ backtest: Backtest, of text: RuleSetText, topology: String, change: String?, by: String
    ) throws(ApiError)
        -> BacktestJob
    {
        let at = now()
        let job: BacktestJob? = state.withLock { state in
            guard state.backtests.filter({ $0.state == "queued" }).count < 10 else { return nil }
            state.number += 1
            let job = BacktestJob(
                id: "b-\(state.number)", topology: topology, change: change, text: text, by: by, at: at)
            state.backtests = state.backtests.suffix(49) + [job]
            return job
        }
        guard let job else { throw ApiError(409, "too-many", "ten backtests wait already") }
        let id = job.id
        _ = Background { [self] () throws(Fault) in
            running.withLock { _ in
                guard self.backtest(id)?.state == "queued" else { return }
                changeBacktest(id) { $0.state = "running" }
                tellBacktest(id)
                do throws(Fault) {
                    var told = monotonicNanoseconds()
                    let report = try backtest.run { done, total, records in
                        guard monotonicNanoseconds() - told > 500_000_000 else { return }
                        told = monotonicNanoseconds()
                        changeBacktest(id) { ($0.done, $0.total, $0.records) = (done, total, records) }
                        tellBacktest(id)
                    }
                    changeBacktest(id) {
                        ($0.state, $0.report, $0.records) = ("done", report.json, report.records)
                    }
                } catch { changeBacktest(id) { ($0.state, $0.error) = ("failed", error.detail) } }
                tellBacktest(id)
            }
        }
        return job
    }
}
