import Base
import Dataflow
import Records
import State

/// What a task remembers of one rule.
final class TaskRule: TaskStore {
    /// 1 for keys whose alert is raised, by id.
    private(set) var raised: [UInt8] = []
    private(set) var raisedCount = 0
    private(set) var edges: [UInt32: AlertEdge] = [:]
    /// When raised alerts are looked at again, for each of the rule's sources.
    var timers: [RaisedTimers]
    /// Alerts of a rule on records: how many a key has had at an event time.
    private(set) var seen: [UInt64: (time: Int64, count: Int)] = [:]
    /// The rule has another condition than the one by which its keys were judged last.
    var judgesAll = false
    /// So many are kept before those behind the watermark are looked for, of which those before this time are
    /// forgotten.
    private(set) var seenMax = Limits.recordAlertsRemembered
    private(set) var forgottenBefore = Int64.min
    /// What changed since it was last collected; with repeats.
    private var dirtyEdges: [UInt32] = []
    private var dirtySeen: [UInt64] = []
    private let tracksChanges: Bool
    /// What was forgotten since changes were last drained.
    private var removals = Outbox()
    let rule: RulePlan
    let id: UInt32
    private let group: KeyGroup
    private let partition: Int32

    init(_ rule: RulePlan, id: UInt32, group: KeyGroup, partition: Int32, tracksChanges: Bool) {
        (self.rule, self.id, self.group, self.partition, self.tracksChanges) = (
            rule, id, group, partition, tracksChanges
        )
        timers = Array(repeating: RaisedTimers(), count: rule.looksAgain ? rule.sources.count : 0)
    }

    func setEdge(_ id: UInt32, _ edge: AlertEdge) {
        edges[id] = edge
        setRaised(id, edge.isRaised)
        if tracksChanges { dirtyEdges.append(id) }
    }

    /// Forgets a key, which leaves the changelog too.
    func forget(_ id: UInt32) {
        guard removeEdge(id), tracksChanges else { return }
        let start = removals.bytes.count
        AlertEdge.appendKey(self.id, group.keys.key(of: id), to: removals.bytes)
        removals.add(.changelog, partition: partition, key: start..<removals.bytes.count, value: nil)
    }

    /// True if there was one.
    private func removeEdge(_ id: UInt32) -> Bool {
        setRaised(id, false)
        return edges.removeValue(forKey: id) != nil
    }

    func setSeen(_ hash: UInt64, time: Int64, count: Int) {
        seen[hash] = (time, count)
        if tracksChanges { dirtySeen.append(hash) }
    }

    func removeSeen(before watermark: Int64) {
        if tracksChanges { dirtySeen += seen.filter { $0.value.time < watermark }.keys }
        seen = seen.filter { $0.value.time >= watermark }
        forgottenBefore = max(forgottenBefore, watermark)
        // Where most of them are not behind the watermark, looking at all of them again at once would be in
        // vain.
        seenMax = max(Limits.recordAlertsRemembered, 2 * seen.count)
    }

    func isRaised(_ id: UInt32) -> Bool { Int(id) < raised.count && raised[Int(id)] != 0 }

    /// The rows whose key, `ids[row]`, has its alert raised.
    func selectRaised(_ ids: UnsafePointer<UInt32>, _ rows: Selection, into found: SelectionBuffer) {
        var count = 0
        raised.withUnsafeBufferPointer { raised in
            for index in rows.indices {
                let row = rows[index]
                let id = Int(ids[row])
                found.rows[count] = Int32(truncatingIfNeeded: row)
                count += id < raised.count ? Int(raised[id]) : 0
            }
        }
        found.count = count
    }

    private func setRaised(_ id: UInt32, _ isRaised: Bool) {
        if Int(id) >= raised.count {
            raised.append(contentsOf: repeatElement(0, count: Int(id) + 1 - raised.count + raised.count / 2))
        }
        guard (raised[Int(id)] != 0) != isRaised else { return }
        for place in timers.indices { timers[place].set(id, to: isRaised ? .min : .max) }
        raised[Int(id)] = isRaised ? 1 : 0
        raisedCount += isRaised ? 1 : -1
    }

    /// Keys whose alert is raised.
    var raisedIds: [UInt32] {
        raisedCount == 0 ? [] : raised.indices.filter { raised[$0] != 0 }.map { UInt32($0) }
    }

    // MARK: Changes

    var kind: StoreKind { .rule }
    var memoryBytes: Int { 0 }
    var summary: StoreSummary? { nil }

