import Base
import Engine
import Testing

/// Goal: whoever reads the topic of rule sets comes to the same epoch, whatever was written to it.
@Suite struct RuleSetHistoryTests {
    private let one = RuleSetText(file: "t.yaml", text: "topology: one", parameters: ["limit": "5"])
    private let two = RuleSetText(file: "t.yaml", text: "topology: two", parameters: [:])

    private func take(_ history: inout RuleSetHistory, _ key: String, _ value: String?)
        -> RuleSetHistory.Event
    {
        guard let value else { return history.take(key: key, value: nil) }
        return Array(value.utf8).withUnsafeBufferPointer { history.take(key: key, value: $0) }
    }

    private func activation(_ epoch: Int64, after previous: Int64, _ ruleset: String, by author: String = "a")
        -> RuleSetActivation
    {
        RuleSetActivation(
            epoch: epoch, previous: previous, ruleset: ruleset, logic: "sha256:l",
            former: previous == 0 ? "sha256:b" : nil,
            author: author, reason: "because", at: "2026-01-01T00:00:00Z")
    }

    private func begin() -> RuleSetHistory {
        var history = RuleSetHistory()
        #expect(take(&history, "text/a", one.json) == .text(ruleset: "sha256:a"))
        #expect(take(&history, "text/b", two.json) == .text(ruleset: "sha256:b"))
        return history
    }

    @Test func activationsFollowEachOther() {
        var history = begin()
        let first = activation(1, after: 0, "sha256:a")
        #expect(take(&history, first.key, first.json) == .activation(first))
        #expect(history.epoch == 1 && history.text(ofEpoch: 1) == one && history.text(ofEpoch: 0) == two)
        let second = activation(2, after: 1, "sha256:b")
        #expect(take(&history, second.key, second.json) == .activation(second))
        #expect(history.epoch == 2 && history.ruleset(ofEpoch: 2) == "sha256:b")
    }

    @Test func ofTwoWhoAreAtItAtOnceOneWins() {
        var history = begin()
        let (mine, yours) = (
            activation(1, after: 0, "sha256:a", by: "me"), activation(1, after: 0, "sha256:b", by: "you")
        )
        #expect(take(&history, mine.key, mine.json) == .activation(mine))
        guard case .void(let reason) = take(&history, yours.key, yours.json) else {
            Issue.record("the second counts")
            return
        }
        #expect(reason.contains("by you") && reason.contains("somebody else was first"))
        #expect(history.activations == [mine])
    }

    @Test func whatIsNoneOfItCountsForNothing() {
        var history = begin()
        let good = activation(1, after: 0, "sha256:a")
        let bad: [(String, String?)] = [
            ("activation/2", good.json), ("activation/1", nil), ("activation/1", "{"), ("activation/1", "{}"),
            ("activation/1", ""),
            (activation(2, after: 0, "sha256:a").key, activation(2, after: 0, "sha256:a").json),
            (activation(2, after: 1, "sha256:a").key, activation(2, after: 1, "sha256:a").json),
            ("activation/1", activation(1, after: 0, "sha256:unknown").json), ("text/a", nil),
            ("text/a", two.json), ("text/c", "[]"),
            ("nonsense", "1"), ("", nil),
            ("text/d", String(repeating: " ", count: Limits.ruleSetBytesMax + 1)),
        ]
        for (key, value) in bad {
            guard case .void = take(&history, key, value) else {
                Issue.record("\(key) \(value?.prefix(100) ?? "null") counts")
                continue
            }
        }
        #expect(history.epoch == 0 && history.texts == ["sha256:a": one, "sha256:b": two])
        #expect(take(&history, good.key, good.json) == .activation(good))
    }
}
