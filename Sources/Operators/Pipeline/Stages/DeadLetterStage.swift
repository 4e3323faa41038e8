import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Rows that nobody takes: dead letters and late records, as they came, with the reason in headers.
final class DeadLetterStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let order: OutputOrder
    /// The value of a record under way.
    private let value = Arena(capacity: 1024)

    init(_ topology: CompiledTopology, _ meters: StageMeters, _ order: OutputOrder) {
        (self.topology, self.meters, self.order) = (topology, meters, order)
    }

    /// Dead letters and late records of a stretch, in row order, as they came, with the reason in headers. A
    /// row that several steps refused is one letter, which names them all; one that was late for some step
    /// besides is both.
    func write(
        _ plan: SourcePlan,
        _ task: TaskState,
        from start: Int,
        to end: Int,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        if !plan.refusals.isEmpty {
            // By row; of one row as the steps came to it.
            let found = plan.refusals.enumerated().sorted {
                ($0.element.row, $0.offset) < ($1.element.row, $1.offset)
            }
            plan.refusals = found.map(\.element)
        }
        var next = 0
        for row in start..<end {
            let first = next
            while next < plan.refusals.count, plan.refusals[next].row == row { next += 1 }
            if batch.status[row] == 0, plan.late[row] == 0, first == next { continue }
            if batch.status[row] == RowStatus.mark.rawValue { continue }
            outbox.order = order.order(of: row, plan)
            if batch.status[row] != 0 {
                if batch.status[row] == RowStatus.nullValue.rawValue, plan.spec.skipsTombstones,
                    batch.raw.keys[row] != nil
                {
                    meters.counters.tombstones += 1
                    continue
                }
                writeDead(plan, row, [], task, &outbox)
                meters.noteUnread(plan, row)
                continue
            }
            if first < next {
                let refusals = plan.refusals[first..<next]
                writeDead(plan, row, refusals, task, &outbox)
                meters.counters.dead[Int(plan.refusals[first].status.rawValue)] += 1
                for refusal in refusals {
                    meters.noteLimit(refusal.status.rawValue, topology.steps[Int(refusal.step)].authorName)
                }
                if refusals.contains(where: { $0.status == .aheadOfOthers }) { forgetUnused(row, plan, task) }
            }
            if plan.late[row] != 0 {
                writeLate(plan, row, task, &outbox)
                meters.counters.late += 1
                forgetUnused(row, plan, task)
            }
        }
        plan.refusals.removeAll(keepingCapacity: true)
    }

    /// A row that no window took may have brought in a key that none holds. Where no step took the row, its
    /// id is one from before and may be any key's; one that no window holds may go all the same.
    private func forgetUnused(_ row: Int, _ plan: SourcePlan, _ task: TaskState) {
        for (key, _, _) in topology.flows[plan.index].keys {
            let group = task.groups[key.group]
            let id = key.ids[row]
            if !group.isUsed(id), group.keys.hasKey(id) { group.keys.remove(id) }
        }
    }

    /// `refusals`: those of steps; empty: the source refused the row.
    private func writeDead(
        _ plan: SourcePlan,
        _ row: Int,
        _ refusals: ArraySlice<Refusal>,
        _ task: TaskState,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        let status = refusals.first?.status ?? RowStatus(rawValue: batch.status[row]) ?? .malformed
        // Of a repartitioned record that was read well, the original is what people look for.
        let isOriginal = plan.stream == nil && (plan.carried == nil || status != .aheadOfOthers)
        var record = copy(.deadLetter, plan, row, asFields: !isOriginal, &outbox)
        outbox.addHeader("__streams.errors.exception", to: &record) { text in
            text.appendText("millrace.")
            text.appendText(status.name)
        }
        outbox.addHeader("__streams.errors.message", to: &record) { text in
            if refusals.isEmpty { plan.appendReason(row, status, to: text) }
            for (place, refusal) in refusals.enumerated() {
                if place > 0 { text.appendText("; ") }
                appendReason(refusal, plan, to: text)
            }
        }
        if isOriginal, plan.carried != nil {
            let offset = batch.raw.offsets[row]
            addOrigin(
                RepartitionOrigin(
                    source: Int32(plan.index), partition: batch.partition, offset: offset, appended: -1,
                    watermark: .min),
                outbox, &record)
        } else {
            addOrigin(plan.origin(of: row), outbox, &record)
        }
        let field = Int(batch.statusField[row])
        if !refusals.isEmpty {
            let names = refusals.map { topology.steps[Int($0.step)].authorName }
            outbox.addHeader("millrace.errors.step", names.joined(separator: ", "), to: &record)
            let fields = refusals.compactMap(\.field)
            if !fields.isEmpty {
                outbox.addHeader("millrace.errors.field", fields.joined(separator: ", "), to: &record)
            }
        } else {
            outbox.addHeader("millrace.errors.step", plan.spec.name, to: &record)
            if plan.spec.schema.fields.indices.contains(field) {
                outbox.addHeader("millrace.errors.field", plan.spec.schema.fields[field].name, to: &record)
            }
        }
        outbox.end(record)
    }

    /// Why a step refused a row.
    private func appendReason(_ refusal: Refusal, _ plan: SourcePlan, to text: Arena) {
        text.appendText("step ")
        text.appendText(topology.steps[Int(refusal.step)].authorName)
        text.appendText(": ")
        let field = refusal.field ?? "a value"
        switch refusal.status {
        case .nullKey:
            text.appendText("the key field ")
            text.appendText(field)
            text.appendText(" is null")
        case .aheadOfOthers:
            text.appendText("the event time ")
            text.appendTime(plan.batch.times[Int(refusal.row)])
            text.appendText(
                " lies ahead of that of the slowest input, and windows ahead of it have all the memory that they may"
            )
        case .outOfRange:
            text.appendText(field)
            text.appendText(" does not fit in 64 bits")
        case .textTooLong:
            text.appendText(field)
            text.appendText(" is too long a text")
        case .oversized: text.appendText("the row is too large, the limit record_bytes")
        case .stepMemoryFull:
            text.appendText(
                "the rows that wait for event time have no room for it, the limit memory; limit: { memory: … } raises that"
            )
        case .versionForgotten:
            text.appendText(
                "the version of its table that it asks for was dropped; table: { versions: … } keeps them longer"
            )
        default:
            text.appendText(field)
            text.appendText(" has no value")
        }
    }

    // MARK: Copies

    private func writeLate(
        _ plan: SourcePlan,
        _ row: Int,
        _ task: TaskState,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        var record = copy(.late, plan, row, asFields: plan.origins != nil, &outbox)
        let behind = plan.watermarks[row] - batch.times[row]
        outbox.addHeader("millrace.late.by_ms", to: &record) { $0.appendNumber(behind) }
        outbox.addHeader("millrace.late.watermark", to: &record) { $0.appendTime(plan.watermarks[row]) }
        addOrigin(plan.origin(of: row), outbox, &record)
        outbox.end(record)
    }

    private func copy(
        _ destination: Destination,
        _ plan: SourcePlan,
        _ row: Int,
        asFields: Bool,
        _ outbox: inout Outbox
    ) -> Outbox.Record {
        if plan.stream != nil {
            var record = outbox.begin(destination, timestamp: max(0, plan.batch.times[row]), causedAt: -1)
            encode(plan, row)
            outbox.setValue(value.base, value.count, of: &record)
            return record
        }
        let raw = plan.batch.raw
        var record = outbox.begin(destination, timestamp: max(0, raw.timestamps[row]), causedAt: -1)
        outbox.setKey(raw.keys[row], Int(raw.keyCounts[row]), of: &record)
        if asFields {
            encode(plan, row)
            outbox.setValue(value.base, value.count, of: &record)
            return record
        }
        // An oversized record cannot be passed on whole; its first part tells what it was.
        let count = Int(raw.valueCounts[row])
        let kept = raw.values[row].map {
            TextCut.wholeCharacters($0, count, atMost: Limits.deadLetterBytesMax)
        }
        outbox.setValue(raw.values[row], kept ?? count, of: &record)
        return record
    }

    private func addOrigin(
        _ origin: RepartitionOrigin,
        _ outbox: Outbox,
        _ record: inout Outbox.Record
    ) {
        outbox.addHeader("__streams.errors.topic", topology.sources[Int(origin.source)].topic, to: &record)
        outbox.addHeader("__streams.errors.partition", to: &record) {
            $0.appendNumber(Int64(origin.partition))
        }
        outbox.addHeader("__streams.errors.offset", to: &record) { $0.appendNumber(origin.offset) }
    }

    /// The fields of a row whose record is for millrace alone to read, or that never was one.
    private func encode(_ plan: SourcePlan, _ row: Int) {
        value.removeAll()
        plan.encoder.encode(row, of: plan.columns, arena: plan.batch.arena, into: value)
    }
}

extension SourcePlan {
    /// Why the source refused a row.
    func reason(_ row: Int) -> String {
        let text = Arena(capacity: 256)
        appendReason(row, RowStatus(rawValue: batch.status[row]) ?? .malformed, to: text)
        return text.string(TextReference(offset: 0, count: text.count))
    }

    /// Why the source refused a row.
    func appendReason(_ row: Int, _ status: RowStatus, to text: Arena) {
        let field = Int(batch.statusField[row])
        switch status {
        case .nullKey:
            text.appendText(
                "the record has no key, and its topic has several partitions: windows need a key's records in one"
            )
        case .futureTime:
            text.appendText("the event time ")
            text.appendTime(columns[spec.timeField].values[row])
            text.appendText(" lies too far ahead")
        case .outOfRange, .missingField, .textTooLong:
            // Of what is computed from the record, the decoder knows nothing.
            guard field >= spec.wire.count, field < spec.schema.fields.count else { fallthrough }
            text.appendText(spec.schema.fields[field].name)
            switch status {
            case .outOfRange: text.appendText(" does not fit in 64 bits")
            case .textTooLong: text.appendText(" is too long a text")
            default: text.appendText(" has no value")
            }
        default: decoder.explain(row, of: batch, into: text)
        }
    }
}
