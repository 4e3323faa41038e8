import Base
import Simulation
import Testing

/// Goal: whatever happens to workers and brokers, what is published is what a plain replay gives. Method:
/// schedules from seeds on a cluster in memory (`millrace bench simulation` runs thousands).
@Suite struct ScheduleTests {
    @Test(arguments: Schedule.scenarios)
    func whatIsPublishedIsWhatAReplayGives(_ scenario: String) throws {
        Log.level = .error
        for seed in UInt64(1)...20 {
            var schedule = try Schedule(seed: seed, only: scenario)
            let outcome = try schedule.run()
            #expect(
                outcome.difference == nil, "scenario \(scenario), seed \(seed): \(outcome.difference ?? "")")
            #expect(outcome.outputs > 0, "scenario \(scenario), seed \(seed) says nothing")
        }
    }
}
