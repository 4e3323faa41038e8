import Base
import Dataflow
import Records
import Topology

/// Rows of a stretch that go out as they are: records of steps that sinks take, and those of repartition
/// topics.
final class RecordStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let order: OutputOrder
    /// The value of a record under way.
    private let value = Arena(capacity: 1024)

    init(_ topology: CompiledTopology, _ meters: StageMeters, _ order: OutputOrder) {
        (self.topology, self.meters, self.order) = (topology, meters, order)
    }

    /// Records of steps that a sink takes, step by step.
    func write(_ flow: SourceFlow, _ plan: SourcePlan, _ outbox: inout Outbox) {
        for output in flow.recordSinks {
            let rows = output.step.selection.selection
            let (encoder, columns) = (output.encoder, output.step.columns)
            for index in 0..<rows.count {
                let row = rows[index]
                outbox.order = order.order(of: row, plan)
                value.removeAll()
                encoder.encode(row, of: columns, arena: plan.batch.arena, into: value)
                var record = outbox.begin(
                    .sink(output.sink), timestamp: plan.batch.times[row],
                    causedAt: plan.origin(of: row).appended)
                if let key = output.step.key, key.encoded.valid[row] == 1 {
                    let text = TextReference(packed: key.encoded.values[row])
                    outbox.setKey(plan.batch.arena.base + text.offset, text.count, of: &record)
                } else if plan.stream == nil, let key = plan.batch.raw.keys[row] {
                    outbox.setKey(key, Int(plan.batch.raw.keyCounts[row]), of: &record)
                }
                outbox.setValue(value.base, value.count, of: &record)
                outbox.end(record)
                meters.counters.results += 1
            }
        }
    }

    // MARK: Repartition topics

    /// Writes the rows of this stretch that windows of another key take in, in row order, each with the
    /// watermark after it. They go to the partition that Kafka's partitioner chooses for the key, or all to
    /// the first.
    func writeRepartitioned(_ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, _ outbox: inout Outbox)
    {
        let arena = plan.batch.arena
        for repartition in flow.repartitions {
            guard let key = repartition.step.key else { continue }
            let rows = repartition.step.selection.selection
            if rows.count > 0 { task.hasWritten[repartition.index] = true }
            let encoder = repartition.encoder
            let (keys, watermarks) = (key.encoded.values, plan.watermarks)
            let target: Int32 = repartition.spec.isGathered ? 0 : -1
            for index in 0..<rows.count {
                let row = rows[index]
                var origin = plan.origin(of: row)
                origin.writer = task.partition
                origin.watermark = watermarks[row]
                encoder.encode(row, arena: arena, origin)
                // Stamped with the time of the write: by their event time old records would outlive the
                // topic's retention before they are read.
                var record = outbox.begin(.repartition(repartition.index), partition: target, timestamp: 0)
                let text = TextReference(packed: keys[row])
                outbox.setKey(arena.base + text.offset, text.count, of: &record)
                outbox.setValue(encoder.bytes.base, encoder.bytes.count, of: &record)
                outbox.end(record)
            }
        }
    }

    /// Tells every partition of every repartition topic how far event time has come in this task's partition,
    /// where that has changed since the last call. To be called before each commit.
    ///
    /// `quiet`: sources whose partition was read to its end and has been silent for its idle time. What comes
    /// of them alone is marked idle, so that windows downstream do not wait for it, whenever its last record
    /// was; its time goes on with the clock and is told as well, for the case that all others are idle too.
    ///
    /// `atEnd`: sources whose partition was read to its end. Who writes asks the others how far they are, and
    /// who has read everything answers with its next commit, so that those who read the topic know that
    /// nothing is under way.
    func carryWatermarks(
        _ task: TaskState, quiet: (Int) -> Bool, atEnd: (Int) -> Bool = { _ in false },
        into outbox: inout Outbox
    ) {
        for repartition in topology.repartitions {
            let origin = repartition.spec.origin
            var time = CarriedTime(watermark: task.watermarks[origin])
            let roots = topology.spec.roots(of: origin)
            time.isIdle = roots.allSatisfy { isQuiet($0, task, quiet) }
            time.isAtEnd = time.isIdle || roots.allSatisfy { isAtEnd($0, task, atEnd) }
            let before = task.carried[repartition.index]
            let asks = task.hasWritten[repartition.index] || !time.isIdle && time.watermark > before.watermark
            let answers = task.isAsked[repartition.index] && time.isAtEnd
            guard time != before || asks || answers else { continue }
            task.isAsked[repartition.index] = false
            task.hasWritten[repartition.index] = false
            task.carried[repartition.index] = time
            repartition.encoder.encodeMark(
                partition: task.partition, watermark: time.watermark, isIdle: time.isIdle,
                isAtEnd: time.isAtEnd,
                asks: asks)
            for partition in 0..<topology.options.partitions {
                var record = outbox.begin(
                    .repartition(repartition.index), partition: Int32(partition), timestamp: 0)
                outbox.setValue(repartition.encoder.bytes.base, repartition.encoder.bytes.count, of: &record)
                outbox.end(record)
            }
        }
    }

    /// Behind a topic it is those who write to it who know.
    private func isQuiet(_ source: Int, _ task: TaskState, _ quiet: (Int) -> Bool) -> Bool {
        topology.sources[source].carried == nil ? quiet(source) : UpstreamTime.isQuiet(task.upstream[source])
    }

    private func isAtEnd(_ source: Int, _ task: TaskState, _ atEnd: (Int) -> Bool) -> Bool {
        topology.sources[source].carried == nil
            ? atEnd(source) : atEnd(source) && task.upstream[source].allSatisfy { $0.isAtEnd }
    }
}
