import Base
import Dataflow
import Formats
import Records
import State
import Topology

extension Pipeline {
    /// Evaluates a rule on the rows of this stretch and notes the edges.
    func fire(_ rule: RulePlan, _ plan: SourcePlan, _ source: Int, _ task: TaskState, _ bench: Workbench) {
        if !rule.hasWindow { return fireOnRecords(rule, plan, task, bench) }
        guard rule.spec.at == .record else { return }
        let own = rule.spec.on.map { steps[$0] }.filter { $0.source == source }
        let rows: Selection
        let ids: UnsafeMutablePointer<UInt32>
        if own.count == 1, let key = own[0].key {
            rows = own[0].selection.selection
            ids = key.ids
        } else {
            rows = unionOfRows(own, plan)
            ids = plan.ids
        }
        if rows.count == 0 { return }
        let arena = plan.batch.arena
        let keys = task.groups[rule.group].keys
        if rule.readsKey {
            for index in 0..<rows.count {
                let row = rows[index]
                KeyCoding.decode(keys.key(of: ids[row]), into: rule.keyColumns, row: row, arena: arena)
            }
        }
        evaluate(rule, ids, arena: arena, rows: rows, task, bench) { row, isTrue, isCleared in
            let (id, time) = (ids[row], plan.batch.times[row])
            if let edge = edge(rule, id, isTrue, isCleared, at: time, task, bench) {
                bench.pending.append(PendingAlert(row: row, rule: rule.index, id: id, edge: edge))
                hold(rule, edge, id, task)
            }
            lookAgain(rule, id, at: time, source, task)
        }
    }

