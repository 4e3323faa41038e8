import Base
import Models
import Records
import Testing
import Topology

@testable import Engine

/// Goal: workers take exactly the changes that the policy lets people make. Method: a history with a policy
/// of four people and a console, keys from OpenSSL, and each way to get around it.
@Suite struct ApprovalPolicyTests {
    /// Two keys; others sign with the wrong one.
    private static let keys: [(secret: String, open: String)] = [
        (
            "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7",
            "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
        ),
        (
            "MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3",
            "MCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU="
        ),
    ]

    private func signer(_ holder: String, _ key: Int) throws -> RuleSetSigner {
        try RuleSetSigner(
            holder: holder,
            pem: "-----BEGIN PRIVATE KEY-----\n\(Self.keys[key].secret)\n-----END PRIVATE KEY-----",
            name: holder)
    }

    private func policy(_ extra: String = "approvals_outside_soft: 2") throws -> ApprovalPolicy {
        let files = Self.keys.map { "-----BEGIN PUBLIC KEY-----\n\($0.open)\n-----END PUBLIC KEY-----\n" }
        let environment = Environment(
            variable: { _ in nil },
            fileText: { $0 == "etc/one.pub" ? files[0] : $0 == "etc/two.pub" ? files[1] : nil },
            zones: .system)
        return try ApprovalPolicy.read(
            """
            approvals: 1
            \(extra)
            people:
              lin: { key: one.pub, duties: [author, approver] }
              wang: { key: two.pub, duties: [approver, operator] }
              zhao: { duties: [approver] }
              viewer: { key: two.pub }
              console: { key: two.pub, speaks_for_others: true }
            """, file: "etc/policy.yaml", environment: environment)
    }

    private func topology(_ limit: Int) -> RuleSetText {
        RuleSetText(
            file: "t.yaml",
            text: """
                topology: watch
                parameters: { limit: { default: \(limit), min: 1, max: 1000, soft: [10, 50] } }
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 3s }
                    schema: { shop: text, t: timestamp }
                steps:
                  pace: { from: orders, key: shop, window: { size: 10s, slide: 2s }, aggregate: { n: count() } }
                rules:
                  burst: { on: pace, when: "n >= ${limit}", risk: r, severity: high, message: "{n}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                """, parameters: [:])
    }

    private struct Rig {
        var history: RuleSetHistory
        let group = "watch"

        mutating func take(_ key: String, _ json: String) -> RuleSetHistory.Event {
            Array(json.utf8).withUnsafeBufferPointer { history.take(key: key, value: $0) }
        }

        mutating func text(_ text: RuleSetText) throws -> String {
            let (spec, diagnostics) = text.read()
            let ruleset = try #require(spec?.ruleset, "\(diagnostics)")
            #expect(take(RuleSetText.key(ruleset), text.json) == .text(ruleset: ruleset))
            return ruleset
        }

        func approval(
            of ruleset: String, by person: String, _ signer: RuleSetSigner?, author: String = "lin",
            previous: Int64? = nil
        ) throws -> RuleSetApproval {
            let statement = RuleSetApproval.statement(
                group: group, previous: previous ?? history.epoch, ruleset: ruleset, author: author,
                by: person, at: "2026-01-01T00:00:00Z")
            return RuleSetApproval(
                by: person, at: "2026-01-01T00:00:00Z", signature: try signer?.sign(statement))
        }

        func activation(
            _ ruleset: String, by author: String = "lin", _ signer: RuleSetSigner?,
            _ approvals: [RuleSetApproval]
        ) throws -> RuleSetActivation {
            var activation = RuleSetActivation(
                epoch: history.epoch + 1, previous: history.epoch, ruleset: ruleset, logic: "sha256:l",
                former: history.epoch == 0 ? "sha256:f" : nil, author: author, reason: "why",
                at: "2026-01-01T00:00:00Z")
            activation.signature = try signer?.sign(activation.statement(group: group))
            activation.approvals = approvals
            return activation
        }

        /// nil: it counts.
        mutating func refusal(_ activation: RuleSetActivation) -> String? {
            switch take(activation.key, activation.json) {
            case .void(let reason): reason
            case .activation(let read): read == activation ? nil : "another was read"
            default: "no activation"
            }
        }
    }

    private func rig() throws -> Rig { Rig(history: RuleSetHistory(try policy(), group: "watch")) }

    @Test func whatIsSignedAndApprovedCounts() throws {
        var rig = try rig()
        let ruleset = try rig.text(topology(20))
        let good = try rig.activation(
            ruleset, signer("lin", 0), [rig.approval(of: ruleset, by: "wang", signer("wang", 1))])
        #expect(rig.refusal(good) == nil)
        #expect(rig.history.epoch == 1)
    }

