import Base
import Dataflow
import Records
import State
import Topology

/// Rows that change other windows than the newest of their key: those that come out of order, and those that run ahead
/// of what the rings reach. Rules `at: record` look at them one by one; the stretch is cut up around them.
///
/// Such a row is looked at as of several event times: its own, and those at which the later windows that hold it begin, up
/// to the newest of the key. As of each, every window of the rule is the one that is current then and not closed (one of
/// another source: as far as that source's event time lets it be). Windows that are not the newest can only raise: what is
/// past clears nothing. The newest one, where it holds the row or an older one has just raised, decides as ever.
extension Pipeline {
    // MARK: Finding

    /// Marks the rows of the stretch that are looked at one by one. False: there are none.
    func findApart(_ plan: SourcePlan, _ source: Int, _ task: TaskState) -> Bool {
        var isFound = false
        for pass in windowPasses[source] where pass.window.isRead {
            guard let store = task.stores[pass.step.index] else { continue }
            let hasStrangers = !pass.isOwn || pass.window.readers.keys.contains { $0 != source }
            if plan.isInOrder, !hasStrangers, !plan.spec.mayRunAhead { continue }
            let (rows, ids) = rows(of: pass, plan)
            guard store.mayBeOutOfOrder(rows, times: plan.batch.times) else { continue }
            if store.findOutOfOrder(
                rows, ids: ids, times: plan.batch.times, takesLate: !pass.readers.isEmpty, flags: plan.isApart)
            {
                isFound = true
            }
        }
        return isFound
    }

    /// Takes a stretch through its windows and rules in parts: each row that is marked by itself, and what lies between.
    func processInParts(
        _ plan: SourcePlan, _ source: Int, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) {
        let own = stepsOfSource[source]
        let whole = copy(plan.rows, to: plan.stretch)
        for step in own { step.stretch.count = copy(step.selection, to: step.stretch).count }
        // By step: rows of the stretch that have had their turn, and those of them that are still selected.
        var taken = own.map { _ in 0 }
        var kept = taken
        var start = 0
        while start < whole.count {
            let isApart = plan.isApart[whole[start]] != 0
            var end = start + 1
            while !isApart, end < whole.count, plan.isApart[whole[end]] == 0 { end += 1 }
            plan.rows.rows.update(from: whole.rows + start, count: end - start)
            plan.rows.count = end - start
            for (place, step) in own.enumerated() {
                let first = taken[place]
                while taken[place] < step.stretch.count, step.stretch.selection[taken[place]] <= whole[end - 1] {
                    taken[place] += 1
                }
                step.selection.rows.update(from: step.stretch.rows + first, count: taken[place] - first)
                step.selection.count = taken[place] - first
            }
            for pass in windowPasses[source] { update(pass, plan, task, bench, isApart: isApart) }
            stages?.lap(.aggregating)
            for rule in rulesOfSource[source] {
                if isApart, rule.hasWindow {
                    if rule.spec.at == .record { fireApart(rule, whole[start], plan, source, task, bench, &outbox) }
                    continue
                }
                fire(rule, plan, source, task, bench)
                if isApart { writePending(plan, source, task, bench, &outbox) }
            }
            stages?.lap(.rules)
            if !bench.pending.isEmpty { writePending(plan, source, task, bench, &outbox) }
            // What windows have kept of the rows goes before what has not had its turn.
            for (place, step) in own.enumerated() {
                (step.stretch.rows + kept[place]).update(from: step.selection.rows, count: step.selection.count)
                kept[place] += step.selection.count
            }
            start = end
        }
        for (place, step) in own.enumerated() {
            step.selection.rows.update(from: step.stretch.rows, count: kept[place])
            step.selection.count = kept[place]
        }
        plan.rows.rows.update(from: whole.rows, count: whole.count)
        plan.rows.count = whole.count
        plan.stretch.count = 0
        for index in whole.indices { plan.isApart[whole[index]] = 0 }
    }

    private func copy(_ selection: SelectionBuffer, to buffer: SelectionBuffer) -> Selection {
        buffer.rows.update(from: selection.rows, count: selection.count)
        buffer.count = selection.count
        return buffer.selection
    }

