import Base

/// What the records of a topic of rule sets say, taken in their order: the texts, and the activations that
/// count.
///
/// An activation names the epoch that its author saw. If that is not the epoch before it in the log, it is
/// void for everyone, so of two who change the rules at once one wins.
package struct RuleSetHistory: Sendable {
    package enum Event: Equatable, Sendable {
        case text(ruleset: String)
        case activation(RuleSetActivation)
        /// A text is proposed for approval, or approved.
        case proposal(ruleset: String)
        /// It does not count, and why.
        case void(String)
    }

    /// By rule set.
    package private(set) var texts: [String: RuleSetText] = [:]
    /// Ascending by epoch, from 1.
    package private(set) var activations: [RuleSetActivation] = []

    /// What was proposed to become the epoch behind the newest, with approvals, in the order of the topic.
    package private(set) var proposals: [RuleSetProposal] = []
    private let policy: ApprovalPolicy?
    private let group: String

    /// `policy`: by which activations are judged; nil: all that follow on count.
    package init(_ policy: ApprovalPolicy? = nil, group: String = "") {
        (self.policy, self.group) = (policy, group)
    }

    /// 0: the rules are those of the file that the workers were started with.
    package var epoch: Int64 { activations.last?.epoch ?? 0 }

    /// The text of an epoch, as far as it is known; of 0, what the first activation says of it.
    package func text(ofEpoch epoch: Int64) -> RuleSetText? { ruleset(ofEpoch: epoch).flatMap { texts[$0] } }

    package func ruleset(ofEpoch epoch: Int64) -> String? {
        epoch == 0 ? activations.first?.former : activations.first { $0.epoch == epoch }?.ruleset
    }

    /// True if these were the rules at some time, be it before the first activation.
    package func wasActive(_ ruleset: String) -> Bool {
        activations.contains { $0.ruleset == ruleset || $0.former == ruleset }
    }

    /// Takes a record; `value` nil: a tombstone.
    package mutating func take(key: String, value: UnsafeBufferPointer<UInt8>?) -> Event {
        do throws(Fault) {
            if key.hasPrefix("text/") { return try takeText(key, value) }
            if key.hasPrefix("activation/") { return try takeActivation(key, value) }
            if key.hasPrefix("proposal/") { return try takeProposal(key, value) }
            if key.hasPrefix("approval/") { return try takeApproval(key, value) }
            return .void("'\(key.prefix(100))' is no key of a rule set")
        } catch {
            return .void("\(key.prefix(100)): \(error.detail)")
        }
    }

    private mutating func takeText(_ key: String, _ value: UnsafeBufferPointer<UInt8>?) throws(Fault) -> Event
    {
        guard let value else { return .void("\(key): texts are not taken back") }
        if value.count > Limits.ruleSetBytesMax {
            return .void("\(key): more than \(Limits.ruleSetBytesMax) bytes")
        }
        let ruleset = "sha256:\(key.dropFirst("text/".count))"
        let text = try RuleSetText(value)
        // Who could change a text could change what an approved one says.
        if let known = texts[ruleset], known.text != text.text || known.parameters != text.parameters {
            return .void("\(key): another text has this name already")
        }
        texts[ruleset] = text
        return .text(ruleset: ruleset)
    }

    private mutating func takeActivation(_ key: String, _ value: UnsafeBufferPointer<UInt8>?) throws(Fault)
        -> Event
    {
        guard let value else { return .void("\(key): activations are not taken back") }
        if value.count > Limits.ruleSetBytesMax {
            return .void("\(key): more than \(Limits.ruleSetBytesMax) bytes")
        }
        let activation = try RuleSetActivation(value)
        guard activation.key == key else { return .void("\(key): the record says epoch \(activation.epoch)") }
        guard activation.previous == epoch, activation.epoch == epoch + 1 else {
            return .void(
                "\(key) by \(activation.author) follows on epoch \(activation.previous), and the rules are at epoch \(epoch): "
                    + "somebody else was first")
        }
        guard texts[activation.ruleset] != nil else {
            return .void("\(key): \(activation.ruleset) is not known")
        }
        if let refusal = policy?.refusal(of: activation, group: group, after: self) {
            return .void("\(key) by \(activation.author) does not count: \(refusal)")
        }
        activations.append(activation)
        proposals = []
        return .activation(activation)
    }

    private mutating func takeProposal(_ key: String, _ value: UnsafeBufferPointer<UInt8>?) throws(Fault)
        -> Event
    {
        guard let value, value.count <= Limits.ruleSetBytesMax else { return .void("\(key): no proposal") }
        let proposal = try RuleSetProposal(value)
        guard proposal.key == key else { return .void("\(key): the record says \(proposal.key)") }
        // Those for other epochs are history, or wait for a rollback that is none.
        guard proposal.previous == epoch, texts[proposal.ruleset] != nil else {
            return .proposal(ruleset: proposal.ruleset)
        }
        proposals.removeAll { $0.ruleset == proposal.ruleset }
        guard proposals.count < Limits.ruleSetsRemembered else {
            return .void("\(key): \(Limits.ruleSetsRemembered) proposals are open already")
        }
        proposals.append(proposal)
        return .proposal(ruleset: proposal.ruleset)
    }

    private mutating func takeApproval(_ key: String, _ value: UnsafeBufferPointer<UInt8>?) throws(Fault)
        -> Event
    {
        guard let value, value.count <= Limits.ruleSetBytesMax else { return .void("\(key): no approval") }
        let (previous, ruleset, approval) = try RuleSetProposal.readApproval(value)
        guard RuleSetProposal.approvalKey(previous: previous, ruleset: ruleset, by: approval.by) == key else {
            return .void("\(key): the record is of \(approval.by)")
        }
        guard previous == epoch, let place = proposals.firstIndex(where: { $0.ruleset == ruleset }) else {
            return .proposal(ruleset: ruleset)
        }
        proposals[place].approvals.removeAll { $0.by == approval.by }
        guard proposals[place].approvals.count < Limits.ruleSetsRemembered else {
            return .void("\(key): \(Limits.ruleSetsRemembered) people have approved already")
        }
        proposals[place].approvals.append(approval)
        return .proposal(ruleset: ruleset)
    }
}
