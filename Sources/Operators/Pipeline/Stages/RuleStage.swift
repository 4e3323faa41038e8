import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// The fourth stage: conditions over what windows are after each row, and the edges that they make. Alerts of
/// a stretch are written when its rules are through, in row order.
final class RuleStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let alerts: AlertWriter
    private let order: OutputOrder
    /// Rows of keys whose alert is raised, while a rule is evaluated.
    private let watched: SelectionBuffer
    private let union: RowUnion
    /// Ids of rows that several steps have, by their own keys.
    private let ids: UnsafeMutablePointer<UInt32>
    /// Alerts of the stretch.
    private var pending: [PendingAlert] = []
    /// What an alert's id is a hash of.
    private let name = Arena(capacity: 256)

    init(_ topology: CompiledTopology, _ meters: StageMeters, _ alerts: AlertWriter, _ order: OutputOrder) {
        (self.topology, self.meters, self.alerts, self.order) = (topology, meters, alerts, order)
        let capacity = topology.options.rowsMax
        watched = SelectionBuffer(capacity: capacity)
        union = RowUnion(capacity: capacity)
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
    }

    deinit { ids.deallocate() }

    // MARK: Rows

    /// Evaluates a rule on the rows of this stretch and notes the edges.
    /// `steps`: those of the rule's that are of this source.
    func fire(_ rule: RulePlan, _ steps: [StepPlan], _ plan: SourcePlan, _ task: TaskState) {
        meters.time(rule.index) {
            if !rule.hasWindow {
                fireOnRecords(rule, plan, task)
            } else if rule.spec.at == .record {
                fireOnWindows(rule, steps, plan, task)
            }
        }
    }

    private func fireOnWindows(
        _ rule: RulePlan, _ steps: [StepPlan], _ plan: SourcePlan, _ task: TaskState
    ) {
        let (rows, ids) = rows(of: steps, plan)
        if rows.count == 0 { return }
        let arena = plan.batch.arena
        let keys = task.groups[rule.group].keys
        if rule.readsKey {
            for index in 0..<rows.count {
                let row = rows[index]
                KeyCoding.decode(keys.key(of: ids[row]), into: rule.keyColumns, row: row, arena: arena)
            }
        }
        evaluate(rule, ids, arena: arena, rows: rows, task) { row, isTrue, isCleared in
            let (id, time) = (ids[row], plan.batch.times[row])
            if let edge = edge(rule, id, isTrue, isCleared, at: time, task) {
                pending.append(PendingAlert(row: row, rule: rule.index, id: id, edge: edge))
                hold(rule, edge, id, task)
            }
            lookAgain(rule, id, at: time, plan.index, task)
        }
    }

    /// Rows of any of these steps, with the key id that each has there.
    private func rows(of own: [StepPlan], _ plan: SourcePlan) -> (rows: Selection, ids: UnsafePointer<UInt32>)
    {
        if own.count == 1, let key = own[0].key {
            return (own[0].selection.selection, UnsafePointer(key.ids))
        }
        if own.allSatisfy({ $0.selection.count == 0 }) { return (union.none, UnsafePointer(ids)) }
        for step in own {
            guard let key = step.key else { continue }
            let selection = step.selection.selection
            for index in selection.indices { ids[selection[index]] = key.ids[selection[index]] }
        }
        return (union.of(own, among: plan.rows.selection), UnsafePointer(ids))
    }

    /// Calls `body` in row order for the rows where the state of a key, `ids[row]`, may change: the condition
    /// is true, or the key's alert is raised already or by a row of these.
    func evaluate(
        _ rule: RulePlan,
        _ ids: UnsafePointer<UInt32>,
        arena: Arena,
        rows: Selection,
        _ task: TaskState,
        _ body: (_ row: Int, _ isTrue: Bool, _ isCleared: Bool) -> Void
    ) {
        meters.counters.rules[rule.index].evaluations += Int64(rows.count)
        let hits = rule.when.run(rule.columns, arena: arena, rows: rows)
        // Where it cannot be told whether the condition is true, nothing is raised and nothing is cleared.
        var unknown: Set<Int> = []
        if rule.when.hasOverflowed { unknown = rule.when.overflowed(rule.columns, arena: arena, rows: rows) }
        let own = task.rules[rule.index]
        meters.counters.ruleOverflows[rule.index] += Int64(unknown.count)
        guard hits.count > 0 || own.raisedCount > 0 else { return }
        let raises = hits.indices.contains { !own.isRaised(ids[hits[$0]]) }
        if !raises { own.selectRaised(ids, rows, into: watched) }
        let rows = raises ? rows : watched.selection
        let clears = rule.clear?.run(rule.columns, arena: arena, rows: rows)
        var unknownClears: Set<Int> = []
        if let condition = rule.clear, condition.hasOverflowed {
            unknownClears = condition.overflowed(rule.columns, arena: arena, rows: rows)
        }
        var (hit, clear) = (0, 0)
        for index in rows.indices {
            let row = rows[index]
            let isTrue = hit < hits.count && hits[hit] == row
            if isTrue { hit += 1 }
            var isCleared = !isTrue && !(rule.when.hasOverflowed && unknown.contains(row))
            if let clears {
                isCleared = clear < clears.count && clears[clear] == row
                if isCleared { clear += 1 }
            }
            if !unknownClears.isEmpty, unknownClears.contains(row), own.isRaised(ids[row]) {
                meters.counters.ruleOverflows[rule.index] += 1
            }
            body(row, isTrue, isCleared)
        }
    }

    /// Every record that meets the condition is an alert of its own.
    private func fireOnRecords(_ rule: RulePlan, _ plan: SourcePlan, _ task: TaskState) {
        let step = topology.steps[rule.spec.on[0]]
        guard let key = step.key else { return }
        let rows = step.selection.selection
        if rows.count == 0 { return }
        meters.counters.rules[rule.index].evaluations += Int64(rows.count)
        let hits = rule.when.run(rule.columns, arena: plan.batch.arena, rows: rows)
        if rule.when.hasOverflowed {
            let unknown = rule.when.overflowed(rule.columns, arena: plan.batch.arena, rows: rows)
            meters.counters.ruleOverflows[rule.index] += Int64(unknown.count)
        }
        let own = task.rules[rule.index]
        for index in hits.indices {
            let row = hits[index]
            let time = plan.batch.times[row]
            let text = TextReference(packed: key.encoded.values[row])
            let start = plan.batch.arena.base + text.offset
            let hash = hashBytes(start, text.count, seed: UInt64(bitPattern: time))
            let known = own.seen[hash]?.count
            if known == nil, time < own.forgottenBefore {
                meters.counters.limits.note(.recordAlerts, rule.spec.name, key: hash)
            }
            let ordinal = known ?? 0
            own.setSeen(hash, time: time, count: ordinal + 1)
            if own.seen.count > own.seenMax { own.removeSeen(before: plan.watermarks[row]) }
            let edge = newEdge(rule, UnsafeBufferPointer(start: start, count: text.count), time, ordinal)
            pending.append(PendingAlert(row: row, rule: rule.index, id: 0, edge: edge))
        }
    }

    /// Writes the alerts of a stretch in row order, then rule order.
    func writePending(_ plan: SourcePlan, _ task: TaskState, _ outbox: inout Outbox) {
        if pending.isEmpty { return }
        pending.sort { ($0.row, $0.rule) < ($1.row, $1.rule) }
        let arena = plan.batch.arena
        for alert in pending {
            let rule = topology.rules[alert.rule]
            let row = alert.row
            var window: (start: Int64, end: Int64)?
            if rule.hasWindow {
                let first = topology.steps[rule.spec.on[0]]
                let keys = task.groups[rule.group].keys
                KeyCoding.decode(keys.key(of: alert.id), into: rule.keyColumns, row: row, arena: arena)
                if let store = task.stores[first.index], let anchors = first.window?.anchors {
                    window = store.bounds(at: anchors[row])
                }
            }
            outbox.order = order.order(of: row, plan)
            let context = AlertContext(
                row: row, time: plan.batch.times[row], window: window, watermark: plan.watermarks[row],
                cause: plan.origin(of: row))
            alerts.write(rule, alert.edge, context, arena: arena, &outbox)
        }
        pending.removeAll(keepingCapacity: true)
    }

    // MARK: Edges

    /// Takes a rule's state for a key through one evaluation; an edge if it changed.
    @inline(__always)
    func edge(
        _ rule: RulePlan,
        _ id: UInt32,
        _ isTrue: Bool,
        _ isCleared: Bool,
        at time: Int64,
        _ task: TaskState
    ) -> AlertEdge? {
        let isRaised = task.rules[rule.index].isRaised(id)
        return (isRaised ? isCleared : isTrue) ? turn(rule, id, isRaised: isRaised, at: time, task) : nil
    }

    /// Clears what is raised, or raises what is not.
    @inline(never)
    private func turn(_ rule: RulePlan, _ id: UInt32, isRaised: Bool, at time: Int64, _ task: TaskState)
        -> AlertEdge?
    {
        let last = task.rules[rule.index].edges[id]
        if isRaised {
            guard var edge = last else { return nil }
            edge.isRaised = false
            task.rules[rule.index].setEdge(id, edge)
            return edge
        }
        let key = task.groups[rule.group].keys.key(of: id)
        var edge: AlertEdge
        if let last, time < last.eventTime {
            // An alert of that time may have been before: these are counted apart, for as long as the key is
            // known.
            edge = newEdge(rule, key, time, -1 - last.outOfOrder)
            (edge.eventTime, edge.ordinal, edge.outOfOrder) = (
                last.eventTime, last.ordinal, last.outOfOrder + 1
            )
        } else {
            edge = newEdge(rule, key, time, last.map { $0.eventTime == time ? $0.ordinal + 1 : 0 } ?? 0)
            edge.outOfOrder = last?.outOfOrder ?? 0
        }
        task.rules[rule.index].setEdge(id, edge)
        return edge
    }

    /// The alert's id: a hash of (topology, rule, key, event time of the edge, ordinal; below zero: of those
    /// that came out of order), so that the same input always gives the same id.
    private func newEdge(_ rule: RulePlan, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ ordinal: Int)
        -> AlertEdge
    {
        name.removeAll()
        name.appendText(topology.spec.name)
        name.appendText("\u{0}")
        name.appendText(rule.spec.alertName ?? rule.spec.name)
        name.appendText("\u{0}\(time)\u{0}\(ordinal)\u{0}")
        if let start = key.baseAddress { _ = name.append(start, key.count) }
        return AlertEdge(
            alertId: foldBytes(name.base, name.count),
            secondHalf: foldBytes(name.base, name.count, seed: 0x6D69_6C6C_7261_6365),
            eventTime: time,
            ordinal: ordinal,
            isRaised: true
        )
    }

    // MARK: Keys that are held

    /// A raised alert keeps its key until it is cleared, whether its windows hold records or not.
    func hold(_ rule: RulePlan, _ edge: AlertEdge, _ id: UInt32, _ task: TaskState) {
        let group = task.groups[rule.group]
        if edge.isRaised { return group.retain(id) }
        if !isHeld(id, rule, task) { task.rules[rule.index].forget(id) }
        if group.release(id) { drop(id, rule.group, task) }
    }

    /// Forgets a key that no window and no raised alert holds, and what rules remember of it.
    func drop(_ id: UInt32, _ group: Int, _ task: TaskState) {
        for rule in topology.rules where rule.hasWindow && rule.group == group {
            task.rules[rule.index].forget(id)
        }
        task.groups[group].keys.remove(id)
    }

    /// True if one of the rule's windows has the key.
    private func isHeld(_ id: UInt32, _ rule: RulePlan, _ task: TaskState) -> Bool {
        rule.spec.on.contains { task.stores[$0]?.hasKey(id) ?? false }
    }

    /// A window of a step has no records of the key any more: rules on nothing else forget it, unless it is
    /// raised.
    func release(_ id: UInt32, of step: StepPlan, _ group: Int, _ task: TaskState) {
        for rule in topology.rules
        where rule.hasWindow && rule.spec.on.contains(step.index) && !isHeld(id, rule, task) {
            if !task.rules[rule.index].isRaised(id) { task.rules[rule.index].forget(id) }
        }
        if task.groups[group].release(id) { drop(id, group, task) }
    }

    // MARK: When time has a say

    /// A raised alert has a record more, which leaves its windows in time.
    func lookAgain(_ rule: RulePlan, _ id: UInt32, at time: Int64, _ source: Int, _ task: TaskState) {
        guard task.rules[rule.index].isRaised(id), let place = rule.sources.firstIndex(of: source) else {
            return
        }
        let due = task.rules[rule.index].timers[place].due(of: id)
        if due <= time { return }
        var next = Int64.max
        for step in rule.spec.on where topology.steps[step].source == source {
            guard let store = task.stores[step] else { continue }
            let (first, last) = store.view.anchors(covering: time)
            // In a window of what was before, it is not at once.
            next = min(next, store.view.beginsAt(store.options.excludesCurrent ? first : last + 1))
        }
        if next < due { task.rules[rule.index].timers[place].set(id, to: next) }
    }

    /// When a raised alert is to be looked at next: what one of its windows holds, or says, is another then.
    func nextLook(_ rule: RulePlan, _ id: UInt32, _ source: Int, _ task: TaskState) -> Int64 {
        let stores = rule.spec.on.filter { topology.steps[$0].source == source }.compactMap {
            task.stores[$0]
        }
        var next = Int64.max
        for store in stores {
            let anchor = store.view.nextAnchor(of: id, each: false)
            if anchor != .max { next = min(next, store.view.beginsAt(anchor)) }
        }
        // What is told of time is, as long as there are records.
        guard rule.readsTime, next != .max else { return next }
        return stores.reduce(next) { min($0, $1.view.beginsAt($1.view.openAnchors(of: id).newest + 1)) }
    }
}