    /// Calls `body` in row order for the rows where the state of a key, `ids[row]`, may change: the condition is true, or
    /// the key's alert is raised already or by a row of these.
    func evaluate(
        _ rule: RulePlan,
        _ ids: UnsafePointer<UInt32>,
        arena: Arena,
        rows: Selection,
        _ task: TaskState,
        _ bench: Workbench,
        _ body: (_ row: Int, _ isTrue: Bool, _ isCleared: Bool) -> Void
    ) {
        let hits = rule.when.run(rule.columns, arena: arena, rows: rows)
        // Where it cannot be told whether the condition is true, nothing is raised and nothing is cleared.
        var unknown: Set<Int> = []
        if rule.when.hasOverflowed { unknown = rule.when.overflowed(rule.columns, arena: arena, rows: rows) }
        counters.ruleOverflows[rule.index] += Int64(unknown.count)
        guard hits.count > 0 || task.rules[rule.index].raisedCount > 0 else { return }
        let raises = hits.indices.contains { !task.rules[rule.index].isRaised(ids[hits[$0]]) }
        if !raises { task.rules[rule.index].selectRaised(ids, rows, into: bench.watched) }
        let rows = raises ? rows : bench.watched.selection
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
            if !unknownClears.isEmpty, unknownClears.contains(row), task.rules[rule.index].isRaised(ids[row]) {
                counters.ruleOverflows[rule.index] += 1
            }
            body(row, isTrue, isCleared)
        }
    }

    /// Rows of any of these steps, with the key id that each has there in `plan.ids`.
    private func unionOfRows(_ own: [StepPlan], _ plan: SourcePlan) -> Selection {
        let rows = plan.rows.selection
        for index in 0..<rows.count { plan.updates[rows[index]] = 0 }
        for step in own {
            guard let key = step.key else { continue }
            let selection = step.selection.selection
            for index in 0..<selection.count {
                plan.updates[selection[index]] = 1
                plan.ids[selection[index]] = key.ids[selection[index]]
            }
        }
        var count = 0
        for index in 0..<rows.count {
            plan.good.rows[count] = rows.rows[index]
            count += Int(plan.updates[rows[index]])
        }
        plan.good.count = count
        return plan.good.selection
    }

    /// Every record that meets the condition is an alert of its own.
    private func fireOnRecords(_ rule: RulePlan, _ plan: SourcePlan, _ task: TaskState, _ bench: Workbench) {
        let step = steps[rule.spec.on[0]]
        guard let key = step.key else { return }
        let rows = step.selection.selection
        let hits = rule.when.run(rule.columns, arena: plan.batch.arena, rows: rows)
        if rule.when.hasOverflowed {
            let unknown = rule.when.overflowed(rule.columns, arena: plan.batch.arena, rows: rows)
            counters.ruleOverflows[rule.index] += Int64(unknown.count)
        }
        for index in hits.indices {
            let row = hits[index]
            let time = plan.batch.times[row]
            let text = TextReference(packed: key.encoded.values[row])
            let start = plan.batch.arena.base + text.offset
            let hash = hashBytes(start, text.count, seed: UInt64(bitPattern: time))
            let known = task.rules[rule.index].seen[hash]?.count
            if known == nil, time < task.rules[rule.index].forgottenBefore {
                counters.limits.note(.recordAlerts, rule.spec.name, key: hash)
            }
            let ordinal = known ?? 0
            task.rules[rule.index].setSeen(hash, time: time, count: ordinal + 1)
            if task.rules[rule.index].seen.count > task.rules[rule.index].seenMax {
                task.rules[rule.index].removeSeen(before: plan.watermarks[row])
            }
            let edge = newEdge(rule, UnsafeBufferPointer(start: start, count: text.count), time, ordinal, bench)
            bench.pending.append(PendingAlert(row: row, rule: rule.index, id: 0, edge: edge))
        }
    }

    /// Takes a rule's state for a key through one evaluation; an edge if it changed.
    @inline(__always)
    func edge(
        _ rule: RulePlan,
        _ id: UInt32,
        _ isTrue: Bool,
        _ isCleared: Bool,
        at time: Int64,
        _ task: TaskState,
        _ bench: Workbench
    ) -> AlertEdge? {
        let isRaised = task.rules[rule.index].isRaised(id)
        return (isRaised ? isCleared : isTrue) ? turn(rule, id, isRaised: isRaised, at: time, task, bench) : nil
    }

    /// Clears what is raised, or raises what is not.
    @inline(never)
    private func turn(
        _ rule: RulePlan, _ id: UInt32, isRaised: Bool, at time: Int64, _ task: TaskState, _ bench: Workbench
    ) -> AlertEdge? {
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
            // An alert of that time may have been before: these are counted apart, for as long as the key is known.
            edge = newEdge(rule, key, time, -1 - last.outOfOrder, bench)
            (edge.eventTime, edge.ordinal, edge.outOfOrder) = (last.eventTime, last.ordinal, last.outOfOrder + 1)
        } else {
            edge = newEdge(rule, key, time, last.map { $0.eventTime == time ? $0.ordinal + 1 : 0 } ?? 0, bench)
            edge.outOfOrder = last?.outOfOrder ?? 0
        }
        task.rules[rule.index].setEdge(id, edge)
        return edge
    }

    /// The alert's id: a hash of (topology, rule, key, event time of the edge, ordinal; below zero: of those that came
    /// out of order), so that the same input always gives the same id.
    private func newEdge(
        _ rule: RulePlan, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ ordinal: Int, _ bench: Workbench
    ) -> AlertEdge {
        bench.json.removeAll()
        bench.json.raw(spec.name)
        bench.json.raw("\u{0}")
        bench.json.raw(rule.spec.alertName ?? rule.spec.name)
        bench.json.raw("\u{0}\(time)\u{0}\(ordinal)\u{0}")
        if let start = key.baseAddress { _ = bench.json.bytes.append(start, key.count) }
        let (start, count) = (bench.json.bytes.base, bench.json.bytes.count)
        return AlertEdge(
            alertId: foldBytes(start, count),
            secondHalf: foldBytes(start, count, seed: 0x6D69_6C6C_7261_6365),
            eventTime: time,
            ordinal: ordinal,
            isRaised: true
        )
    }

    // MARK: Writing

    /// Writes the alerts of a stretch in row order, then rule order.
    func writePending(
        _ plan: SourcePlan, _ source: Int, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) {
        bench.pending.sort { ($0.row, $0.rule) < ($1.row, $1.rule) }
        for alert in bench.pending {
            let rule = rules[alert.rule]
            let row = alert.row
            var window: (start: Int64, end: Int64)?
            if rule.hasWindow {
                let first = steps[rule.spec.on[0]]
                let keys = task.groups[rule.group].keys
                KeyCoding.decode(
                    keys.key(of: alert.id),
                    into: rule.keyColumns,
                    row: row,
                    arena: plan.batch.arena
                )
                if let store = task.stores[first.index], let anchors = first.window?.anchors {
                    window = store.bounds(at: anchors[row])
                }
            }
            outbox.order = order(of: row, plan)
            let context = AlertContext(
                row: row,
                time: plan.batch.times[row],
                window: window,
                watermark: plan.watermarks[row],
                cause: origin(plan, source, task, row)
            )
            write(rule, alert.edge, context, arena: plan.batch.arena, bench, &outbox)
        }
        bench.pending.removeAll(keepingCapacity: true)
    }

    struct AlertContext {
        var row: Int
        var time: Int64
        var window: (start: Int64, end: Int64)?
        var watermark: Int64
        /// Source, partition, offset and append time of the record that caused it; nil when time did.
        var cause: RepartitionOrigin?
        /// The rule was changed, and is true of what is there already.
        var isOfActivation = false
    }

    /// One alert, as the design's section 5 fixes it.
    func write(
        _ rule: RulePlan,
        _ edge: AlertEdge,
        _ context: AlertContext,
        arena: Arena,
        _ bench: Workbench,
        _ outbox: inout Outbox
    ) {
        let row = context.row
        let detected = options.clock?.nowMilliseconds ?? context.time
        bench.json.removeAll()
        bench.json.beginObject()
        bench.json.member("alert_id", hexadecimal(edge.alertId) + hexadecimal(edge.secondHalf))
        bench.json.fragment(rule.head)
        bench.json.member("state", edge.isRaised ? "raised" : "cleared")
        bench.json.member("revision", edge.isRaised ? 1 : 2)
        if context.isOfActivation { bench.json.member("reason", "activation") }
        bench.json.name("key")
        bench.json.beginObject()
        for (name, column) in zip(rule.keyNames, rule.keyColumns) {
            bench.json.name(name)
            bench.json.value(column.values[row], valid: true, column.type, arena: arena, exactly: true)
        }
        bench.json.endObject()
        let customer = rule.keyColumns[0]
        bench.json.member("customer", ValueText.string(customer.values[row], customer.type, arena: arena))
        bench.json.name("event_time")
        bench.json.timestamp(context.time)
        bench.json.name("detected_at")
        bench.json.timestamp(detected)
        bench.json.name("window")
        if let window = context.window {
            bench.json.beginObject()
            bench.json.name("start")
            bench.json.timestamp(window.start)
            bench.json.name("end")
            bench.json.timestamp(window.end)
            bench.json.endObject()
        } else {
            bench.json.null()
        }
        bench.json.name("values")
        bench.json.beginObject()
        for index in rule.spec.mentioned {
            let column = rule.columns[index]
            bench.json.name(rule.spec.scope.fields[index].name)
            bench.json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: arena, exactly: true)
        }
        bench.json.endObject()
        bench.json.fragment(rule.tail)
        bench.json.member("message", message(rule, row, bench.only(row), arena))
        rule.model?.write(rule.columns, row, arena, into: &bench.json)
        let lateAt = writeCause(context, bench)
        bench.json.endObject()
        let key = customerKey(rule, row, arena)
        for sink in rule.sinks {
            var record = outbox.begin(
                .sink(sink), timestamp: context.time, causedAt: context.cause?.appended ?? -1)
            outbox.setKey(key.baseAddress, key.count, of: &record)
            outbox.setValue(bench.json.bytes.base, bench.json.bytes.count, of: &record)
            record.lateAt = Int32(lateAt)
            outbox.end(record)
        }
        counters.alerts += 1
    }

    /// Returns where the number of late records before the alert belongs, which is known once all outputs are in order.
    private func writeCause(_ context: AlertContext, _ bench: Workbench) -> Int {
        bench.json.name("cause")
        if let cause = context.cause, cause.offset >= 0 {
            bench.json.beginObject()
            bench.json.member("topic", sources[Int(cause.source)].topic)
            bench.json.member("partition", Int64(cause.partition))
            bench.json.member("offset", cause.offset)
            bench.json.endObject()
        } else {
            bench.json.null()
        }
        bench.json.name("completeness")
        bench.json.beginObject()
        bench.json.name("late")
        let lateAt = bench.json.room(Outbox.numberRoom)
        bench.json.name("watermark")
        if context.watermark == .min { bench.json.null() } else { bench.json.timestamp(context.watermark) }
        bench.json.endObject()
        return lateAt
    }

    /// The record's key is the rule's first key field as text; Kafka keeps the order of one key.
    private func customerKey(_ rule: RulePlan, _ row: Int, _ arena: Arena) -> UnsafeBufferPointer<UInt8> {
        let column = rule.keyColumns[0]
        var text = TextReference(packed: column.values[row])
        if column.type != .text {
            text = arena.append(ValueText.string(column.values[row], column.type))
        }
        return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
    }

    private func message(_ rule: RulePlan, _ row: Int, _ one: Selection, _ arena: Arena) -> String {
        rule.message.reduce(into: "") { message, part in
            guard let program = part.program else {
                message += part.text
                return
            }
            let column = program.run(rule.columns, arena: arena, rows: one)
            switch column.valid[row] {
            case 1: message += ValueText.string(column.values[row], column.type, arena: arena)
            case 2:
                message += "out of range"
                counters.ruleOverflows[rule.index] += 1
            default: message += "none"
            }
        }
    }
}

/// 16 digits.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
