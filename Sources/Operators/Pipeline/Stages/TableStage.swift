import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Tables: what their records leave behind, and how steps look it up.
final class TableStage {
    private let topology: CompiledTopology
    private let options: Pipeline.Options
    private let meters: StageMeters
    /// Rows of a table's batch that are good so far.
    private let good: SelectionBuffer
    /// By source; nil: its rows do not lie elsewhere.
    private let lookups: [LookupTable?]

    /// `lookups`: by source, where tables are that lie elsewhere and how their texts are read; without, such
    /// a table has what its records say, like any other.
    init(
        _ topology: CompiledTopology, _ meters: StageMeters,
        lookups: [Int: (lookup: any TableLookup, decoder: TextsDecoder)]
    ) {
        (self.topology, self.meters, options) = (topology, meters, topology.options)
        good = SelectionBuffer(capacity: topology.options.rowsMax)
        self.lookups = topology.sources.map { source in
            guard let found = lookups[source.index], let table = source.spec.redisTable else { return nil }
            return LookupTable(
                table, source.spec, found.lookup, found.decoder, capacity: topology.options.rowsMax)
        }
    }

    // MARK: Records of tables

    /// Takes the records of a table's batch in, which nothing comes of but dead letters.
    func take(_ plan: SourcePlan, _ table: TablePlan, _ task: TaskState) {
        if options.requiresKeys, table.shared == nil {
            for row in 0..<plan.batch.count
            where plan.batch.status[row] == 0 && plan.batch.raw.keys[row] == nil {
                plan.batch.status[row] = RowStatus.nullKey.rawValue
            }
        }
        let source = plan.index
        if let shared = table.shared {
            store(plan, table, shared.state, &shared.time, &shared.watermark)
        } else if let state = task.tables[source] {
            store(plan, table, state, &task.times[source], &task.watermarks[source])
        }
        for row in 0..<plan.batch.count { plan.watermarks[row] = task.watermarks[source] }
    }

    /// Takes records of a table that every lane has all of. Those that are refused are counted and that is
    /// all: each lane sees them at each start.
    func takeBroadcast(_ raw: RawRecords, _ plan: SourcePlan) {
        guard let table = plan.table, let shared = table.shared else { return }
        plan.decoder.decode(raw, into: plan.batch)
        plan.batch.raw = raw
        meters.counters.records += Int64(plan.batch.count)
        meters.counters.reads[plan.index].records += Int64(plan.batch.count)
        store(plan, table, shared.state, &shared.time, &shared.watermark)
        for row in 0..<plan.batch.count where plan.batch.status[row] != 0 { meters.noteUnread(plan, row) }
    }