    // MARK: Looking

    /// Looks at the windows of a rule that a row by itself has changed, the oldest first, and writes the alerts.
    private func fireApart(
        _ rule: RulePlan, _ row: Int, _ plan: SourcePlan, _ source: Int, _ task: TaskState, _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let members = rule.spec.on.filter { steps[$0].source == source && steps[$0].selection.count > 0 }
        guard let key = members.first.flatMap({ steps[$0].key }) else { return }
        let id = key.ids[row]
        let time = plan.batch.times[row]
        let cause = origin(plan, source, task, row)
        func context(_ place: Int, _ anchor: Int64) -> AlertContext {
            AlertContext(
                row: place, time: time, window: task.stores[rule.spec.on[0]]?.bounds(at: anchor),
                watermark: plan.watermarks[row], cause: cause)
        }
        outbox.order = order(of: row, plan)
        let newest = findInstants(rule, id, time, members, source, task, bench.apart)
        var hasRaised = false
        if !task.rules[rule.index].isRaised(id), let first = firstHit(rule, id, source, task, bench) {
            if let edge = edge(rule, id, true, false, at: time, task, bench) {
                write(rule, edge, context(first.row, first.anchor), arena: bench.arena, bench, &outbox)
                hold(rule, edge, id, task)
                hasRaised = true
            }
        }
        guard newest.isChanged || hasRaised else { return lookAgain(rule, id, at: time, source, task) }
        bench.apart.instants = [newest.time]
        gather(rule, id, isNewest: true, source, task, bench)
        var (isTrue, isCleared) = (false, false)
        withUnsafePointer(to: id) { id in
            evaluate(rule, id, arena: bench.arena, rows: bench.first(1), task, bench) { (isTrue, isCleared) = ($1, $2) }
        }
        if let edge = edge(rule, id, isTrue, isCleared, at: time, task, bench) {
            write(rule, edge, context(0, bench.apart.anchors[0]), arena: bench.arena, bench, &outbox)
            hold(rule, edge, id, task)
        }
        lookAgain(rule, id, at: time, source, task)
    }

    /// The first of `apart.instants` at which the condition is true, as a row of the rule's columns, and the anchor of the
    /// window that an alert names.
    private func firstHit(
        _ rule: RulePlan, _ id: UInt32, _ source: Int, _ task: TaskState, _ bench: Workbench
    ) -> (row: Int, anchor: Int64)? {
        let all = bench.apart.instants
        var start = 0
        while start < all.count {
            let count = min(all.count - start, options.rowsMax)
            bench.apart.instants = Array(all[start..<start + count])
            gather(rule, id, isNewest: false, source, task, bench)
            let rows = bench.first(count)
            let hits = rule.when.run(rule.columns, arena: bench.arena, rows: rows)
            if rule.when.hasOverflowed {
                let unknown = rule.when.overflowed(rule.columns, arena: bench.arena, rows: rows)
                counters.ruleOverflows[rule.index] += Int64(unknown.count)
            }
            if hits.count > 0 { return (hits[0], bench.apart.anchors[hits[0]]) }
            start += count
        }
        return nil
    }

    /// Puts the event times as of which a row is looked at into `apart.instants`, without the newest, which is returned,
    /// and whether the row has changed what is current then.
    private func findInstants(
        _ rule: RulePlan, _ id: UInt32, _ time: Int64, _ members: [Int], _ source: Int, _ task: TaskState,
        _ apart: ApartScratch
    ) -> (time: Int64, isChanged: Bool) {
        var newest = time
        for step in rule.spec.on where steps[step].source == source {
            guard let store = task.stores[step] else { continue }
            let anchor = store.openAnchors(of: id).newest
            if anchor != .min { newest = max(newest, store.beginsAt(anchor)) }
        }
        var isChanged = newest == time
        apart.instants.removeAll(keepingCapacity: true)
        if !isChanged { apart.instants.append(time) }
        for step in members {
            guard let store = task.stores[step] else { continue }
            let (first, last) = store.anchors(covering: time)
            let current = store.currentAnchor(at: newest)
            if last >= current, first <= current { isChanged = true }
            apart.changes.removeAll(keepingCapacity: true)
            let low = max(first, store.openAnchors(of: id).first, store.currentAnchor(at: time) + 1)
            store.appendAnchors(of: id, low, min(last, current), each: rule.readsTime, to: &apart.changes)
            for anchor in apart.changes {
                let begin = store.beginsAt(anchor)
                if begin > time, begin < newest { apart.instants.append(begin) }
            }
        }
        if members.count > 1 { apart.instants = Array(Set(apart.instants)).sorted() }
        return (newest, isChanged)
    }

