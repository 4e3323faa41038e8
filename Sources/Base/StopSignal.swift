import Synchronization

/// Tells those who wait that they were asked to stop. Set once, by any thread.
package final class StopSignal: Sendable {
    /// Monotonic nanoseconds; 0: not set.
    private let setAt = Atomic<Int64>(0)
    private let forGood = Atomic<Bool>(false)

    package init() {}

    /// `forGood`: nobody comes back under this name soon.
    package func set(forGood isForGood: Bool = false) {
        if isForGood { forGood.store(true, ordering: .relaxed) }
        _ = setAt.compareExchange(expected: 0, desired: max(1, monotonicNanoseconds()), ordering: .relaxed)
    }

    package var isForGood: Bool { forGood.load(ordering: .relaxed) }

    package var isSet: Bool { setAt.load(ordering: .relaxed) != 0 }

    /// Since it was set; 0: it is not.
    package var milliseconds: Int64 {
        let at = setAt.load(ordering: .relaxed)
        return at == 0 ? 0 : (monotonicNanoseconds() - at) / 1_000_000
    }
}

extension Fault {
    /// Nothing went wrong: a wait was given up since the signal was set.
    package static let stopped = Fault(.external, "asked to stop")
}
