/// What one rule has done.
package struct RuleCounts: Equatable, Sendable {
    /// Rows and keys that its condition was computed for.
    package var evaluations: Int64 = 0
    package var raised: Int64 = 0
    package var cleared: Int64 = 0
    /// Spent on it, estimated from one batch in `timedBatches`.
    package var nanoseconds: Int64 = 0

    /// A look at the clock costs as much as a rule takes for two rows.
    package static let timedBatches = 32

    package init() {}

    package mutating func add(_ other: RuleCounts) {
        evaluations += other.evaluations
        raised += other.raised
        cleared += other.cleared
        nanoseconds += other.nanoseconds
    }
}

/// What went through one step.
package struct StepCounts: Equatable, Sendable {
    /// Rows that came to it.
    package var taken: Int64 = 0
    /// Rows that went on: those that its conditions and lookups left, or that its window or operator made.
    package var given: Int64 = 0

    package init() {}

    package mutating func add(_ other: StepCounts) {
        taken += other.taken
        given += other.given
    }
}
