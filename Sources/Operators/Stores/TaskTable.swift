import Base
import Dataflow
import Records
import State

/// A table that a task remembers.
final class TaskTable: TaskStore {
    let table: VersionedTable
    let id: UInt32
    private let name: String
    private let plan: TablePlan
    private let schema: Schema
    private let partition: Int32

    init(
        _ name: String, _ plan: TablePlan, _ schema: Schema, id: UInt32, partition: Int32, tracksChanges: Bool
    ) {
        (self.name, self.plan, self.schema, self.id, self.partition) = (name, plan, schema, id, partition)
        table = VersionedTable(tracksChanges: tracksChanges)
    }

    var kind: StoreKind { .table }
    var memoryBytes: Int { table.memoryBytes }
    var summary: StoreSummary? {
        StoreSummary(
            store: name, keys: table.keyCount, bytes: table.memoryBytes, panes: table.versionCount,
            closedUntil: nil)
    }

    func drainChanges(into outbox: inout Outbox) {
        table.drainChanges(into: outbox.bytes) { outbox.addState(id, $0, $1, partition: partition) }
    }

    func restore(_ change: UInt8, _ key: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        table.restore(key: key.bytes(key.left), value: value)
    }

    func finishRestore() { table.finishRestore() }

    func write(to snapshot: SnapshotWriter) {
        let (bytes, scratch) = (snapshot.bytes, Arena(capacity: 1 << 12))
        bytes.appendVarint(UInt64(table.entryCount))
        table.forEach(into: scratch) { key, value in
            bytes.appendBlob(scratch.bytes(key))
            bytes.appendBlob(scratch.bytes(value))
            scratch.removeAll()
        }
    }

    func read(_ reader: inout BinaryReader, _ snapshot: SnapshotReader) -> Bool {
        for _ in 0..<reader.count(below: reader.left + 1) {
            let key = reader.blob()
            guard table.restore(key: key, value: reader.blob()), reader.isValid else { return false }
        }
        return reader.isValid
    }

    /// Every version as a line of JSON.
    func describe(_ task: TaskState, _ bench: Workbench, _ body: (StateEntry) -> Void) {
        let fields = plan.spec.values(of: schema).map { schema.fields[$0] }
        let columns = fields.map { Column($0.type, capacity: 1) }
        let keys = plan.key.columns.map { Column($0.type, capacity: 1) }
        table.forEachVersion { key, time, place in
            bench.arena.removeAll()
            KeyCoding.decode(key, into: keys, row: 0, arena: bench.arena)
            let (keyJson, text) = bench.keyTexts(
                Array(zip(plan.spec.key.map { schema.fields[$0].name }, keys)))
            var place = place
            for (index, column) in columns.enumerated() {
                TableRow.read(
                    index, width: columns.count, table.rowBytes, places: &place, rows: bench.first(1),
                    into: column,
                    arena: bench.arena)
            }
            bench.json.removeAll()
            bench.json.beginObject()
            bench.json.member("table", name)
            bench.json.name("key")
            bench.json.written(keyJson)
            bench.json.name("as_of")
            bench.json.timestamp(time)
            bench.json.member("state", place < 0 ? "deleted" : "present")
            bench.json.name("values")
            bench.json.beginObject()
            for (field, column) in zip(fields, columns) {
                bench.json.name(field.name)
                bench.json.value(
                    column.values[0], valid: column.valid[0] == 1, column.type, arena: bench.arena,
                    exactly: true)
            }
            bench.json.endObject()
            bench.json.endObject()
            body(StateEntry(store: name, key: keyJson, text: text, json: bench.json.string))
        }
    }
}
