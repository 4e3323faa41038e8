import Base
import Simulation

/// Schedules of crashes, lost answers and rebalances from seeds, on a cluster in memory: what came out
/// against a replay.
package struct BenchSimulation {
    package struct Options: Sendable {
        package var seed: UInt64 = 1
        package var schedules = 3000
        /// A scenario's name; nil: all of them.
        package var only: String?
        /// Made on purpose, to see how soon it is found.
        package var mistake: Mistake?

        package init() {}
    }

    private let options: Options

    package init(_ options: Options) { self.options = options }

    /// Returns the seeds that failed. `report` gets lines for a person.
    package func run(_ report: @escaping (String) -> Void) throws(Fault) -> [UInt64] {
        Log.level = .error
        let begin = monotonicNanoseconds()
        var failed: [UInt64] = []
        var kills = 0
        var faults = 0
        var outputs = 0
        for seed in options.seed..<(options.seed + UInt64(options.schedules)) {
            var schedule = try Schedule(seed: seed, only: options.only, mistake: options.mistake)
            if options.schedules == 1 {
                // Somebody looks into it.
                Log.level = .info
                schedule.trace = report
            }
            let outcome = try schedule.run()
            kills += outcome.kills
            faults += outcome.faults
            outputs += outcome.outputs
            if let difference = outcome.difference {
                failed.append(seed)
                if options.mistake != nil {
                    report("found by schedule \(seed): \(difference)")
                    return failed
                }
                report(
                    "seed \(seed), \(outcome.scenario), \(outcome.kills) kills, \(outcome.faults) faults: \(difference)"
                )
            }
        }
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        report(
            "\(options.schedules) schedules, \(kills) kills, \(faults) lanes begun anew, \(outputs) outputs: "
                + "\(failed.count) differ from a replay; \((seconds * 10).rounded() / 10) s")
        return failed
    }
}
