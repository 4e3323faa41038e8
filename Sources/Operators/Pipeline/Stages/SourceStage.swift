import Base
import Dataflow
import Formats
import Records
import Topology

/// The first stage: records of a source become a batch with event times and a watermark after each row. Rows
/// that the source refuses have a status that says why.
final class SourceStage {
    private let topology: CompiledTopology
    private let options: Pipeline.Options
    private let meters: StageMeters
    /// Rows that are good so far.
    private let good: SelectionBuffer

    init(_ topology: CompiledTopology, _ meters: StageMeters) {
        (self.topology, self.meters) = (topology, meters)
        options = topology.options
        good = SelectionBuffer(capacity: options.rowsMax)
    }

    /// Decodes records of a task's partition into the source's batch.
    func decode(_ raw: RawRecords, letters: RawRecords, _ plan: SourcePlan, partition: Int32) {
        let batch = plan.batch
        meters.beginBatch()
        batch.partition = partition
        plan.decoder.decode(raw, into: batch)
        meters.lap(.decoding)
        batch.raw = letters
        meters.counters.records += Int64(batch.count)
        meters.counters.reads[plan.index].records += Int64(batch.count)
        plan.late.update(repeating: 0, count: batch.count)
    }

    /// Fields that are derived, event times and watermarks of the batch.
    func time(_ plan: SourcePlan, _ task: TaskState) {
        if let carried = plan.carried { takeOrigins(plan, carried, task) } else { deriveAndTime(plan, task) }
        meters.lap(.timing)
    }

    /// The event times of records, to merge several inputs by; a record without one has that of the record
    /// before it.
    func eventTimes(of raw: RawRecords, _ plan: SourcePlan) -> [Int64] {
        // A table without a time comes before everything else.
        if plan.spec.timeField < 0 { return Array(repeating: .min, count: raw.count) }
        return plan.shaping?.times(raw) { timesOfRows($0, plan) } ?? timesOfRows(raw, plan)
    }

    private func timesOfRows(_ raw: RawRecords, _ plan: SourcePlan) -> [Int64] {
        plan.decoder.decode(raw, into: plan.batch)
        let rows = plan.selectGood(into: good)
        for (program, _) in plan.derived {
            _ = program.run(plan.columns, arena: plan.batch.arena, rows: rows)
        }
        let time = plan.columns[plan.spec.timeField]
        var last = Int64.min
        return (0..<raw.count).map { row in
            if plan.batch.status[row] == 0, time.valid[row] == 1 { last = time.values[row] }
            return last
        }
    }

    // MARK: Records

    /// Derived fields of the source, event times, their bound, and the watermark after each row.
    private func deriveAndTime(_ plan: SourcePlan, _ task: TaskState) {
        let batch = plan.batch
        let source = plan.index
        if options.requiresKeys, plan.origins == nil, topology.flows[source].needsKeys {
            for row in 0..<batch.count where batch.status[row] == 0 && batch.raw.keys[row] == nil {
                batch.status[row] = RowStatus.nullKey.rawValue
            }
        }
        var good = plan.selectGood(into: self.good)
        if !plan.derived.isEmpty {
            plan.derive(good)
            good = plan.selectGood(into: self.good)
        }
        let time = plan.columns[plan.spec.timeField]
        let now = options.clock?.nowMilliseconds
        let bound = now.map { $0 &+ plan.spec.ahead } ?? options.timeMax
        let outOfOrder = plan.spec.outOfOrder
        var greatest = task.times[source]
        var watermark = task.watermarks[source]
        var crowd = task.crowds[source]
        let step = crowd.step
        var reached = crowd.reached
        var isInOrder = true
        var leaps = false
        var next = 0
        for row in 0..<batch.count {
            if next < good.count, good[next] == row {
                next += 1
                let value = time.values[row]
                if time.valid[row] != 1 {
                    batch.status[row] = RowStatus.missingField.rawValue
                    batch.statusField[row] = Int16(plan.spec.timeField)
                } else if value > bound {
                    batch.status[row] = RowStatus.futureTime.rawValue
                    batch.statusField[row] = Int16(plan.spec.timeField)
                } else {
                    batch.times[row] = value
                    // The clock may have moved event time past the newest record.
                    isInOrder = isInOrder && value >= greatest && value >= watermark
                    greatest = max(greatest, value)
                    if value &- reached > step {
                        crowd.reached = reached
                        if crowd.leap(value, appended: batch.raw.timestamps[row], row: next, now: now ?? .max)
                        {
                            leaps = true
                        }
                        reached = crowd.reached
                    } else {
                        reached = max(reached, value)
                    }
                    watermark = max(watermark, reached - outOfOrder)
                }
            }
            plan.watermarks[row] = watermark
        }
        task.times[source] = greatest
        task.watermarks[source] = watermark
        crowd.reached = reached
        let appended = batch.count > 0 ? batch.raw.timestamps[batch.count - 1] : 0
        if let now { crowd.endBatch(rows: next, appended: appended, now: now) }
        task.crowds[source] = crowd
        plan.isInOrder = isInOrder && !leaps
        plan.runsAhead = leaps
    }

