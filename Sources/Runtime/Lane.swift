import Base
import Dataflow
import Records

/// One thread's loop: poll, process, send, and every `commitMilliseconds` a commit cycle, in which outputs,
/// the tasks' changes and the positions become durable.
///
/// After a fault the lane is of no more use: its tasks may hold what was never committed. Whoever runs it
/// makes another, which restores them.
package final class Lane {
    package struct Options: Sendable {
        package var commitMilliseconds: Int64
        /// Between commits while the lane lags far behind: nobody waits for the next alert, and panes that
        /// change again and again are written once.
        package var commitMillisecondsBehind: Int64
        /// Records after which a cycle is due whatever the time.
        package var commitRecordsMax: Int64
        package var pollMilliseconds: Int
        /// A task's snapshot is written when its changelog has grown by as many records since the last, or
        /// that was so long ago.
        package var snapshotRecords: Int64
        package var snapshotMilliseconds: Int64
        /// Names of sources that may be another log than the one that the state was made from, and then begin
        /// where their configuration says.
        package var anew: Set<String> = []
        /// Of tasks with several inputs.
        package var alignment = TaskInputs.Options()

        package init(
            commitMilliseconds: Int64 = 100, commitMillisecondsBehind: Int64 = 1000,
            commitRecordsMax: Int64 = 1_000_000,
            pollMilliseconds: Int = 10, snapshotRecords: Int64 = 200_000, snapshotMilliseconds: Int64 = 30_000
        ) {
            self.commitMilliseconds = commitMilliseconds
            self.commitMillisecondsBehind = commitMillisecondsBehind
            self.commitRecordsMax = commitRecordsMax
            self.pollMilliseconds = pollMilliseconds
            self.snapshotRecords = snapshotRecords
            self.snapshotMilliseconds = snapshotMilliseconds
        }
    }

    /// How a lane's tasks survive it; without, they begin empty.
    package struct Storage {
        package var changelog: any ChangelogReader
        /// nil: the changelog alone.
        package var snapshots: (any SnapshotStore)?
        /// Positions and state are committed at once, so they must agree.
        package var isAtomic: Bool

        package init(changelog: any ChangelogReader, snapshots: (any SnapshotStore)?, isAtomic: Bool) {
            self.changelog = changelog
            self.snapshots = snapshots
            self.isAtomic = isAtomic
        }
    }

    let source: any LaneSource
    let sink: any LaneSink
    let graph: any LaneGraph
    private let snapshots: (any SnapshotStore)?
    let options: Options
    private let held: HeldTasks
    /// nil: tasks begin empty.
    private let restore: TaskRestore?
    private let logs: LogComparison
    private let laneTables: LaneTables
    private(set) var loading: TableLoading
    let cycle: CommitCycle
    private var outbox = Outbox()
    var partitions: [SourcePartition: Position] = [:]
    /// By task, where inputs are taken in event-time order.
    var aligned: [Int32: TaskInputs] = [:]
    /// Something was taken in the last turn.
    var hasTaken = false
    /// Records published since the last commit.
    private var sent: Int64 = 0
    private var assigned: [SourcePartition]?
    var fault: Fault?
    private var status = LaneStatus()
    private var publishedAt: Int64 = 0
    private var isDrained = false
    private static let publishMilliseconds: Int64 = 250
    /// Called with a fresh status after commit cycles, a few times a second at most.
    private let publish: (LaneStatus) -> Void
    /// What the lane is about to do, for whoever watches it.
    let phase: LanePhase
    /// Milliseconds of a clock that never goes back.
    let now: () -> Int64
    /// For a profile.
    package var stages: StageClock?

    /// A table that the lane has all of.
    package struct Broadcast {
        package var source: Int
        package var name: String
        package var reader: any BroadcastReader

        package init(source: Int, name: String, reader: any BroadcastReader) {
            self.source = source
            self.name = name
            self.reader = reader
        }
    }

    struct Position {
        /// Offset of the next record to read.
        var next: Int64
        var committed: Int64?
        /// The last record that was read.
        var mark: LogMark?
        var records: Int64 = 0
        var isCaughtUp = false
        /// Monotonic milliseconds of the last record.
        var lastRecordAt: Int64
        /// Something was taken of it since the last commit, which its position need not show.
        var hasMoved = false
    }

    package init(
        source: any LaneSource,
        sink: any LaneSink,
        graph: any LaneGraph,
        storage: Storage? = nil,
        broadcasts: [Broadcast] = [],
        options: Options,
        phase: LanePhase = LanePhase(),
        now: @escaping () -> Int64 = { monotonicNanoseconds() / 1_000_000 },
        publish: @escaping (LaneStatus) -> Void
    ) {
        self.source = source
        self.sink = sink
        self.graph = graph
        self.options = options
        self.phase = phase
        self.now = now
        self.publish = publish
        snapshots = storage?.snapshots
        let held = HeldTasks(graph, storage?.snapshots, now: now)
        let logs = LogComparison(graph: graph, source: source, anew: options.anew)
        self.held = held
        self.logs = logs
        restore = storage.map { storage in
            TaskRestore(
                graph: graph, source: source, changelog: storage.changelog, isAtomic: storage.isAtomic,
                held: held, logs: logs, now: now)
        }
        laneTables = LaneTables(broadcasts: broadcasts, graph: graph, now: now)
        loading = TableLoading(graph)
        cycle = CommitCycle(graph, sink, keepsChanges: storage != nil, options, now: now())
        graph.setSpill { [unowned self] outbox in spill(&outbox) }
    }

    /// Runs until `shouldStop`, then drains.
    package func run(until shouldStop: () -> Bool) throws(Fault) {
        defer { close() }
        try open(until: shouldStop)
        while !shouldStop() { try step() }
        try drain()
    }

    /// To be called once, before the first step: reads the tables that the lane has all of, and what it will
    /// be given.
    package func open(until shouldStop: () -> Bool) throws(Fault) {
        if !laneTables.broadcasts.isEmpty {
            phase.enter(.restoring)
            try laneTables.load(until: shouldStop)
        }
        guard let restore else { return }
        let tasks = source.foreseen()
        guard !tasks.isEmpty else { return }
        phase.enter(.restoring)
        try restore.warmUp(tasks, until: shouldStop)
    }

    /// A last commit and snapshots.
    package func drain() throws(Fault) {
        try commit(isLast: true)
        // Whoever takes over does not wait for snapshots.
        if source.leavesForGood {
            phase.enter(.closing)
            source.close()
        }
        if snapshots != nil {
            phase.enter(.saving)
            held.saveAll()
        }
        for warning in graph.warnings() { Log.warning(warning) }
        publish(describe())
        isDrained = true
    }

    /// Leaves the group; what was not committed is gone.
    package func close() {
        if !isDrained {
            // What was committed counts, however the lane ends.
            status.isReady = false
            publish(status)
        }
        phase.enter(.closing)
        snapshots?.close()
        source.close()
        sink.close()
    }

    /// One turn of the loop.
    package func step() throws(Fault) {
        phase.enter(.polling)
        try laneTables.poll()
        source.poll(
            timeoutMilliseconds: isAligned ? pollMilliseconds : options.pollMilliseconds,
            { partition, records in self.process(partition, records) },
            onEvent: { self.handle($0) }
        )
        if let fault { throw fault }
        if let assigned {
            self.assigned = nil
            try begin(assigned)
            status.isReady = true
        }
        if loading.takeLoaded() { try source.hold(waiting) }
        if isAligned { takeInputs() }
        advanceIdle()
        try sendOutputs()
        if cycle.isDue(at: now(), lag: { partitions.keys.reduce(0) { $0 + (source.lag(of: $1) ?? 0) } }) {
            try commit(isLast: false)
            held.saveNext(options)
            // Behind the snapshot, which holds what was committed and nothing else; and not between two
            // assignments, when tasks in memory may be others' by now.
            if restore != nil, status.isReady, let routes = try graph.change() { try sink.route(routes) }
            if now() - publishedAt >= Self.publishMilliseconds {
                publishedAt = now()
                for warning in graph.warnings() { Log.warning(warning) }
                publish(describe())
            }
        }
    }

    /// Takes over an assignment: tasks get their state back, then their partitions are read.
    private func begin(_ assigned: [SourcePartition]) throws(Fault) {
        phase.enter(.restoring)
        let tasks = Set(assigned.map(\.partition))
        // Without a changelog there is no telling what another lane made of the partition meanwhile.
        for task in held.all where restore == nil || !tasks.contains(task) {
            held.forget(task)
        }
        for partition in assigned { graph.open(partition) }
        let inGroup = try source.committed(assigned)
        var positions = inGroup
        if let restore { try restore.restore(tasks, assigned, &positions) }
        for task in tasks where held[task] == nil { held.begin(task) }
        let started = try source.start(at: positions)
        let marks = restore == nil ? [:] : try logs.marks(started)
        partitions = [:]
        for partition in assigned {
            guard let next = started[partition] else { continue }
            partitions[partition] = Position(
                next: next,
                // At least once the group may be behind the state, and is to follow though nothing is read.
                committed: inGroup[partition],
                mark: marks[partition],
                lastRecordAt: now()
            )
        }
        alignInputs()
        loading.begin(partitions.keys)
        if !loading.isEmpty { try source.hold(waiting) }
    }

    /// Partitions that nothing may come from yet.
    private var waiting: Set<SourcePartition> { Set(partitions.keys.filter(loading.isWaiting)) }

    func process(_ partition: SourcePartition, _ records: RawRecords) {
        guard records.count > 0, var position = partitions[partition], fault == nil else { return }
        phase.enter(.processing)
        if !isAligned {
            do throws(Fault) {
                try graph.prepare(records, source: partition.source)
            } catch {
                fault = error
                return
            }
        }
        stages?.lap(.polling)
        graph.process(partition, records, into: &outbox)
        cycle.note(records: records.count)
        position.next = records.offsets[records.count - 1] + 1
        position.mark = LogMark(records, records.count - 1)
        position.records += Int64(records.count)
        position.hasMoved = true
        // What was polled ahead says how far the partition is read, and since when it is silent.
        if aligned.isEmpty {
            position.isCaughtUp = false
            position.lastRecordAt = now()
        }
        partitions[partition] = position
    }

    private func handle(_ event: SourceEvent) {
        switch event {
        case .assigned(let partitions): assigned = partitions
        case .revoked:
            // What was read is made durable while the partitions are still ours. Tasks stay as they are: most
            // of them come back with the next assignment.
            assigned = nil
            status.isReady = false
            do throws(Fault) {
                try sendOutputs()
                if !partitions.isEmpty { try commit(isLast: false) }
            } catch {
                fault = error
            }
            partitions = [:]
            aligned = [:]
            loading.removeAll()
        case .caughtUp(let partition):
            partitions[partition]?.isCaughtUp = true
            aligned[partition.partition]?.end(partition.source, now: now())
            guard loading.noteCaughtUp(partition) else { break }
            for other in partitions.keys where other.partition == partition.partition {
                partitions[other]?.lastRecordAt = now()
            }
        case .failed(let fault): self.fault = self.fault ?? fault
        }
    }

    /// Outputs in the middle of a batch that makes very many. A fault is thrown by whoever sends next.
    private func spill(_ outbox: inout Outbox) {
        if fault == nil {
            do throws(Fault) {
                try sink.send(outbox)
                status.outputs += Int64(outbox.records.count)
            } catch {
                fault = error
            }
        }
        outbox.removeAll()
    }

    private func sendOutputs() throws(Fault) {
        if let fault { throw fault }
        guard !outbox.isEmpty else { return }
        phase.enter(.sending)
        stages?.lap(.polling)
        try sink.send(outbox)
        sent += Int64(outbox.records.count)
        outbox.removeAll()
        stages?.lap(.sending)
    }

    /// A partition that was read to its end and stays quiet must not hold event time back.
    private func advanceIdle() {
        let now = self.now()
        for (partition, position) in partitions
        where position.isCaughtUp && !loading.isWaiting(partition) && isDrained(partition) {
            let quiet = now - position.lastRecordAt
            if quiet >= graph.idleMilliseconds(of: partition) {
                graph.idle(partition, forMilliseconds: quiet, into: &outbox)
            }
        }
    }

    /// Partitions that were read to their ends, and those of them that have been silent for their idle time.
    private var ended: (all: Set<SourcePartition>, quiet: Set<SourcePartition>) {
        let now = self.now()
        let ended = partitions.filter { $1.isCaughtUp && isDrained($0) }
        return (
            Set(ended.keys),
            Set(ended.filter { now - $1.lastRecordAt >= graph.idleMilliseconds(of: $0) }.keys)
        )
    }

    // MARK: The commit cycle

    private func commit(isLast: Bool) throws(Fault) {
        let start = monotonicNanoseconds()
        let startMilliseconds = now()
        let ended = ended
        graph.carryWatermarks(quiet: ended.quiet, atEnd: ended.all, into: &outbox)
        let tasks = ownTasks
        if restore != nil {
            for task in tasks where graph.collectOutputs(task: task, into: &outbox) {
                // Its positions carry the generation by which the broker knows whether the task is ours.
                for partition in partitions.keys where partition.partition == task {
                    partitions[partition]?.hasMoved = true
                }
            }
        }
        try sendOutputs()
        var positions: [SourcePartition: Int64] = [:]
        // A partition that was not begun has no position, so that whoever comes next reads the tables first
        // too.
        for (partition, position) in partitions where !loading.isWaiting(partition) {
            let next = nextOffset(partition, position)
            // A position that stays says all the same who commits.
            if next != position.committed || position.hasMoved { positions[partition] = next }
        }
        phase.enter(.committing)
        try cycle.commit(positions, of: tasks, mark: { partitions[$0]?.mark }, written: written, stages)
        for (partition, next) in positions {
            partitions[partition]?.committed = next
            partitions[partition]?.hasMoved = false
        }
        for task in held.all {
            if let end = sink.changelogEnd(of: task) { held.note(changelogEnd: end, of: task) }
        }
        if !positions.isEmpty {
            status.commits += 1
            status.commitSeconds.record(seconds: Double(monotonicNanoseconds() - start) / 1e9)
        }
        status.outputs += sent
        sent = 0
        noteUnaligned()
        graph.count(into: &status)
        cycle.end(from: startMilliseconds, to: now())
        graph.committed(isLast: isLast)
    }

    private var ownTasks: [Int32] { Set(partitions.keys.map(\.partition)).sorted() }

    // MARK: Status

    /// The milliseconds from the append of a record to when the alert that it caused could be read.
    package func recordAlertLatency(milliseconds: Int64) {
        status.alertSeconds.record(seconds: Double(max(0, milliseconds)) / 1000)
    }

    private func describe() -> LaneStatus {
        var status = self.status
        status.progressedAt = monotonicNanoseconds()
        status.partitions = partitions.map { partition, position in
            var entry = LaneStatus.Partition(source: partition.source, partition: partition.partition)
            entry.records = position.records
            entry.isCaughtUp = position.isCaughtUp
            entry.mark = position.mark
            let held = Int64(aligned[partition.partition]?.held(of: partition.source) ?? 0)
            entry.waiting = held
            entry.lagRecords = source.lag(of: partition).map { $0 + held }
            return entry
        }
        graph.describe(into: &status, blockers: aligned.compactMapValues(\.blocker))
        return status
    }
}
