import Base
import Topology

extension RuleSetDeployment {
    /// A text that is to become the next epoch.
    package struct Request {
        package var text: RuleSetText
        package var spec: TopologySpec
        package var author: String
        package var reason: String
        /// How far somebody has agreed to go.
        package var consent: ChangePlan.Way
        /// How many alerts the switch itself may raise and clear; nil: any number.
        package var alertsMax: Int?
        /// Whose key vouches, where there is a policy.
        package var signer: RuleSetSigner?
        /// Who has agreed as the signer has seen, which is a console then.
        package var approvers: [String] = []
        /// How long the tasks have to answer.
        package var milliseconds: Int64

        package init(
            _ text: RuleSetText, _ spec: TopologySpec, author: String, reason: String,
            consent: ChangePlan.Way, signer: RuleSetSigner?,
            milliseconds: Int64
        ) {
            (self.text, self.spec, self.author, self.reason) = (text, spec, author, reason)
            (self.consent, self.signer, self.milliseconds) = (consent, signer, milliseconds)
        }
    }

    /// What became of it. Nothing was changed but where it is activated.
    package enum Outcome {
        case activated(epoch: Int64, way: ChangePlan.Way)
        /// A worker goes by another policy than this side; `hash` nil: by none.
        case otherPolicy(worker: String, hash: String?)
        case refused([Answer])
        /// It goes further than somebody has agreed to; and why.
        case unagreed(ChangePlan.Way, reasons: [String])
        /// The switch itself would raise and clear more alerts than somebody has agreed to.
        case tooManyAlerts(RuleSetTrials.Count)
        case unanswered(tasks: [Int32])
        /// Workers were started with different files, and nothing was activated yet.
        case differentFiles([String])
        /// So many more people must agree; they are asked.
        case unapproved(missing: Int)
    }

    /// Proposes a text, and makes it the next epoch if every task is prepared, somebody has agreed to how it
    /// goes on, and the policy is met. Throws if somebody else was first.
    ///
    /// - Parameter prepared: told what the tasks say.
    package mutating func deploy(
        _ request: Request, at clock: () -> Int64, prepared: ([Answer]) -> Void = { _ in }
    ) throws(Fault) -> Outcome {
        let (ruleset, author, previous) = (request.spec.ruleset, request.author, history.epoch)
        let answers = try prepare(request.text, ruleset, milliseconds: request.milliseconds)
        prepared(answers)
        if let other = answers.first(where: { $0.policy != policy?.hash }) {
            return .otherPolicy(worker: other.worker, hash: other.policy)
        }
        let refused = answers.filter { !$0.isPrepared }
        if !refused.isEmpty { return .refused(refused) }
        let way = answers.map(\.way).max() ?? .hot
        if way > request.consent { return .unagreed(way, reasons: Set(answers.flatMap(\.reasons)).sorted()) }
        if answers.count < tasks {
            return .unanswered(
                tasks: (0..<Int32(tasks)).filter { task in !answers.contains { $0.task == task } })
        }
        if let most = request.alertsMax, let count = Self.total(answers), count.raised + count.cleared > most
        {
            return .tooManyAlerts(count)
        }
        let former = Set(answers.map(\.former))
        if previous == 0, former.count > 1 { return .differentFiles(former.sorted()) }
        try refresh()
        if let signer = request.signer, policy != nil, approvalsMissing(ruleset, author: author) > 0 {
            try askOnce(request, at: clock())
            let known = proposal(ruleset, author)?.approvals.map(\.by) ?? []
            for person in request.approvers where !known.contains(person) {
                try approve(ruleset, by: person, signer: signer, at: clock())
            }
        }
        let missing = approvalsMissing(ruleset, author: author)
        if missing > 0 {
            try askOnce(request, at: clock())
            return .unapproved(missing: missing)
        }
        let epoch = try activate(
            ruleset, logic: request.spec.logic, after: previous, former: former.first, author: author,
            reason: request.reason, at: clock(),
            signer: request.signer)
        return .activated(epoch: epoch, way: way)
    }

    /// What the tasks' trials come to; nil: one was not made.
    package static func total(_ answers: [Answer]) -> RuleSetTrials.Count? {
        var total = RuleSetTrials.Count(raised: 0, cleared: 0)
        for answer in answers {
            guard let trial = answer.trial else { return nil }
            total.raised += trial.raised
            total.cleared += trial.cleared
        }
        return total
    }

    private mutating func askOnce(_ request: Request, at: Int64) throws(Fault) {
        if proposal(request.spec.ruleset, request.author) != nil { return }
        try ask(request.spec.ruleset, author: request.author, reason: request.reason, at: at)
    }
}
