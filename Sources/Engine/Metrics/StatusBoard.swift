import Base
import Dataflow
import Synchronization

/// The newest status of every lane, for the threads that report them.
package final class StatusBoard: Sendable {
    private let statuses = Mutex<[Int: LaneStatus]>([:])

    package init() {}

    package func publish(_ status: LaneStatus, lane: Int) { statuses.withLock { $0[lane] = status } }

    package func lane(_ lane: Int) -> LaneStatus? { statuses.withLock { $0[lane] } }

    package var lanes: [LaneStatus] { statuses.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }
}
