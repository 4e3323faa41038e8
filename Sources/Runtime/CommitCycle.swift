import Base
import Dataflow

/// When a lane's tasks and positions become durable, and how: what has changed is collected, and committed
/// with the positions at once.
final class CommitCycle {
    private let graph: any LaneGraph
    private let sink: any LaneSink
    /// There is a changelog.
    private let keepsChanges: Bool
    private let options: Lane.Options
    private var changes = Outbox()
    /// Records taken since the last commit.
    private(set) var uncommitted: Int64 = 0
    /// When the last commit began, and how long it took.
    private var committedAt: Int64
    private var duration: Int64 = 0
    private var recordsPerSecond: Double = 0

    init(
        _ graph: any LaneGraph,
        _ sink: any LaneSink,
        keepsChanges: Bool,
        _ options: Lane.Options,
        now: Int64
    ) {
        self.graph = graph
        self.sink = sink
        self.keepsChanges = keepsChanges
        self.options = options
        committedAt = now
    }

    func note(records: Int) { uncommitted += Int64(records) }

    /// `lag`: records that are still to be read.
    func isDue(at now: Int64, lag: () -> Int64) -> Bool {
        if uncommitted >= options.commitRecordsMax || sink.needsCommit { return true }
        // From start to start, so that no record waits for more than an interval and a commit. Where a commit
        // takes long, as long again, an interval at most, is for records.
        let since = now - committedAt
        let interval = max(options.commitMilliseconds, duration + min(duration, options.commitMilliseconds))
        return since >= interval && (since >= options.commitMillisecondsBehind || !isBehind(lag))
    }

    /// More than a second's work is waiting.
    private func isBehind(_ lag: () -> Int64) -> Bool {
        guard Double(uncommitted) > 0, recordsPerSecond > 10_000 else { return false }
        return Double(lag()) > recordsPerSecond
    }

    /// Commits the changes of `tasks` and `positions`.
    ///
    /// - Parameters:
    ///   - mark: the last record that was read of a partition.
    ///   - written: by repartition topic, the next offset of each writer to a task.
    func commit(
        _ positions: [SourcePartition: Int64],
        of tasks: [Int32],
        mark: (SourcePartition) -> LogMark?,
        written: (Int32) -> [Int: [Int64]],
        _ stages: StageClock?
    ) throws(Fault) {
        Plant.pass(.commitBegin)
        stages?.lap(.polling)
        if keepsChanges { collect(positions, of: tasks, mark, written) }
        stages?.lap(.collecting)
        var sequences: [Int32: UInt64] = [:]
        if keepsChanges { for task in tasks { sequences[task] = graph.sequence(task: task) } }
        try sink.commit(changes, positions, sequences: sequences)
        stages?.lap(.committing)
        Plant.pass(.committed)
        changes.removeAll()
    }

    private func collect(
        _ positions: [SourcePartition: Int64],
        of tasks: [Int32],
        _ mark: (SourcePartition) -> LogMark?,
        _ written: (Int32) -> [Int: [Int64]]
    ) {
        for task in tasks {
            var own: [Int: Int64] = [:]
            for (partition, next) in positions where partition.partition == task {
                own[partition.source] = next
                if let mark = mark(partition) { graph.note(mark, of: partition) }
            }
            graph.collectChanges(task: task, positions: own, written: written(task), into: &changes)
        }
    }

    /// A cycle that began at `start` is over.
    func end(from start: Int64, to now: Int64) {
        let elapsed = max(1, start - committedAt)
        recordsPerSecond = 0.7 * recordsPerSecond + 0.3 * Double(uncommitted) * 1000 / Double(elapsed)
        uncommitted = 0
        committedAt = start
        duration = now - start
    }
}
