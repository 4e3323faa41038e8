import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// What an alert says besides its rule and edge.
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

/// Writes alerts, for all who raise or clear them.
final class AlertWriter {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private var json = JsonWriter()
    private let single = SelectionBuffer(capacity: 1)
    /// Keys of alerts whose rules are gone.
    private let arena = Arena(capacity: 256)

    init(_ topology: CompiledTopology, _ meters: StageMeters) {
        (self.topology, self.meters) = (topology, meters)
    }

    /// One alert, as the design's section 5 fixes it.
    func write(
        _ rule: RulePlan,
        _ edge: AlertEdge,
        _ context: AlertContext,
        arena: Arena,
        _ outbox: inout Outbox
    ) {
        let row = context.row
        let detected = topology.options.clock?.nowMilliseconds ?? context.time
        json.removeAll()
        json.beginObject()
        json.member("alert_id", hexadecimal(edge.alertId) + hexadecimal(edge.secondHalf))
        json.fragment(rule.head)
        json.member("state", edge.isRaised ? "raised" : "cleared")
        json.member("revision", edge.isRaised ? 1 : 2)
        if context.isOfActivation { json.member("reason", "activation") }
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
        json.member("message", message(rule, row, only(row), arena))
        rule.model?.write(rule.columns, row, arena, into: &json)
        let lateAt = writeCause(context)
        json.endObject()
        let key = customerKey(rule, row, arena)
        for sink in rule.sinks {
            var record = outbox.begin(
                .sink(sink), timestamp: context.time, causedAt: context.cause?.appended ?? -1)
            outbox.setKey(key.baseAddress, key.count, of: &record)
            outbox.setValue(json.bytes.base, json.bytes.count, of: &record)
            record.lateAt = Int32(lateAt)
            outbox.end(record)
        }
        meters.counters.alerts += 1
        if edge.isRaised {
            meters.counters.rules[rule.index].raised += 1
        } else {
            meters.counters.rules[rule.index].cleared += 1
        }
    }

    /// Returns where the number of late records before the alert belongs, which is known once all outputs are
    /// in order.
    private func writeCause(_ context: AlertContext) -> Int {
        json.name("cause")
        if let cause = context.cause, cause.offset >= 0 {
            json.beginObject()
            json.member("topic", topology.sources[Int(cause.source)].topic)
            json.member("partition", Int64(cause.partition))
            json.member("offset", cause.offset)
            json.endObject()
        } else {
            json.null()
        }
        json.name("completeness")
        json.beginObject()
        json.name("late")
        let lateAt = json.room(Outbox.numberRoom)
        json.name("watermark")
        if context.watermark == .min { json.null() } else { json.timestamp(context.watermark) }
        json.endObject()
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
                meters.counters.ruleOverflows[rule.index] += 1
            default: message += "none"
            }
        }
    }

    private func only(_ row: Int) -> Selection {
        single.rows[0] = Int32(row)
        return Selection(single.rows, count: 1)
    }

    // MARK: Rules that are gone

    /// Appends the alerts that clear what a restored task has found abandoned: a restore finds them, and the
    /// first commit after it clears them, together with what was kept of them.
    func clearAbandoned(_ task: TaskState, into outbox: inout Outbox) {
        if task.abandoned.isEmpty { return }
        let watermark = topology.sources.indices.reduce(Int64.min) {
            topology.sources[$1].table == nil ? max($0, task.watermarks[$1]) : $0
        }
        outbox.order = 0
        for alert in task.abandoned { write(alert, watermark, task, &outbox) }
        Log.info(
            "task \(task.partition): \(task.abandoned.count) raised alerts of rules that are gone are cleared"
        )
        task.abandoned.removeAll()
    }

    private func write(
        _ alert: AbandonedAlert, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox
    ) {
        let time = max(watermark, alert.edge.eventTime)
        let columns = alert.rule.key.map { Column($0.type, capacity: 1) }
        arena.removeAll()
        alert.key.withUnsafeBufferPointer { KeyCoding.decode($0, into: columns, row: 0, arena: arena) }
        json.removeAll()
        json.beginObject()
        json.member("alert_id", hexadecimal(alert.edge.alertId) + hexadecimal(alert.edge.secondHalf))
        json.member("topology", topology.spec.name)
        json.member("ruleset", topology.spec.ruleset)
        json.member("logic", topology.spec.logic)
        if let epoch = topology.spec.epoch, epoch > 0 { json.member("epoch", epoch) }
        json.member("rule", alert.rule.name)
        json.member("risk", alert.rule.risk)
        json.member("severity", alert.rule.severity)
        json.member("state", "cleared")
        json.member("revision", 2)
        json.member("reason", alert.reason.rawValue)
        json.name("key")
        json.beginObject()
        for (field, column) in zip(alert.rule.key, columns) {
            json.name(field.name)
            json.value(column.values[0], valid: true, column.type, arena: arena, exactly: true)
        }
        json.endObject()
        let customer = ValueText.string(columns[0].values[0], columns[0].type, arena: arena)
        json.member("customer", customer)
        json.name("event_time")
        json.timestamp(time)
        json.name("detected_at")
        json.timestamp(topology.options.clock?.nowMilliseconds ?? time)
        json.name("window")
        json.null()
        json.name("values")
        json.beginObject()
        json.endObject()
        json.member("condition", alert.rule.condition)
        json.member("measure", alert.rule.measure)
        json.member("message", alert.reason.message)
        json.name("cause")
        json.null()
        json.name("completeness")
        json.beginObject()
        json.member("late", Int64(task.lateCount))
        json.name("watermark")
        if watermark == .min { json.null() } else { json.timestamp(watermark) }
        json.endObject()
        json.endObject()
        let key = arena.append(customer)
        for sink in sinks(of: alert.rule) {
            var record = outbox.begin(.sink(sink), timestamp: time)
            outbox.setKey(arena.base + key.offset, key.count, of: &record)
            outbox.setValue(json.bytes.base, json.bytes.count, of: &record)
            outbox.end(record)
        }
        meters.counters.alerts += 1
        meters.counters.clearedOfGone[alert.rule.name, default: 0] += 1
    }

    /// Those that took the rule's alerts; if none of them is left, those that take all alerts, or any.
    private func sinks(of rule: KeptRule) -> [Int] {
        var takers: [Int] = []
        var all: [Int] = []
        for (index, sink) in topology.spec.sinks.enumerated() {
            guard case .alerts(let taken) = sink.input else { continue }
            takers.append(index)
            if taken.count == topology.spec.rules.count { all.append(index) }
        }
        let same = takers.filter { rule.sinks.contains(topology.spec.sinks[$0].name) }
        return !same.isEmpty ? same : !all.isEmpty ? all : takers
    }
}

/// 16 digits.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
