import Base
import Dataflow
import Records
import State

/// The windows of a step in one task.
final class TaskWindows: TaskStore {
    let step: StepPlan
    let store: WindowStore
    let id: UInt32
    private let group: KeyGroup
    private let window: WindowPlan
    private let key: KeyPlan
    private let partition: Int32
    /// What was forgotten since changes were last drained.
    private var removals = Outbox()

    init(
        _ step: StepPlan, _ window: WindowPlan, _ key: KeyPlan, id: UInt32, group: KeyGroup, partition: Int32
    ) {
        (self.step, self.window, self.key, self.id, self.group, self.partition) = (
            step, window, key, id, group, partition
        )
        store = window.makeStore()
    }

    var kind: StoreKind { .window }
    var memoryBytes: Int { store.memoryBytes }

    // MARK: Changes

    func drainChanges(into outbox: inout Outbox) {
        if !removals.isEmpty {
            outbox.add(removals)
            removals.removeAll()
        }
        guard store.codec.hasChanges else { return }
        let bytes = outbox.bytes
        store.codec.drainChanges(into: bytes) { id, segment, start in
            let key = bytes.count
            appendPanesKey(id, segment, to: bytes)
            outbox.add(.changelog, partition: partition, key: key..<bytes.count, value: start..<key)
        }
        store.codec.drainAhead(into: bytes) { id, page, start in
            let key = bytes.count
            appendPageKey(id, page, to: bytes)
            outbox.add(.changelog, partition: partition, key: key..<bytes.count, value: start..<key)
        }
    }

    /// A key leaves the step's windows: its panes leave the changelog.
    func noteRemoval(of id: UInt32) {
        let bytes = removals.bytes
        store.codec.forgetDrained(id) { segment in
            let start = bytes.count
            appendPanesKey(id, segment, to: bytes)
            removals.add(.changelog, partition: partition, key: start..<bytes.count, value: nil)
        }
    }

    /// Panes that lay ahead are in their keys' rings by now: their pages leave the changelog. While the keys
    /// are there.
    func noteRemovalAhead() {
        let bytes = removals.bytes
        for (id, page) in store.codec.takeGoneAhead() {
            let start = bytes.count
            appendPageKey(id, page, to: bytes)
            removals.add(.changelog, partition: partition, key: start..<bytes.count, value: nil)
        }
    }

    private func appendPageKey(_ id: UInt32, _ page: Int64, to bytes: Arena) {
        bytes.appendByte(ChangeKind.panesAhead)
        bytes.appendWord(self.id)
        bytes.appendZigzag(page)
        bytes.append(group.keys.key(of: id))
    }

    private func appendPanesKey(_ id: UInt32, _ segment: Int, to bytes: Arena) {
        bytes.appendByte(ChangeKind.panes)
        bytes.appendWord(self.id)
        bytes.appendVarint(UInt64(segment))
        bytes.append(group.keys.key(of: id))
    }

    // MARK: Restoring

    func restore(_ change: UInt8, _ key: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        let isAhead = change == ChangeKind.panesAhead
        let place = isAhead ? key.zigzag() : Int64(key.count(below: Int(Int32.max)))
        let name = key.bytes(key.left)
        guard key.isValid else { return false }
        guard let value else {
            // The key stays for now: another of its windows may have begun before this one was forgotten, and
            // comes with a later record of the same commit.
            guard let id = group.keys.find(name) else { return true }
            if isAhead
                ? store.codec.restoreAheadRemoval(id, place) : store.codec.restoreRemoval(id, Int(place))
            {
                _ = group.release(id)
            }
            return true
        }
        var reader = BinaryReader(value)
        let id = group.keys.intern(name)
        let isGood =
            isAhead
            ? store.codec.restoreAhead(id, place, &reader)
            : store.codec.restoreSegment(id, Int(place), &reader)
        takeArrivals()
        return isGood && reader.isValid
    }

    private func takeArrivals() { for id in store.takeArrivals() { group.retain(id) } }

    func finishRestore() { store.finishRestore() }

    // MARK: Snapshots

    func write(to snapshot: SnapshotWriter) {
        snapshot.withNumbers(of: key.group) { numbers in
            guard let start = numbers.baseAddress else { return snapshot.bytes.appendVarint(0) }
            store.codec.writeSnapshot(numbers: start, to: snapshot.bytes)
        }
    }

    func read(_ reader: inout BinaryReader, _ snapshot: SnapshotReader) -> Bool {
        defer { takeArrivals() }
        return store.codec.readSnapshot(&reader, ids: snapshot.ids[key.group])
    }

    // MARK: For people

    var summary: StoreSummary? {
        let closed = store.closing.closed
        return StoreSummary(
            store: step.spec.name, keys: store.heldIds.count, bytes: store.memoryBytes,
            panes: store.panesPerKey,
            closedUntil: closed == .min ? nil : store.bounds(at: closed).end)
    }

    func describe(_ task: TaskState, _ bench: Workbench, _ body: (StateEntry) -> Void) {
        let totals: WindowTotals.Kind = store.options.keepsRunning ? .running : .closed
        let keys = bench.keys(like: key.columns)
        let names = step.spec.key.map { step.spec.schema.fields[$0].name }
        let watermark = task.watermarks[step.source]
        for id in store.heldIds {
            bench.arena.removeAll()
            withUnsafePointer(to: id) {
                window.gather(
                    store, ids: $0, count: 1, totals, at: watermark, rows: bench.first(1), arena: bench.arena)
            }
            KeyCoding.decode(group.keys.key(of: id), into: keys, row: 0, arena: bench.arena)
            let (key, text) = bench.keyTexts(Array(zip(names, keys)))
            let bounds = store.bounds(
                at: store.totals(totals).anchor(of: id, otherwise: store.anchor(at: watermark)))
            bench.json.removeAll()
            bench.json.beginObject()
            bench.json.member("step", step.spec.name)
            bench.json.name("key")
            bench.json.written(key)
            bench.json.member("totals", totals == .running ? "running" : "closed")
            bench.writeValues(window, bounds, row: 0)
            bench.json.endObject()
            body(StateEntry(store: step.spec.name, key: key, text: text, json: bench.json.string))
        }
    }
}
