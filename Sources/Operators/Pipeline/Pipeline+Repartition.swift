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
    /// Of a loop: where its operator puts the columns of one row.
    let row: [Column]

    init(_ spec: RepartitionSpec, index: Int, steps: [StepPlan]) {
        self.spec = spec
        self.index = index
        step = steps[spec.step]
        if spec.isLoop, let loop = steps[spec.step].spec.maker?.kind.loop {
            row = loop.spec.fields.map { Column($0.type, capacity: 1) }
            encoder = RepartitionEncoder(loop.spec.fields, columns: row)
            return
        }
        row = []
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
    /// watermark after it. They go to the partition that Kafka's partitioner chooses for the key.
    func writeRepartitioned(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let arena = plan.batch.arena
        for repartition in repartitionsOfSource[source] {
            guard let key = repartition.step.key else { continue }
            let rows = repartition.step.selection.selection
            let encoder = repartition.encoder
            let (keys, watermarks) = (key.encoded.values, plan.watermarks)
            for index in 0..<rows.count {
                let row = rows[index]
                var origin = origin(plan, source, task, row)
                origin.writer = task.partition
                origin.watermark = Plant.isOn(.watermarkLost) ? .min : watermarks[row]
                encoder.encode(row, arena: arena, origin)
                // Stamped with the time of the write: by their event time old records would outlive the topic's
                // retention before they are read.
                var record = outbox.begin(.repartition(repartition.index), timestamp: 0)
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
    /// `atEnd`: sources whose partition was read to its end. Who has read everything says so with every commit while others
    /// write to the topic, so that those who read it know that nothing is under way.
    package func carryWatermarks(
        _ task: TaskState, quiet: (Int) -> Bool, atEnd: (Int) -> Bool = { _ in false }, into outbox: inout Outbox
    ) {
        if Plant.isOn(.watermarkLost) { return }
        for repartition in repartitions {
            let origin = repartition.spec.origin
            var time = CarriedTime(watermark: task.watermarks[origin])
            if repartition.spec.isLoop {
                time = loopTime(repartition.step, task)
            } else {
                let roots = spec.roots(of: origin)
                time.isIdle = roots.allSatisfy { isQuiet($0, task, quiet) }
                time.isAtEnd = time.isIdle || roots.allSatisfy { isAtEnd($0, task, atEnd) }
            }
            let mustAnswer = task.isAddressed[repartition.index] && time.isAtEnd
            guard time != task.carried[repartition.index] || mustAnswer else { continue }
            task.isAddressed[repartition.index] = false
            task.carried[repartition.index] = time
            repartition.encoder.encodeMark(
                partition: task.partition, watermark: time.watermark, isIdle: time.isIdle, isAtEnd: time.isAtEnd,
                isClaim: time.isClaim)
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

    /// Before this time, nothing is sent into an operator's loop by this task any more, unless it comes out of the
    /// loop before: event time of the other inputs, or of the loop, whichever is behind, and the loop's delay on top.
    /// So every task's bound depends on the others' by more than nothing, and event time goes on (K. M. Chandy and
    /// J. Misra, "Distributed Simulation", 1979: null messages and lookahead).
    ///
    /// While the task has not heard from all, it can only claim what waits in its buffer. The least of the claims of
    /// all tasks is a bound for each of them: whatever goes through the loop begins at one of them.
    private func loopTime(_ step: StepPlan, _ task: TaskState) -> CarriedTime {
        let plan = makersOfSource[step.source].first { $0.step === step }
        guard let plan, let loop = plan.spec.kind.loop, let inner = plan.inputs.last else { return CarriedTime() }
        let outer = plan.inputs.dropLast().reduce(Int64.max) { min($0, task.settled[$1.source]) }
        let first = task.makers[step.index]?.buffer.first
        let isUnknown = task.settled[inner.source] == .min
        // With no row of its own that waits, a task whose inputs are quiet sends nothing.
        if outer == Upstream.idle, first == nil { return CarriedTime(isIdle: true) }
        // As long as nothing is known of the loop, nothing has been taken out of the buffer.
        let watermark = isUnknown ? (outer == .min ? .min : min(outer, first ?? .max)) : watermark(of: plan, task)
        return watermark == .min ? CarriedTime() : CarriedTime(watermark: watermark + loop.delay, isClaim: isUnknown)
    }

    /// True for the source that an operator's loop comes back through.
    func isLoop(_ source: Int) -> Bool { repartitions.contains { $0.spec.source == source && $0.spec.isLoop } }

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
        let isLoop = isLoop(source)
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
                if isLoop, watermark == .min {
                    // What is told is a claim until all have been heard from: then the least is the bound of each.
                    if status == RowStatus.mark.rawValue {
                        upstream[writer] = UpstreamTime(
                            watermark: carried.idle[row] != 0 ? before.watermark : origin.watermark,
                            isIdle: carried.idle[row] != 0)
                        let heard = upstream.filter { !$0.isIdle }
                        if let least = heard.map(\.watermark).min(), least != .min {
                            for other in upstream.indices where !upstream[other].isIdle { upstream[other].watermark = least }
                            watermark = least
                        }
                    }
                } else if after != before, carried.claims[row] == 0 {
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

    /// The fields of a repartitioned row as JSON, since its value is for millrace alone to read.
    func writeFields(_ plan: SourcePlan, _ row: Int, _ bench: Workbench) {
        bench.json.removeAll()
        bench.json.beginObject()
        for (field, column) in zip(plan.spec.schema.fields, plan.columns) {
            bench.json.name(field.name)
            bench.json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: plan.batch.arena,
                exactly: true)
        }
        bench.json.endObject()
    }
}