    @Test func aConsoleSpeaksForThoseWhoLoggedIn() throws {
        var rig = try rig()
        let ruleset = try rig.text(topology(20))
        let console = try signer("console", 1)
        #expect(
            rig.refusal(
                try rig.activation(ruleset, console, [rig.approval(of: ruleset, by: "zhao", console)])) == nil
        )
    }

    @Test func whatGoesAroundThePolicyDoesNotCount() throws {
        var rig = try rig()
        let ruleset = try rig.text(topology(20))
        let other = try rig.text(topology(21))
        let lin = try signer("lin", 0)
        let wang = try signer("wang", 1)
        let agreed = try rig.approval(of: ruleset, by: "wang", wang)
        func check(_ activation: RuleSetActivation, _ words: String, _ line: Int = #line) {
            let refusal = rig.refusal(activation)
            #expect(refusal?.contains(words) == true, "line \(line): \(refusal ?? "it counts")")
            #expect(rig.history.epoch == 0)
        }
        check(try rig.activation(ruleset, nil, [agreed]), "not signed")
        check(try rig.activation(ruleset, lin, []), "0 of 1 approvals")
        check(try rig.activation(ruleset, signer("lin", 1), [agreed]), "signature by lin is wrong")
        check(try rig.activation(ruleset, signer("viewer", 1), [agreed]), "viewer does not speak for lin")
        check(try rig.activation(ruleset, signer("nobody", 1), [agreed]), "no key of 'nobody'")
        check(try rig.activation(ruleset, by: "stranger", lin, [agreed]), "stranger is not in the policy")
        check(try rig.activation(ruleset, by: "viewer", signer("viewer", 1), [agreed]), "viewer is no author")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "lin", lin)]),
            "approved the own text")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "viewer", signer("viewer", 1))]),
            "viewer is no approver")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "wang", nil)]),
            "not signed by wang")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "wang", signer("wang", 0))]),
            "signature by wang is wrong")
        // An approval of another text, of another author's proposal, or for another epoch.
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: other, by: "wang", wang)]),
            "signature by wang is wrong")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "wang", wang, author: "zhao")]),
            "signature by wang is wrong")
        check(
            try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "wang", wang, previous: 4)]),
            "signature by wang is wrong")
        var altered = try rig.activation(ruleset, lin, [agreed])
        altered.reason = "another"
        check(altered, "signature by lin is wrong")
        altered = try rig.activation(other, lin, [agreed])
        altered.ruleset = ruleset
        check(altered, "signature by lin is wrong")
        #expect(rig.refusal(try rig.activation(ruleset, lin, [agreed])) == nil)
    }

    @Test func beyondTheSoftRangeTwoMustAgree() throws {
        var rig = try rig()
        let ruleset = try rig.text(topology(60))
        let lin = try signer("lin", 0)
        let console = try signer("console", 1)
        let one = try rig.approval(of: ruleset, by: "wang", console)
        #expect(rig.refusal(try rig.activation(ruleset, lin, [one]))?.contains("1 of 2 approvals") == true)
        #expect(
            rig.refusal(try rig.activation(ruleset, lin, [one, one]))?.contains("1 of 2 approvals") == true)
        #expect(
            rig.refusal(
                try rig.activation(ruleset, lin, [one, rig.approval(of: ruleset, by: "zhao", console)]))
                == nil)
    }

    /// Who has not the secrets that a text names comes to the same epochs as who has.
    @Test func secretsOfTheMachineChangeNothing() throws {
        var rig = try rig()
        var text = topology(60)
        text.text += "\nkafka: { security.protocol: \"${env:MILLRACE_NOT_SET_ANYWHERE}\" }\n"
        #expect(text.read().spec == nil)
        #expect(rig.take("text/secret", text.json) == .text(ruleset: "sha256:secret"))
        let lin = try signer("lin", 0)
        let console = try signer("console", 1)
        let one = try rig.approval(of: "sha256:secret", by: "wang", console)
        #expect(
            rig.refusal(try rig.activation("sha256:secret", lin, []))?.contains("0 of 2 approvals") == true)
        #expect(
            rig.refusal(try rig.activation("sha256:secret", lin, [one]))?.contains("1 of 2 approvals") == true
        )
        #expect(
            rig.take("text/none", RuleSetText(file: "t.yaml", text: "[", parameters: [:]).json)
                == .text(ruleset: "sha256:none"))
        let other = try rig.approval(of: "sha256:none", by: "wang", console)
        #expect(
            rig.refusal(try rig.activation("sha256:none", lin, [other]))?.contains("1 of 2 approvals") == true
        )
        text.parameters = ["limit": "20"]
        #expect(rig.take("text/usual", text.json) == .text(ruleset: "sha256:usual"))
        let usual = try rig.approval(of: "sha256:usual", by: "wang", console)
        #expect(rig.refusal(try rig.activation("sha256:usual", lin, [usual])) == nil)
    }

    @Test func proposalsBeyondTheLimitAreSaid() throws {
        var rig = try rig()
        for number in 0...Limits.ruleSetsRemembered {
            _ = rig.take("text/\(number)", topology(20 + number).json)
            let proposal = RuleSetProposal(
                previous: 0, ruleset: "sha256:\(number)", author: "lin", reason: "",
                at: "2026-01-01T00:00:00Z")
            let event = rig.take(proposal.key, proposal.json)
            if number < Limits.ruleSetsRemembered {
                #expect(event == .proposal(ruleset: proposal.ruleset))
            } else {
                guard case .void(let reason) = event else {
                    Issue.record("one more than are remembered: \(event)")
                    return
                }
                #expect(reason.contains("proposals are open already"))
            }
        }
        #expect(rig.history.proposals.count == Limits.ruleSetsRemembered)
    }

    @Test func anOperatorGoesBackAlone() throws {
        var rig = try rig()
        let first = try rig.text(topology(20))
        let second = try rig.text(topology(30))
        let third = try rig.text(topology(40))
        let lin = try signer("lin", 0)
        let wang = try signer("wang", 1)
        for ruleset in [first, second] {
            #expect(
                rig.refusal(try rig.activation(ruleset, lin, [rig.approval(of: ruleset, by: "wang", wang)]))
                    == nil)
        }
        #expect(
            rig.refusal(try rig.activation(third, by: "wang", wang, []))?.contains("0 of 1 approvals") == true
        )
        #expect(rig.refusal(try rig.activation(first, lin, []))?.contains("0 of 1 approvals") == true)
        #expect(rig.refusal(try rig.activation(first, by: "wang", wang, [])) == nil)
        #expect(rig.history.epoch == 3)
    }

    @Test func epochsBeforeAPolicyStay() throws {
        var rig = Rig(history: RuleSetHistory(try policy("since: 1"), group: "watch"))
        let ruleset = try rig.text(topology(20))
        #expect(rig.refusal(try rig.activation(ruleset, nil, [])) == nil)
        #expect(rig.refusal(try rig.activation(ruleset, nil, []))?.contains("not signed") == true)
    }

    @Test func proposalsGatherApprovalsUntilTheEpochMovesOn() throws {
        var rig = try rig()
        let ruleset = try rig.text(topology(20))
        let proposal = RuleSetProposal(
            previous: 0, ruleset: ruleset, author: "lin", reason: "why", at: "2026-01-01T00:00:00Z")
        #expect(rig.take(proposal.key, proposal.json) == .proposal(ruleset: ruleset))
        let approval = try rig.approval(of: ruleset, by: "wang", signer("wang", 1))
        let key = RuleSetProposal.approvalKey(previous: 0, ruleset: ruleset, by: "wang")
        for _ in 0..<2 {
            #expect(
                rig.take(key, RuleSetProposal.approvalJson(approval, of: proposal))
                    == .proposal(ruleset: ruleset))
        }
        #expect(rig.history.proposals.map(\.approvals) == [[approval]])
        guard case .void = rig.take("approval/0/x/zhao", RuleSetProposal.approvalJson(approval, of: proposal))
        else {
            Issue.record("an approval counts under another key")
            return
        }
        #expect(
            rig.refusal(try rig.activation(ruleset, signer("lin", 0), rig.history.proposals[0].approvals))
                == nil)
        #expect(rig.history.proposals.isEmpty)
    }

    @Test(arguments: [
        ("people: {}", "people is empty"),
        (
            "approvals: 3\npeople: { lin: { duties: [approver] } }",
            "3 approvals are asked for, and 1 people may approve"
        ),
        (
            "people: { lin: { duties: [boss] } }",
            "p.yaml:1:27: a duty is author, approver or operator, not 'boss'"
        ),
        ("people: { lin: { key: gone.pub } }", "the file 'gone.pub' cannot be read"),
        ("people: { lin: { key: bad.pub } }", "bad.pub holds no public key"),
        ("people: { lin: { speaks_for_others: true } }", "takes a key"),
        ("approval: 1\npeople: { lin: { duties: [approver] } }", "did you mean 'approvals'"),
        ("- 1", "needs a mapping"),
    ])
    func mistakesAreNamed(_ text: String, _ words: String) {
        let environment = Environment(
            variable: { _ in nil }, fileText: { $0 == "bad.pub" ? "nonsense" : nil }, zones: .system)
        do {
            _ = try ApprovalPolicy.read(text, file: "p.yaml", environment: environment)
            Issue.record("'\(text)' is read")
        } catch {
            #expect(error.detail.contains(words), "\(error.detail)")
        }
    }
}
