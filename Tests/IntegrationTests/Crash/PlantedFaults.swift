import Base
import Foundation
import Testing

/// The crash suite proves that it can fail: workers with a planted fault of the client are each caught.
/// (Faults of lanes and operators are the simulation's, which finds them within seconds.)
@Suite(
    .serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)
)
struct PlantedFaults {
    /// How a fault shows: where workers die, whether they lose their disk, and whether the broker is stopped
    /// for so long that a commit ends in doubt.
    struct Scenario: Sendable, CustomStringConvertible {
        var fault: String?
        var points: [String] = []
        var wipes = 0.0
        var stopsBroker = false
        var description: String { fault ?? "none" }
    }

    static let scenarios = [
        // Late enough that there is something in the commit.
        Scenario(fault: "offsets-first", points: ["commit-sent:12", "commit-offsets:16", "commit-sent:25"]),
        Scenario(fault: "producer-kept", stopsBroker: true),
    ]
    static let orders = 20_000
    static let brokerStopSeconds = 12.0

    /// A worker that dies with nothing in its hands leaves no trace of a fault, so there are some more
    /// chances.
    static let runsMax = 4

    /// Goal: each planted fault leaves at least one difference, or a worker that refuses to go on.
    @Test(arguments: scenarios) func isCaught(_ scenario: Scenario) throws {
        for number in 0..<UInt64(Self.runsMax) {
            let (found, run) = try Self.run(scenario, seed: CrashSuite.seed &+ number)
            guard let first = found.first else {
                print("planted fault \(scenario): not seen with seed \(run.options.seed), \(run.compared)")
                continue
            }
            print("planted fault \(scenario): \(found.count) differences, the first: \(first)")
            return
        }
        Issue.record("\(scenario) was not caught in \(Self.runsMax) runs from seed \(CrashSuite.seed) on")
    }

    /// Goal: the same troubles without a fault leave no difference, so it is the faults that are caught.
    @Test func nothingIsFoundWithoutOne() throws {
        let all = Scenario(points: Self.scenarios.flatMap(\.points), wipes: 0.5, stopsBroker: true)
        let (found, run) = try Self.run(all, seed: CrashSuite.seed)
        CrashSuite.expectNone(found, run)
    }

    /// Runs a scenario; the differences, one of which may be that the workers did not go on.
    private static func run(_ scenario: Scenario, seed: UInt64) throws -> (found: [String], run: CrashRun) {
        // Its broker is stopped.
        let cluster = try KafkaCluster.own(brokers: 1)
        defer { cluster.wipe() }
        var options = CrashRun.Options(seed: seed, orders: orders)
        options.plant = scenario.fault
        let run = try CrashRun(cluster, options)
        defer { run.close() }
        do {
            let kills = CrashKills(
                kills: max(4, 2 * scenario.points.count), points: scenario.points, wipes: scenario.wipes)
            try kills.feed(run)
            if scenario.stopsBroker {
                run.allow(0.95)
                try run.pumps(seconds: 1)
                try cluster.run(["pause", "1"])
                defer { _ = try? cluster.run(["resume", "1"]) }
                try run.pumps(seconds: brokerStopSeconds)
            }
            return (try run.finish(seconds: 90), run)
        } catch {
            // Where no fault is planted that is a failure of its own.
            return (["\(error)"], run)
        }
    }
}
