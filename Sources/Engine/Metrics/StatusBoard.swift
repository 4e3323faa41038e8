import Base
import Dataflow
import Synchronization

/// The newest status of every lane, for the threads that report them.
package final class StatusBoard: Sendable {
    private let board = Mutex<[Int: LaneStatus]>([:])

    package init() {}

    package func publish(_ status: LaneStatus, lane: Int) { board.withLock { $0[lane] = status } }

    /// The lane does nothing until it publishes again.
    package func lose(lane: Int) { board.withLock { $0[lane]?.isReady = false } }

    package var statuses: [Int: LaneStatus] { board.withLock { $0 } }

    package func lane(_ lane: Int) -> LaneStatus? { board.withLock { $0[lane] } }

    package var lanes: [LaneStatus] { board.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }
}
