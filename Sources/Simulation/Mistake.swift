/// A mistake that somebody could make at one of the lane's seams. Simulation makes it on purpose, to prove
/// that schedules find it.
package enum Mistake: String, CaseIterable, Sendable {
    // The changelog: what changed is not written, or what went is not taken out.
    case panesUnwritten, edgesUnwritten, stateUnwritten, stateLeft, rowsUnwritten, rowsLeft
    /// The task's own record: positions, watermarks.
    case taskUnwritten
    // Restore.
    /// A snapshot says that it holds more of the changelog than it does.
    case snapshotAhead
    /// A snapshot of before stands under the new one's name.
    case snapshotOld
    /// The last record of a changelog is not read.
    case changelogCut
    /// Changes of transactions that were given up are read.
    case changelogUncommitted
    /// A changelog is read up to what is committed now, without a look at what is still open.
    case openIgnored
    // Positions.
    case recordSkipped, recordRepeated
    /// Positions become durable before the outputs do.
    case positionsFirst
    /// Positions are no part of the transaction.
    case positionsForgotten
    // Transactions.
    /// A commit of unknown outcome is taken for a success.
    case doubtIsSuccess
    /// Whoever lost its partitions may commit all the same.
    case unfenced
    /// Outputs of a commit go out with the next one.
    case outputsLate
    /// Outputs are no part of the transaction.
    case outputsOutside
    // Inputs.
    /// Records of transactions that were given up are read.
    case sourceUncommitted
    /// A partition is said to be read to its end before it is.
    case endTold
    // Rules that change.
    /// A task does not always say that it goes on with other rules.
    case acknowledgementLost
    /// It says so before that is certain.
    case acknowledgementOutside
    /// What is kept of rules, so that alerts of those that go are cleared, is not written.
    case rulesUnwritten
    /// Nobody says behind a repartition topic how far event time has come.
    case marksUnsent

    /// Of a changelog record: true if it is not written.
    func drops(key: [UInt8]?, isRemoval: Bool) -> Bool {
        // The first byte says what a change is about.
        switch (self, key?.first) {
        case (.panesUnwritten, 1): !isRemoval
        case (.edgesUnwritten, 2): !isRemoval
        case (.stateUnwritten, Self.operatorState): !isRemoval
        case (.stateLeft, Self.operatorState): isRemoval
        case (.rulesUnwritten, Self.rule): !isRemoval
        case (.rowsUnwritten, Self.buffered): !isRemoval
        case (.rowsLeft, Self.buffered): isRemoval
        default: false
        }
    }

    private static let operatorState: UInt8 = 5
    private static let buffered: UInt8 = 6
    private static let rule: UInt8 = 8
}
