import Base
import Dataflow
import Records
import State
import Topology

/// Tables: what their records leave behind, and how steps look it up.
extension Pipeline {
    // MARK: Records of tables

    /// Takes records of a table in, which nothing comes of but dead letters.
    func processTable(_ plan: SourcePlan, _ table: TablePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        if options.requiresKeys, table.shared == nil {
            for row in 0..<plan.batch.count where plan.batch.status[row] == 0 && plan.batch.raw.keys[row] == nil {
                plan.batch.status[row] = RowStatus.nullKey.rawValue
            }
        }
        if let shared = table.shared {
            store(plan, table, shared.state, &shared.time, &shared.watermark)
        } else if let state = task.tables[source] {
            store(plan, table, state, &task.times[source], &task.watermarks[source])
        }
        for row in 0..<plan.batch.count { plan.watermarks[row] = task.watermarks[source] }
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        beginTicks(plan, from: 0, to: plan.batch.count)
        writeRefused(plan, source, task, from: 0, to: plan.batch.count, bench, &outbox)
    }

    /// Takes records of a table that every lane has all of. Those that are refused are counted and that is all: each
    /// lane sees them at each start.
    package func processBroadcast(_ raw: RawRecords, source: Int) {
        let plan = sources[source]
        guard let table = plan.table, let shared = table.shared else { return }
        plan.decoder.decode(raw, into: plan.batch)
        plan.batch.raw = raw
        counters.records += Int64(plan.batch.count)
        counters.reads[source].records += Int64(plan.batch.count)
        store(plan, table, shared.state, &shared.time, &shared.watermark)
        for row in 0..<plan.batch.count where plan.batch.status[row] != 0 {
            counters.dead[Int(plan.batch.status[row])] += 1
            noteUnread(plan, source, row)
            noteLimit(plan.batch.status[row], spec.sources[source].name)
        }
    }

    private func store(
        _ plan: SourcePlan, _ table: TablePlan, _ state: VersionedTable, _ greatest: inout Int64, _ watermark: inout Int64
    ) {
        let batch = plan.batch
        let deleted = table.deleted
        // Nothing is computed of a record that deletes; it has only a key.
        var count = 0
        for row in 0..<batch.count where batch.status[row] == 0 && !(deleted.valid[row] == 1 && deleted.values[row] != 0) {
            plan.good.rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        plan.good.count = count
        for (place, (program, field)) in plan.derived.enumerated() {
            let column = program.run(plan.columns, arena: batch.arena, rows: plan.good.selection)
            refuse(
                column, isOptional: field.isOptional, field: plan.spec.wire.count + place, plan, plan.good.selection)
        }
        selectGood(plan)
        table.key.encode(plan.good.selection, arena: batch.arena)
        let bound = options.clock.map { $0.nowMilliseconds &+ plan.spec.ahead } ?? options.timeMax
        let good = plan.good.selection
        let displaced = state.displaced
        defer {
            let more = state.displaced - displaced
            if more > 0 { counters.limits.note(.tableVersionsPerKey, plan.spec.name, count: more) }
        }
        for index in 0..<good.count {
            let row = good[index]
            let isDeleted = deleted.valid[row] == 1 && deleted.values[row] != 0
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
            let values = isDeleted ? nil : table.row.encode(table.values, row, batch.arena)
            let key = TextReference(packed: table.key.encoded.values[row])
            state.put(batch.arena.base + key.offset, key.count, time: time, row: values, bound: table.bound(watermark))
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
        var base = UnsafePointer(arena.base)
        if let lookup = sources[source].lookup, let table = sources[source].table {
            lookup.find(
                join.key.encoded, in: arena, rows: input, now: options.clock?.nowMilliseconds ?? monotonicNanoseconds() / 1_000_000,
                places: join.partners, sources[source], table)
            base = lookup.rowBytes
        } else if let table = sources[source].table, let state = table.shared?.state ?? task.tables[source] {
            let watermark = table.shared?.watermark ?? task.watermarks[source]
            let unknown = state.find(
                join.key.encoded, in: arena, rows: input, times: plan.batch.times, bound: table.bound(watermark),
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
            counters.unmatched[step.index] += Int64(input.count - count)
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

    /// Rows that ask for versions that were dropped go no further: that they have no partner would be a guess.
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
    package var lookupCounts: [(source: String, asked: Int64, unanswered: Int64)] {
        sources.compactMap { source in
            source.lookup.map { (source.spec.name, $0.askedCount, $0.unansweredCount) }
        }
    }

    /// Rows of a step's join that found a partner, since the process started.
    package func foundCount(step: Int) -> Int64 { steps[step].join?.foundCount ?? 0 }
}
