/// Where the time of one thread goes. Whoever ends a stage says so, and what has passed since the last word
/// is that stage's: nothing is counted twice, and nothing is left out. Read once in a batch or a stretch of
/// rows, not in a row.
package final class StageClock {
    package enum Stage: Int, CaseIterable, Sendable {
        /// Waiting for records and taking them over from the client.
        case polling
        case decoding
        /// Event times, watermarks, derived fields of the source.
        case timing
        /// Conditions and derived fields of steps.
        case selecting
        /// Keys to ids.
        case keying
        /// Panes and running aggregates.
        case aggregating
        case rules
        /// Windows that event time has passed: totals, their rules, keys that are forgotten.
        case closing
        /// Alerts, dead letters, late and repartitioned records as bytes.
        case writing
        /// Outputs to the client.
        case sending
        /// Changed panes and edges as records of the changelog.
        case collecting
        /// Changes and positions to the client, and the commit itself.
        case committing
    }

    private var nanoseconds = [Int64](repeating: 0, count: Stage.allCases.count)
    private var last = monotonicNanoseconds()

    package init() {}

    package func lap(_ stage: Stage) {
        let now = monotonicNanoseconds()
        nanoseconds[stage.rawValue] += now - last
        last = now
    }

    package func reset() {
        for stage in nanoseconds.indices { nanoseconds[stage] = 0 }
        last = monotonicNanoseconds()
    }

    package subscript(stage: Stage) -> Int64 { nanoseconds[stage.rawValue] }
}
