import Base
import Synchronization

/// What a lane is doing and since when, for another thread that watches it.
package final class LanePhase: Sendable {
    package enum Phase: Int, Sendable {
        case starting, polling, processing, sending, committing, restoring, saving, closing

        /// What is being waited for while nothing moves.
        package var reason: String {
            switch self {
            case .starting: "the broker, to open clients and transactions"
            case .polling: "the consumer's queue"
            case .processing: "the computation of a batch"
            case .sending: "room in the producer's queue: the broker takes records too slowly"
            case .committing: "the commit: acknowledgements of records, or the transaction's coordinator"
            case .restoring: "state: the changelog, or a transaction that another worker left open"
            case .saving: "the disk, for snapshots"
            case .closing: "the consumer to leave its group"
            }
        }

        /// The lane has its partitions and processes what comes.
        package var isTurning: Bool {
            switch self {
            case .polling, .processing, .sending, .committing, .saving: true
            case .starting, .restoring, .closing: false
            }
        }

        /// It is somebody else's turn.
        package var isWaiting: Bool {
            switch self {
            case .polling, .processing: false
            case .starting, .sending, .committing, .restoring, .saving, .closing: true
            }
        }
    }

    private let phase = Atomic<Int>(0)
    private let since = Atomic<Int64>(monotonicNanoseconds())

    package init() {}

    /// Entering a phase is progress; staying in one is not.
    package func enter(_ phase: Phase) {
        self.phase.store(phase.rawValue, ordering: .relaxed)
        since.store(monotonicNanoseconds(), ordering: .relaxed)
    }

    /// More of the same was done.
    package func move() { since.store(monotonicNanoseconds(), ordering: .relaxed) }

    package var current: (phase: Phase, milliseconds: Int64) {
        (
            Phase(rawValue: phase.load(ordering: .relaxed)) ?? .starting,
            (monotonicNanoseconds() - since.load(ordering: .relaxed)) / 1_000_000
        )
    }
}
