/// What a row that an operator keeps counts for beside its bytes and its key's: about what stands around
/// them. Part of what a limit means, so the same in every run.
package enum RowCost {
    /// Of one that waits for a partner.
    package static let waiting = 96
    /// Of one that waits until event time has passed it.
    package static let buffered = 64
}
