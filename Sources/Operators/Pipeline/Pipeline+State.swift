import Base
import Dataflow
import Records
import State
import Topology

/// The state of tasks, as those see it who keep it: it goes to a changelog and snapshots; a task is put back
/// from a snapshot, if there is one, then the changelog's records in their order, then `finishRestore`.
extension Pipeline {
    /// Appends what changed in a task since the last call: what its stores hold, what was forgotten, and, if
    /// there is anything or the task moved on at all, the task's own record with `positions` (by source, the
    /// offset of the next record; those that are missing stay as they were). `written`: of repartition
    /// topics, the same for each writer. Returns the number of records.
    @discardableResult
    package func collectChanges(
        _ task: TaskState, positions: [Int: Int64], written: [Int: [Int64]] = [:], into outbox: inout Outbox
    ) -> Int {
        keeper.collectChanges(task, positions: positions, written: written, into: &outbox)
    }

    /// The last record that was read of a source, to be kept with its next position.
    package func note(_ mark: LogMark, of source: Int, _ task: TaskState) { task.marks[source] = mark }

    /// Takes one record of the task's changelog; `value` nil: a tombstone. Throws if it is not one of ours.
    /// What was restored from elsewhere may be of another life of the changelog: then the task becomes
    /// `isContradicted`, and of no use.
    package func restore(
        key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?, task: TaskState
    ) throws(Fault) {
        try keeper.restore(key: key, value: value, task: task)
    }

    /// True for the last record of each commit.
    package static func endsCommit(_ key: UnsafeBufferPointer<UInt8>) -> Bool { key.first == ChangeKind.meta }

    /// What is in memory, and is to be gone on with after changes that others made.
    package func doubt(_ task: TaskState) { task.isDoubtful = task.isKept }

    /// Makes the task whole after its last record. Throws if the state was kept under other definitions;
    /// `place`: where it was found.
    package func finishRestore(_ task: TaskState, place: String) throws(Fault) {
        try keeper.finishRestore(task, place: place)
        // Metrics that were committed but not written yet when the task was left.
        for step in topology.steps where step.window?.metricsSinks.isEmpty == false {
            for id in task.stores[step.index]?.heldIds ?? [] { task.dirty[step.index].insert(id) }
        }
    }

    /// Appends the task's whole state to `bytes`. Only right after `collectChanges`, with nothing in between.
    package func writeSnapshot(_ task: TaskState, to bytes: Arena) { keeper.writeSnapshot(task, to: bytes) }

    /// Reads what `writeSnapshot` wrote into an empty task: what the topology still has of it. False if it is
    /// no snapshot of such a task; the task is then of no use.
    package func readSnapshot(_ snapshot: UnsafeBufferPointer<UInt8>, task: TaskState) -> Bool {
        keeper.readSnapshot(snapshot, task: task)
    }

    /// The partitions that the sources had when a snapshot was written; nil if it is none.
    package static func partitionCount(of snapshot: UnsafeBufferPointer<UInt8>) -> Int? {
        StateKeeper.partitionCount(of: snapshot)
    }

    // MARK: For people

    package func summaries(_ task: TaskState) -> [StoreSummary] { task.all.compactMap(\.summary) }

    /// Calls `body` with everything that a task holds, step by step, then rule by rule; keys in no particular
    /// order.
    package func describe(_ task: TaskState, _ body: (StateEntry) -> Void) {
        let bench = lent.take()
        defer { lent.giveBack() }
        for store in task.all { store.describe(task, bench, body) }
    }

    /// What became of a task's state since the topology was another one; nil: it was not.
    package func changes(_ task: TaskState) -> StateChanges? {
        task.definitions.isEmpty ? nil : keeper.identities.changes(since: task.definitions)
    }

    /// A hash of all that gives the state, and the records of repartition topics, their meaning.
    package var layout: String { keeper.layout }
    /// What the build before says of the same topology. Its state is read; what this build writes, it does
    /// not read.
    package var formerLayout: String { keeper.formerLayout }

    // MARK: Where the records came from

    /// The topics whose records made the task's state, of sources that now read another one.
    package func formerTopics(_ task: TaskState) -> [Int: String] {
        guard let kept = StateIdentities.notes(of: task.definitions)?.topics else { return [:] }
        var former: [Int: String] = [:]
        for now in StateNotes(topology.spec).topics {
            guard let source = keeper.identities.source(now.source),
                let then = kept.first(where: { $0.source == now.source }),
                then.topic != now.topic
            else { continue }
            former[source] = then.topic
        }
        return former
    }

    /// What was read of a source so far was of another log: it is as if nothing had been read of this one.
    package func forgetLog(_ source: Int, _ task: TaskState) {
        task.positions[source] = -1
        task.written[source] = task.written[source].map { _ in -1 }
        task.marks[source] = nil
    }
}