    func drainChanges(into outbox: inout Outbox) {
        if !removals.isEmpty {
            outbox.add(removals)
            removals.removeAll()
        }
        let bytes = outbox.bytes
        for id in Set(dirtyEdges).sorted() {
            guard let edge = edges[id] else { continue }
            let start = bytes.count
            edge.append(to: bytes)
            let key = bytes.count
            AlertEdge.appendKey(self.id, group.keys.key(of: id), to: bytes)
            outbox.add(.changelog, partition: partition, key: key..<bytes.count, value: start..<key)
        }
        for hash in Set(dirtySeen).sorted() {
            let key = bytes.count
            bytes.appendByte(ChangeKind.seen)
            bytes.appendWord(id)
            bytes.appendWord(hash)
            let value = bytes.count
            if let seen = seen[hash] {
                bytes.appendZigzag(seen.time)
                bytes.appendVarint(UInt64(seen.count))
            }
            outbox.add(
                .changelog, partition: partition, key: key..<value,
                value: seen[hash] == nil ? nil : value..<bytes.count)
        }
        dirtyEdges.removeAll(keepingCapacity: true)
        dirtySeen.removeAll(keepingCapacity: true)
    }

    // MARK: Restoring

    func restore(_ change: UInt8, _ key: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        if change == ChangeKind.seen {
            let hash = key.word64()
            guard key.isValid else { return false }
            guard let value else {
                seen[hash] = nil
                return true
            }
            var reader = BinaryReader(value)
            setSeen(hash, time: reader.zigzag(), count: reader.count(below: Int(Int32.max)))
            return reader.isValid
        }
        let name = key.bytes(key.left)
        guard let value else {
            if let id = group.keys.find(name) { _ = removeEdge(id) }
            return true
        }
        var reader = BinaryReader(value)
        setEdge(group.keys.intern(name), AlertEdge(&reader))
        return reader.isValid
    }

    /// Nothing of what was restored is told again; keys with raised alerts stay.
    func finishRestore() {
        dirtyEdges.removeAll()
        dirtySeen.removeAll()
        guard rule.hasWindow else { return }
        for id in raisedIds { group.retain(id) }
    }

    // MARK: Snapshots

    func write(to snapshot: SnapshotWriter) {
        let bytes = snapshot.bytes
        bytes.appendVarint(UInt64(rule.group))
        bytes.appendVarint(UInt64(edges.count))
        for (id, edge) in edges {
            bytes.appendWord(snapshot.number(of: id, in: rule.group))
            edge.append(to: bytes)
        }
        bytes.appendVarint(UInt64(seen.count))
        for (hash, seen) in seen {
            bytes.appendWord(hash)
            bytes.appendZigzag(seen.time)
            bytes.appendVarint(UInt64(seen.count))
        }
    }

    func read(_ reader: inout BinaryReader, _ snapshot: SnapshotReader) -> Bool {
        Self.read(
            &reader, snapshot, edge: { setEdge(group.keys.intern($0), $1) },
            seen: { setSeen($0, time: $1, count: $2) })
    }

    /// What `write` wrote, whosesoever it is.
    static func read(
        _ reader: inout BinaryReader, _ snapshot: SnapshotReader,
        edge: (UnsafeBufferPointer<UInt8>, AlertEdge) -> Void,
        seen: (UInt64, Int64, Int) -> Void
    ) -> Bool {
        let group = reader.count(below: snapshot.keys.count)
        for _ in 0..<reader.count(below: reader.left + 1) {
            let number = Int(reader.word32())
            let own = AlertEdge(&reader)
            guard snapshot.keys.indices.contains(group), snapshot.keys[group].indices.contains(number) else {
                return false
            }
            edge(snapshot.keys[group][number], own)
        }
        for _ in 0..<reader.count(below: reader.left + 1) {
            let hash = reader.word64()
            seen(hash, reader.zigzag(), reader.count(below: Int(Int32.max)))
        }
        return reader.isValid
    }

    // MARK: For people

    func describe(_ task: TaskState, _ bench: Workbench, _ body: (StateEntry) -> Void) {
        guard rule.hasWindow else { return }
        for (id, edge) in edges {
            bench.arena.removeAll()
            KeyCoding.decode(group.keys.key(of: id), into: rule.keyColumns, row: 0, arena: bench.arena)
            let (key, text) = bench.keyTexts(Array(zip(rule.keyNames, rule.keyColumns)))
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
