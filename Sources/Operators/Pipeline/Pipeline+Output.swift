import Base
import Dataflow
import Formats
import Records
import State
import Topology

extension Pipeline {
    /// Records of steps that a sink takes, step by step.
    func writeRecords(
        _ plan: SourcePlan, _ source: Int, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) {
        for output in recordSinks[source] {
            let rows = output.step.selection.selection
            let (encoder, columns) = (output.step.encoder, output.step.columns)
            for index in 0..<rows.count {
                let row = rows[index]
                outbox.order = order(of: row, plan)
                bench.value.removeAll()
                encoder.encode(row, of: columns, arena: plan.batch.arena, into: bench.value)
                var record = outbox.begin(
                    .sink(output.sink), timestamp: plan.batch.times[row], causedAt: origin(plan, source, task, row).appended)
                if let key = output.step.key, key.encoded.valid[row] == 1 {
                    let text = TextReference(packed: key.encoded.values[row])
                    outbox.setKey(plan.batch.arena.base + text.offset, text.count, of: &record)
                } else if plan.stream == nil, let key = plan.batch.raw.keys[row] {
                    outbox.setKey(key, Int(plan.batch.raw.keyCounts[row]), of: &record)
                }
                outbox.setValue(bench.value.base, bench.value.count, of: &record)
                outbox.end(record)
                counters.results += 1
            }
        }
    }

    func writeLate(
        _ plan: SourcePlan,
        _ source: Int,
        _ row: Int,
        _ task: TaskState,
        _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        var record = copy(.late, plan, row, asFields: plan.origins != nil, bench, &outbox)
        let behind = plan.watermarks[row] - batch.times[row]
        outbox.addHeader("millrace.late.by_ms", to: &record) { $0.appendNumber(behind) }
        outbox.addHeader("millrace.late.watermark", to: &record) { $0.appendTime(plan.watermarks[row]) }
        addOrigin(origin(plan, source, task, row), outbox, &record)
        outbox.end(record)
    }

    func copy(
        _ destination: Destination,
        _ plan: SourcePlan,
        _ row: Int,
        asFields: Bool,
        _ bench: Workbench,
        _ outbox: inout Outbox
    ) -> Outbox.Record {
        if plan.stream != nil {
            var record = outbox.begin(destination, timestamp: max(0, plan.batch.times[row]), causedAt: -1)
            writeFields(plan, row, bench)
            outbox.setValue(bench.value.base, bench.value.count, of: &record)
            return record
        }
        let raw = plan.batch.raw
        var record = outbox.begin(destination, timestamp: max(0, raw.timestamps[row]), causedAt: -1)
        outbox.setKey(raw.keys[row], Int(raw.keyCounts[row]), of: &record)
        if asFields {
            writeFields(plan, row, bench)
            outbox.setValue(bench.value.base, bench.value.count, of: &record)
            return record
        }
        // An oversized record cannot be passed on whole; its first part tells what it was.
        let count = Int(raw.valueCounts[row])
        let kept = raw.values[row].map { TextCut.wholeCharacters($0, count, atMost: Limits.deadLetterBytesMax) }
        outbox.setValue(raw.values[row], kept ?? count, of: &record)
        return record
    }

    func addOrigin(
        _ origin: RepartitionOrigin,
        _ outbox: Outbox,
        _ record: inout Outbox.Record
    ) {
        outbox.addHeader("__streams.errors.topic", sources[Int(origin.source)].topic, to: &record)
        outbox.addHeader("__streams.errors.partition", to: &record) { $0.appendNumber(Int64(origin.partition)) }
        outbox.addHeader("__streams.errors.offset", to: &record) { $0.appendNumber(origin.offset) }
    }

    /// Hands the metrics of keys that changed since they were last handed over to the sinks that take them: all, or at most
    /// `keysMax` of each step, so that the many keys of a task that was just restored do not hold the lane up.
    package func collectMetrics(_ task: TaskState, keysMax: Int, into sink: (Int) -> (any MetricsSink)?) {
        for step in steps {
            guard let window = step.window, let store = task.stores[step.index], let keyPlan = step.key,
                !window.metricsSinks.isEmpty
            else { continue }
            let group = task.groups[keyPlan.group]
            var left = keysMax
            while left > 0 {
                let taken = task.dirty[step.index].removeFirst(min(options.rowsMax, left))
                if taken.isEmpty { break }
                left -= taken.count
                let ids = taken.filter { group.isUsed($0) }
                putMetrics(step, window, store, group, ids, task, sink)
            }
        }
    }

    private func putMetrics(
        _ step: StepPlan,
        _ window: WindowPlan,
        _ store: WindowStore,
        _ group: KeyGroup,
        _ ids: [UInt32],
        _ task: TaskState,
        _ sink: (Int) -> (any MetricsSink)?
    ) {
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        bench.arena.removeAll()
        let rows = bench.first(ids.count)
        let watermark = task.watermarks[step.source]
        ids.withUnsafeBufferPointer { ids in
            guard let start = ids.baseAddress else { return }
            window.gather(
                store, ids: start, count: ids.count, .running, at: watermark, rows: rows, arena: bench.arena)
        }
        counters.resultOverflows[step.index] += window.overflowCount(rows)
        let keys = bench.keys(like: step.key?.columns ?? [])
        for (row, id) in ids.enumerated() {
            KeyCoding.decode(group.keys.key(of: id), into: keys, row: 0, arena: bench.arena)
            let bounds = store.bounds(at: store.anchor(of: id, .running, otherwise: store.anchor(at: watermark)))
            var fields = zip(window.outputFields, window.outputColumns).map { field, column in
                let value =
                    column.valid[row] == 1 ? ValueText.string(column.values[row], column.type, arena: bench.arena) : ""
                return (name: "\(step.spec.name).\(field.name)", value: value)
            }
            fields.append((name: "\(step.spec.name).window_start", value: CivilTime.string(bounds.start)))
            fields.append((name: "\(step.spec.name).window_end", value: CivilTime.string(bounds.end)))
            for plan in window.metricsSinks {
                let key = plan.key.reduce(into: "") { key, part in
                    switch part {
                    case .text(let text): key += text
                    case .field(let place):
                        key += ValueText.string(keys[place].values[0], keys[place].type, arena: bench.arena)
                    }
                }
                sink(plan.sink)?.put(key: key, fields: fields, ttlMilliseconds: plan.ttlMilliseconds)
            }
        }
    }
}
