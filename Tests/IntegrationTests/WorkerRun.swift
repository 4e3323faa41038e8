import Base
import Connectors
import Engine
import Foundation
import Testing
import Topology

/// A worker within this process, on a thread of its own, and how it ended.
final class WorkerRun: @unchecked Sendable {
    let worker: Worker
    private let lock = NSLock()
    private var ending: Fault?
    private var thread: Thread?

    init(_ spec: TopologySpec, _ options: Worker.Options) {
        worker = Worker(spec, options)
        let thread = Thread { [self] in
            do throws(Fault) { try worker.run() } catch { lock.withLock { ending = error } }
        }
        self.thread = thread
        thread.start()
    }

    /// What it threw.
    var fault: Fault? { lock.withLock { ending } }
    var hasEnded: Bool { thread?.isFinished == true }
    var processed: Int64 { worker.statuses.reduce(0) { $0 + $1.records } }

    /// Waits until so many records are processed, asks it to stop, and waits for its end; the fault that it
    /// threw.
    func finish(after records: Int64) -> Fault? {
        #expect(WorkerTests.wait(seconds: 120) { worker.isReady && processed >= records || hasEnded })
        return stop()
    }

    func stop() -> Fault? {
        worker.stop()
        return end()
    }

    /// Waits for its end.
    func end() -> Fault? {
        #expect(WorkerTests.wait(seconds: 120) { hasEnded })
        return fault
    }
}
