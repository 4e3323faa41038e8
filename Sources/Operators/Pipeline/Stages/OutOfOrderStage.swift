import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Rows that change other windows than the newest of their key: those that come out of order, and those that
/// run ahead of what the rings reach. Rules `at: record` look at them one by one; the stretch is cut up
/// around them.
///
/// Such a row is looked at as of several event times: its own, and those at which the later windows that hold
/// it begin, up to the newest of the key. As of each, every window of the rule is the one that is current
/// then and not closed (one of another source: as far as that source's event time lets it be). Windows that
/// are not the newest can only raise: what is past clears nothing. The newest one, where it holds the row or
/// an older one has just raised, decides as ever.
final class OutOfOrderStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let windows: WindowStage
    private let rules: RuleStage
    private let alerts: AlertWriter
    private let order: OutputOrder
    /// 1 for rows of the stretch that are looked at one by one; 0 between stretches.
    private let isApart: UnsafeMutablePointer<UInt8>
    /// The rows of the stretch while those of a part of it are under way; and by step those that it has
    /// selected.
    private let stretch: SelectionBuffer
    private let stretches: [SelectionBuffer]
    /// Event times as of which the windows are looked at, ascending.
    private var instants: [Int64] = []
    /// The anchor as of each of the window that an alert names.
    private var anchors: [Int64] = []
    private var changes: [Int64] = []

    init(
        _ topology: CompiledTopology, _ meters: StageMeters, _ windows: WindowStage, _ rules: RuleStage,
        _ alerts: AlertWriter,
        _ order: OutputOrder
    ) {
        (self.topology, self.meters, self.windows) = (topology, meters, windows)
        (self.rules, self.alerts, self.order) = (rules, alerts, order)
        let capacity = topology.options.rowsMax
        isApart = .allocate(capacity: capacity)
        isApart.initialize(repeating: 0, count: capacity)
        stretch = SelectionBuffer(capacity: capacity)
        stretches = topology.steps.map {
            SelectionBuffer(capacity: topology.flows[$0.source].watchesOrder ? capacity : 1)
        }
    }

    deinit { isApart.deallocate() }

    /// True if rows of the stretch are such, and have been taken through windows and rules with all the
    /// others.
    func take(
        _ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) -> Bool {
        guard flow.watchesOrder, windows.findOutOfOrder(flow, plan, task, flags: isApart) else {
            return false
        }
        process(flow, plan, task, bench, &outbox)
        return true
    }

    /// Takes a stretch through its windows and rules in parts: each row that is marked by itself, and what
    /// lies between.
    private func process(
        _ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) {
        let own = flow.steps
        let whole = copy(plan.rows, to: stretch)
        for step in own { _ = copy(step.selection, to: stretches[step.index]) }
        // By step: rows of the stretch that have had their turn, and those of them that are still selected.
        var taken = own.map { _ in 0 }
        var kept = taken
        var start = 0
        while start < whole.count {
            let isAlone = isApart[whole[start]] != 0
            var end = start + 1
            while !isAlone, end < whole.count, isApart[whole[end]] == 0 { end += 1 }
            plan.rows.rows.update(from: whole.rows + start, count: end - start)
            plan.rows.count = end - start
            for (place, step) in own.enumerated() {
                let rows = stretches[step.index]
                let first = taken[place]
                while taken[place] < rows.count, Int(rows.rows[taken[place]]) <= whole[end - 1] {
                    taken[place] += 1
                }
                step.selection.rows.update(from: rows.rows + first, count: taken[place] - first)
                step.selection.count = taken[place] - first
            }
            for pass in flow.passes { windows.update(pass, plan, task, isApart: isAlone) }
            meters.lap(.aggregating)
            for (rule, steps) in flow.rules {
                if isAlone, rule.hasWindow {
                    if rule.spec.at == .record { fire(rule, whole[start], plan, task, bench, &outbox) }
                    continue
                }
                rules.fire(rule, steps, plan, task)
                if isAlone { rules.writePending(plan, task, &outbox) }
            }
            meters.lap(.rules)
            rules.writePending(plan, task, &outbox)
            // What windows have kept of the rows goes before what has not had its turn.
            for (place, step) in own.enumerated() {
                (stretches[step.index].rows + kept[place]).update(
                    from: step.selection.rows, count: step.selection.count)
                kept[place] += step.selection.count
            }
            start = end
        }
        for (place, step) in own.enumerated() {
            step.selection.rows.update(from: stretches[step.index].rows, count: kept[place])
            step.selection.count = kept[place]
        }
        plan.rows.rows.update(from: whole.rows, count: whole.count)
        plan.rows.count = whole.count
        for index in whole.indices { isApart[whole[index]] = 0 }
    }

    private func copy(_ selection: SelectionBuffer, to buffer: SelectionBuffer) -> Selection {
        buffer.rows.update(from: selection.rows, count: selection.count)
        buffer.count = selection.count
        return buffer.selection
    }

    // MARK: Looking

    /// Looks at the windows of a rule that a row by itself has changed, the oldest first, and writes the
    /// alerts.
    private func fire(
        _ rule: RulePlan, _ row: Int, _ plan: SourcePlan, _ task: TaskState, _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let source = plan.index
        let members = rule.spec.on.filter {
            topology.steps[$0].source == source && topology.steps[$0].selection.count > 0
        }
        guard let key = members.first.flatMap({ topology.steps[$0].key }) else { return }
        let id = key.ids[row]
        let time = plan.batch.times[row]
        let cause = plan.origin(of: row)
        func context(_ place: Int, _ anchor: Int64) -> AlertContext {
            AlertContext(
                row: place, time: time, window: task.stores[rule.spec.on[0]]?.bounds(at: anchor),
                watermark: plan.watermarks[row], cause: cause)
        }
        outbox.order = order.order(of: row, plan)
        let newest = findInstants(rule, id, time, members, source, task)
        var hasRaised = false
        if !task.rules[rule.index].isRaised(id), let first = firstHit(rule, id, source, task, bench) {
            if let edge = rules.edge(rule, id, true, false, at: time, task) {
                alerts.write(rule, edge, context(first.row, first.anchor), arena: bench.arena, &outbox)
                rules.hold(rule, edge, id, task)
                hasRaised = true
            }
        }
        guard newest.isChanged || hasRaised else { return rules.lookAgain(rule, id, at: time, source, task) }
        instants = [newest.time]
        gather(rule, id, isNewest: true, source, task, bench)
        var (isTrue, isCleared) = (false, false)
        withUnsafePointer(to: id) { id in
            rules.evaluate(rule, id, arena: bench.arena, rows: bench.first(1), task) {
                (isTrue, isCleared) = ($1, $2)
            }
        }
        if let edge = rules.edge(rule, id, isTrue, isCleared, at: time, task) {
            alerts.write(rule, edge, context(0, anchors[0]), arena: bench.arena, &outbox)
            rules.hold(rule, edge, id, task)
        }
        rules.lookAgain(rule, id, at: time, source, task)
    }

    /// The first of `instants` at which the condition is true, as a row of the rule's columns, and the anchor
    /// of the window that an alert names.
    private func firstHit(
        _ rule: RulePlan, _ id: UInt32, _ source: Int, _ task: TaskState, _ bench: Workbench
    ) -> (row: Int, anchor: Int64)? {
        let all = instants
        var start = 0
        while start < all.count {
            let count = min(all.count - start, topology.options.rowsMax)
            instants = Array(all[start..<start + count])
            gather(rule, id, isNewest: false, source, task, bench)
            let rows = bench.first(count)
            let hits = rule.when.run(rule.columns, arena: bench.arena, rows: rows)
            if rule.when.hasOverflowed {
                let unknown = rule.when.overflowed(rule.columns, arena: bench.arena, rows: rows)
                meters.counters.ruleOverflows[rule.index] += Int64(unknown.count)
            }
            if hits.count > 0 { return (hits[0], anchors[hits[0]]) }
            start += count
        }
        return nil
    }

    /// Puts the event times as of which a row is looked at into `instants`, without the newest, which is
    /// returned, and whether the row has changed what is current then.
    private func findInstants(
        _ rule: RulePlan, _ id: UInt32, _ time: Int64, _ members: [Int], _ source: Int, _ task: TaskState
    ) -> (time: Int64, isChanged: Bool) {
        var newest = time
        for step in rule.spec.on where topology.steps[step].source == source {
            guard let store = task.stores[step] else { continue }
            let anchor = store.view.openAnchors(of: id).newest
            if anchor != .min { newest = max(newest, store.view.beginsAt(anchor)) }
        }
        var isChanged = newest == time
        instants.removeAll(keepingCapacity: true)
        if !isChanged { instants.append(time) }
        for step in members {
            guard let store = task.stores[step] else { continue }
            let (first, last) = store.view.anchors(covering: time)
            let current = store.view.currentAnchor(at: newest)
            if last >= current, first <= current { isChanged = true }
            changes.removeAll(keepingCapacity: true)
            let low = max(first, store.view.openAnchors(of: id).first, store.view.currentAnchor(at: time) + 1)
            store.view.appendAnchors(of: id, low, min(last, current), each: rule.readsTime, to: &changes)
            for anchor in changes {
                let begin = store.view.beginsAt(anchor)
                if begin > time, begin < newest { instants.append(begin) }
            }
        }
        if members.count > 1 { instants = Array(Set(instants)).sorted() }
        return (newest, isChanged)
    }

    /// Fills the rule's columns with what its windows are as of `instants`, a row each; `isNewest`: windows
    /// of other sources are as far as they have come.
    private func gather(
        _ rule: RulePlan, _ id: UInt32, isNewest: Bool, _ source: Int, _ task: TaskState, _ bench: Workbench
    ) {
        let arena = bench.arena
        arena.removeAll()
        let rows = bench.first(instants.count)
        for (place, step) in rule.spec.on.enumerated() {
            guard let store = task.stores[step], let window = topology.steps[step].window else { continue }
            changes.removeAll(keepingCapacity: true)
            for instant in instants {
                var anchor = store.view.currentAnchor(at: instant)
                let (first, newest) = store.view.openAnchors(of: id)
                if topology.steps[step].source != source, store.view.newest(of: id) != .min {
                    anchor = min(anchor, max(newest, first == .min ? newest : first + store.lead))
                    if isNewest { anchor = max(anchor, newest) }
                }
                changes.append(max(anchor, first))
            }
            changes.withUnsafeBufferPointer {
                store.view.gather(
                    id, anchors: $0, window.storeIndices, into: window.aggregateColumns, arena: arena)
            }
            window.runOutputs(rows, arena: arena)
            if place == 0 { swap(&anchors, &changes) }
        }
        let key = task.groups[rule.group].keys.key(of: id)
        for row in rows.indices { KeyCoding.decode(key, into: rule.keyColumns, row: row, arena: arena) }
    }
}
