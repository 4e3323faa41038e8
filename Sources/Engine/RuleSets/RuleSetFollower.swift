import Base
import Connectors
import Dataflow
import Glibc
import Records
import Synchronization
import Topology

/// Follows a group's topic of rule sets for one worker: answers each text that is proposed, for every task
/// that the worker has, and hands on to the lanes what was activated.
final class RuleSetFollower: Sendable {
    let board: RuleSetBoard
    private let kafka: KafkaSettings
    private let partitions: Int
    private let worker: String
    private let stopping: StopSignal
    private let statuses: @Sendable () -> [LaneStatus]
    private let onFault: @Sendable (Fault) -> Void
    /// Of the thread that runs.
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var reader: KafkaReader
        var history: RuleSetHistory
        /// The rules that lanes go by, as they were read.
        var current: TopologySpec
        /// Hash of the policy by which activations are judged; nil: none.
        let policy: String?
        /// Texts that were proposed and not activated, the newest last.
        var proposals: [Proposal] = []
        /// Opened when there is something to say, which is seldom at the start.
        var answers: Answers?
        /// The text of the worker's file, if nobody has noted it yet.
        var unnoted: RuleSetText?
    }

    private struct Answers {
        let feeder: KafkaFeeder
        let topic: KafkaFeeder.Topic
    }

    private struct Proposal {
        /// Of its record.
        var offset: Int64
        var ruleset: String
        /// How tasks would go on with it, or why they would not; nil: nobody has looked yet.
        var verdict: Result<ChangePlan, Fault>?
        /// Of the trial that lanes make of it, and when it began, nanoseconds.
        var trial: (number: Int64, began: Int64)?
        /// The tasks that were answered for.
        var told: Set<Int32> = []
    }

    private static let proposalsMax = 8
    /// How long an answer waits for what a trial counts.
    private static let trialNanoseconds: Int64 = 3_000_000_000

    /// Reads the topic to its end. `own`: the file that the worker was started with, whose rules count where
    /// nothing was activated.
    ///
    /// - Returns: the follower, and the topology as it is to run, before it is partitioned.
    static func open(
        _ kafka: KafkaSettings, own: RuleSetText, policy: ApprovalPolicy?, spec: TopologySpec,
        partitions: Int, worker: String, stopping: StopSignal,
        statuses: @escaping @Sendable () -> [LaneStatus], onFault: @escaping @Sendable (Fault) -> Void
    ) throws(Fault) -> (follower: RuleSetFollower, spec: TopologySpec) {
        let reader = try KafkaReader(kafka, topic: RuleSetTopics.ruleSets(kafka.group))
        var history = RuleSetHistory(policy, group: kafka.group)
        // What was proposed while nobody was there to answer.
        var open: (offset: Int64, ruleset: String)?
        try reader.readToEnd { record in
            guard let key = record.keyText else { return }
            switch history.take(key: key, value: record.value) {
            case .void(let reason): Log.warning("rules: \(reason)")
            case .text(let ruleset): open = (record.offset, ruleset)
            case .activation: open = nil
            case .proposal: break
            }
        }
        var current = spec
        current.epoch = 0
        if history.epoch > 0 {
            current = try read(history, history.epoch)
            if current.ruleset != spec.ruleset {
                Log.warning(
                    "the rules are those of epoch \(history.epoch) (\(current.ruleset)), which were deployed, and not those of "
                        + "\(own.file) (\(spec.ruleset)); `millrace deploy \(own.file)` makes them the next epoch"
                )
            }
        }
        let board = RuleSetBoard(
            RuleSet(epoch: history.epoch, spec: running(current, partitions, kafka.group)))
        // Tasks that others have had may be at an epoch before.
        for activation in history.activations.suffix(Limits.ruleSetsRemembered).dropLast() {
            guard let past = try? read(history, activation.epoch) else { continue }
            board.remember(RuleSet(epoch: activation.epoch, spec: running(past, partitions, kafka.group)))
        }
        if history.epoch > 0, var first = history.text(ofEpoch: 0)?.read().spec {
            first.epoch = 0
            board.remember(RuleSet(epoch: 0, spec: running(first, partitions, kafka.group)))
        }
        var state = State(reader: reader, history: history, current: current, policy: policy?.hash)
        if history.epoch == 0, history.texts[spec.ruleset] == nil { state.unnoted = own }
        if let open { state.proposals = [Proposal(offset: open.offset, ruleset: open.ruleset)] }
        let follower = RuleSetFollower(
            board, kafka, partitions, worker, stopping, statuses, onFault, state)
        return (follower, current)
    }

    private init(
        _ board: RuleSetBoard, _ kafka: KafkaSettings, _ partitions: Int, _ worker: String,
        _ stopping: StopSignal,
        _ statuses: @escaping @Sendable () -> [LaneStatus], _ onFault: @escaping @Sendable (Fault) -> Void,
        _ state: consuming sending State
    ) {
        (self.board, self.kafka, self.partitions, self.worker, self.stopping) = (
            board, kafka, partitions, worker, stopping
        )
        (self.statuses, self.onFault) = (statuses, onFault)
        self.state = Mutex(state)
    }

    private static func read(_ history: RuleSetHistory, _ epoch: Int64) throws(Fault) -> TopologySpec {
        guard let text = history.text(ofEpoch: epoch) else {
            throw Fault(.user, "the text of epoch \(epoch) of the rules is not in their topic any more")
        }
        let (spec, diagnostics) = text.read()
        guard var spec else {
            let mistake = diagnostics.first.map { "\($0)" } ?? ""
            throw Fault(.user, "epoch \(epoch) of the rules cannot be read by this version: \(mistake)")
        }
        spec.epoch = epoch
        return spec
    }

    private static func running(_ spec: TopologySpec, _ partitions: Int, _ group: String) -> TopologySpec {
        partitions > 1 ? spec.repartitioned(prefix: group) : spec
    }

    /// Runs until the worker stops.
    func run() {
        state.withLock { state in
            noteOwnText(&state)
            prepareAgain(&state)
        }
        while !stopping.isSet {
            do throws(Fault) {
                try state.withLock { (state) throws(Fault) in try step(&state) }
            } catch {
                if error == .stopped { return }
                guard error.retry == .withBackoff else { return onFault(error) }
                Log.warning("rules: \(error.detail)")
                usleep(1_000_000)
            }
        }
    }

    /// So that a rollback finds what there was before the first activation.
    private func noteOwnText(_ state: inout State) {
        guard let text = state.unnoted else { return }
        state.unnoted = nil
        do throws(Fault) {
            try text.checkSize(of: text.json)
            let feeder = try KafkaFeeder(kafka)
            try feeder.send(
                to: feeder.topic(RuleSetTopics.ruleSets(kafka.group)),
                key: RuleSetText.key(state.current.ruleset), value: text.json)
            try feeder.flush()
        } catch {
            if error == .stopped { return }
            Log.warning(
                "rules: the text of \(text.file) cannot be noted, so no rollback leads back to it: \(error.detail)"
            )
        }
    }

    private func step(_ state: inout State) throws(Fault) {
        var events: [(Int64, RuleSetHistory.Event)] = []
        var history = state.history
        try state.reader.poll(timeoutMilliseconds: 50) { record in
            guard let key = record.keyText else { return }
            events.append((record.offset, history.take(key: key, value: record.value)))
        }
        state.history = history
        for (offset, event) in events {
            switch event {
            case .void(let reason): Log.warning("rules: \(reason)")
            case .text(let ruleset):
                withdraw(ruleset, &state)
                if state.proposals.count == Self.proposalsMax {
                    Log.warning(
                        "rules: more than \(Self.proposalsMax) texts are proposed; \(state.proposals[0].ruleset) gets no more answers"
                    )
                    withdraw(state.proposals[0].ruleset, &state)
                }
                var proposal = Proposal(offset: offset, ruleset: ruleset)
                judge(&proposal, state)
                state.proposals.append(proposal)
            case .activation(let activation): try activate(activation, &state)
            case .proposal: break
            }
        }
        try tell(&state)
        state.answers?.feeder.poll()
    }

    // MARK: Proposals

    /// What is to be said of proposals depends on the rules that they would follow on.
    private func prepareAgain(_ state: inout State) {
        for place in state.proposals.indices {
            var proposal = state.proposals[place]
            judge(&proposal, state)
            proposal.told = []
            state.proposals[place] = proposal
        }
    }

    private func withdraw(_ ruleset: String, _ state: inout State) {
        for case let trial? in state.proposals.filter({ $0.ruleset == ruleset }).map(\.trial) {
            board.trials.end(trial.number)
        }
        state.proposals.removeAll { $0.ruleset == ruleset }
    }

    /// Finds out how tasks would go on with a proposal, and has it tried where they go on as they are.
    private func judge(_ proposal: inout Proposal, _ state: borrowing State) {
        if let trial = proposal.trial { board.trials.end(trial.number) }
        proposal.trial = nil
        do throws(Fault) {
            var (spec, plan) = try check(proposal.ruleset, state)
            proposal.verdict = .success(plan)
            guard plan.way <= .empty, plan.way != .none else { return }
            spec.epoch = state.history.epoch + 1
            let number = board.trials.begin(Self.running(spec, partitions, kafka.group))
            proposal.trial = (number, monotonicNanoseconds())
        } catch {
            proposal.verdict = .failure(error)
        }
    }

    private func answer(to proposal: Proposal, _ count: RuleSetTrials.Count?, _ state: borrowing State)
        -> String
    {
        var json = JsonWriter()
        json.beginObject()
        json.member("ruleset", proposal.ruleset)
        json.member("text", proposal.offset)
        json.member("epoch", state.history.epoch)
        json.member("former", state.current.ruleset)
        json.member("worker", worker)
        if let policy = state.policy { json.member("policy", policy) }
        switch proposal.verdict {
        case .success(let plan):
            json.member("state", plan.way == .none ? "refused" : "prepared")
            json.member("class", plan.changeClass.rawValue)
            json.member("way", plan.way.rawValue)
            if let count {
                json.member("raises", Int64(count.raised))
                json.member("clears", Int64(count.cleared))
            }
            json.name("reasons")
            json.list(plan.elements.filter { $0.changeClass > .mixed }) { json, element in
                json.text("\(element.element): \(element.changeClass.rawValue): \(element.reason)")
            }
        case .failure(let fault):
            json.member("state", "refused")
            json.name("reasons")
            json.list(fault.detail.split(separator: "\n")) { $0.text(String($1)) }
        case nil: unreachable("a proposal that nobody has looked at")
        }
        json.endObject()
        return json.string
    }

    private func check(_ ruleset: String, _ state: borrowing State) throws(Fault) -> (
        TopologySpec, ChangePlan
    ) {
        guard let text = state.history.texts[ruleset] else {
            throw Fault(.defect, "a text that is not known")
        }
        let (spec, diagnostics) = text.read()
        guard let spec else { throw Fault(.user, diagnostics.map { "\($0)" }.joined(separator: "\n")) }
        if spec.ruleset != ruleset {
            throw Fault(.user, "the text is \(spec.ruleset), and its record says \(ruleset)")
        }
        if let refusal = Worker.refusals(of: spec).first {
            throw Fault(.user, "\(Diagnostic(file: text.file, at: refusal.position, refusal.message))")
        }
        let plan = try ChangePlan(from: state.current, to: spec, group: kafka.group)
        if plan.way != .none { try makeTopics(of: spec, beside: state.current) }
        return (spec, plan)
    }

    /// The topics of sinks that are new.
    private func makeTopics(of spec: TopologySpec, beside current: TopologySpec) throws(Fault) {
        let known = Set(current.sinks.compactMap(\.topic))
        let plans = Set(spec.sinks.compactMap(\.topic)).subtracting(known).sorted().map {
            KafkaTopicPlan(name: $0, partitions: partitions)
        }
        if !plans.isEmpty { try KafkaAdmin(kafka).create(plans) }
    }

    /// Says what is to be said of proposals for each task that the worker has by now.
    private func tell(_ state: inout State) throws(Fault) {
        if state.proposals.isEmpty { return }
        let tasks = Set(statuses().flatMap { $0.partitions.map(\.partition) })
        for place in state.proposals.indices {
            let proposal = state.proposals[place]
            var told: Set<Int32> = []
            for task in tasks.subtracting(proposal.told).sorted() {
                var count: RuleSetTrials.Count?
                if let trial = proposal.trial {
                    count = board.trials.count(of: task, trial.number)
                    // A lane that does not come to it holds nothing up.
                    let isOver = monotonicNanoseconds() - trial.began > Self.trialNanoseconds
                    if count == nil, !isOver { continue }
                }
                told.insert(task)
                if state.answers == nil { state.answers = try openAnswers() }
                guard let answers = state.answers else { continue }
                try answers.feeder.send(
                    to: answers.topic, key: RuleSetText.preparedKey(proposal.ruleset, task),
                    value: answer(to: proposal, count, state), partition: task)
            }
            state.proposals[place].told.formUnion(told)
        }
    }

    private func openAnswers() throws(Fault) -> Answers {
        let feeder = try KafkaFeeder(kafka)
        return Answers(feeder: feeder, topic: try feeder.topic(RuleSetTopics.acknowledgements(kafka.group)))
    }

    // MARK: Activations

    private func activate(_ activation: RuleSetActivation, _ state: inout State) throws(Fault) {
        let spec = try Self.read(state.history, activation.epoch)
        let plan = try ChangePlan(from: state.current, to: spec, group: kafka.group)
        guard plan.way <= .empty else {
            let reasons = plan.elements.filter { $0.changeClass >= .restart || $0.contradictsState }
            throw Fault(
                .external,
                "epoch \(activation.epoch) of the rules, by \(activation.author), asks for a restart, with which this worker goes on: "
                    + reasons.map { "\($0.element): \($0.reason)" }.joined(separator: "; "))
        }
        Log.info("epoch \(activation.epoch) of the rules, by \(activation.author): \(activation.reason)")
        state.current = spec
        withdraw(activation.ruleset, &state)
        prepareAgain(&state)
        board.activate(RuleSet(epoch: activation.epoch, spec: Self.running(spec, partitions, kafka.group)))
    }
}
