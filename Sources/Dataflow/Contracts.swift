import Base
import Records

/// Turns the raw records of one source into columns.
package protocol RecordDecoder: AnyObject {
    /// Fills the wire columns 0..<wire.count, `status`, `statusField` and `count` of `batch` from
    /// `raw` (at most `batch.capacity` records), and empties its arena first. A record that cannot be
    /// decoded keeps its row; its status says why.
    func decode(_ raw: RawRecords, into batch: Batch)
    /// What is wrong with a row whose status is not good, for the dead letter's message.
    func explain(_ row: Int, of batch: Batch) -> String
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
    case assigned([SourcePartition])
    /// Given up; what was not committed will be read again by another lane.
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
    /// Makes the positions durable: for each partition the offset of the next record to read.
    func commit(_ positions: [SourcePartition: Int64]) throws(Fault)
    /// Leaves the group and frees what it holds.
    func close()
}

/// Where a lane's output records go. Used by one thread.
package protocol LaneSink: AnyObject {
    /// Hands the records of `outbox` on; returns before they are durable.
    func send(_ outbox: borrowing Outbox) throws(Fault)
    /// Waits until everything sent before is durable.
    func flush() throws(Fault)
    func close()
}

/// Newest metrics of changed keys on their way to a cache. Never waits.
package protocol MetricsSink: AnyObject {
    /// The hash at `key` gets these fields; an older set for the same key that was not written yet is
    /// replaced field by field. `fields` holds (name, value) pairs in text.
    func put(key: String, fields: [(name: String, value: String)], ttlMilliseconds: Int64)
    func close()
}

/// The computation of one lane: tasks, one for each partition, that turn records into outputs. Used by
/// one thread.
package protocol LaneGraph: AnyObject {
    /// The lane was given a partition: its task begins or goes on.
    func open(_ partition: SourcePartition)
    /// The lane lost it: what the task holds goes.
    func close(_ partition: SourcePartition)
    func process(_ partition: SourcePartition, _ raw: RawRecords, into outbox: inout Outbox)
    /// No record can come before this much time after the greatest event time of the partition, since it
    /// was read to its end and has been quiet for `milliseconds`.
    func idle(_ partition: SourcePartition, forMilliseconds milliseconds: Int64, into outbox: inout Outbox)
    /// How long a partition must be quiet before `idle` is called for it.
    func idleMilliseconds(of partition: SourcePartition) -> Int64
    /// Everything sent before is durable: caches may be brought up to date, and must be if it is the last time.
    func committed(isLast: Bool)
    /// Adds what the graph knows to a status.
    func describe(into status: inout LaneStatus)
}
