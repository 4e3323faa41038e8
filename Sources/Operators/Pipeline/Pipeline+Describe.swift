import Base
import Records
import State
import Topology

/// One key's windows of one step, or what one rule remembers of it, for people and tests.
package struct StateEntry: Sendable {
    /// Name of the step or the rule.
    package var store: String
    /// The key's fields as JSON, by which entries are compared and found.
    package var key: String
    /// The values of the key's fields as text, with commas between.
    package var text: String
    /// One line of JSON.
    package var json: String
}

/// What a store of a task takes.
package struct StoreSummary: Sendable {
    package var store: String
    package var keys: Int
    package var bytes: Int
    package var panes: Int
    /// Rows that wait for event time to pass them.
    package var waiting = 0
    /// Of an operator that can tell: whether it has lost anything.
    package var proof: StateProof?
    /// Up to here windows are closed, milliseconds; nil: none yet.
    package var closedUntil: Int64?
}

extension Pipeline {
    package func summaries(_ task: TaskState) -> [StoreSummary] {
        steps.compactMap { step in
            if let operation = task.operators[step.index], identities.steps[step.index] != nil {
                return StoreSummary(
                    store: step.spec.name, keys: operation.state.keyCount,
                    bytes: operation.state.memoryBytes + operation.buffer.memoryBytes, panes: 0,
                    waiting: operation.buffer.count, proof: operation.proof, closedUntil: nil)
            }
            guard let store = task.stores[step.index] else { return nil }
            let closed = store.closing.closed
            return StoreSummary(
                store: step.spec.name, keys: store.heldIds.count, bytes: store.memoryBytes, panes: store.panesPerKey,
                closedUntil: closed == .min ? nil : store.bounds(at: closed).end)
        }
            + zip(sources, task.tables).compactMap { source, table in
                table.map {
                    StoreSummary(
                        store: source.spec.name, keys: $0.keyCount, bytes: $0.memoryBytes, panes: $0.versionCount, closedUntil: nil)
                }
            }
    }

    /// Calls `body` with everything that a task holds, step by step, then rule by rule; keys in no particular order.
    package func describe(_ task: TaskState, _ body: (StateEntry) -> Void) {
        for step in steps {
            describe(step, task, body)
            describeOperator(step, task, body)
        }
        describeTables(task, body)
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        for rule in rules where rule.hasWindow {
            let keys = task.groups[rule.group].keys
            for (id, edge) in task.rules[rule.index].edges {
                bench.arena.removeAll()
                KeyCoding.decode(keys.key(of: id), into: rule.keyColumns, row: 0, arena: bench.arena)
                let (key, text) = keyTexts(Array(zip(rule.keyNames, rule.keyColumns)), bench)
                bench.json.removeAll()
                bench.json.beginObject()
                bench.json.member("rule", rule.spec.name)
                bench.json.name("key")
                bench.json.written(key)
                bench.json.member("state", edge.isRaised ? "raised" : "cleared")
                bench.json.member("alert_id", hexadecimal(edge.alertId) + hexadecimal(edge.secondHalf))
                bench.json.name("event_time")
                bench.json.timestamp(edge.eventTime)
                bench.json.endObject()
                body(StateEntry(store: rule.spec.name, key: key, text: text, json: bench.json.string))
            }
        }
    }

    private func describe(_ step: StepPlan, _ task: TaskState, _ body: (StateEntry) -> Void) {
        guard let store = task.stores[step.index], let window = step.window, let keyPlan = step.key else { return }
        let totals: WindowStore.Totals = store.options.keepsRunning ? .running : .closed
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        let keys = bench.keys(like: keyPlan.columns)
        let names = step.spec.key.map { step.spec.schema.fields[$0].name }
        let watermark = task.watermarks[step.source]
        for id in store.heldIds {
            bench.arena.removeAll()
            withUnsafePointer(to: id) {
                window.gather(store, ids: $0, count: 1, totals, at: watermark, rows: bench.first(1), arena: bench.arena)
            }
            KeyCoding.decode(task.groups[keyPlan.group].keys.key(of: id), into: keys, row: 0, arena: bench.arena)
            let (key, text) = keyTexts(Array(zip(names, keys)), bench)
            let bounds = store.bounds(at: store.anchor(of: id, totals, otherwise: store.anchor(at: watermark)))
            bench.json.removeAll()
            bench.json.beginObject()
            bench.json.member("step", step.spec.name)
            bench.json.name("key")
            bench.json.written(key)
            bench.json.member("totals", totals == .running ? "running" : "closed")
            writeValues(window, bounds, row: 0, bench)
            bench.json.endObject()
            body(StateEntry(store: step.spec.name, key: key, text: text, json: bench.json.string))
        }
    }

    /// What an operator remembers is bytes of its own; two states can be told apart by their hash.
    private func describeOperator(_ step: StepPlan, _ task: TaskState, _ body: (StateEntry) -> Void) {
        guard let operation = task.operators[step.index] else { return }
        let bytes = Arena(capacity: 1 << 12)
        let bench = self.bench.take()
        defer { self.bench.giveBack() }
        operation.state.forEach(into: bytes) { key, value in
            let text = Self.printable(UnsafeBufferPointer(start: bytes.base + key.lowerBound, count: key.count))
            bench.json.removeAll()
            bench.json.text(text)
            let keyJson = bench.json.string
            bench.json.removeAll()
            bench.json.beginObject()
            bench.json.member("step", step.spec.name)
            bench.json.member("operator", step.spec.operation?.part.name ?? "")
            bench.json.member("key", text)
            bench.json.member("bytes", Int64(value.count))
            bench.json.member("hash", hexadecimal(hashBytes(bytes.base + value.lowerBound, value.count)))
            bench.json.endObject()
            body(StateEntry(store: step.spec.name, key: keyJson, text: text, json: bench.json.string))
            bytes.removeAll()
        }
    }

    /// Text as it is, other bytes as \\xNN.
    private static func printable(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        bytes.reduce(into: "") { text, byte in
            if byte >= 0x20, byte < 0x7F {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
    }

    func keyTexts(_ fields: [(name: String, column: Column)], _ bench: Workbench) -> (json: String, text: String) {
        bench.json.removeAll()
        bench.json.beginObject()
        for (name, column) in fields {
            bench.json.name(name)
            bench.json.value(column.values[0], valid: true, column.type, arena: bench.arena, exactly: true)
        }
        bench.json.endObject()
        let texts = fields.map { ValueText.string($0.column.values[0], $0.column.type, arena: bench.arena) }
        return (bench.json.string, texts.joined(separator: ","))
    }
}
