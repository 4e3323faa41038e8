import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A topic that records go through to the partition of another key: what is written to it.
final class RepartitionPlan {
    let index: Int
    let spec: RepartitionSpec
    /// The step whose rows are written.
    let step: StepPlan
    let encoder: RepartitionEncoder

    init(_ spec: RepartitionSpec, index: Int, steps: [StepPlan]) {
        self.spec = spec
        self.index = index
        step = steps[spec.step]
        encoder = RepartitionEncoder(
            spec.columns.map { steps[spec.step].spec.schema.fields[$0] },
            columns: spec.columns.map { steps[spec.step].columns[$0] })
    }
}

enum Upstream {
    /// In the place of a watermark: the source is quiet, and nobody waits for it.
    static let idle = Int64.max
}

extension Pipeline {
    // MARK: Writing

    /// Writes the rows of this stretch that windows of another key take in, in row order, each with the
    /// watermark after it. They go to the partition that Kafka's partitioner chooses for the key, or all to the
    /// first.
    func writeRepartitioned(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let arena = plan.batch.arena
        for repartition in repartitionsOfSource[source] {
            guard let key = repartition.step.key else { continue }
            let rows = repartition.step.selection.selection
            if rows.count > 0 { task.hasWritten[repartition.index] = true }
            let encoder = repartition.encoder
            let (keys, watermarks) = (key.encoded.values, plan.watermarks)
            let target: Int32 = repartition.spec.isGathered ? 0 : -1
            for index in 0..<rows.count {
                let row = rows[index]
                var origin = origin(plan, source, task, row)
                origin.writer = task.partition
                origin.watermark = watermarks[row]
                encoder.encode(row, arena: arena, origin)
                // Stamped with the time of the write: by their event time old records would outlive the topic's
                // retention before they are read.
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
    /// `quiet`: sources whose partition was read to its end and has been silent for its idle time. What comes of them
    /// alone is marked idle, so that windows downstream do not wait for it, whenever its last record was; its time goes
    /// on with the clock and is told as well, for the case that all others are idle too.
    ///
    /// `atEnd`: sources whose partition was read to its end. Who writes asks the others how far they are, and who has read
    /// everything answers with its next commit, so that those who read the topic know that nothing is under way.
    package func carryWatermarks(
        _ task: TaskState, quiet: (Int) -> Bool, atEnd: (Int) -> Bool = { _ in false }, into outbox: inout Outbox
    ) {
        for repartition in repartitions {
            let origin = repartition.spec.origin
            var time = CarriedTime(watermark: task.watermarks[origin])
            let roots = spec.roots(of: origin)
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
                partition: task.partition, watermark: time.watermark, isIdle: time.isIdle, isAtEnd: time.isAtEnd,
                asks: asks)
            for partition in 0..<options.partitions {
                var record = outbox.begin(.repartition(repartition.index), partition: Int32(partition), timestamp: 0)
                outbox.setValue(repartition.encoder.bytes.base, repartition.encoder.bytes.count, of: &record)
                outbox.end(record)
            }
        }
    }

    /// Behind a topic it is those who write to it who know.
    private func isQuiet(_ source: Int, _ task: TaskState, _ quiet: (Int) -> Bool) -> Bool {
        sources[source].carried == nil ? quiet(source) : UpstreamTime.isQuiet(task.upstream[source])
    }

    private func isAtEnd(_ source: Int, _ task: TaskState, _ atEnd: (Int) -> Bool) -> Bool {
        sources[source].carried == nil ? atEnd(source) : atEnd(source) && task.upstream[source].allSatisfy { $0.isAtEnd }
    }

    // MARK: Reading

    /// Event times of a repartition topic's rows and the watermark after each; the bounds on event times were
    /// applied before the topic.
    func takeOrigins(_ plan: SourcePlan, _ carried: RepartitionDecoder, _ task: TaskState, _ source: Int) {
        let batch = plan.batch
        let time = plan.columns[plan.spec.timeField]
        var upstream = task.upstream[source]
        var greatest = task.times[source]
        var watermark = task.watermarks[source]
        var marks: Int64 = 0
        for row in 0..<batch.count {
            let status = batch.status[row]
            if status == RowStatus.good.rawValue, time.valid[row] != 1 {
                batch.status[row] = RowStatus.missingField.rawValue
                batch.statusField[row] = Int16(plan.spec.timeField)
            } else if status == RowStatus.good.rawValue || status == RowStatus.mark.rawValue {
                if status == RowStatus.good.rawValue {
                    batch.times[row] = time.values[row]
                    greatest = max(greatest, time.values[row])
                } else {
                    marks += 1
                }
                let origin = carried.origins[row]
                let writer = Int(origin.writer)
                let before = upstream[writer]
                let after = before.after(
                    origin.watermark, isIdle: carried.idle[row] != 0, isAtEnd: carried.atEnd[row] != 0)
                if after != before {
                    upstream[writer] = after
                    watermark = max(watermark, UpstreamTime.behind(upstream))
                }
            }
            plan.watermarks[row] = watermark
        }
        counters.records -= marks
        task.upstream[source] = upstream
        task.times[source] = greatest
        task.watermarks[source] = watermark
    }

    /// Where a row was first read: source, partition, offset and append time.
    func origin(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ row: Int) -> RepartitionOrigin {
        if let origins = plan.origins { return origins[row] }
        let raw = plan.batch.raw
        return RepartitionOrigin(
            source: Int32(source), partition: task.partition, offset: raw.offsets[row], appended: raw.timestamps[row],
            watermark: plan.watermarks[row])
    }

    /// The fields of a row whose record is for millrace alone to read, or that never was one.
    func writeFields(_ plan: SourcePlan, _ row: Int, _ bench: Workbench) {
        bench.value.removeAll()
        plan.encoder.encode(row, of: plan.columns, arena: plan.batch.arena, into: bench.value)
    }
}
