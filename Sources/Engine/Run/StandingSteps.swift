import Dataflow
import Records

/// Steps whose event time stands still though rows wait before them.
struct StandingSteps {
    private struct Place: Hashable {
        var lane: Int
        var partition: Int32
        var step: String
    }

    private struct Standing {
        var eventTime: Int64?
        /// Milliseconds.
        var since: Int64
        var toldAt: Int64?
    }

    private let everyMilliseconds: Int64
    private let patience: Int64
    private var standing: [Place: Standing] = [:]

    /// A step is told of once it stands still for `everyMilliseconds`, and again as often.
    /// `idleMilliseconds`: so long after the last record, at the latest, event time goes on by itself.
    init(everyMilliseconds: Int64, idleMilliseconds: Int64) {
        self.everyMilliseconds = everyMilliseconds
        patience = everyMilliseconds + idleMilliseconds
    }

    /// Lines that are due. `now`: milliseconds of a clock that does not go back.
    mutating func lines(_ lanes: [LaneStatus], now: Int64) -> [String] {
        var lines: [String] = []
        var still: [Place: Standing] = [:]
        for (lane, status) in lanes.enumerated() {
            for step in status.steps where step.waiting > 0 {
                let place = Place(lane: lane, partition: step.partition, step: step.name)
                var entry = standing[place] ?? Standing(eventTime: step.eventTime, since: now)
                if entry.eventTime != step.eventTime {
                    entry = Standing(eventTime: step.eventTime, since: now)
                }
                if now - entry.since >= patience, now - (entry.toldAt ?? entry.since) >= everyMilliseconds {
                    entry.toldAt = now
                    let time =
                        step.eventTime.map { "at \(CivilTime.string($0))" } ?? "before its first record"
                    let awaited = step.awaited.map { " for \($0)" } ?? ""
                    lines.append(
                        "lane \(lane): step '\(step.name)' of partition \(step.partition) stands still \(time) for "
                            + "\((now - entry.since) / 1000) s: \(step.waiting) rows wait\(awaited)")
                }
                still[place] = entry
            }
        }
        standing = still
        return lines
    }
}