    private func store(
        _ plan: SourcePlan, _ table: TablePlan, _ state: VersionedTable, _ greatest: inout Int64,
        _ watermark: inout Int64
    ) {
        let batch = plan.batch
        let deleted = table.deleted
        // Nothing is computed of a record that deletes; it has only a key.
        var count = 0
        for row in 0..<batch.count where batch.status[row] == 0 && !deleted.isTrue(row) {
            good.rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        good.count = count
        plan.derive(good.selection)
        let rows = plan.selectGood(into: good)
        table.key.encode(rows, arena: batch.arena)
        let bound = options.clock.map { $0.nowMilliseconds &+ plan.spec.ahead } ?? options.timeMax
        let displaced = state.displaced
        defer {
            let more = state.displaced - displaced
            if more > 0 { meters.counters.limits.note(.tableVersionsPerKey, plan.spec.name, count: more) }
        }
        for index in 0..<rows.count {
            let row = rows[index]
            guard let time = eventTime(plan, row) else {
                batch.status[row] = RowStatus.missingField.rawValue
                batch.statusField[row] = Int16(plan.spec.timeField)
                continue
            }
            guard time <= bound else {
                batch.status[row] = RowStatus.futureTime.rawValue
                batch.statusField[row] = Int16(plan.spec.timeField)
                continue
            }
            batch.times[row] = time
            if plan.spec.timeField >= 0 {
                greatest = max(greatest, time)
                watermark = max(watermark, greatest - plan.spec.outOfOrder)
            }
            let values = deleted.isTrue(row) ? nil : table.row.encode(table.values, row, batch.arena)
            let key = TextReference(packed: table.key.encoded.values[row])
            state.put(
                batch.arena.base + key.offset, key.count, time: time, row: values,
                bound: table.bound(watermark))
        }
    }

    /// nil: the record has none. A record without a value has that of its append.
    private func eventTime(_ plan: SourcePlan, _ row: Int) -> Int64? {
        guard plan.spec.timeField >= 0 else { return 0 }
        let time = plan.columns[plan.spec.timeField]
        if time.valid[row] == 1 { return time.values[row] }
        let raw = plan.batch.raw
        return raw.values[row] == nil && raw.timestamps[row] >= 0 ? raw.timestamps[row] : nil
    }

    // MARK: Joins

    /// Fills the columns that a step's join adds, for the rows of its input; returns those that go on.
    func lookUp(
        _ join: TableJoinPlan, _ step: StepPlan, _ rows: Selection, _ plan: SourcePlan, _ task: TaskState
    ) -> Selection {
        var input = rows
        let arena = plan.batch.arena
        join.key.encode(input, arena: arena)
        let source = join.spec.table
        let origin = topology.sources[source]
        var base = UnsafePointer(arena.base)
        if let lookup = lookups[source], let table = origin.table {
            lookup.find(
                join.key.encoded, in: arena, rows: input,
                now: options.clock?.nowMilliseconds ?? monotonicNanoseconds() / 1_000_000,
                places: join.partners, origin, table)
            base = lookup.rowBytes
        } else if let table = origin.table, let state = table.shared?.state ?? task.tables[source] {
            let watermark = table.shared?.watermark ?? task.watermarks[source]
            let unknown = state.find(
                join.key.encoded, in: arena, rows: input, times: plan.batch.times,
                bound: table.bound(watermark),
                places: join.partners)
            base = UnsafePointer(state.rowBytes)
            if unknown > 0 { input = refuseUnknown(join, step, input, plan) }
        } else {
            for index in 0..<input.count { join.partners[input[index]] = -1 }
        }
        var passed = input
        let partners = join.partners
        if !join.spec.isLeft {
            let rows = join.passed.rows
            var count = 0
            for index in 0..<input.count {
                let row = input[index]
                rows[count] = Int32(truncatingIfNeeded: row)
                count += partners[row] >= 0 ? 1 : 0
            }
            meters.counters.unmatched[step.index] += Int64(input.count - count)
            join.foundCount += Int64(count)
            join.passed.count = count
            passed = join.passed.selection
        }
        for (place, column) in zip(join.places, join.columns) {
            TableRow.read(
                place, width: join.width, base, places: partners, rows: passed, into: column, arena: arena)
        }
        if join.spec.isLeft, let found = join.columns.last {
            for index in 0..<passed.count {
                let row = passed[index]
                found.values[row] = partners[row] >= 0 ? 1 : 0
                found.valid[row] = 1
                join.foundCount += partners[row] >= 0 ? 1 : 0
            }
        }
        return passed
    }

    /// Rows that ask for versions that were dropped go no further: that they have no partner would be a
    /// guess.
    private func refuseUnknown(
        _ join: TableJoinPlan, _ step: StepPlan, _ input: Selection, _ plan: SourcePlan
    ) -> Selection {
        let rows = join.passed.rows
        var count = 0
        for index in 0..<input.count {
            let row = input[index]
            if join.partners[row] == VersionedTable.unknown {
                plan.refusals.append(
                    Refusal(row: Int32(row), step: Int16(step.index), status: .versionForgotten, field: nil))
            } else {
                rows[count] = Int32(truncatingIfNeeded: row)
                count += 1
            }
        }
        join.passed.count = count
        return join.passed.selection
    }

    /// Of tables that lie elsewhere: keys that were asked for, and how many of them got no answer.
    var lookupCounts: [(source: String, asked: Int64, unanswered: Int64)] {
        zip(topology.sources, lookups).compactMap { source, lookup in
            lookup.map { (source.spec.name, $0.askedCount, $0.unansweredCount) }
        }
    }

    /// Bytes of what is remembered of a table that lies elsewhere.
    func lookupBytes(source: Int) -> Int? { lookups[source]?.memoryBytes }
}
