import Base
import Dataflow
import Records

/// One thread's loop: poll, process, send, and every `commitMilliseconds` a commit cycle. At least once:
/// positions are committed after every output that came from the records before them is acknowledged.
///
/// The cycle has one place, `commit()`: outputs durable, then positions, then caches. A transaction would
/// begin after it and end in it.
package final class Lane {
    package struct Options: Sendable {
        package var commitMilliseconds: Int64
        /// Records after which a cycle is due whatever the time.
        package var commitRecordsMax: Int64
        package var pollMilliseconds: Int

        package init(commitMilliseconds: Int64 = 100, commitRecordsMax: Int64 = 1_000_000, pollMilliseconds: Int = 10) {
            self.commitMilliseconds = commitMilliseconds
            self.commitRecordsMax = commitRecordsMax
            self.pollMilliseconds = pollMilliseconds
        }
    }

    private let source: any LaneSource
    private let sink: any LaneSink
    private let graph: any LaneGraph
    private let options: Options
    private var outbox = Outbox()
    private var partitions: [SourcePartition: Position] = [:]
    private var committedAt: Int64
    private var uncommitted: Int64 = 0
    private var fault: Fault?
    private var status = LaneStatus()
    private var publishedAt: Int64 = 0
    private static let publishMilliseconds: Int64 = 250
    /// Called with a fresh status after commit cycles, a few times a second at most.
    private let publish: (LaneStatus) -> Void

    private struct Position {
        /// Offset of the next record to read; nil before the first.
        var next: Int64?
        var committed: Int64?
        var records: Int64 = 0
        var isCaughtUp = false
        /// Monotonic milliseconds of the last record.
        var lastRecordAt: Int64
    }

    package init(
        source: any LaneSource,
        sink: any LaneSink,
        graph: any LaneGraph,
        options: Options,
        publish: @escaping (LaneStatus) -> Void
    ) {
        self.source = source
        self.sink = sink
        self.graph = graph
        self.options = options
        self.publish = publish
        committedAt = Self.now
    }

    private static var now: Int64 { monotonicNanoseconds() / 1_000_000 }

    /// Runs until `shouldStop`, then drains: a last commit, and the group is left.
    package func run(until shouldStop: () -> Bool) throws(Fault) {
        defer {
            source.close()
            sink.close()
        }
        while !shouldStop() { try step() }
        try commit(isLast: true)
        publish(describe())
    }

    /// One turn of the loop.
    package func step() throws(Fault) {
        source.poll(
            timeoutMilliseconds: options.pollMilliseconds,
            { partition, records in self.process(partition, records) },
            onEvent: { self.handle($0) }
        )
        if let fault { throw fault }
        advanceIdle()
        if !outbox.isEmpty {
            try sink.send(outbox)
            status.outputs += Int64(outbox.records.count)
            outbox.removeAll()
        }
        if Self.now - committedAt >= options.commitMilliseconds || uncommitted >= options.commitRecordsMax {
            try commit(isLast: false)
            if Self.now - publishedAt >= Self.publishMilliseconds {
                publishedAt = Self.now
                publish(describe())
            }
        }
    }

    private func process(_ partition: SourcePartition, _ records: RawRecords) {
        guard records.count > 0 else { return }
        graph.process(partition, records, into: &outbox)
        uncommitted += Int64(records.count)
        let last = records.offsets[records.count - 1]
        var position = partitions[partition] ?? Position(lastRecordAt: 0)
        position.next = last + 1
        position.records += Int64(records.count)
        position.isCaughtUp = false
        position.lastRecordAt = Self.now
        partitions[partition] = position
    }

    private func handle(_ event: SourceEvent) {
        switch event {
        case .assigned(let added):
            for partition in added where partitions[partition] == nil {
                partitions[partition] = Position(lastRecordAt: Self.now)
                graph.open(partition)
            }
            status.isReady = true
        case .revoked(let removed):
            // What was read is made durable while the partitions are still ours.
            do throws(Fault) {
                if !outbox.isEmpty {
                    try sink.send(outbox)
                    outbox.removeAll()
                }
                try commit(isLast: false)
            } catch {
                fault = error
            }
            for partition in removed {
                partitions[partition] = nil
                graph.close(partition)
            }
        case .caughtUp(let partition): partitions[partition]?.isCaughtUp = true
        case .failed(let fault): self.fault = fault
        }
    }

    /// A partition that was read to its end and stays quiet must not hold event time back.
    private func advanceIdle() {
        let now = Self.now
        for (partition, position) in partitions where position.isCaughtUp && position.next != nil {
            let quiet = now - position.lastRecordAt
            if quiet >= graph.idleMilliseconds(of: partition) {
                graph.idle(partition, forMilliseconds: quiet, into: &outbox)
            }
        }
    }

    /// The commit cycle.
    private func commit(isLast: Bool) throws(Fault) {
        let start = monotonicNanoseconds()
        var positions: [SourcePartition: Int64] = [:]
        for (partition, position) in partitions {
            if let next = position.next, next != position.committed { positions[partition] = next }
        }
        try sink.flush()
        if !positions.isEmpty {
            try source.commit(positions)
            for (partition, next) in positions { partitions[partition]?.committed = next }
            status.commits += 1
            status.commitSeconds.record(seconds: Double(monotonicNanoseconds() - start) / 1e9)
        }
        uncommitted = 0
        committedAt = Self.now
        graph.committed(isLast: isLast)
    }

    /// The milliseconds from the append of a record to the acknowledgement of the alert that it caused.
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
            return entry
        }
        graph.describe(into: &status)
        return status
    }
}