    /// Fills the rule's columns with what its windows are as of `apart.instants`, a row each; `isNewest`: windows of other
    /// sources are as far as they have come.
    private func gather(
        _ rule: RulePlan, _ id: UInt32, isNewest: Bool, _ source: Int, _ task: TaskState, _ bench: Workbench
    ) {
        let (arena, apart) = (bench.arena, bench.apart)
        arena.removeAll()
        let rows = bench.first(apart.instants.count)
        for (place, step) in rule.spec.on.enumerated() {
            guard let store = task.stores[step], let window = steps[step].window else { continue }
            apart.changes.removeAll(keepingCapacity: true)
            for instant in apart.instants {
                var anchor = store.currentAnchor(at: instant)
                let (first, newest) = store.openAnchors(of: id)
                if steps[step].source != source, store.newest(of: id) != .min {
                    anchor = min(anchor, max(newest, first == .min ? newest : first + store.lead))
                    if isNewest { anchor = max(anchor, newest) }
                }
                apart.changes.append(max(anchor, first))
            }
            apart.changes.withUnsafeBufferPointer {
                store.gather(id, anchors: $0, window.storeIndices, into: window.aggregateColumns, arena: arena)
            }
            window.runOutputs(rows, arena: arena)
            if place == 0 { swap(&apart.anchors, &apart.changes) }
        }
        let key = task.groups[rule.group].keys.key(of: id)
        for row in rows.indices { KeyCoding.decode(key, into: rule.keyColumns, row: row, arena: arena) }
    }

    // MARK: When time has a say

    /// A raised alert has a record more, which leaves its windows in time.
    func lookAgain(_ rule: RulePlan, _ id: UInt32, at time: Int64, _ source: Int, _ task: TaskState) {
        guard task.rules[rule.index].isRaised(id), let place = rule.sources.firstIndex(of: source) else { return }
        let due = task.rules[rule.index].timers[place].due(of: id)
        if due <= time { return }
        var next = Int64.max
        for step in rule.spec.on where steps[step].source == source {
            guard let store = task.stores[step] else { continue }
            let (first, last) = store.anchors(covering: time)
            // In a window of what was before, it is not at once.
            next = min(next, store.beginsAt(store.options.excludesCurrent ? first : last + 1))
        }
        if next < due { task.rules[rule.index].timers[place].set(id, to: next) }
    }

    /// When a raised alert is to be looked at next: what one of its windows holds, or says, is another then.
    func nextLook(_ rule: RulePlan, _ id: UInt32, _ source: Int, _ task: TaskState) -> Int64 {
        let stores = rule.spec.on.filter { steps[$0].source == source }.compactMap { task.stores[$0] }
        var next = Int64.max
        for store in stores {
            let anchor = store.nextAnchor(of: id, each: false)
            if anchor != .max { next = min(next, store.beginsAt(anchor)) }
        }
        // What is told of time is, as long as there are records.
        guard rule.readsTime, next != .max else { return next }
        return stores.reduce(next) { min($0, $1.beginsAt($1.openAnchors(of: id).newest + 1)) }
    }
}

/// What is needed to look at the windows that one row has changed.
final class ApartScratch {
    /// Event times as of which the windows are looked at, ascending.
    var instants: [Int64] = []
    /// The anchor as of each of the window that an alert names.
    var anchors: [Int64] = []
    var changes: [Int64] = []
}
