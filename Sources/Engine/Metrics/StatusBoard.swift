import Base
import Dataflow
import Synchronization

/// The newest status of every lane, for the threads that report them.
package final class StatusBoard: Sendable {
    private let board = Mutex<[Int: LaneStatus]>([:])
    /// What the lanes counted that ran before the present ones under the same numbers.
    private let past = Mutex<[Int: LaneStatus]>([:])

    package init() {}

    package func publish(_ status: LaneStatus, lane: Int) {
        var status = status
        if let past = past.withLock({ $0[lane] }) { status.addCounts(of: past) }
        board.withLock { $0[lane] = status }
    }

    /// The lane has ended; another one will count from nothing.
    package func lose(lane: Int) {
        let last = board.withLock { board in
            board[lane]?.isReady = false
            return board[lane]
        }
        if let last { past.withLock { $0[lane] = last } }
    }

    package var statuses: [Int: LaneStatus] { board.withLock { $0 } }

    package func lane(_ lane: Int) -> LaneStatus? { board.withLock { $0[lane] } }

    package var lanes: [LaneStatus] { board.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }
}
