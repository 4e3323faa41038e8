/// One key's windows of one step, or what one rule remembers of it, for people and tests.
package struct StateEntry: Sendable {
    /// Name of the step or the rule.
    package var store: String
    /// The key's fields as JSON, by which entries are compared and found.
    package var key: String
    /// The values of the key's fields as text, with commas between.
    package var text: String
    /// One line of JSON.
    package var json: String
}

/// What a store of a task takes.
package struct StoreSummary: Sendable {
    package var store: String
    package var keys: Int
    package var bytes: Int
    package var panes: Int
    /// Rows that wait for event time to pass them.
    package var waiting = 0
    /// Of an operator that can tell: whether it has lost anything.
    package var proof: StateProof?
    /// Up to here windows are closed, milliseconds; nil: none yet.
    package var closedUntil: Int64?
}
