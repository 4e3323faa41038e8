import Base
import Foundation

/// Feeds a stream while workers die at random instants: as they start, restore, process and commit.
struct CrashKills {
    var kills: Int
    /// Points at which a worker that came back kills itself: after every other kill, and every kill of the
    /// second half, until one died at each, then now and then.
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
            // Mostly while it works, sometimes while it starts; and all over the stream.
            if chance(0.8) {
                let share = Double(run.kills) / Double(kills + 1)
                try run.pumps(seconds: 15) { run.processed >= share - 0.02 && run.workers[victim].isReady }
            }
            try run.pumps(seconds: seconds(2))
            let missing = points.filter { !run.pointsHit.contains($0) }
            // A worker may end in another way before it comes to its point; then there are more turns in the
            // second half.
            isTurn = missing.isEmpty ? !points.isEmpty && chance(0.3) : !isTurn || run.kills >= kills / 2
            let choice = missing.isEmpty ? points : missing
            let point = isTurn ? choice[armed % choice.count] : nil
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
