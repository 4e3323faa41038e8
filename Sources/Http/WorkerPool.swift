import Base
import CMicrohttpd
import Glibc
import Synchronization

/// A few threads that answer requests, so that the one that serves connections never waits.
final class WorkerPool: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var next = 0
        var isStopping = false
        var threads: [Background] = []
    }

    private let state = Mutex(State())
    nonisolated(unsafe) private let signal: UnsafeMutablePointer<sem_t>
    private let waitingMax: Int

    init(threads: Int, waitingMax: Int) {
        self.waitingMax = waitingMax
        signal = .allocate(capacity: 1)
        signal.initialize(to: sem_t())
        sem_init(signal, 0, 0)
        let started = (0..<threads).map { _ in Background { [self] () throws(Fault) in work() } }
        state.withLock { $0.threads = started }
    }

    deinit {
        sem_destroy(signal)
        signal.deallocate()
    }

    /// False: too many wait already.
    func run(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopping, state.jobs.count - state.next < waitingMax else { return false }
            state.jobs.append(job)
            return true
        }
        if isTaken { sem_post(signal) }
        return isTaken
    }

    /// Finishes what waits, then ends the threads.
    func stop() {
        let threads = state.withLock { state in
            state.isStopping = true
            defer { state.threads = [] }
            return state.threads
        }
        for _ in threads { sem_post(signal) }
        for thread in threads { _ = thread.join() }
    }

    private func work() {
        while true {
            while sem_wait(signal) != 0 {}
            let job: (@Sendable () -> Void)? = state.withLock { state in
                guard state.next < state.jobs.count else { return nil }
                defer {
                    state.next += 1
                    if state.next == state.jobs.count { (state.jobs, state.next) = ([], 0) }
                }
                return state.jobs[state.next]
            }
            guard let job else {
                if state.withLock({ $0.isStopping }) { return }
                continue
            }
            job()
        }
    }
}
