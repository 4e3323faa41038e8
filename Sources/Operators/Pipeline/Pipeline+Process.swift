import Base
import Dataflow
import Records
import State
import Topology

extension Pipeline {
    /// Takes records of one partition of a source through the whole topology. Outputs are appended to `outbox`.
    package func process(_ raw: RawRecords, source: Int, task: TaskState, outbox: inout Outbox) {
        guard let shaping = sources[source].shaping else { return process(raw, letters: raw, source, task, &outbox) }
        shaping.forEach(raw) { process($0.decoded, letters: $0.letters, source, task, &outbox) }
    }

    /// `letters`: what stands in dead letters for each of the records.
    private func process(_ raw: RawRecords, letters: RawRecords, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let plan = sources[source]
        let batch = plan.batch
        beginOutputs(of: source, outbox)
        batch.partition = task.partition
        plan.decoder.decode(raw, into: batch)
        stages?.lap(.decoding)
        batch.raw = letters
        counters.records += Int64(batch.count)
        counters.reads[source].records += Int64(batch.count)
        plan.late.update(repeating: 0, count: batch.count)
        roots.begin(plan)
        if let table = plan.table {
            processTable(plan, table, source, task, &outbox)
        } else {
            if let carried = plan.carried {
                takeOrigins(plan, carried, task, source)
            } else {
                deriveAndTime(plan, task, source)
            }
            stages?.lap(.timing)
            processStretches(plan, source, task, &outbox)
        }
        // All who write to the topic have said that nothing more comes for now.
        if hasStreams, plan.carried != nil, UpstreamTime.isQuiet(task.upstream[source]) {
            settle(source, Upstream.idle, task, &outbox)
        }
        roots.end()
        isAlone = true
        endOutputs(task, &outbox)
    }

    /// Takes the rows of a source's batch through its steps, whose event times and watermarks are known.
    func processStretches(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let batch = plan.batch
        var start = 0
        defer { plan.rowUnderWay = nil }
        while start < batch.count {
            let watermark = plan.watermarks[start]
            plan.rowUnderWay = start
            if watermark != .min { close(source: source, watermark: watermark, task: task, outbox: &outbox) }
            stages?.lap(.closing)
            let due = nextClose(source: source, task: task)
            let rows = hasStreams ? rowsAtOnce(plan, source, watermark, task, &outbox) : .max
            var end = start + 1
            while end < batch.count, !isRowWise, end - start < rows,
                plan.watermarks[end] < due || plan.watermarks[end] == watermark
            {
                end += 1
            }
            if roots.isRoot(plan) { isAlone = end == start + 1 }
            plan.rowUnderWay = end - 1
            processStretch(plan, source, task, from: start, to: end, &outbox)
            if hasStreams {
                settle(source, plan.watermarks[end - 1], task, &outbox)
                if roots.isRoot(plan) { spillOver(task, &outbox) }
            }
            start = end
        }
    }

    /// How far event time of a source or stream has come: after the row that is under way, where there is one, since the
    /// task's own watermark is that of the batch's last row already.
    func reached(_ source: Int, _ task: TaskState) -> Int64 {
        sources[source].rowUnderWay.map { sources[source].watermarks[$0] } ?? task.watermarks[source]
    }

    /// Event time has come to `watermark` without a record: an idle partition, or the end of the input.
    package func advance(source: Int, to watermark: Int64, task: TaskState, outbox: inout Outbox) {
        beginOutputs(of: source, outbox)
        goOn(source, to: watermark, task, &outbox)
        endOutputs(task, &outbox)
    }

    private func goOn(_ source: Int, to watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        // A table's event time is that of its records.
        if sources[source].table != nil { return }
        if task.watermarks[source] == .min {
            // No window is open, but operators with other inputs may wait for this one.
            if hasStreams, watermark > task.settled[source] { settle(source, watermark, task, &outbox) }
            return
        }
        guard watermark > task.watermarks[source] else { return }
        close(source: source, watermark: watermark, task: task, outbox: &outbox)
        task.watermarks[source] = watermark
        if hasStreams { settle(source, watermark, task, &outbox) }
    }

    /// A quiet partition's event time goes on with the clock: `milliseconds` after its last record, event
    /// time has come that much further, less the out-of-order bound.
    package func idle(source: Int, forMilliseconds milliseconds: Int64, task: TaskState, outbox: inout Outbox) {
        // Behind a repartition topic it is the partitions before it whose time goes on.
        guard sources[source].carried == nil, sources[source].table == nil else { return }
        beginOutputs(of: source, outbox)
        defer { endOutputs(task, &outbox) }
        guard task.times[source] != .min else {
            // Operators with other inputs do not wait for an empty partition.
            guard hasStreams, task.settled[source] != Upstream.idle else { return }
            return settle(source, Upstream.idle, task, &outbox)
        }
        let reached = task.crowds[source].reached + milliseconds - sources[source].spec.outOfOrder
        goOn(source, to: reached, task, &outbox)
        // A source whose last record is days old must not hold back those that it is joined with.
        if hasStreams { settle(source, Upstream.idle, task, &outbox) }
    }

