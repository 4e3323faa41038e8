import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A row that one step cannot take. Other steps that do not read from it keep the row.
struct Refusal {
    var row: Int32
    var step: Int16
    var status: RowStatus
    /// The field that has no fit value; nil: the whole row.
    var field: String?
}

extension Pipeline {
    // MARK: Refusing

    /// Of a source: rows whose value overflowed, or is missing though it must not be, go no further. `field`: its index in
    /// the source's schema.
    func refuse(_ column: Column, isOptional: Bool, field: Int, _ plan: SourcePlan, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            let state = column.valid[row]
            if state == 1 || (state == 0 && isOptional) { continue }
            let status = state == 0 ? .missingField : Self.overflow(of: column)
            plan.batch.status[row] = status.rawValue
            plan.batch.statusField[row] = Int16(field)
        }
    }

    /// Of a step: rows whose value overflowed, or is missing though it must not be, leave its selection.
    func refuse(_ column: Column, isOptional: Bool, field: String, _ step: StepPlan, _ plan: SourcePlan) {
        // A null is 0 and an overflow 2.
        let mask: UInt8 = isOptional ? 2 : 3
        let isFit: UInt8 = isOptional ? 0 : 1
        let (valid, rows) = (column.valid, step.selection.selection)
        var isBad: UInt8 = 0
        for index in rows.indices { isBad |= (valid[rows[index]] & mask) ^ isFit }
        guard isBad != 0 else { return }
        keep(step) { row in
            if (valid[row] & mask) ^ isFit == 0 { return true }
            let status = valid[row] == 0 ? .missingField : Self.overflow(of: column)
            plan.refusals.append(Refusal(row: Int32(row), step: Int16(step.index), status: status, field: field))
            return false
        }
    }

    /// Notes those of `rows` whose value overflowed; they are not in the step's selection.
    func refuse(_ column: Column, _ rows: Selection, field: String, _ step: StepPlan, _ plan: SourcePlan) {
        for index in rows.indices where column.valid[rows[index]] == 2 {
            plan.refusals.append(
                Refusal(row: Int32(rows[index]), step: Int16(step.index), status: .outOfRange, field: field))
        }
    }

    /// Rows for which an operator would compute a number that does not fit are refused before it takes them in: later
    /// they are bytes that no dead letter could be made of.
    func refuse(_ operation: OperatorPlan, _ source: Int, _ plan: SourcePlan) {
        for (step, field, program) in operation.bounded where step.source == source {
            let column = program.run(step.columns, arena: plan.batch.arena, rows: step.selection.selection)
            refuse(column, isOptional: true, field: field, step, plan)
        }
    }

    /// What it is that does not fit: a number into 64 bits, or a text.
    private static func overflow(of column: Column) -> RowStatus { column.type == .text ? .textTooLong : .outOfRange }

    /// Rows whose key has a null leave the step's selection.
    func refuseNullKeys(_ step: StepPlan, _ plan: SourcePlan) {
        for field in step.spec.key where step.spec.schema.fields[field].isOptional {
            let (valid, rows) = (step.columns[field].valid, step.selection.selection)
            var isGood: UInt8 = 1
            for index in rows.indices { isGood &= valid[rows[index]] }
            if isGood == 1 { continue }
            let name = step.spec.schema.fields[field].name
            keep(step) { row in
                if valid[row] == 1 { return true }
                plan.refusals.append(Refusal(row: Int32(row), step: Int16(step.index), status: .nullKey, field: name))
                return false
            }
        }
    }

    /// Leaves the rows in a step's selection for which `isKept` holds.
    func keep(_ step: StepPlan, _ isKept: (Int) -> Bool) {
        let rows = step.selection.rows
        var count = 0
        for index in 0..<step.selection.count where isKept(Int(rows[index])) {
            rows[count] = rows[index]
            count += 1
        }
        step.selection.count = count
    }

    // MARK: Writing

    /// Dead letters and late records of a stretch, in row order, as they came, with the reason in headers. A row that
    /// several steps refused is one letter, which names them all; one that was late for some step besides is both.
    func writeRefused(
        _ plan: SourcePlan,
        _ source: Int,
        _ task: TaskState,
        from start: Int,
        to end: Int,
        _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        if !plan.refusals.isEmpty {
            // By row; of one row as the steps came to it.
            let found = plan.refusals.enumerated().sorted { ($0.element.row, $0.offset) < ($1.element.row, $1.offset) }
            plan.refusals = found.map(\.element)
        }
        var next = 0
        for row in start..<end {
            let first = next
            while next < plan.refusals.count, plan.refusals[next].row == row { next += 1 }
            if batch.status[row] == 0, plan.late[row] == 0, first == next { continue }
            if batch.status[row] == RowStatus.mark.rawValue { continue }
            outbox.order = order(of: row, plan)
            if batch.status[row] != 0 {
                if batch.status[row] == RowStatus.nullValue.rawValue, plan.spec.skipsTombstones,
                    batch.raw.keys[row] != nil
                {
                    counters.tombstones += 1
                    continue
                }
                writeDead(plan, source, row, [], task, bench, &outbox)
                counters.dead[Int(batch.status[row])] += 1
                noteUnread(plan, source, row)
                noteLimit(batch.status[row], spec.sources[source].name)
                continue
            }
            if first < next {
                let refusals = plan.refusals[first..<next]
                writeDead(plan, source, row, refusals, task, bench, &outbox)
                counters.dead[Int(plan.refusals[first].status.rawValue)] += 1
                for refusal in refusals { noteLimit(refusal.status.rawValue, authorName(of: Int(refusal.step))) }
                if refusals.contains(where: { $0.status == .aheadOfOthers }) { forgetUnused(row, source, task) }
            }
            if plan.late[row] != 0 {
                writeLate(plan, source, row, task, bench, &outbox)
                counters.late += 1
                forgetUnused(row, source, task)
            }
        }
        plan.refusals.removeAll(keepingCapacity: true)
    }

    /// Counts a record that its source refused, by reason.
    func noteUnread(_ plan: SourcePlan, _ source: Int, _ row: Int) {
        let status = plan.batch.status[row]
        counters.reads[source].refuse(status: status, field: plan.batch.statusField[row]) {
            let text = Arena(capacity: 256)
            appendReason(plan, row, RowStatus(rawValue: status) ?? .malformed, to: text)
            return text.string(TextReference(offset: 0, count: text.count))
        }
    }

    /// Counts a limit that kept a row out. Those of operators are counted where they are hit.
    func noteLimit(_ status: UInt8, _ step: String) {
        let limit: LimitName
        switch RowStatus(rawValue: status) {
        case .oversized: limit = .recordBytes
        case .textTooLong: limit = .textBytes
        case .futureTime: limit = .ahead
        case .aheadOfOthers: limit = .windowAhead
        case .versionForgotten: limit = .tableVersions
        default: return
        }
        counters.limits.note(limit, step)
    }

    /// The name that the author gave a step; the parts that it is cut into have more behind it.
    func authorName(of step: Int) -> String { String(steps[step].spec.name.prefix { $0 != "/" }) }

    /// A row that no window took may have brought in a key that none holds. Where no step took the row, its id is one
    /// from before and may be any key's; one that no window holds may go all the same.
    private func forgetUnused(_ row: Int, _ source: Int, _ task: TaskState) {
        for (key, _, _) in keysOfSource[source] {
            let group = task.groups[key.group]
            let id = key.ids[row]
            if !group.isUsed(id), group.keys.hasKey(id) { group.keys.remove(id) }
        }
    }

    /// `refusals`: those of steps; empty: the source refused the row.
    private func writeDead(
        _ plan: SourcePlan,
        _ source: Int,
        _ row: Int,
        _ refusals: ArraySlice<Refusal>,
        _ task: TaskState,
        _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let batch = plan.batch
        let status = refusals.first?.status ?? RowStatus(rawValue: batch.status[row]) ?? .malformed
        // Of a repartitioned record that was read well, the original is what people look for.
        let isOriginal = plan.stream == nil && (plan.carried == nil || status != .aheadOfOthers)
        var record = copy(.deadLetter, plan, row, asFields: !isOriginal, bench, &outbox)
        outbox.addHeader("__streams.errors.exception", to: &record) { text in
            text.appendText("millrace.")
            text.appendText(status.name)
        }
        outbox.addHeader("__streams.errors.message", to: &record) { text in
            if refusals.isEmpty { appendReason(plan, row, status, to: text) }
            for (place, refusal) in refusals.enumerated() {
                if place > 0 { text.appendText("; ") }
                appendReason(refusal, plan, to: text)
            }
        }
        if isOriginal, plan.carried != nil {
            let offset = batch.raw.offsets[row]
            addOrigin(
                RepartitionOrigin(
                    source: Int32(source), partition: batch.partition, offset: offset, appended: -1, watermark: .min),
                outbox, &record)
        } else {
            addOrigin(origin(plan, source, task, row), outbox, &record)
        }
        let field = Int(batch.statusField[row])
        if !refusals.isEmpty {
            let names = refusals.map { authorName(of: Int($0.step)) }
            outbox.addHeader("millrace.errors.step", names.joined(separator: ", "), to: &record)
            let fields = refusals.compactMap(\.field)
            if !fields.isEmpty { outbox.addHeader("millrace.errors.field", fields.joined(separator: ", "), to: &record) }
        } else {
            outbox.addHeader("millrace.errors.step", spec.sources[source].name, to: &record)
            if plan.spec.schema.fields.indices.contains(field) {
                outbox.addHeader("millrace.errors.field", plan.spec.schema.fields[field].name, to: &record)
            }
        }
        outbox.end(record)
    }

    /// Why a source refused a row.
    private func appendReason(_ plan: SourcePlan, _ row: Int, _ status: RowStatus, to text: Arena) {
        let field = Int(plan.batch.statusField[row])
        switch status {
        case .nullKey:
            text.appendText(
                "the record has no key, and its topic has several partitions: windows need a key's records in one")
        case .futureTime:
            text.appendText("the event time ")
            text.appendTime(plan.columns[plan.spec.timeField].values[row])
            text.appendText(" lies too far ahead")
        case .outOfRange, .missingField, .textTooLong:
            // Of what is computed from the record, the decoder knows nothing.
            guard field >= plan.spec.wire.count, field < plan.spec.schema.fields.count else { fallthrough }
            text.appendText(plan.spec.schema.fields[field].name)
            switch status {
            case .outOfRange: text.appendText(" does not fit in 64 bits")
            case .textTooLong: text.appendText(" is too long a text")
            default: text.appendText(" has no value")
            }
        default: plan.decoder.explain(row, of: plan.batch, into: text)
        }
    }

    /// Why a step refused a row.
    private func appendReason(_ refusal: Refusal, _ plan: SourcePlan, to text: Arena) {
        text.appendText("step ")
        text.appendText(authorName(of: Int(refusal.step)))
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
            text.appendText(" lies ahead of that of the slowest input, and windows ahead of it have all the memory that they may")
        case .outOfRange:
            text.appendText(field)
            text.appendText(" does not fit in 64 bits")
        case .textTooLong:
            text.appendText(field)
            text.appendText(" is too long a text")
        case .oversized: text.appendText("the row is too large, the limit record_bytes")
        case .stepMemoryFull:
            text.appendText(
                "the rows that wait for event time have no room for it, the limit memory; limit: { memory: … } raises that")
        case .versionForgotten:
            text.appendText("the version of its table that it asks for was dropped; table: { versions: … } keeps them longer")
        default:
            text.appendText(field)
            text.appendText(" has no value")
        }
    }
}
