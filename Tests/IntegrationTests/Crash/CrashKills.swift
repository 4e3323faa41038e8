import Base
import Foundation

/// Feeds a stream while workers die at random instants: as they start, restore, process and commit.
struct CrashKills {
    var kills: Int
    /// Points at which a worker that came back kills itself: each in turn, after every other kill, and once all
    /// had their turn now and then.
    var points: [String] = []
    /// Share of the kills after which the worker comes back without its disk.
    var wipes = 0.0

    func feed(_ run: CrashRun) throws {
        var random = SplitMix64(seed: run.options.seed &+ 1)
        func chance(_ share: Double) -> Bool { Double(random.next() >> 11) * 0x1p-53 < share }
        func seconds(_ most: Double) -> Double { Double(random.next() >> 11) * 0x1p-53 * most }
        try run.start()
        try run.waitUntilReady()
        var armed = 0
        var isTurn = false
        while run.kills < kills {
            run.allow(Double(run.kills + 1) / Double(kills + 1))
            let victim = Int(random.next() % 2)
            // Mostly while it works, sometimes while it starts.
            if chance(0.8) { try run.pumps(seconds: 15) { run.workers[victim].isReady } }
            try run.pumps(seconds: seconds(2))
            isTurn = armed < points.count ? !isTurn : !points.isEmpty && chance(0.3)
            let point = isTurn ? points[armed % points.count] : nil
            // Away for long enough, the other one takes over.
            let away = point == nil && chance(0.15) ? 9.0 : 0
            run.kill(victim, awaySeconds: away, losesDisk: chance(wipes), then: point)
            guard point != nil else { continue }
            armed += 1
            let before = run.pointsHit.count
            try run.pumps(seconds: 15) { run.pointsHit.count > before }
        }
    }
}
