import Synchronization
import Topology

/// Rules that somebody proposes, which lanes try on copies of their tasks: what they would raise and clear at
/// once is told before anybody agrees to them.
package final class RuleSetTrials: Sendable {
    package struct Trial: Sendable {
        package var number: Int64
        package var spec: TopologySpec
    }

    /// Alerts that the switch itself would raise and clear. Rules at the close judge with their windows'
    /// next.
    package struct Count: Sendable, Equatable {
        package var raised: Int
        package var cleared: Int
    }

    private struct State {
        var last: Int64 = 0
        var trials: [Trial] = []
        var counts: [Int64: [Int32: Count]] = [:]
    }

    private let state = Mutex(State())
    /// Of the newest trial, for lanes that look at it with every commit.
    private let newest = Atomic<Int64>(0)

    /// Returns the trial's number.
    func begin(_ spec: TopologySpec) -> Int64 {
        let number = state.withLock { state in
            state.last += 1
            state.trials.append(Trial(number: state.last, spec: spec))
            return state.last
        }
        newest.store(number, ordering: .releasing)
        return number
    }

    func end(_ number: Int64) {
        state.withLock { state in
            state.trials.removeAll { $0.number == number }
            state.counts[number] = nil
        }
    }

    /// Those that a lane has not tried yet.
    func trials(after number: Int64) -> [Trial] {
        guard newest.load(ordering: .acquiring) > number else { return [] }
        return state.withLock { $0.trials.filter { $0.number > number } }
    }

    func note(_ count: Count, of task: Int32, _ number: Int64) {
        state.withLock { state in
            // It may have ended since.
            guard state.trials.contains(where: { $0.number == number }) else { return }
            state.counts[number, default: [:]][task] = count
        }
    }

    /// nil: the task was not tried yet.
    func count(of task: Int32, _ number: Int64) -> Count? { state.withLock { $0.counts[number]?[task] } }
}
