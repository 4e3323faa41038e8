import Base
import Connectors
import Glibc
import Models
import Records

/// Changes the rules of a topology that runs, from outside of its workers: proposes a text, waits for what
/// every task says of it, activates it, and waits until every task goes on with it.
package struct RuleSetDeployment {
    /// What a task says of a proposal.
    package struct Answer: Sendable {
        package var task: Int32
        package var isPrepared: Bool
        /// How it would go on with it.
        package var way: ChangePlan.Way
        package var worker: String
        /// The rules that the worker goes by.
        package var former: String
        /// Hash of the policy by which it judges activations; nil: none.
        package var policy: String?
        /// What the switch itself would raise and clear; nil: it was not tried.
        package var trial: RuleSetTrials.Count?
        package var reasons: [String]
    }

    /// That a task goes on with an epoch.
    package struct Acknowledgement: Sendable {
        package var task: Int32
        package var epoch: Int64
        /// By topic, the offset of the first record that is judged by it.
        package var first: [(topic: String, offset: Int64)]
        package var watermark: String?
        package var raised: Int
        package var cleared: Int
        package var ruleset: String
        package var worker: String
    }

    private let kafka: KafkaSettings
    /// As the workers hold it, by which it is known which activations count.
    package let policy: ApprovalPolicy?
    /// Tasks of the topology: partitions of its sources.
    package let tasks: Int
    package private(set) var history: RuleSetHistory
    /// By key, the newest value.
    private var acknowledgements: [String: String] = [:]
    private let reader: KafkaReader

    /// Reads what there is. `kafka.group`: the group of the topology's workers.
    package init(_ kafka: KafkaSettings, policy: ApprovalPolicy? = nil) throws(Fault) {
        self.kafka = kafka
        self.policy = policy
        history = RuleSetHistory(policy, group: kafka.group)
        let admin = try KafkaAdmin(kafka)
        try admin.checkReachable()
        let topic = RuleSetTopics.acknowledgements(kafka.group)
        guard let tasks = try admin.partitionCount(of: topic),
            try admin.partitionCount(of: RuleSetTopics.ruleSets(kafka.group)) != nil
        else {
            throw Fault(
                .user,
                "no worker of group '\(kafka.group)' has run on \(kafka.bootstrapServers) that can change its rules; begin with "
                    + "`millrace run FILE`, or deploy it to a `millrace worker`")
        }
        self.tasks = tasks
        reader = try KafkaReader(kafka, topic: topic)
        try refresh()
    }

    /// Reads what there is by now.
    package mutating func refresh() throws(Fault) {
        var history = RuleSetHistory(policy, group: kafka.group)
        try KafkaReader(kafka, topic: RuleSetTopics.ruleSets(kafka.group)).readToEnd { record in
            if let key = record.keyText { _ = history.take(key: key, value: record.value) }
        }
        self.history = history
        try takeAcknowledgements()
    }

    private mutating func takeAcknowledgements() throws(Fault) {
        var found: [(String, String?)] = []
        try reader.readToEnd { record in if let key = record.keyText { found.append((key, record.valueText)) }
        }
        for (key, value) in found { acknowledgements[key] = value }
    }

    // MARK: Proposing

    /// Writes the text; returns the offset of its record, which answers name.
    private func propose(_ text: RuleSetText, _ ruleset: String) throws(Fault) -> Int64 {
        try text.checkSize(of: text.json)
        let key = RuleSetText.key(ruleset)
        let feeder = try KafkaFeeder(kafka)
        try feeder.send(to: feeder.topic(RuleSetTopics.ruleSets(kafka.group)), key: key, value: text.json)
        try feeder.flush()
        var offset: Int64 = -1
        try KafkaReader(kafka, topic: RuleSetTopics.ruleSets(kafka.group)).readToEnd { record in
            if record.keyText == key { offset = record.offset }
        }
        if offset < 0 { throw Fault(.external, "the text that was just written cannot be read") }
        return offset
    }

    /// Proposes a text and waits until every task has answered; those that have not by then are missing.
    package mutating func prepare(
        _ text: RuleSetText, _ ruleset: String, milliseconds: Int64
    ) throws(Fault) -> [Answer] {
        let offset = try propose(text, ruleset)
        let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
        while true {
            try takeAcknowledgements()
            var answers: [Answer] = []
            for task in 0..<Int32(tasks) {
                guard let json = acknowledgements[RuleSetText.preparedKey(ruleset, task)] else { continue }
                let node = DocumentNode(try JsonDocument.read(Array(json.utf8)))
                // Somebody may have proposed the same since.
                guard Int64(try node["text"].integer) >= offset else { continue }
                answers.append(
                    Answer(
                        task: task, isPrepared: try node["state"].text == "prepared",
                        way: try node.optional("way").flatMap { (way) throws(Fault) in
                            ChangePlan.Way(rawValue: try way.text)
                        } ?? .none,
                        worker: try node["worker"].text,
                        former: try node["former"].text, policy: try node.optional("policy")?.text,
                        trial: try Self.trial(node), reasons: try node.optional("reasons")?.texts ?? []))
            }
            if answers.count == tasks || monotonicNanoseconds() > deadline { return answers }
            usleep(20_000)
        }
    }

    private static func trial(_ node: DocumentNode) throws(Fault) -> RuleSetTrials.Count? {
        guard let raised = node.optional("raises"), let cleared = node.optional("clears") else {
            return nil
        }
        return RuleSetTrials.Count(raised: try raised.integer, cleared: try cleared.integer)
    }

    // MARK: Activating

    /// Makes a text the next epoch, if the newest one still is `previous`, with the approvals that it has.
    /// `former`: the rules of epoch 0, if that is it. `signer`: whose key vouches for `author`, where there
    /// is a policy.
    package mutating func activate(
        _ ruleset: String, logic: String, after previous: Int64, former: String?, author: String,
        reason: String, at: Int64,
        signer: RuleSetSigner? = nil
    ) throws(Fault) -> Int64 {
        // Who opens the publisher last is the only one who can write, and reads what was written before.
        let publisher = try KafkaPublisher(kafka, name: RuleSetTopics.publisher(kafka.group))
        try refresh()
        guard history.epoch == previous else {
            let other = history.activations.last
            throw Fault(
                .external,
                "somebody else was first: \(other?.author ?? "") has activated epoch \(history.epoch) (\(other?.reason ?? "")); look at "
                    + "it, and deploy again")
        }
        var activation = RuleSetActivation(
            epoch: previous + 1, previous: previous, ruleset: ruleset, logic: logic,
            former: previous == 0 ? former : nil,
            author: author, reason: reason, at: CivilTime.string(at))
        let isBack = history.wasActive(ruleset)
        if let signer {
            activation.signature = try signer.sign(activation.statement(group: kafka.group))
            activation.approvals = proposal(ruleset, author)?.approvals ?? []
        }
        if let refusal = policy?.refusal(of: activation, group: kafka.group, after: history) {
            throw Fault(.user, "the workers would not take it: \(refusal); nothing was changed")
        }
        var audit = try AuditLog(kafka)
        let agreed = activation.approvals.map(\.by).joined(separator: ", ")
        try publisher.publish([
            KafkaPublisher.Record(
                topic: RuleSetTopics.ruleSets(kafka.group), partition: 0, key: activation.key,
                value: activation.json),
            audit.next(
                by: author, isBack ? "roll-back" : "activate",
                [
                    ("epoch", "\(activation.epoch)"), ("ruleset", ruleset), ("logic", logic),
                    ("approvers", agreed), ("reason", reason),
                ], at: at),
        ])
        return activation.epoch
    }

    // MARK: Approvals

    /// The one that is open.
    func proposal(_ ruleset: String, _ author: String) -> RuleSetProposal? {
        history.proposals.first { $0.ruleset == ruleset && $0.author == author }
    }

    /// How many more people have to agree before `author` may activate a text; 0 without a policy.
    package func approvalsMissing(_ ruleset: String, author: String) -> Int {
        guard let policy, let text = history.texts[ruleset] else { return 0 }
        if history.wasActive(ruleset), policy.people[author]?.duties.contains(.operator) == true { return 0 }
        let agreed = proposal(ruleset, author)?.approvals ?? []
        return max(0, policy.approvals(for: text) - Set(agreed.map(\.by)).count)
    }

    /// Asks others to agree to a text, which was written (`prepare`).
    mutating func ask(_ ruleset: String, author: String, reason: String, at: Int64) throws(Fault) {
        let proposal = RuleSetProposal(
            previous: history.epoch, ruleset: ruleset, author: author, reason: reason,
            at: CivilTime.string(at))
        try publish(
            proposal.key, proposal.json, by: author, "propose",
            [("after", "\(proposal.previous)"), ("ruleset", ruleset), ("reason", reason)], at)
    }

    /// Agrees to a proposal that is open. Throws if the policy does not let `person`.
    package mutating func approve(_ ruleset: String, by person: String, signer: RuleSetSigner, at: Int64)
        throws(Fault)
    {
        guard let proposal = history.proposals.first(where: { $0.ruleset == ruleset }) else {
            throw Fault(.user, "\(ruleset) is not proposed as the epoch behind \(history.epoch)")
        }
        if proposal.author == person {
            throw Fault(.user, "\(person) has written it; somebody else must approve it")
        }
        let time = CivilTime.string(at)
        let statement = RuleSetApproval.statement(
            group: kafka.group, previous: proposal.previous, ruleset: ruleset, author: proposal.author,
            by: person, at: time)
        let approval = RuleSetApproval(by: person, at: time, signature: try signer.sign(statement))
        if let policy {
            guard policy.people[person]?.duties.contains(.approver) == true else {
                throw Fault(.user, "\(person) is no approver of the policy")
            }
            if let mistake = policy.mistake(approval.signature, by: person, over: statement) {
                throw Fault(.user, mistake)
            }
        }
        try publish(
            RuleSetProposal.approvalKey(previous: proposal.previous, ruleset: ruleset, by: person),
            RuleSetProposal.approvalJson(approval, of: proposal), by: person, "approve",
            [("after", "\(proposal.previous)"), ("ruleset", ruleset), ("author", proposal.author)], at)
    }

    /// Writes a record beside the audit's, and takes it.
    private mutating func publish(
        _ key: String, _ value: String, by person: String, _ action: String,
        _ details: [(name: String, value: String)], _ at: Int64
    ) throws(Fault) {
        var audit = try AuditLog(kafka)
        try audit.append(
            by: person, action: action, details: details, at: at,
            with: [
                KafkaPublisher.Record(
                    topic: RuleSetTopics.ruleSets(kafka.group), partition: 0, key: key, value: value)
            ])
        try refresh()
    }

    /// What tasks have said of an epoch, by task.
    package func acknowledgements(of epoch: Int64) throws(Fault) -> [Acknowledgement] {
        var found: [Acknowledgement] = []
        for task in 0..<Int32(tasks) {
            guard let json = acknowledgements["\(epoch)/\(task)"] else { continue }
            let node = DocumentNode(try JsonDocument.read(Array(json.utf8)))
            var first: [(topic: String, offset: Int64)] = []
            for (topic, offset) in try node["first"].members {
                first.append((topic, Int64(try offset.integer)))
            }
            found.append(
                Acknowledgement(
                    task: task, epoch: epoch, first: first, watermark: try node.optional("watermark")?.text,
                    raised: try node["raised"].integer, cleared: try node["cleared"].integer,
                    ruleset: try node["ruleset"].text,
                    worker: try node["worker"].text))
        }
        return found
    }

    /// Waits until every task goes on with an epoch, or a later one.
    package mutating func wait(for epoch: Int64, milliseconds: Int64) throws(Fault) -> [Acknowledgement] {
        let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
        while true {
            try takeAcknowledgements()
            let found = try acknowledgements(of: epoch)
            if found.count == tasks || monotonicNanoseconds() > deadline { return found }
            usleep(20_000)
        }
    }
}