    /// The event times of records, to merge several inputs by; a record without one has that of the record before it.
    package func eventTimes(of raw: RawRecords, source: Int) -> [Int64] {
        let plan = sources[source]
        // A table without a time comes before everything else.
        if plan.spec.timeField < 0 { return Array(repeating: .min, count: raw.count) }
        return plan.shaping?.times(raw) { timesOfRows($0, plan) } ?? timesOfRows(raw, plan)
    }

    private func timesOfRows(_ raw: RawRecords, _ plan: SourcePlan) -> [Int64] {
        plan.decoder.decode(raw, into: plan.batch)
        selectGood(plan)
        for (program, _) in plan.derived {
            _ = program.run(plan.columns, arena: plan.batch.arena, rows: plan.good.selection)
        }
        let time = plan.columns[plan.spec.timeField]
        var last = Int64.min
        return (0..<raw.count).map { row in
            if plan.batch.status[row] == 0, time.valid[row] == 1 { last = time.values[row] }
            return last
        }
    }

    /// The watermark at which every window that holds records has closed.
    package func endOfTime(source: Int, task: TaskState) -> Int64 {
        var end = task.times[source]
        guard end != .min, sources[source].table == nil else { return .min }
        for step in stepsOfSource[source] {
            guard let store = task.stores[step.index] else { continue }
            let anchor = store.anchor(at: task.times[source])
            end = max(end, store.closesAt(anchor + Int64(store.options.span) + 1))
        }
        return end
    }

    // MARK: Rows

    /// Derived fields of the source, event times, their bound, and the watermark after each row.
    private func deriveAndTime(_ plan: SourcePlan, _ task: TaskState, _ source: Int) {
        let batch = plan.batch
        if options.requiresKeys, plan.origins == nil,
            steps.contains(where: { $0.source == source && ($0.window != nil || $0.isIntake) }) {
            for row in 0..<batch.count where batch.status[row] == 0 && batch.raw.keys[row] == nil {
                batch.status[row] = RowStatus.nullKey.rawValue
            }
        }
        selectGood(plan)
        for (place, (program, field)) in plan.derived.enumerated() {
            let column = program.run(plan.columns, arena: batch.arena, rows: plan.good.selection)
            refuse(
                column, isOptional: field.isOptional, field: plan.spec.wire.count + place, plan, plan.good.selection)
        }
        if !plan.derived.isEmpty { selectGood(plan) }
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
        let good = plan.good.selection
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
                        if crowd.leap(value, appended: batch.raw.timestamps[row], row: next, now: now ?? .max) { leaps = true }
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
        selectGood(plan)
    }

    func selectGood(_ plan: SourcePlan) {
        let (status, rows) = (plan.batch.status, plan.good.rows)
        var count = 0
        for row in 0..<plan.batch.count {
            rows[count] = Int32(truncatingIfNeeded: row)
            count += status[row] == 0 ? 1 : 0
        }
        plan.good.count = count
    }

    // MARK: A stretch of rows in which no window closes

