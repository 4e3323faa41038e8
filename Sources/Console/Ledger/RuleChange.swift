import Base
import Engine
import Models
import Records

/// A change of a topology's rules on its way, as it stands in `<topology>-changes`.
package struct RuleChange: Sendable, Equatable {
    package struct Approval: Sendable, Equatable {
        package var by: String
        package var at: Int64
        package var comment: String
        /// What was approved: of another text it says nothing.
        package var ruleset: String
    }

    package enum State: String, Sendable, CaseIterable {
        case draft, submitted, approved, active, returned, discarded, refused
    }

    package var id: String
    package var topology: String
    package var title: String
    package var reason: String
    package var state = State.draft
    package var revision: Int64 = 1
    /// Which rules ran when it was written.
    package var baseEpoch: Int64
    package var ruleset: String?
    package var logic: String?
    package var author: String
    package var createdAt: Int64
    package var updatedAt: Int64
    package var submittedAt: Int64?
    package var approvals: [Approval] = []
    /// How many people other than the author, as of its submission.
    package var approvalsNeeded: Int64 = 1
    package var epoch: Int64?
    package var outcome: String?
    package var text: RuleSetText

    package init(
        id: String, topology: String, title: String, reason: String, baseEpoch: Int64, author: String,
        at: Int64, text: RuleSetText
    ) {
        (self.id, self.topology, self.title, self.reason) = (id, topology, title, reason)
        (self.baseEpoch, self.author, self.createdAt, self.updatedAt, self.text) = (
            baseEpoch, author, at, at, text
        )
    }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        let node = DocumentNode(try JsonDocument.read(Array(value)))
        func time(_ name: String) throws(Fault) -> Int64? {
            try node.optional(name).flatMap { (node) throws(Fault) in
                CivilTime.parse(try node.text)?.milliseconds
            }
        }
        id = try node["id"].text
        topology = try node["topology"].text
        title = try node["title"].text
        reason = try node["reason"].text
        guard let state = State(rawValue: try node["state"].text) else {
            throw Fault(.user, "a state that is not known")
        }
        self.state = state
        revision = Int64(try node["revision"].integer)
        baseEpoch = Int64(try node["base_epoch"].integer)
        ruleset = try node.optional("ruleset")?.text
        logic = try node.optional("logic")?.text
        author = try node["author"].text
        createdAt = try time("created_at") ?? 0
        updatedAt = try time("updated_at") ?? 0
        submittedAt = try time("submitted_at")
        for approval in try node["approvals"].list {
            approvals.append(
                Approval(
                    by: try approval["by"].text,
                    at: CivilTime.parse(try approval["at"].text)?.milliseconds ?? 0,
                    comment: try approval["comment"].text, ruleset: try approval["ruleset"].text))
        }
        approvalsNeeded = Int64(try node.optional("approvals_needed")?.integer ?? 1)
        epoch = try node.optional("epoch").map { (node) throws(Fault) in Int64(try node.integer) }
        outcome = try node.optional("outcome")?.text
        let text = try node["text"]
        var parameters: [String: String] = [:]
        for (name, node) in try text["parameters"].members { parameters[name] = try node.text }
        self.text = RuleSetText(
            file: try text["file"].text, text: try text["text"].text, parameters: parameters)
    }

    /// Without its text.
    package var row: Json { .object(members) }

    /// `backtest`: of the one that ran over its text.
    func row(backtest: String?) -> Json {
        .object(members.map { $0.0 == "backtest" ? ($0.0, .optional(backtest)) : $0 })
    }

    private var members: [(String, Json)] {
        [
            ("id", .text(id)), ("topology", .text(topology)), ("title", .text(title)),
            ("reason", .text(reason)),
            ("state", .text(state.rawValue)), ("revision", .int(revision)), ("base_epoch", .int(baseEpoch)),
            ("ruleset", .optional(ruleset)), ("logic", .optional(logic)), ("author", .text(author)),
            ("created_at", .time(createdAt)),
            ("updated_at", .time(updatedAt)), ("submitted_at", .time(submittedAt)),
            (
                "approvals",
                .list(
                    approvals.map { approval in
                        [
                            "by": .text(approval.by), "at": .time(approval.at),
                            "comment": .text(approval.comment),
                            "ruleset": .text(approval.ruleset),
                        ]
                    })
            ), ("approvals_needed", .int(approvalsNeeded)), ("backtest", .null),
            ("epoch", epoch.map { .int($0) } ?? .null), ("outcome", .optional(outcome)),
        ]
    }

    var record: String { Json.object(members + [("text", .written(text.json))]).string }

    package enum Step: String, Sendable { case edit, submit, approve, `return`, discard, activate }

    /// Throws why `name` may not do it now.
    package func check(_ step: Step, by name: String) throws(ApiError) {
        func only(_ states: State...) throws(ApiError) {
            guard states.contains(state) else {
                throw ApiError(
                    409, "conflict",
                    "it is \(state.rawValue), and that is for what is \(states.map(\.rawValue).joined(separator: " or "))",
                    current: row)
            }
        }
        switch step {
        case .edit:
            try only(.draft, .returned, .submitted, .approved, .refused)
            if name != author { throw ApiError(403, "forbidden", "it is \(author)'s") }
        case .submit:
            try only(.draft, .returned, .refused)
            if name != author { throw ApiError(403, "forbidden", "it is \(author)'s") }
        case .discard:
            try only(.draft, .returned, .submitted, .approved, .refused)
            if name != author { throw ApiError(403, "forbidden", "it is \(author)'s") }
        case .approve:
            try only(.submitted)
            if name == author { throw ApiError(403, "own-change", "nobody approves a change of their own") }
            if agreed.contains(name) {
                throw ApiError(409, "conflict", "\(name) has approved it already", current: row)
            }
        case .return: try only(.submitted, .approved)
        case .activate:
            try only(.approved)
            if name == author { throw ApiError(403, "own-change", "somebody else activates it") }
            guard isApproved else {
                throw ApiError(
                    409, "conflict", "\(agreed.count) of \(approvalsNeeded) people have approved this text",
                    current: row)
            }
        }
    }

    /// Who has approved the text as it is.
    private var agreed: Set<String> {
        Set(approvals.filter { $0.by != author && $0.ruleset == ruleset }.map(\.by))
    }
    package var isApproved: Bool { agreed.count >= approvalsNeeded }
}
