import Base
import Simulation
import Testing

/// Goal: schedules find mistakes. Method: each one that could be made at a seam of the lane is made on purpose, and must
/// show in one of the first schedules.
@Suite struct MistakeTests {
    /// Most show in the first ten.
    static let schedulesMax = 300

    @Test(arguments: Mistake.allCases) func isFound(_ mistake: Mistake) throws {
        Log.level = .error
        for seed in UInt64(1)...UInt64(Self.schedulesMax) {
            var schedule = try Schedule(seed: seed, mistake: mistake)
            guard let difference = try schedule.run().difference else { continue }
            print("\(mistake.rawValue): schedule \(seed): \(difference.prefix(160))")
            return
        }
        Issue.record("\(mistake.rawValue) was not found in \(Self.schedulesMax) schedules")
    }
}
