import Base
import Security
import Topology

/// Who may change the rules of a topology, and how many others must have agreed. Every worker holds it and
/// goes by nothing else: what a topic says is only believed as far as signatures of the policy's keys reach.
package struct ApprovalPolicy: Sendable {
    package enum Duty: String, CaseIterable, Sendable {
        /// Proposes texts.
        case author
        /// Agrees to what somebody else proposes.
        case approver
        /// Goes back to what was active before.
        case `operator`
    }

    package struct Person: Sendable {
        package var duties: Set<Duty>
        /// nil: others speak for this person.
        var key: VerifyingKey?
        /// A console, which has seen who logged in.
        package var speaksForOthers: Bool
    }

    /// Approvals that a text needs besides its author.
    package var approvals: Int
    /// Where a parameter is beyond its soft range.
    package var approvalsOutsideSoft: Int
    /// Activations up to this epoch were judged by policies before this one.
    package var since: Int64
    package var people: [String: Person]
    /// `sha256:…` of its file.
    package var hash: String

    /// What every machine comes to, whatever secrets it has: of the text as it stands. One whose parameters
    /// cannot be read needs as many as any.
    package func approvals(for text: RuleSetText) -> Int {
        let parameters = TopologyReader.parameters(of: text.text, given: text.parameters)
        let isUsual = parameters?.allSatisfy { !$0.isOutsideSoft } ?? false
        return isUsual ? approvals : max(approvals, approvalsOutsideSoft)
    }

    /// Why a signature is not to be believed; nil: it is `person`'s, made with the key of `holder`.
    func mistake(_ signature: RuleSetSignature?, by person: String, over statement: [UInt8]) -> String? {
        guard people[person] != nil else { return "\(person) is not in the policy" }
        guard let signature else { return "it is not signed by \(person)" }
        guard let holder = people[signature.holder], let key = holder.key else {
            return "the policy has no key of '\(signature.holder)'"
        }
        guard signature.holder == person || holder.speaksForOthers else {
            return "\(signature.holder) does not speak for \(person)"
        }
        return key.verifies(signature.bytes, of: statement)
            ? nil : "the signature by \(signature.holder) is wrong"
    }

    /// Why what `signer` signs for `person` would not be believed; nil: it would.
    package func mistake(of signer: RuleSetSigner, for person: String) throws(Fault) -> String? {
        let statement = Array("a key is tried".utf8)
        return mistake(try signer.sign(statement), by: person, over: statement)
    }

    /// Why an activation does not count; nil: it does. `history`: what is before it.
    func refusal(
        of activation: RuleSetActivation, group: String, after history: RuleSetHistory
    ) -> String? {
        if activation.epoch <= since { return nil }
        if let mistake = mistake(
            activation.signature, by: activation.author, over: activation.statement(group: group))
        {
            return mistake
        }
        let duties = people[activation.author]?.duties ?? []
        let isBack = history.wasActive(activation.ruleset)
        if isBack, duties.contains(.operator) { return nil }
        guard duties.contains(.author) || duties.contains(.operator) else {
            return "\(activation.author) is no author"
        }
        guard let text = history.texts[activation.ruleset] else { return "its text is not known" }
        var agreed: Set<String> = []
        for approval in activation.approvals {
            if approval.by == activation.author { return "\(approval.by) has approved the own text" }
            guard people[approval.by]?.duties.contains(.approver) == true else {
                return "\(approval.by) is no approver"
            }
            let statement = RuleSetApproval.statement(
                group: group, previous: activation.previous, ruleset: activation.ruleset,
                author: activation.author, by: approval.by,
                at: approval.at)
            if let mistake = mistake(approval.signature, by: approval.by, over: statement) {
                return "approval by \(approval.by): \(mistake)"
            }
            agreed.insert(approval.by)
        }
        let needed = approvals(for: text)
        return agreed.count >= needed ? nil : "\(agreed.count) of \(needed) approvals"
    }
}
