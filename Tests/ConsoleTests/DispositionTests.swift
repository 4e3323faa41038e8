import Base
import Engine
import Testing

@testable import Console

/// Goal: what may become of an alert, and of a change. Method: each step from each state.
@Suite struct DispositionTests {
    @Test func steps() throws {
        let open = Disposition(alertId: "a", topology: "t")
        let taken = try open.after(.take, by: "lin", at: 10)
        #expect((taken.status, taken.owner, taken.revision) == ("taken", "lin", 1))
        #expect(throws: ApiError.self) { try taken.after(.take, by: "lin", at: 11) }
        #expect(try taken.after(.take, by: "chen", at: 11).owner == "chen")
        #expect(throws: ApiError.self) { try taken.after(.close, by: "lin", at: 11) }
        #expect(throws: ApiError.self) { try taken.after(.close, by: "lin", outcome: "maybe", at: 11) }
        let closed = try taken.after(.close, by: "lin", outcome: "noise", note: "n", at: 11)
        #expect((closed.status, closed.outcome, closed.note) == ("closed", "noise", "n"))
        #expect(throws: ApiError.self) { try closed.after(.snooze, by: "lin", until: 100, note: "n", at: 12) }
        #expect(try closed.after(.reopen, by: "lin", at: 12).outcome == nil)
        #expect(throws: ApiError.self) { try open.after(.snooze, by: "lin", until: 100, at: 12) }
        #expect(throws: ApiError.self) { try open.after(.snooze, by: "lin", until: 5, note: "n", at: 12) }
        #expect(throws: ApiError.self) {
            try open.after(.snooze, by: "lin", until: 91 * 86_400_000, note: "n", at: 12)
        }
        #expect(throws: ApiError.self) { try open.after(.note, by: "lin", note: "", at: 12) }
        #expect(throws: ApiError.self) {
            try open.after(.note, by: "lin", note: String(repeating: "x", count: 5000), at: 12)
        }
    }

    @Test func nobodyApprovesTheirOwn() throws {
        var change = RuleChange(
            id: "c", topology: "t", title: "x", reason: "", baseEpoch: 1, author: "wang", at: 0,
            text: RuleSetText(file: "f", text: "", parameters: [:]))
        #expect(throws: ApiError.self) { try change.check(.approve, by: "chen") }
        #expect(throws: ApiError.self) { try change.check(.submit, by: "chen") }
        try change.check(.submit, by: "wang")
        (change.state, change.ruleset) = (.submitted, "sha256:1")
        do throws(ApiError) {
            try change.check(.approve, by: "wang")
            Issue.record("an own change was approved")
        } catch { #expect(error.code == "own-change") }
        try change.check(.approve, by: "chen")
        change.state = .approved
        #expect(throws: ApiError.self) { try change.check(.activate, by: "ope") }
        change.approvals = [RuleChange.Approval(by: "chen", at: 1, comment: "", ruleset: "sha256:0")]
        #expect(throws: ApiError.self) { try change.check(.activate, by: "ope") }
        change.approvals[0].ruleset = "sha256:1"
        #expect(throws: ApiError.self) { try change.check(.activate, by: "wang") }
        try change.check(.activate, by: "ope")
    }

    @Test func asManyApproveAsThePolicyAsksFor() throws {
        var change = RuleChange(
            id: "c", topology: "t", title: "x", reason: "", baseEpoch: 1, author: "wang", at: 0,
            text: RuleSetText(file: "f", text: "", parameters: [:]))
        (change.state, change.ruleset, change.approvalsNeeded) = (.submitted, "sha256:1", 2)
        change.approvals = [RuleChange.Approval(by: "chen", at: 1, comment: "", ruleset: "sha256:1")]
        #expect(!change.isApproved)
        #expect(throws: ApiError.self) { try change.check(.approve, by: "chen") }
        try change.check(.approve, by: "lin")
        change.approvals.append(RuleChange.Approval(by: "chen", at: 2, comment: "", ruleset: "sha256:1"))
        #expect(!change.isApproved)
        change.approvals.append(RuleChange.Approval(by: "lin", at: 3, comment: "", ruleset: "sha256:1"))
        #expect(change.isApproved)
        let read = try Array(change.record.utf8).withUnsafeBufferPointer { try RuleChange($0) }
        #expect(read == change)
    }

    @Test func customersAreMasked() {
        #expect(Mask.text("M1000001") == "M1•••")
        #expect(Mask.text("M1") == "•••")
        #expect(
            Mask.message("M1000001 sold, M1000001 again", hiding: "M1000001") == "M1••• sold, M1••• again")
    }
}