    private func processStretch(
        _ plan: SourcePlan,
        _ source: Int,
        _ task: TaskState,
        from start: Int,
        to end: Int,
        _ outbox: inout Outbox
    ) {
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        let batch = plan.batch
        beginTicks(plan, from: start, to: end)
        var count = 0
        for row in start..<end where batch.status[row] == 0 {
            plan.rows.rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        plan.rows.count = count
        if count > 0 {
            for step in stepsOfSource[source] { select(step, plan, task) }
            if hasStreams { for operation in operatorsOfSource[source] { refuse(operation, source, plan) } }
            stages?.lap(.selecting)
            findKeys(plan, source, task)
            stages?.lap(.keying)
            if watchesOrder[source], findApart(plan, source, task) {
                processInParts(plan, source, task, bench, &outbox)
            } else {
                for pass in windowPasses[source] { update(pass, plan, task, bench) }
                stages?.lap(.aggregating)
                for rule in rulesOfSource[source] { fire(rule, plan, source, task, bench) }
                stages?.lap(.rules)
            }
            if hasStreams { take(plan, source, task, &outbox) }
            if !bench.pending.isEmpty { writePending(plan, source, task, bench, &outbox) }
            if !recordSinks[source].isEmpty { writeRecords(plan, source, task, bench, &outbox) }
            if !repartitionsOfSource[source].isEmpty { writeRepartitioned(plan, source, task, &outbox) }
        } else if hasStreams {
            for step in stepsOfSource[source] { step.selection.count = 0 }
        }
        writeRefused(plan, source, task, from: start, to: end, bench, &outbox)
        stages?.lap(.writing)
    }

    private func select(_ step: StepPlan, _ plan: SourcePlan, _ task: TaskState) {
        var input: Selection
        switch step.spec.input {
        case .source: input = plan.rows.selection
        case .step(let index): input = steps[index].selection.selection
        }
        if let join = step.join { input = lookUp(join, step, input, plan, task) }
        let batch = plan.batch
        let rows = step.selection.rows
        var count = 0
        if let condition = step.condition {
            let column = condition.run(step.columns, arena: batch.arena, rows: input)
            let (values, valid) = (column.values, column.valid)
            var states: UInt8 = 0
            for index in 0..<input.count {
                let row = input[index]
                states |= valid[row]
                rows[count] = Int32(truncatingIfNeeded: row)
                count += valid[row] == 1 && values[row] != 0 ? 1 : 0
            }
            if states & 2 != 0 { refuse(column, input, field: "where", step, plan) }
        } else {
            rows.update(from: input.rows, count: input.count)
            count = input.count
        }
        step.selection.count = count
        for (program, field) in step.derived {
            let column = program.run(step.columns, arena: batch.arena, rows: step.selection.selection)
            refuse(column, isOptional: field.isOptional, field: field.name, step, plan)
        }
        refuseNullKeys(step, plan)
    }

    /// Encodes and looks up the keys of every step; its rows have one.
    private func findKeys(_ plan: SourcePlan, _ source: Int, _ task: TaskState) {
        let batch = plan.batch
        for (key, own, windows) in keysOfSource[source] {
            // The union of the steps' rows: rows of several steps are looked up once.
            key.encode(own.count == 1 ? own[0].selection.selection : union(own, plan), arena: batch.arena)
            guard !windows.isEmpty else { continue }
            let known = windows.count == 1 ? windows[0].selection.selection : union(windows, plan)
            task.groups[key.group].keys.intern(key.encoded.values, in: batch.arena, rows: known, ids: key.ids)
        }
    }

    /// Rows that any of the steps has selected, ascending, in `plan.good`, which is free by now.
    func union(_ steps: [StepPlan], _ plan: SourcePlan) -> Selection {
        let updates = plan.updates
        let rows = plan.rows.selection
        for index in 0..<rows.count { updates[rows[index]] = 0 }
        for step in steps {
            let selection = step.selection.selection
            for index in 0..<selection.count { updates[selection[index]] = 1 }
        }
        var count = 0
        for index in 0..<rows.count {
            let row = rows[index]
            plan.good.rows[count] = Int32(truncatingIfNeeded: row)
            count += Int(updates[row])
        }
        plan.good.count = count
        return plan.good.selection
    }

    // MARK: Windows

    /// The rows that a pass looks at, their keys' ids and, in `plan.updates`, 1 for those that belong to the window's step
    /// (0: another step's, for which the window is only read).
    func rows(of pass: WindowPass, _ plan: SourcePlan) -> (rows: Selection, ids: UnsafePointer<UInt32>) {
        let own = pass.isOwn ? pass.step.selection.selection : Selection(plan.good.rows, count: 0)
        if pass.readers.isEmpty {
            for index in 0..<own.count { plan.updates[own[index]] = 1 }
            return (own, UnsafePointer(pass.key.ids))
        }
        let rows = union((pass.isOwn ? [pass.step] : []) + pass.readers, plan)
        // A row's key comes from the step that selected it.
        for step in pass.readers {
            guard let key = step.key else { continue }
            let selection = step.selection.selection
            for index in 0..<selection.count { plan.ids[selection[index]] = key.ids[selection[index]] }
        }
        for index in 0..<rows.count { plan.updates[rows[index]] = 0 }
        for index in 0..<own.count {
            plan.ids[own[index]] = pass.key.ids[own[index]]
            plan.updates[own[index]] = 1
        }
        return (rows, UnsafePointer(plan.ids))
    }

    /// `isApart`: the rows, one, are looked at one by one, so that nothing is computed of the newest window.
    func update(_ pass: WindowPass, _ plan: SourcePlan, _ task: TaskState, _ bench: Workbench, isApart: Bool = false) {
        let scratch = bench.scratch
        guard let store = task.stores[pass.step.index] else { return }
        let batch = plan.batch
        if pass.isOwn {
            pass.window.runArguments(
                pass.step.columns, arena: batch.arena, rows: pass.step.selection.selection)
            for (call, name) in pass.window.bounded {
                for column in [pass.window.argumentColumns[call], pass.window.conditionColumns[call]].compactMap({ $0 }) {
                    refuse(column, isOptional: true, field: name, pass.step, plan)
                }
            }
        }
        // How far a window may move on is said by the source of its records, not by that of its readers.
        let watermarks = UnsafePointer(pass.isOwn ? plan.watermarks : plan.foreignWatermarks)
        let (rows, ids) = rows(of: pass, plan)
        if rows.count == 0 { return }
        if !pass.isOwn {
            let watermark = reached(pass.step.source, task)
            for index in rows.indices { plan.foreignWatermarks[rows[index]] = watermark }
        }
        let own = pass.isOwn ? pass.step.selection.selection : Selection(plan.good.rows, count: 0)
        let aheadFrom = pass.isOwn && plan.runsAhead ? store.aheadFrom : .max
        var done = 0
        while done < rows.count {
            var end = rows.count
            if aheadFrom < .max {
                if batch.times[rows[done]] >= aheadFrom {
                    scratch.setAdded(done, addAhead(rows[done], ids[rows[done]], pass, plan, store))
                    done += 1
                    continue
                }
                end = done + 1
                while end < rows.count, batch.times[rows[end]] < aheadFrom { end += 1 }
            }
            end = store.prepare(
                Selection(rows.rows, count: end),
                from: done,
                ids: ids,
                times: batch.times,
                watermarks: watermarks,
                updates: plan.updates,
                late: plan.late,
                scratch: scratch
            )
            aggregate(pass.window, batch, store, rows, done..<end, scratch)
            done = end
        }
        let group = task.groups[pass.key.group]
        for id in store.takeArrivals() { group.retain(id) }
        if pass.window.isRead, !isApart {
            for index in 0..<rows.count { pass.window.anchors[rows[index]] = scratch.newest[index] }
            pass.window.runOutputs(rows, arena: batch.arena)
        }
        if pass.isOwn { dropLate(pass.step, plan, store, rows, scratch) }
        if !pass.window.metricsSinks.isEmpty {
            for index in 0..<own.count { task.dirty[pass.step.index].insert(ids[own[index]]) }
        }
    }

    /// Takes a row that lies further ahead than the rings reach. False: it belongs to another step, or there is no room
    /// for it, for which it is refused.
    private func addAhead(_ row: Int, _ id: UInt32, _ pass: WindowPass, _ plan: SourcePlan, _ store: WindowStore) -> Bool {
        guard plan.updates[row] != 0 else { return false }
        let window = pass.window
        let calls = window.storeIndices.enumerated().map { call, index in
            (index: index, argument: window.argumentColumns[call], condition: window.conditionColumns[call])
        }
        if store.addAhead(id, row: row, time: plan.batch.times[row], calls: calls, arena: plan.batch.arena) { return true }
        plan.refusals.append(Refusal(row: Int32(row), step: Int16(pass.step.index), status: .aheadOfOthers, field: nil))
        return false
    }

    /// Rows that were too late for the step's windows fire no rule on them.
    private func dropLate(
        _ step: StepPlan, _ plan: SourcePlan, _ store: WindowStore, _ rows: Selection, _ scratch: WindowScratch
    ) {
        var count = 0
        for index in 0..<rows.count where plan.updates[rows[index]] != 0 {
            step.selection.rows[count] = rows.rows[index]
            count += store.isAdded(index, scratch) ? 1 : 0
        }
        step.selection.count = count
    }

    private func aggregate(
        _ window: WindowPlan, _ batch: Batch, _ store: WindowStore, _ rows: Selection, _ positions: Range<Int>,
        _ scratch: WindowScratch
    ) {
        // The number of records, which every window keeps, and which is that of a `count()`.
        let count = window.isRead ? window.storeIndices.firstIndex(of: 0) : nil
        store.apply(
            0, rows, positions, times: batch.times, argument: nil, condition: nil,
            output: count.map { window.aggregateColumns[$0] }, arena: batch.arena, scratch: scratch
        )
        for (call, index) in window.storeIndices.enumerated() where index > 0 {
            store.apply(
                index,
                rows,
                positions,
                times: batch.times,
                argument: window.argumentColumns[call],
                condition: window.conditionColumns[call],
                output: window.isRead ? window.aggregateColumns[call] : nil,
                arena: batch.arena,
                scratch: scratch
            )
        }
    }
}
