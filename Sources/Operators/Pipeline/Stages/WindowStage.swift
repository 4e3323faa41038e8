import Base
import Dataflow
import Records
import State
import Topology

/// The third stage: rows of a stretch into the windows of their keys, and what those windows are after each
/// row into columns, for the rules that read them.
final class WindowStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let scratch: WindowScratch
    private let union: RowUnion
    /// Ids of rows that several steps have, by their own keys.
    private let ids: UnsafeMutablePointer<UInt32>
    /// 1 for rows of the pass that belong to the window's step.
    private let updates: UnsafeMutablePointer<UInt8>
    /// The watermark of another source, for windows of it that rows of this one read.
    private let foreignWatermarks: UnsafeMutablePointer<Int64>

    init(_ topology: CompiledTopology, _ meters: StageMeters) {
        (self.topology, self.meters) = (topology, meters)
        let capacity = topology.options.rowsMax
        scratch = WindowScratch(capacity: capacity)
        union = RowUnion(capacity: capacity)
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
        updates = .allocate(capacity: capacity)
        updates.initialize(repeating: 1, count: capacity)
        foreignWatermarks = .allocate(capacity: capacity)
        foreignWatermarks.initialize(repeating: .min, count: capacity)
    }

    deinit {
        ids.deallocate()
        updates.deallocate()
        foreignWatermarks.deallocate()
    }

    /// The rows that a pass looks at, their keys' ids and, in `updates`, 1 for those that belong to the
    /// window's step (0: another step's, for which the window is only read).
    private func rows(of pass: WindowPass, _ plan: SourcePlan) -> (
        rows: Selection, ids: UnsafePointer<UInt32>
    ) {
        let own = pass.isOwn ? pass.step.selection.selection : union.none
        if pass.readers.isEmpty {
            for index in 0..<own.count { updates[own[index]] = 1 }
            return (own, UnsafePointer(pass.key.ids))
        }
        let rows = union.of((pass.isOwn ? [pass.step] : []) + pass.readers, among: plan.rows.selection)
        // A row's key comes from the step that selected it.
        for step in pass.readers {
            guard let key = step.key else { continue }
            let selection = step.selection.selection
            for index in 0..<selection.count { ids[selection[index]] = key.ids[selection[index]] }
        }
        for index in 0..<rows.count { updates[rows[index]] = 0 }
        for index in 0..<own.count {
            ids[own[index]] = pass.key.ids[own[index]]
            updates[own[index]] = 1
        }
        return (rows, UnsafePointer(ids))
    }

    /// `isApart`: the rows, one, are looked at one by one, so that nothing is computed of the newest window.
    func update(_ pass: WindowPass, _ plan: SourcePlan, _ task: TaskState, isApart: Bool = false) {
        guard pass.hasRows, let store = task.stores[pass.step.index] else { return }
        let batch = plan.batch
        if pass.isOwn {
            pass.window.runArguments(
                pass.step.columns, arena: batch.arena, rows: pass.step.selection.selection)
            for (call, name) in pass.window.bounded {
                for column in [pass.window.argumentColumns[call], pass.window.conditionColumns[call]]
                    .compactMap({ $0 })
                {
                    pass.step.refuse(column, isOptional: true, field: name, plan)
                }
            }
        }
        // How far a window may move on is said by the source of its records, not by that of its readers.
        let watermarks = UnsafePointer(pass.isOwn ? plan.watermarks : foreignWatermarks)
        let (rows, ids) = rows(of: pass, plan)
        if rows.count == 0 { return }
        if !pass.isOwn {
            let watermark = topology.reached(pass.step.source, task)
            for index in rows.indices { foreignWatermarks[rows[index]] = watermark }
        }
        let own = pass.isOwn ? pass.step.selection.selection : union.none
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
                updates: updates,
                late: plan.late,
                scratch: scratch
            )
            aggregate(pass.window, batch, store, rows, done..<end)
            done = end
        }
        let group = task.groups[pass.key.group]
        for id in store.takeArrivals() { group.retain(id) }
        if pass.window.isRead, !isApart {
            for index in 0..<rows.count { pass.window.anchors[rows[index]] = scratch.newest[index] }
            pass.window.runOutputs(rows, arena: batch.arena)
        }
        if pass.isOwn { dropLate(pass.step, store, rows) }
        if !pass.window.metricsSinks.isEmpty {
            for index in 0..<own.count { task.dirty[pass.step.index].insert(ids[own[index]]) }
        }
    }

    /// Takes a row that lies further ahead than the rings reach. False: it belongs to another step, or there
    /// is no room for it, for which it is refused.
    private func addAhead(
        _ row: Int, _ id: UInt32, _ pass: WindowPass, _ plan: SourcePlan, _ store: WindowStore
    ) -> Bool {
        guard updates[row] != 0 else { return false }
        let window = pass.window
        let calls = window.storeIndices.enumerated().map { call, index in
            (index: index, argument: window.argumentColumns[call], condition: window.conditionColumns[call])
        }
        if store.addAhead(id, row: row, time: plan.batch.times[row], calls: calls, arena: plan.batch.arena) {
            return true
        }
        plan.refusals.append(
            Refusal(row: Int32(row), step: Int16(pass.step.index), status: .aheadOfOthers, field: nil))
        return false
    }

    /// Rows that were too late for the step's windows fire no rule on them.
    private func dropLate(_ step: StepPlan, _ store: WindowStore, _ rows: Selection) {
        var count = 0
        for index in 0..<rows.count where updates[rows[index]] != 0 {
            step.selection.rows[count] = rows.rows[index]
            count += scratch.isAdded(index) ? 1 : 0
        }
        step.selection.count = count
    }

    private func aggregate(
        _ window: WindowPlan, _ batch: Batch, _ store: WindowStore, _ rows: Selection, _ positions: Range<Int>
    ) {
        // The number of records, which every window keeps, and which is that of a `count()`.
        let count = window.isRead ? window.storeIndices.firstIndex(of: 0) : nil
        scratch.apply(
            0, to: store, rows, positions, times: batch.times, argument: nil, condition: nil,
            output: count.map { window.aggregateColumns[$0] }, arena: batch.arena)
        for (call, index) in window.storeIndices.enumerated() where index > 0 {
            scratch.apply(
                index,
                to: store,
                rows,
                positions,
                times: batch.times,
                argument: window.argumentColumns[call],
                condition: window.conditionColumns[call],
                output: window.isRead ? window.aggregateColumns[call] : nil,
                arena: batch.arena
            )
        }
    }

    // MARK: Out of order

    /// Sets 1 in `flags` for the rows of the stretch that change or read other windows than the newest of
    /// their key. False: there are none.
    func findOutOfOrder(
        _ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, flags: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        var isFound = false
        for pass in flow.passes where pass.window.isRead && pass.hasRows {
            guard let store = task.stores[pass.step.index] else { continue }
            let hasStrangers = !pass.isOwn || pass.window.readers.keys.contains { $0 != plan.index }
            if plan.isInOrder, !hasStrangers, !plan.spec.mayRunAhead { continue }
            let (rows, ids) = rows(of: pass, plan)
            guard store.order.mayBeFound(rows, times: plan.batch.times) else { continue }
            if store.order.find(
                rows, ids: ids, times: plan.batch.times, takesLate: !pass.readers.isEmpty, flags: flags)
            {
                isFound = true
            }
        }
        return isFound
    }

    // MARK: Metrics

    /// Hands the metrics of keys that changed since they were last handed over to the sinks that take them:
    /// all, or at most `keysMax` of each step, so that the many keys of a task that was just restored do not
    /// hold the lane up.
    func collectMetrics(
        _ task: TaskState, keysMax: Int, _ bench: Lent<Workbench>, into sink: (Int) -> (any MetricsSink)?
    ) {
        for step in topology.steps {
            guard let window = step.window, let store = task.stores[step.index], let keyPlan = step.key,
                !window.metricsSinks.isEmpty
            else { continue }
            let group = task.groups[keyPlan.group]
            var left = keysMax
            while left > 0 {
                let taken = task.dirty[step.index].removeFirst(min(topology.options.rowsMax, left))
                if taken.isEmpty { break }
                left -= taken.count
                let ids = taken.filter { group.isUsed($0) }
                let lent = bench.take()
                defer { bench.giveBack() }
                putMetrics(step, window, store, group, ids, task, lent, sink)
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
        _ bench: Workbench,
        _ sink: (Int) -> (any MetricsSink)?
    ) {
        bench.arena.removeAll()
        let rows = bench.first(ids.count)
        let watermark = task.watermarks[step.source]
        ids.withUnsafeBufferPointer { ids in
            guard let start = ids.baseAddress else { return }
            window.gather(
                store, ids: start, count: ids.count, .running, at: watermark, rows: rows, arena: bench.arena)
        }
        meters.counters.resultOverflows[step.index] += window.overflowCount(rows)
        let keys = bench.keys(like: step.key?.columns ?? [])
        for (row, id) in ids.enumerated() {
            KeyCoding.decode(group.keys.key(of: id), into: keys, row: 0, arena: bench.arena)
            let bounds = store.bounds(
                at: store.totals(.running).anchor(of: id, otherwise: store.anchor(at: watermark)))
            var fields = zip(window.outputFields, window.outputColumns).map { field, column in
                let value =
                    column.valid[row] == 1
                    ? ValueText.string(column.values[row], column.type, arena: bench.arena) : ""
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
