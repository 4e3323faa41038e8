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

    /// Goal: the comparison sees what kills do to a worker that keeps nothing.
    @Test(.disabled(if: WorkerProcess.isExactlyOnce, "this worker keeps its state"))
    func killsShowWhereStateIsInMemoryOnly() throws {
        let run = try CrashRun(
            try KafkaCluster.shared(),
            CrashRun.Options(seed: Self.seed, orders: 20_000, guarantee: .atLeastOnce))
        defer { run.close() }
        try Self.feed(run, kills: 3, points: [])
        let differences = try run.finish()
        #expect(!differences.isEmpty)
        print("crash suite: \(differences.count) differences, such as \(differences[0])")
    }

    static func expectNone(_ differences: [String], _ run: CrashRun) {
        print(
            "crash suite: seed \(run.options.seed), \(run.options.orders) orders, \(run.kills) kills, "
                + "at points: \(run.pointsHit.sorted().joined(separator: " "))")
        for line in run.refusals.prefix(3) { print("crash suite: started again: \(line)") }
        let first = differences.first ?? ""
        #expect(
            differences.isEmpty,
            "seed \(run.options.seed), \(run.kills) kills, \(differences.count) differences, the first: \(first)")
    }

    /// Feeds the stream while workers are killed at random instants: as they start, restore, process and
    /// commit; every fourth or so comes back to kill itself at one of the points in turn.
    static func feed(_ run: CrashRun, kills: Int, points: [String]) throws {
        var random = SplitMix64(seed: run.options.seed &+ 1)
        func chance(_ share: Double) -> Bool { Double(random.next() >> 11) * 0x1p-53 < share }
        func seconds(_ most: Double) -> Double { Double(random.next() >> 11) * 0x1p-53 * most }
        try run.start()
        try run.waitUntilReady()
        var nextPoint = 0
        while run.kills < kills {
            run.allow(Double(run.kills + 1) / Double(kills + 1))
            let victim = Int(random.next() % 2)
            // Mostly while it works, sometimes while it starts.
            if chance(0.8) { try run.pumps(seconds: 15) { run.workers[victim].isReady } }
            try run.pumps(seconds: seconds(2))
            let point = !points.isEmpty && chance(0.4) ? points[nextPoint % points.count] : nil
            if point != nil { nextPoint += 1 }
            // Away for long enough, the other one takes over.
            run.kill(victim, awaySeconds: chance(0.1) ? 9 : 0, then: point)
            guard point != nil else { continue }
            let before = run.pointsHit.count
            try run.pumps(seconds: 15) { run.pointsHit.count > before }
        }
    }
}
