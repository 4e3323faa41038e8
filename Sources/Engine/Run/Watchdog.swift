import Base
import Dataflow
import Glibc
import Synchronization

/// Says what a lane is waiting for when it stands still, once every `everyMilliseconds` for as long as it
/// does.
final class Watchdog: Sendable {
    private let everyMilliseconds: Int64
    /// Event time goes on by itself after so long without records, at the latest.
    private let idleMilliseconds: Int64
    private let shouldStop = Atomic<Bool>(false)
    private let phases: @Sendable () -> [Int: LanePhase]
    private let statuses: @Sendable () -> [LaneStatus]

    /// By lane: when its records last moved, and how many there were.
    private struct Seen {
        var records: Int64 = -1
        var at: Int64 = 0
        var toldAt: Int64 = 0
    }

    init(
        everyMilliseconds: Int64,
        idleMilliseconds: Int64,
        phases: @escaping @Sendable () -> [Int: LanePhase],
        statuses: @escaping @Sendable () -> [LaneStatus]
    ) {
        self.everyMilliseconds = everyMilliseconds
        self.idleMilliseconds = idleMilliseconds
        self.phases = phases
        self.statuses = statuses
    }

    func stop() { shouldStop.store(true, ordering: .relaxed) }

    func run() {
        var seen: [Int: Seen] = [:]
        var steps = StandingSteps(everyMilliseconds: everyMilliseconds, idleMilliseconds: idleMilliseconds)
        while !shouldStop.load(ordering: .relaxed) {
            usleep(200_000)
            let now = monotonicNanoseconds() / 1_000_000
            let statuses = statuses()
            for line in steps.lines(statuses, now: now) { Log.warning(line) }
            for (lane, phase) in phases() {
                var entry = seen[lane] ?? Seen(at: now)
                let status = lane < statuses.count ? statuses[lane] : nil
                // Watermarks that a repartition topic carries are records here.
                let records = status?.partitions.reduce(0) { $0 + $1.records }
                if let records, records != entry.records {
                    entry.records = records
                    entry.at = now
                }
                if let text = complaint(phase, status, stillFor: now - entry.at),
                    now - entry.toldAt >= everyMilliseconds
                {
                    entry.toldAt = now
                    Log.warning("lane \(lane): \(text)")
                }
                seen[lane] = entry
            }
        }
    }

    private func complaint(_ phase: LanePhase, _ status: LaneStatus?, stillFor still: Int64) -> String? {
        let (current, milliseconds) = phase.current
        if milliseconds >= everyMilliseconds {
            return "no progress for \(milliseconds / 1000) s; it waits for \(current.reason)"
        }
        // It turns, but records that are there do not come.
        guard current == .polling, still >= everyMilliseconds, let status,
            // Behind the last record of a transaction stand marks that nobody reads.
            let behind = status.partitions.first(where: { !$0.isCaughtUp && ($0.lagRecords ?? 0) > 0 })
        else { return nil }
        return
            "no record for \(still / 1000) s, and partition \(behind.partition) has \(behind.lagRecords ?? 0) to read; "
            + "it waits for the broker to answer fetches"
    }
}