    /// Event times of a repartition topic's rows and the watermark after each; the bounds on event times were
    /// applied before the topic.
    private func takeOrigins(_ plan: SourcePlan, _ carried: RepartitionDecoder, _ task: TaskState) {
        let batch = plan.batch
        let source = plan.index
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
        meters.counters.records -= marks
        task.upstream[source] = upstream
        task.times[source] = greatest
        task.watermarks[source] = watermark
    }

    // MARK: Rows of streams

    /// The rows that stand in a stream's batch: they were never records, and nothing refuses them.
    func takeRows(of plan: SourcePlan, _ rows: StreamRows, _ task: TaskState) {
        let batch = plan.batch
        let stream = plan.index
        if case .stream(let step) = plan.spec.origin {
            meters.counters.stepRows[step].given += Int64(batch.count)
        }
        batch.partition = task.partition
        var greatest = task.times[stream]
        var watermark = task.watermarks[stream]
        for row in 0..<batch.count {
            batch.status[row] = 0
            batch.statusField[row] = -1
            plan.late[row] = 0
            watermark = max(watermark, rows.watermarks[row])
            plan.watermarks[row] = watermark
            greatest = max(greatest, batch.times[row])
        }
        task.times[stream] = greatest
        task.watermarks[stream] = watermark
    }

    // MARK: In the order of event time

    /// Event times of records, and what those who wrote them to a repartition topic say of themselves.
    func look(at raw: RawRecords, _ plan: SourcePlan, _ task: TaskState) -> InputRows {
        let now = options.clock?.nowMilliseconds
        var rows = InputRows(times: eventTimes(of: raw, plan))
        var newest: Int64 = -1
        // What a repartition topic brings was appended where it comes from.
        for row in 0..<raw.count {
            newest = max(newest, plan.carried?.origins[row].appended ?? raw.timestamps[row])
        }
        if let now, newest >= 0 { rows.age = now - newest }
        guard let carried = plan.carried else { return rows }
        // Rows of a stream come in order; those of a source may be out of it.
        let repartition = topology.repartitions.first { $0.spec.source == plan.index }
        let lead =
            repartition.map { topology.sources[$0.spec.origin].stream == nil ? plan.spec.outOfOrder : 0 } ?? 0
        for row in 0..<raw.count {
            let status = plan.batch.status[row]
            let isMark = status == RowStatus.mark.rawValue
            var word = InputRows.Word(writer: 0, isMark: isMark, reach: .min, state: .busy)
            if isMark || status == RowStatus.good.rawValue {
                let origin = carried.origins[row]
                word.writer = origin.writer
                if origin.watermark != .min { word.reach = origin.watermark + lead }
                word.state = carried.idle[row] != 0 ? .idle : carried.atEnd[row] != 0 ? .atEnd : .busy
                word.asks = carried.asks[row] != 0
            }
            if isMark { rows.times[row] = word.reach }
            if word.asks, word.writer != task.partition, let index = repartition?.index {
                task.isAsked[index] = true
            }
            rows.words.append(word)
        }
        return rows
    }
}

extension SourcePlan {
    /// The rows of the batch that nothing has refused.
    func selectGood(into buffer: SelectionBuffer) -> Selection {
        let (status, rows) = (batch.status, buffer.rows)
        var count = 0
        for row in 0..<batch.count {
            rows[count] = Int32(truncatingIfNeeded: row)
            count += status[row] == 0 ? 1 : 0
        }
        buffer.count = count
        return buffer.selection
    }

    /// Computes the derived fields; rows whose value overflows, or is missing though it must not be, are
    /// refused.
    func derive(_ rows: Selection) {
        for (place, (program, field)) in derived.enumerated() {
            let column = program.run(columns, arena: batch.arena, rows: rows)
            for index in 0..<rows.count {
                let row = rows[index]
                let state = column.valid[row]
                if state == 1 || (state == 0 && field.isOptional) { continue }
                batch.status[row] = (state == 0 ? RowStatus.missingField : .overflow(of: column)).rawValue
                batch.statusField[row] = Int16(spec.wire.count + place)
            }
        }
    }

    /// Where a row was first read: source, partition, offset and append time.
    func origin(of row: Int) -> RepartitionOrigin {
        if let origins { return origins[row] }
        return RepartitionOrigin(
            source: Int32(index), partition: batch.partition, offset: batch.raw.offsets[row],
            appended: batch.raw.timestamps[row], watermark: watermarks[row])
    }
}

extension RowStatus {
    /// What it is that does not fit: a number into 64 bits, or a text.
    static func overflow(of column: Column) -> RowStatus { column.type == .text ? .textTooLong : .outOfRange }
}
