import Base
import Dataflow
import Formats
import Records
import State
import Topology

extension Pipeline {
    /// Evaluates a rule on the rows of this stretch and notes the edges.
    func fire(_ rule: RulePlan, _ plan: SourcePlan, _ source: Int, _ task: TaskState) {
        if !rule.hasWindow { return fireOnRecords(rule, plan, task) }
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
        evaluate(rule, ids, arena: arena, rows: rows, task) { row, isTrue, isCleared in
            let (id, time) = (ids[row], plan.batch.times[row])
            if let edge = edge(rule, id, isTrue, isCleared, at: time, task) {
                pending.append(PendingAlert(row: row, rule: rule.index, id: id, edge: edge))
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
        _ body: (_ row: Int, _ isTrue: Bool, _ isCleared: Bool) -> Void
    ) {
        let hits = rule.when.run(rule.columns, arena: arena, rows: rows)
        guard hits.count > 0 || task.rules[rule.index].raisedCount > 0 else { return }
        let raises = hits.indices.contains { !task.rules[rule.index].isRaised(ids[hits[$0]]) }
        if !raises { task.rules[rule.index].selectRaised(ids, rows, into: watched) }
        let rows = raises ? rows : watched.selection
        let clears = rule.clear?.run(rule.columns, arena: arena, rows: rows)
        var (hit, clear) = (0, 0)
        for index in rows.indices {
            let row = rows[index]
            let isTrue = hit < hits.count && hits[hit] == row
            if isTrue { hit += 1 }
            var isCleared = !isTrue
            if let clears {
                isCleared = clear < clears.count && clears[clear] == row
                if isCleared { clear += 1 }
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
    private func fireOnRecords(_ rule: RulePlan, _ plan: SourcePlan, _ task: TaskState) {
        let step = steps[rule.spec.on[0]]
        guard let key = step.key else { return }
        let hits = rule.when.run(rule.columns, arena: plan.batch.arena, rows: step.selection.selection)
        let watermark = task.watermarks[step.source]
        for index in hits.indices {
            let row = hits[index]
            let time = plan.batch.times[row]
            let text = TextReference(packed: key.encoded.values[row])
            let start = plan.batch.arena.base + text.offset
            let hash = hashBytes(start, text.count, seed: UInt64(bitPattern: time))
            let ordinal = task.rules[rule.index].seen[hash]?.count ?? 0
            task.rules[rule.index].setSeen(hash, time: time, count: ordinal + 1)
            if task.rules[rule.index].seen.count > Limits.recordAlertsRemembered {
                task.rules[rule.index].removeSeen(before: watermark)
            }
            let edge = newEdge(rule, UnsafeBufferPointer(start: start, count: text.count), time, ordinal)
            pending.append(PendingAlert(row: row, rule: rule.index, id: 0, edge: edge))
        }
    }

    /// Takes a rule's state for a key through one evaluation; an edge if it changed.
    func edge(
        _ rule: RulePlan,
        _ id: UInt32,
        _ isTrue: Bool,
        _ isCleared: Bool,
        at time: Int64,
        _ task: TaskState
    ) -> RuleState.Edge? {
        let isRaised = task.rules[rule.index].isRaised(id)
        if isRaised {
            guard isCleared, var edge = task.rules[rule.index].edges[id] else { return nil }
            edge.isRaised = false
            task.rules[rule.index].setEdge(id, edge)
            return edge
        }
        guard isTrue else { return nil }
        let last = task.rules[rule.index].edges[id]
        let key = task.groups[rule.group].keys.key(of: id)
        var edge: RuleState.Edge
        if let last, time < last.eventTime {
            // An alert of that time may have been before: these are counted apart, for as long as the key is known.
            edge = newEdge(rule, key, time, -1 - last.outOfOrder)
            (edge.eventTime, edge.ordinal, edge.outOfOrder) = (last.eventTime, last.ordinal, last.outOfOrder + 1)
        } else {
            edge = newEdge(rule, key, time, last.map { $0.eventTime == time ? $0.ordinal + 1 : 0 } ?? 0)
            edge.outOfOrder = last?.outOfOrder ?? 0
        }
        task.rules[rule.index].setEdge(id, edge)
        return edge
    }

    /// The alert's id: a hash of (topology, rule, key, event time of the edge, ordinal; below zero: of those that came
    /// out of order), so that the same input always gives the same id.
    private func newEdge(_ rule: RulePlan, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ ordinal: Int)
        -> RuleState.Edge
    {
        json.removeAll()
        json.raw(spec.name)
        json.raw("\u{0}")
        json.raw(rule.spec.name)
        json.raw("\u{0}\(time)\u{0}\(ordinal)\u{0}")
        if let start = key.baseAddress { _ = json.bytes.append(start, key.count) }
        let (start, count) = (json.bytes.base, json.bytes.count)
        return RuleState.Edge(
            alertId: hashBytes(start, count),
            secondHalf: hashBytes(start, count, seed: 0x6D69_6C6C_7261_6365),
            eventTime: time,
            ordinal: ordinal,
            isRaised: true
        )
    }

    // MARK: Writing

    /// Writes the alerts of a stretch in row order, then rule order.
    func writePending(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        pending.sort { ($0.row, $0.rule) < ($1.row, $1.rule) }
        for alert in pending {
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
            if hasStreams { outbox.order = order(of: row, plan) }
            let context = AlertContext(
                row: row,
                time: plan.batch.times[row],
                window: window,
                watermark: plan.watermarks[row],
                late: lateBefore(row, plan, task),
                cause: origin(plan, source, task, row)
            )
            write(rule, alert.edge, context, arena: plan.batch.arena, &outbox)
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// Late records before a row of the stretch under way.
    func lateBefore(_ row: Int, _ plan: SourcePlan, _ task: TaskState) -> Int {
        var late = lateCount(upTo: row, plan, task)
        let rows = plan.stretch.count > 0 ? plan.stretch.selection : plan.rows.selection
        for before in rows.indices where rows[before] < row { late += Int(plan.late[rows[before]]) }
        return late
    }

    struct AlertContext {
        var row: Int
        var time: Int64
        var window: (start: Int64, end: Int64)?
        var watermark: Int64
        var late: Int
        /// Source, partition, offset and append time of the record that caused it; nil when time did.
        var cause: RepartitionOrigin?
    }

    /// One alert, as the design's section 5 fixes it.
    func write(
        _ rule: RulePlan,
        _ edge: RuleState.Edge,
        _ context: AlertContext,
        arena: Arena,
        _ outbox: inout Outbox
    ) {
        let row = context.row
        let detected = options.clock?.nowMilliseconds ?? context.time
        dense.rows[0] = Int32(row)
        defer { dense.rows[0] = 0 }
        let one = Selection(dense.rows, count: 1)
        json.removeAll()
        json.beginObject()
        json.member("alert_id", hexadecimal(edge.alertId) + hexadecimal(edge.secondHalf))
        json.fragment(rule.head)
        json.member("state", edge.isRaised ? "raised" : "cleared")
        json.member("revision", edge.isRaised ? 1 : 2)
        json.name("key")
        json.beginObject()
        for (name, column) in zip(rule.keyNames, rule.keyColumns) {
            json.name(name)
            json.value(column.values[row], valid: true, column.type, arena: arena, exactly: true)
        }
        json.endObject()
        let customer = rule.keyColumns[0]
        json.member("customer", ValueText.string(customer.values[row], customer.type, arena: arena))
        json.name("event_time")
        json.timestamp(context.time)
        json.name("detected_at")
        json.timestamp(detected)
        json.name("window")
        if let window = context.window {
            json.beginObject()
            json.name("start")
            json.timestamp(window.start)
            json.name("end")
            json.timestamp(window.end)
            json.endObject()
        } else {
            json.null()
        }
        json.name("values")
        json.beginObject()
        for index in rule.spec.mentioned {
            let column = rule.columns[index]
            json.name(rule.spec.scope.fields[index].name)
            json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: arena, exactly: true)
        }
        json.endObject()
        json.fragment(rule.tail)
        json.member("message", message(rule, row, one, arena))
        writeCause(context)
        json.endObject()
        let key = customerKey(rule, row, arena)
        for sink in rule.sinks {
            var record = outbox.begin(
                .sink(sink), timestamp: context.time, causedAt: context.cause?.appended ?? -1)
            outbox.setKey(key.baseAddress, key.count, of: &record)
            outbox.setValue(json.bytes.base, json.bytes.count, of: &record)
            outbox.end(record)
        }
        counters.alerts += 1
    }

    private func writeCause(_ context: AlertContext) {
        json.name("cause")
        if let cause = context.cause, cause.offset >= 0 {
            json.beginObject()
            json.member("topic", sources[Int(cause.source)].topic)
            json.member("partition", Int64(cause.partition))
            json.member("offset", cause.offset)
            json.endObject()
        } else {
            json.null()
        }
        json.name("completeness")
        json.beginObject()
        json.member("late", Int64(context.late))
        json.name("watermark")
        if context.watermark == .min { json.null() } else { json.timestamp(context.watermark) }
        json.endObject()
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
            message +=
                column.valid[row] == 1 ? ValueText.string(column.values[row], column.type, arena: arena) : "none"
        }
    }
}

/// 16 digits.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
