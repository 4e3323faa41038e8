import Base
import Foundation
import Testing

/// Workers die at any instant; alerts, results and aggregates are as if nothing had happened.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct CrashSuite {
    static func number(_ name: String, otherwise: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? otherwise
    }

    /// Kills of the long test, `MILLRACE_KILLS=200` for the longer mode.
    static let kills = number("MILLRACE_KILLS", otherwise: 20)
    static let orders = number("MILLRACE_CRASH_ORDERS", otherwise: 200_000)
    static let seed = UInt64(number("MILLRACE_SEED", otherwise: Int.random(in: 1...1_000_000)))
    /// Named points of a worker's life, and at which time that it passes there it kills itself.
    static let points = [
        "restore:1", "commit-begin:3", "commit-sent:2", "commit-offsets:2", "committed:3", "snapshot-write:1",
        "snapshot-rename:1",
    ]

    /// Goal: without kills the comparison is exact, so whatever it finds after kills comes from them.
    @Test func twoWorkersAgreeWithTheReplay() throws {
        let run = try CrashRun(
            try KafkaCluster.shared(),
            CrashRun.Options(seed: Self.seed, orders: 20_000, guarantee: .atLeastOnce))
        defer { run.close() }
        try run.start()
        try run.waitUntilReady()
        Self.expectNone(try run.finish(), run)
    }

    /// Goal: two workers of two lanes on 8 partitions are killed at random instants, and at every named point
    /// of restore, commit and snapshot; nothing is lost, nothing comes twice, nothing is wrong.
    @Test func nothingIsLostOrRepeatedHoweverOftenWorkersDie() throws {
        let run = try CrashRun(
            try KafkaCluster.shared(), CrashRun.Options(seed: Self.seed, orders: Self.orders))
        defer { run.close() }
        try CrashKills(kills: Self.kills, points: Self.points, wipes: 0.4).feed(run)
        Self.expectNone(try run.finish(), run)
        for point in Self.points { #expect(run.pointsHit.contains(point), "no worker died at \(point)") }
    }

    static func expectNone(_ differences: [String], _ run: CrashRun) {
        print(
            "crash suite: seed \(run.options.seed), \(run.options.orders) orders, \(run.compared); \(run.kills) kills, "
                + "\(run.pointsHit.count) of them at points")
        for line in run.refusals.prefix(3) { print("crash suite: started again: \(line)") }
        // Compared outside of the macro, which would print all of them.
        let (count, first) = (differences.count, differences.first ?? "")
        #expect(count == 0, "seed \(run.options.seed), \(run.kills) kills, the first difference: \(first)")
    }
}
