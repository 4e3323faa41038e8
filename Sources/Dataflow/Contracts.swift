import Base
import Records

/// Turns the raw records of one source into columns.
package protocol RecordDecoder: AnyObject {
    /// Fills the wire columns 0..<wire.count, `status`, `statusField` and `count` of `batch` from
    /// `raw` (at most `batch.capacity` records), and empties its arena first. A record that cannot be
    /// decoded keeps its row; its status says why.
    func decode(_ raw: RawRecords, into batch: Batch)
    /// Gets what it needs from elsewhere to decode these records. Called by lanes before they hand them over,
    /// never within `decode`, which does with what is there: a run without a network decodes all the same.
    /// May wait, for a bounded time; throws where it cannot be had now, and the records are read again.
    func prepare(_ raw: RawRecords) throws(Fault)
    /// Appends what is wrong with a row whose status is not good, for the dead letter's message.
    func explain(_ row: Int, of batch: Batch, into text: Arena)
    /// The names of the fields of the records that follow, where a file says them
    /// (`FileLayout.Columns.header`).
    func setHeader(_ names: [String])
}

extension RecordDecoder {
    package func prepare(_ raw: RawRecords) throws(Fault) {}

    package func setHeader(_ names: [String]) { unreachable("a header for records that have none") }

    package func explain(_ row: Int, of batch: Batch) -> String {
        let text = Arena(capacity: 256)
        explain(row, of: batch, into: text)
        return text.string(TextReference(offset: 0, count: text.count))
    }
}

/// One partition of one source within a lane. `source` counts the topology's sources.
package struct SourcePartition: Hashable, Sendable {
    package var source: Int
    package var partition: Int32

    package init(source: Int, partition: Int32) {
        self.source = source
        self.partition = partition
    }
}

/// What a lane learns from its source besides records.
package enum SourceEvent: Equatable, Sendable {
    /// All partitions that the lane now has; they are read once `start` was called.
    case assigned([SourcePartition])
    /// About to be given up; what is not committed now will be read again by whoever gets them.
    case revoked([SourcePartition])
    /// Every record up to the end of the partition has been read.
    case caughtUp(SourcePartition)
    case failed(Fault)
}

/// Where a lane's records come from. Used by one thread.
package protocol LaneSource: AnyObject {
    /// Waits at most `timeoutMilliseconds` for records and hands them over partition by partition, each
    /// in offset order. What `records` points at is valid during the call of `body` only.
    func poll(
        timeoutMilliseconds: Int,
        _ body: (SourcePartition, RawRecords) -> Void,
        onEvent: (SourceEvent) -> Void
    )
    /// Up to so many records of a partition that are there already; nil: there are none. Only of a source
    /// that hands records over partition by partition: its `poll` waits until there are some, and tells
    /// events only.
    func take(from partition: SourcePartition, atMost count: Int) -> HeldRecords?
    /// The positions that were committed of assigned partitions; missing: none was. Waits for commits under
    /// way.
    func committed(_ partitions: [SourcePartition]) throws(Fault) -> [SourcePartition: Int64]
    /// The number of the task's commit with which a position was committed, as of the last call of
    /// `committed`; nil: it says none. A commit may leave every position where it was.
    func sequence(of partition: SourcePartition) -> UInt64?
    /// Begins to read every assigned partition, at its offset in `positions`, or where the source's
    /// configuration says. Returns where each begins. Called once after each `.assigned`.
    func start(at positions: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: Int64]
    /// From now on nothing comes from these assigned partitions, and something from all others. To be called
    /// after `start`, at which all go on.
    func hold(_ partitions: Set<SourcePartition>) throws(Fault)
    /// What stands at these offsets, or first behind them; partitions that cannot be looked into are missing.
    func look(at offsets: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: LogSight]
    /// Records between the position and the end of the partition, as far as is known.
    func lag(of partition: SourcePartition) -> Int64?
    /// Tasks that the lane may well get when it joins its group, which it does with the first `poll`, and
    /// that others have now.
    func foreseen() -> Set<Int32>
    /// Nobody comes back in this member's place.
    var leavesForGood: Bool { get }
    /// Leaves the group and frees what it holds.
    func close()
}

extension LaneSource {
    package func take(from partition: SourcePartition, atMost count: Int) -> HeldRecords? { nil }
    package func sequence(of partition: SourcePartition) -> UInt64? { nil }
    package func foreseen() -> Set<Int32> { [] }
    package var leavesForGood: Bool { false }
    package func hold(_ partitions: Set<SourcePartition>) throws(Fault) {}
    package func look(at offsets: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: LogSight] {
        [:]
    }
}

