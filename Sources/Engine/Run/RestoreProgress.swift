import Base
import Dataflow

/// Tells how far the restore of a lane's tasks is: records, rate and time left, every two seconds.
final class RestoreProgress {
    private let lane: Int
    private let phase: LanePhase
    private var begin: Int64 = 0
    private var shownAt: Int64 = 0
    private var last: Int64 = 0
    private static let everyMilliseconds: Int64 = 2000

    init(lane: Int, phase: LanePhase) {
        self.lane = lane
        self.phase = phase
    }

    func show(_ records: Int64, of total: Int64) {
        let now = monotonicNanoseconds() / 1_000_000
        if records < last || begin == 0 {
            begin = now
            shownAt = now
        }
        if records > last { phase.move() }
        last = records
        guard now - shownAt >= Self.everyMilliseconds else { return }
        shownAt = now
        let rate = Double(records) * 1000 / Double(max(1, now - begin))
        let left = rate > 0 ? Int64((Double(max(0, total - records)) / rate).rounded(.up)) : 0
        // Offsets count the ends of transactions and what was compacted away, so the share is an estimate.
        let share = total > 0 ? min(100, records * 100 / total) : 100
        Log.info(
            "lane \(lane): restore: \(records) of about \(total) changes (\(share) %), \(Int64(rate))/s, \(left) s left"
        )
    }
}
