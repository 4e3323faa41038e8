import Base
import Dataflow

/// Tasks whose state is in memory, as of the last commit, and their snapshots.
final class HeldTasks {
    struct Held {
        var changelogEnd: Int64?
        var snapshotEnd: Int64?
        var snapshotAt: Int64
        /// It was restored in advance, and is not to be gone on with before the rest was.
        var isWarm = false
    }

    private let graph: any LaneGraph
    private let snapshots: (any SnapshotStore)?
    private let now: () -> Int64
    private var tasks: [Int32: Held] = [:]

    init(_ graph: any LaneGraph, _ snapshots: (any SnapshotStore)?, now: @escaping () -> Int64) {
        self.graph = graph
        self.snapshots = snapshots
        self.now = now
    }

    subscript(task: Int32) -> Held? { tasks[task] }

    var all: [Int32] { Array(tasks.keys) }

    /// A task that begins with nothing.
    func begin(_ task: Int32) { tasks[task] = Held(snapshotAt: now()) }

    /// A task that begins with what its snapshot has, if there is one.
    func load(_ task: Int32) {
        var end: Int64?
        snapshots?.load(task) { bytes, changelogEnd in
            guard graph.restore(task: task, snapshot: bytes) else { return false }
            end = changelogEnd
            return true
        }
        Plant.pass(.restore)
        tasks[task] = Held(changelogEnd: end, snapshotEnd: end, snapshotAt: now())
    }

    /// What stands before `end` in the task's changelog is in its state.
    func note(changelogEnd end: Int64, of task: Int32) { tasks[task]?.changelogEnd = end }

    func note(isWarm: Bool, _ task: Int32) { tasks[task]?.isWarm = isWarm }

    func forget(_ task: Int32) {
        graph.drop(task: task)
        tasks[task] = nil
    }

    /// The last record of a task's changelog that is known here, from which on to read, for it says whose
    /// life it is; nil: none is.
    func lastKnown(of task: Int32) -> Int64? { tasks[task]?.changelogEnd.map { $0 - 1 } }

    // MARK: Snapshots

    /// Starts to write the snapshot of one task that is due, if the last one is written.
    func saveNext(_ options: Lane.Options) {
        guard let snapshots, !snapshots.isSaving else { return }
        let now = self.now()
        let due = tasks.first { _, held in
            guard let end = held.changelogEnd, end != held.snapshotEnd, !held.isWarm else { return false }
            return now - held.snapshotAt >= options.snapshotMilliseconds
                || end - (held.snapshotEnd ?? 0) >= options.snapshotRecords
        }
        if let task = due?.key { save(task, snapshots) }
    }

    func saveAll() {
        guard let snapshots else { return }
        for (task, held) in tasks
        where held.changelogEnd != nil && held.changelogEnd != held.snapshotEnd && !held.isWarm {
            snapshots.close()
            save(task, snapshots)
        }
    }

    private func save(_ task: Int32, _ snapshots: any SnapshotStore) {
        guard let end = tasks[task]?.changelogEnd else { return }
        snapshots.save(task, graph.snapshot(task: task), changelogEnd: end)
        tasks[task]?.snapshotEnd = end
        tasks[task]?.snapshotAt = now()
    }
}
