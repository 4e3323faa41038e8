import Base
import Dataflow
import Records
import State
import Topology

/// Alerts of rules that are gone. A restore finds them, and the first commit after it clears them, together with what was
/// kept of them.
extension Pipeline {
    /// Appends the alerts that clear what a restored task has found abandoned; to be called with each commit, before its
    /// changes are collected.
    package func clearAbandoned(_ task: TaskState, into outbox: inout Outbox) {
        if task.abandoned.isEmpty { return }
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        let watermark = sources.indices.reduce(Int64.min) { sources[$1].table == nil ? max($0, task.watermarks[$1]) : $0 }
        outbox.order = 0
        for alert in task.abandoned { write(alert, watermark, task, bench, &outbox) }
        Log.info("task \(task.partition): \(task.abandoned.count) raised alerts of rules that are gone are cleared")
        task.abandoned.removeAll()
    }

    private func write(
        _ alert: AbandonedAlert, _ watermark: Int64, _ task: TaskState, _ bench: Workbench, _ outbox: inout Outbox
    ) {
        let time = max(watermark, alert.edge.eventTime)
        let columns = alert.rule.key.map { Column($0.type, capacity: 1) }
        bench.arena.removeAll()
        alert.key.withUnsafeBufferPointer { KeyCoding.decode($0, into: columns, row: 0, arena: bench.arena) }
        bench.json.removeAll()
        bench.json.beginObject()
        bench.json.member("alert_id", hexadecimal(alert.edge.alertId) + hexadecimal(alert.edge.secondHalf))
        bench.json.member("topology", spec.name)
        bench.json.member("ruleset", spec.ruleset)
        bench.json.member("logic", spec.logic)
        if let epoch = spec.epoch { bench.json.member("epoch", epoch) }
        bench.json.member("rule", alert.rule.name)
        bench.json.member("risk", alert.rule.risk)
        bench.json.member("severity", alert.rule.severity)
        bench.json.member("state", "cleared")
        bench.json.member("revision", 2)
        bench.json.member("reason", alert.reason.rawValue)
        bench.json.name("key")
        bench.json.beginObject()
        for (field, column) in zip(alert.rule.key, columns) {
            bench.json.name(field.name)
            bench.json.value(column.values[0], valid: true, column.type, arena: bench.arena, exactly: true)
        }
        bench.json.endObject()
        let customer = ValueText.string(columns[0].values[0], columns[0].type, arena: bench.arena)
        bench.json.member("customer", customer)
        bench.json.name("event_time")
        bench.json.timestamp(time)
        bench.json.name("detected_at")
        bench.json.timestamp(options.clock?.nowMilliseconds ?? time)
        bench.json.name("window")
        bench.json.null()
        bench.json.name("values")
        bench.json.beginObject()
        bench.json.endObject()
        bench.json.member("condition", alert.rule.condition)
        bench.json.member("measure", alert.rule.measure)
        bench.json.member("message", alert.reason.message)
        bench.json.name("cause")
        bench.json.null()
        bench.json.name("completeness")
        bench.json.beginObject()
        bench.json.member("late", Int64(task.lateCount))
        bench.json.name("watermark")
        if watermark == .min { bench.json.null() } else { bench.json.timestamp(watermark) }
        bench.json.endObject()
        bench.json.endObject()
        let key = bench.arena.append(customer)
        for sink in sinks(of: alert.rule) {
            var record = outbox.begin(.sink(sink), timestamp: time)
            outbox.setKey(bench.arena.base + key.offset, key.count, of: &record)
            outbox.setValue(bench.json.bytes.base, bench.json.bytes.count, of: &record)
            outbox.end(record)
        }
        counters.alerts += 1
    }

    /// Those that took the rule's alerts; if none of them is left, those that take all alerts, or any.
    private func sinks(of rule: KeptRule) -> [Int] {
        var takers: [Int] = []
        var all: [Int] = []
        for (index, sink) in spec.sinks.enumerated() {
            guard case .alerts(let taken) = sink.input else { continue }
            takers.append(index)
            if taken.count == spec.rules.count { all.append(index) }
        }
        let same = takers.filter { rule.sinks.contains(spec.sinks[$0].name) }
        return !same.isEmpty ? same : !all.isEmpty ? all : takers
    }
}
