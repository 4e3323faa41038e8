import Glibc
import Synchronization

/// A function on a thread of its own, which lasts until it returns, whoever still holds this.
package final class Background: Sendable {
    private struct State {
        var isFinished = false
        var isJoined = false
        var fault: Fault?
    }

    private let state = Mutex(State())
    nonisolated(unsafe) private var thread = pthread_t()

    package init(_ body: @escaping @Sendable () throws(Fault) -> Void) {
        let box = Unmanaged.passRetained(
            Box { [state = Shared(self)] in
                var fault: Fault?
                do throws(Fault) { try body() } catch { fault = error }
                state.value.finish(fault)
            })
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        require(code == 0, "no thread: \(code)")
    }

    deinit {
        // Of what nobody waits for, the stack would stay.
        if !state.withLock({ $0.isJoined }) { pthread_detach(thread) }
    }

    private func finish(_ fault: Fault?) {
        state.withLock {
            $0.isFinished = true
            $0.fault = fault
        }
    }

    package var isFinished: Bool { state.withLock { $0.isFinished } }
    package var fault: Fault? { state.withLock { $0.fault } }

    /// Waits for the end; the fault that it threw.
    package func join() -> Fault? {
        let isFirst = state.withLock { state in
            defer { state.isJoined = true }
            return !state.isJoined
        }
        if isFirst { pthread_join(thread, nil) }
        return fault
    }

    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    private struct Shared {
        let value: Background
        init(_ value: Background) { self.value = value }
    }
}