/// A table that a lane has all of, read outside of the group from its beginning. Used by one thread.
package protocol BroadcastReader: AnyObject {
    /// Waits at most `timeoutMilliseconds` for records and hands them over, at most a batch, those of a
    /// partition in offset order. What they point at is valid during the call of `body` only.
    func poll(timeoutMilliseconds: Int, batch body: (RawRecords) -> Void) throws(Fault)
    /// Every partition was read to its end as of the last poll.
    var isAtEnd: Bool { get }
}

/// Rows of a table that lies elsewhere, asked for when they are needed. Used by one thread.
package protocol TableLookup: AnyObject {
    /// Asks for the rows with these keys (texts in `arena`) all at once and waits no longer than its timeout.
    /// Calls `body` for each that was answered with its place in `keys` and the texts of its fields, valid
    /// during the call (nil: the row does not have the field; all nil: there is no such row). False: some
    /// were not answered, and it makes no sense to ask again at once.
    func fetch(
        _ keys: [TextReference], in arena: Arena,
        _ body: (_ index: Int, _ fields: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>) -> Void
    ) -> Bool
}

/// Where a lane's output records go. Used by one thread.
package protocol LaneSink: AnyObject {
    /// Hands the records of `outbox` on; returns before they are durable.
    func send(_ outbox: borrowing Outbox) throws(Fault)
    /// Makes what was sent, the tasks' `changes` and the positions (for each partition the offset of the next
    /// record to read; `sequences`: the numbers of the tasks' commits, to be kept with them) durable: all at
    /// once or, at least once, in this order. After it threw, nothing is known of any of them.
    func commit(
        _ changes: borrowing Outbox, _ positions: [SourcePartition: Int64], sequences: [Int32: UInt64]
    ) throws(Fault)
    /// The end of a task's changelog after the last commit; nil if that wrote nothing to it. (Who wrote to it
    /// since an earlier one is not known here: the task may have been another lane's meanwhile.)
    func changelogEnd(of task: Int32) -> Int64?
    /// So much waits for the next commit that it should be made now.
    var needsCommit: Bool { get }
    /// From the next record on the topology's sinks are these; nothing sent before waits for its commit.
    /// Throws if one cannot be had.
    func route(_ sinks: [SinkRoute]) throws(Fault)
    func close()
}

extension LaneSink {
    package var needsCommit: Bool { false }
    package func route(_ sinks: [SinkRoute]) throws(Fault) {}
}

/// Where records of a sink go from now on.
package struct SinkRoute: Equatable, Sendable {
    /// nil: it is not Kafka's.
    package var topic: String?
    /// Its index so far; nil: it is new.
    package var former: Int?

    package init(topic: String?, former: Int?) {
        (self.topic, self.former) = (topic, former)
    }
}

/// The changelogs of tasks. Used by one thread.
package protocol ChangelogReader: AnyObject {
    /// Hands over the records of each task from its offset (nil: the first) to the end as of now, and returns
    /// the ends; behind the end there are none. `body` gets task, offset, key, value (nil: null).
    func read(
        _ tasks: [Int32: Int64?],
        _ body: (Int32, Int64, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>?) throws(Fault) -> Void
    ) throws(Fault) -> [Int32: ChangelogEnd]
    /// What a fault calls a task's changelog.
    func place(of task: Int32) -> String
}

package struct ChangelogEnd: Equatable, Sendable {
    /// The offset after the last record that was read.
    package var offset: Int64
    /// Behind it stands a transaction whose end is not known yet.
    package var isOpen: Bool

    package init(offset: Int64, isOpen: Bool) {
        self.offset = offset
        self.isOpen = isOpen
    }
}

/// Snapshots of tasks on this machine. Used by one thread.
package protocol SnapshotStore: AnyObject {
    /// Calls `body` with the newest whole snapshot of the task and the changelog offset it stands at, and,
    /// while that returns false, with the one before.
    func load(_ task: Int32, _ body: (UnsafeBufferPointer<UInt8>, _ changelogEnd: Int64) -> Bool)
    /// True while the last `save` is under way.
    var isSaving: Bool { get }
    /// Writes a snapshot in the background. A failure is logged; the older ones stay.
    func save(_ task: Int32, _ snapshot: Arena, changelogEnd: Int64)
    /// Waits for what is under way.
    func close()
}

