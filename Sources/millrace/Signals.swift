import Glibc
import Synchronization

/// SIGTERM, SIGINT, SIGHUP and SIGUSR1 (which alone gives true) as a callback on a thread of its own, so that
/// it may do what a signal handler may not.
enum Signals {
    private static let isStopping = Atomic<Bool>(false)
    private static let isForGood = Atomic<Bool>(false)

    static func onStop(_ body: @escaping @Sendable (Bool) -> Void) {
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            let before = Glibc.signal(signal) { _ in Signals.isStopping.store(true, ordering: .relaxed) }
            // `nohup` means that the end of the terminal is none of the program's.
            if signal == SIGHUP, unsafeBitCast(before, to: Int.self) == 1 { Glibc.signal(signal, SIG_IGN) }
        }
        _ = Glibc.signal(SIGUSR1) { _ in
            Signals.isForGood.store(true, ordering: .relaxed)
            Signals.isStopping.store(true, ordering: .relaxed)
        }
        // Some parents start their children with signals blocked, and a worker that cannot be asked to stop
        // is killed.
        var stops = sigset_t()
        sigemptyset(&stops)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1] { sigaddset(&stops, signal) }
        pthread_sigmask(SIG_UNBLOCK, &stops, nil)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        pthread_create(
            &thread, nil,
            { context in
                while !Signals.isStopping.load(ordering: .relaxed) { usleep(20_000) }
                guard let context else { return nil }
                Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body(
                    Signals.isForGood.load(ordering: .relaxed))
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }

    private final class Box {
        let body: @Sendable (Bool) -> Void
        init(_ body: @escaping @Sendable (Bool) -> Void) { self.body = body }
    }
}
