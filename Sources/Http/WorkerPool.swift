import CMicrohttpd
import Glibc
import Synchronization

/// A few threads that answer requests, so that the one that serves connections never waits.
final class WorkerPool: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var next = 0
        var isStopping = false
        var threads: [pthread_t] = []
    }

    private let state = Mutex(State())
    nonisolated(unsafe) private let signal: UnsafeMutablePointer<sem_t>
    private let waitingMax: Int

    init(threads: Int, waitingMax: Int) {
        self.waitingMax = waitingMax
        signal = .allocate(capacity: 1)
        signal.initialize(to: sem_t())
        sem_init(signal, 0, 0)
        for _ in 0..<threads {
            var thread = pthread_t()
            let pool = Unmanaged.passRetained(self)
            let code = pthread_create(
                &thread, nil,
                { context in
                    guard let context else { return nil }
                    Unmanaged<WorkerPool>.fromOpaque(context).takeRetainedValue().work()
                    return nil
                }, pool.toOpaque())
            if code == 0 { state.withLock { $0.threads.append(thread) } } else { pool.release() }
        }
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
        for thread in threads { pthread_join(thread, nil) }
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