/// The computation of one lane: tasks, one for each partition number, that turn records into outputs. Used by
/// one thread.
package protocol LaneGraph: AnyObject {
    /// The lane was given a partition: its task begins, or goes on if it is there.
    func open(_ partition: SourcePartition)
    /// What a task holds goes.
    func drop(task: Int32)
    /// The sources of a task, if their records must be taken in event-time order: then each call of `process`
    /// is for records that come next by it. Empty: as they come.
    var inputs: [AlignedInput] { get }
    /// Gets what it needs from elsewhere to take these records; called before `look` and `process`. Throws
    /// where that cannot be had now.
    func prepare(_ raw: RawRecords, source: Int) throws(Fault)
    /// What is needed to put records into that order.
    func look(at raw: RawRecords, of partition: SourcePartition) -> InputRows
    func process(_ partition: SourcePartition, _ raw: RawRecords, into outbox: inout Outbox)
    /// A limit ended a wait for a source: `count` records were taken though it had more to read.
    func noteUnaligned(_ limit: LimitName, source: Int, count: Int64)
    /// Who takes outputs in the middle of a call where they are too many to wait for its end; empties the
    /// outbox.
    func setSpill(_ spill: @escaping (inout Outbox) -> Void)
    /// Takes records of a table that the lane has all of.
    func processBroadcast(source: Int, _ raw: RawRecords)
    /// True if a task reads this partition to its end before it goes on with its streams.
    func isTable(_ partition: SourcePartition) -> Bool
    /// No record can come before this much time after the greatest event time of the partition, since it
    /// was read to its end and has been quiet for `milliseconds`.
    func idle(_ partition: SourcePartition, forMilliseconds milliseconds: Int64, into outbox: inout Outbox)
    /// How long a partition must be quiet before `idle` is called for it.
    func idleMilliseconds(of partition: SourcePartition) -> Int64
    /// Appends what must reach other tasks with this commit: how far event time has come. `quiet`: partitions
    /// that were read to their end and have been silent for their idle time; `atEnd`: those that were read to
    /// their end.
    func carryWatermarks(quiet: Set<SourcePartition>, atEnd: Set<SourcePartition>, into outbox: inout Outbox)
    /// The last record that was read of a partition, as of the commit that is under way.
    func note(_ mark: LogMark, of partition: SourcePartition)
    /// Appends what must go out with this commit and comes of no record: alerts that a restored task cannot
    /// go on with, what other rules say of what is there already, and that the task goes on with those. True:
    /// the commit is to say who makes it, though nothing was read.
    func collectOutputs(task: Int32, into outbox: inout Outbox) -> Bool
    /// Appends what changed in a task since the last call, `positions` (by source) included, and of
    /// repartition topics `written`, the next offset of each writer.
    func collectChanges(
        task: Int32, positions: [Int: Int64], written: [Int: [Int64]], into changes: inout Outbox)
    /// What a person should know by now, as log lines: limits that were hit, each once a minute at most.
    func warnings() -> [String]
    /// Everything sent before is durable: caches may be brought up to date, and must be if it is the last
    /// time.
    func committed(isLast: Bool)
    /// Right after a commit: takes over a changed topology, if one waits. Every task goes on with what it
    /// still has of their state. Returns where its sinks go then; nil: nothing changed.
    func change() throws(Fault) -> [SinkRoute]?
    /// Sets what the graph has counted since it was made; called after commits.
    func count(into status: inout LaneStatus)
    /// Adds what else the graph knows to a status.
    /// `blockers`: by task, the input that records wait for which were read.
    func describe(into status: inout LaneStatus, blockers: [Int32: InputBlocker])

    // Restoring a task: `open`, a snapshot, records of its changelog, `finishRestore`.

    /// False if the snapshot is not of this graph; the task is then empty again.
    func restore(task: Int32, snapshot: UnsafeBufferPointer<UInt8>) -> Bool
    /// The task is in memory, and its changelog is read from the last record on that it knows.
    func resume(task: Int32)
    /// True if the record was the last one of a commit.
    func restore(
        task: Int32, key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?
    ) throws(Fault) -> Bool
    /// False if the changelog's records did not go on from the snapshot, or from what was in memory: they are
    /// of another life, that of a topic that was made anew. The task is then to be dropped.
    func isContinued(task: Int32) -> Bool
    /// The task was whole in memory, and is gone on with as it is.
    func keep(task: Int32)
    /// Throws if the state was kept under other definitions; `place`: where it was.
    func finishRestore(task: Int32, place: String) throws(Fault)
    /// The task's positions by source, as of its last record; nil if it was never committed.
    func positions(task: Int32) -> [Int: Int64]?
    /// Those who write to the task's repartition topics, by source.
    func writers(task: Int32) -> [Int: [InputWriter]]
    /// The number of the task's last commit; 0: there was none.
    func sequence(task: Int32) -> UInt64
    /// The last record that the task's state has seen of a partition; nil: it was not noted.
    func mark(of partition: SourcePartition) -> LogMark?
    /// The topic whose records made the state, where the source reads another one now.
    func formerTopic(of partition: SourcePartition) -> String?
    /// The state goes on with another log of the source, of which nothing has been read.
    func forgetLog(of partition: SourcePartition)
    /// What a message calls a partition: `source 'orders' (topic 'orders-v2'), partition 3`.
    func name(of partition: SourcePartition) -> String
    /// What a command line calls its source.
    func sourceName(of partition: SourcePartition) -> String
    /// The task's whole state, right after a commit.
    func snapshot(task: Int32) -> Arena
}
