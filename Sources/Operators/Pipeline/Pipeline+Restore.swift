import Base
import Dataflow
import Records
import State
import Topology

/// Puts a task's state back: first a snapshot, if there is one, then the changelog's records in their order, then
/// `finishRestore`.
extension Pipeline {
    /// Takes one record of the task's changelog; `value` nil: a tombstone. Throws if it is not one of ours. What was
    /// restored from elsewhere may be of another life of the changelog: then the task becomes `isContradicted`, and of no use.
    package func restore(
        key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?, task: TaskState
    ) throws(Fault) {
        if task.isContradicted { return }
        do throws(Fault) {
            try take(key: key, value: value, task: task)
        } catch {
            guard task.isDoubtful else { throw error }
            task.isContradicted = true
        }
    }

    /// True for the last record of each commit.
    package static func endsCommit(_ key: UnsafeBufferPointer<UInt8>) -> Bool { key.first == ChangeKind.meta }

    /// What is in memory, and is to be gone on with after changes that others made.
    package func doubt(_ task: TaskState) { task.isDoubtful = task.isKept }

    private func take(
        key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?, task: TaskState
    ) throws(Fault) {
        var keyReader = BinaryReader(key)
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        switch keyReader.byte() {
        case ChangeKind.meta:
            task.sequence = reader.varint()
            restoreMeta(&reader, task)
            if task.isContradicted { return }
        case ChangeKind.definitions:
            if let value { try StateIdentities.checkFormat(value) }
            task.definitions = value.map { Array($0) } ?? []
        case ChangeKind.panes: restorePanes(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.panesAhead: restorePanesAhead(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.edge: restoreEdge(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.rule:
            if !restoreRule(keyReader.word32(), value, task) { keyReader.fail() }
        case ChangeKind.seen:
            let rule = identities.rule(keyReader.word32())
            let hash = keyReader.word64()
            guard let rule, keyReader.isValid else { break }
            if value == nil { task.rules[rule].removeSeen(hash) } else {
                task.rules[rule].setSeen(hash, time: reader.zigzag(), count: reader.count(below: Int(Int32.max)))
            }
        case let kind where kind == ChangeKind.operatorState || kind == ChangeKind.buffered:
            restoreOperator(kind, &keyReader, value, task)
            guard keyReader.isValid else { break }
            return
        default: keyReader.fail()
        }
        guard keyReader.isValid, value == nil || reader.isValid else {
            throw Fault(.external, "a record that no version of this program wrote")
        }
    }

    private func restorePanes(
        _ keyReader: inout BinaryReader, _ reader: inout BinaryReader, isRemoval: Bool, _ task: TaskState
    ) {
        let identity = keyReader.word32()
        let segment = keyReader.count(below: Int(Int32.max))
        let key = keyReader.bytes(keyReader.left)
        guard keyReader.isValid else { return }
        // A step that the topology has no more.
        guard let index = identities.step(identity), let store = task.stores[index], let keyPlan = steps[index].key
        else { return }
        let group = task.groups[keyPlan.group]
        if isRemoval {
            // The key stays for now: another of its windows may have begun before this one was forgotten, and comes
            // with a later record of the same commit.
            if let id = group.find(key), store.restoreRemoval(id, segment) { _ = group.release(id) }
            return
        }
        if !store.restoreSegment(group.intern(key), segment, &reader) { reader.fail() }
        for id in store.takeArrivals() { group.retain(id) }
    }

    private func restorePanesAhead(
        _ keyReader: inout BinaryReader, _ reader: inout BinaryReader, isRemoval: Bool, _ task: TaskState
    ) {
        let identity = keyReader.word32()
        let page = keyReader.zigzag()
        let key = keyReader.bytes(keyReader.left)
        guard keyReader.isValid, let index = identities.step(identity), let store = task.stores[index],
            let keyPlan = steps[index].key
        else { return }
        let group = task.groups[keyPlan.group]
        if isRemoval {
            if let id = group.find(key), store.restoreAheadRemoval(id, page) { _ = group.release(id) }
            return
        }
        if !store.restoreAhead(group.intern(key), page, &reader) { reader.fail() }
        for id in store.takeArrivals() { group.retain(id) }
    }

    private func restoreEdge(
        _ keyReader: inout BinaryReader, _ reader: inout BinaryReader, isRemoval: Bool, _ task: TaskState
    ) {
        let identity = keyReader.word32()
        let key = keyReader.bytes(keyReader.left)
        guard keyReader.isValid else { return }
        guard let index = identities.rule(identity) else {
            task.strangers[identity, default: [:]][Array(key)] = isRemoval ? nil : Self.edge(&reader)
            return
        }
        let group = task.groups[rules[index].group]
        if isRemoval {
            if let id = group.find(key) { _ = task.rules[index].removeEdge(id) }
        } else {
            task.rules[index].setEdge(group.intern(key), Self.edge(&reader))
        }
    }

    /// Makes the task whole after its last record. Throws if the state was kept under other definitions;
    /// `place`: where it was found.
    package func finishRestore(_ task: TaskState, place: String) throws(Fault) {
        if !task.definitions.isEmpty {
            try identities.check(task.definitions, partitionCount: options.partitions, place: place)
        }
        for store in task.stores { store?.finishRestore() }
        finishRestoreOfOperators(task)
        abandonAlerts(task)
        for index in rules.indices {
            task.rules[index].dirtyEdges.removeAll()
            task.rules[index].dirtySeen.removeAll()
            guard rules[index].hasWindow else { continue }
            for id in task.rules[index].raisedIds { task.groups[rules[index].group].retain(id) }
        }
        for group in task.groups {
            group.keys.forEach { id in if !group.isUsed(id) { forget(id, group, task) } }
        }
        // Metrics that were committed but not written yet when the task was left.
        for step in steps where step.window?.metricsSinks.isEmpty == false {
            for id in task.stores[step.index]?.heldIds ?? [] { task.dirty[step.index].insert(id) }
        }
    }

    /// A key without windows, and what rules remember of it.
    private func forget(_ id: UInt32, _ group: KeyGroup, _ task: TaskState) {
        for rule in rules where rule.hasWindow && task.groups[rule.group] === group { abandon(rule, id, task) }
        group.keys.remove(id)
    }

    /// What became of a task's state since the topology was another one; nil: it was not.
    package func changes(_ task: TaskState) -> StateChanges? {
        task.definitions.isEmpty ? nil : identities.changes(since: task.definitions)
    }

    /// A hash of all that gives the state, and the records of repartition topics, their meaning.
    package var layout: String {
        var bytes = Array(identities.bytes.prefix(identities.structureCount))
        let notes = StateNotes(spec)
        bytes += Array(notes.topology.utf8)
        for topic in notes.topics { bytes += Array("\n\(topic.source) \(topic.topic)".utf8) }
        for repartition in spec.repartitions {
            let fields = spec.sources[repartition.source].schema.fields.map { "\($0.name): \($0.type)" }
            bytes += Array("\n\(repartition.topic) \(fields)".utf8)
        }
        return Sha256.hex(bytes)
    }

    // MARK: Where the records came from

    /// The topics whose records made the task's state, of sources that now read another one.
    package func formerTopics(_ task: TaskState) -> [Int: String] {
        guard let kept = StateIdentities.notes(of: task.definitions)?.topics else { return [:] }
        var former: [Int: String] = [:]
        for now in StateNotes(spec).topics {
            guard let source = identities.source(now.source), let then = kept.first(where: { $0.source == now.source }),
                then.topic != now.topic
            else { continue }
            former[source] = then.topic
        }
        return former
    }

    /// What was read of a source so far was of another log: it is as if nothing had been read of this one.
    package func forgetLog(_ source: Int, _ task: TaskState) {
        task.positions[source] = -1
        task.written[source] = task.written[source].map { _ in -1 }
        task.marks[source] = nil
    }

    // MARK: Snapshots

    /// Appends the task's whole state to `bytes`. Only right after `collectChanges`, with nothing in between.
    package func writeSnapshot(_ task: TaskState, to bytes: Arena) {
        bytes.appendByte(StateIdentities.snapshotFormat)
        identities.bytes.withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendVarint(task.sequence)
        task.lastMeta.withUnsafeBufferPointer { bytes.appendBlob($0) }
        var numbers: [[UInt32]] = []
        bytes.appendVarint(UInt64(task.groups.count))
        for (names, group) in zip(groups, task.groups) {
            bytes.appendVarint(UInt64(names.count))
            for name in names { bytes.appendBlob(name) }
            var numberOf = [UInt32](repeating: 0, count: group.keys.idLimit)
            var next: UInt32 = 0
            bytes.appendVarint(UInt64(group.keys.count))
            group.keys.forEach { id in
                numberOf[Int(id)] = next
                next += 1
                bytes.appendBlob(group.keys.key(of: id))
            }
            numbers.append(numberOf)
        }
        for step in steps {
            guard let store = task.stores[step.index], let keyPlan = step.key else { continue }
            numbers[keyPlan.group].withUnsafeBufferPointer { numbers in
                guard let start = numbers.baseAddress else { return bytes.appendVarint(0) }
                store.writeSnapshot(numbers: start, to: bytes)
            }
        }
        writeOperators(task, to: bytes)
        writeTables(task, to: bytes)
        for rule in rules { write(rule, task, numbers[rule.group], to: bytes) }
    }

    private func write(_ rule: RulePlan, _ task: TaskState, _ numbers: [UInt32], to bytes: Arena) {
        let (identity, state) = (identities.rules[rule.index], task.rules[rule.index])
        bytes.appendWord(identity)
        (task.keptRules[identity]?.bytes ?? []).withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendVarint(UInt64(rule.group))
        bytes.appendVarint(UInt64(state.edges.count))
        for (id, edge) in state.edges {
            bytes.appendWord(numbers[Int(id)])
            Self.append(edge, to: bytes)
        }
        bytes.appendVarint(UInt64(state.seen.count))
        for (hash, seen) in state.seen {
            bytes.appendWord(hash)
            bytes.appendZigzag(seen.time)
            bytes.appendVarint(UInt64(seen.count))
        }
    }

    /// The partitions that the sources had when a snapshot was written; nil if it is none.
    package static func partitionCount(of snapshot: UnsafeBufferPointer<UInt8>) -> Int? {
        var reader = BinaryReader(snapshot)
        guard reader.byte() == StateIdentities.snapshotFormat else { return nil }
        var definitions = BinaryReader(reader.blob())
        _ = definitions.byte()
        let count = definitions.count(below: Int(Int32.max))
        return definitions.isValid ? count : nil
    }

    /// Reads what `writeSnapshot` wrote into an empty task. False if it was written under other definitions
    /// or is no snapshot; the task is then of no use.
    package func readSnapshot(_ snapshot: UnsafeBufferPointer<UInt8>, task: TaskState) -> Bool {
        var reader = BinaryReader(snapshot)
        guard reader.byte() == StateIdentities.snapshotFormat else { return false }
        let definitions = Array(reader.blob())
        guard identities.isSameStructure(definitions) else { return false }
        task.definitions = definitions
        task.sequence = reader.varint()
        let metaBytes = reader.blob()
        // Key tables are known by the names of their fields: steps without windows, which no definition names, have some too.
        var keys: [[UnsafeBufferPointer<UInt8>]] = []
        var places: [Int?] = []
        for _ in 0..<reader.count(below: snapshot.count + 1) {
            let names = (0..<reader.count(below: snapshot.count + 1)).map { _ in reader.text() }
            places.append(groups.firstIndex(of: names))
            keys.append((0..<reader.count(below: snapshot.count + 1)).map { _ in reader.blob() })
            guard reader.isValid else { return false }
        }
        var ids = groups.map { _ in [UInt32]() }
        for (place, keys) in zip(places, keys) {
            if let place { ids[place] = keys.map { task.groups[place].intern($0) } }
        }
        for step in steps {
            guard let store = task.stores[step.index], let keyPlan = step.key else { continue }
            guard store.readSnapshot(&reader, ids: ids[keyPlan.group]) else { return false }
            for id in store.takeArrivals() { task.groups[keyPlan.group].retain(id) }
        }
        guard readOperators(&reader, task), readTables(&reader, task) else { return false }
        // Rules come and go without the steps' definitions changing.
        while !reader.isAtEnd {
            let identity = reader.word32()
            let index = identities.rule(identity)
            let kept = reader.blob()
            if !kept.isEmpty, !restoreRule(identity, kept, task) { return false }
            let group = reader.count(below: keys.count)
            for _ in 0..<reader.count(below: snapshot.count) {
                let number = Int(reader.word32())
                let edge = Self.edge(&reader)
                guard keys.indices.contains(group), keys[group].indices.contains(number) else { return false }
                let key = keys[group][number]
                if let index {
                    task.rules[index].setEdge(task.groups[rules[index].group].intern(key), edge)
                } else {
                    task.strangers[identity, default: [:]][Array(key)] = edge
                }
            }
            for _ in 0..<reader.count(below: snapshot.count) {
                let hash = reader.word64()
                let (time, count) = (reader.zigzag(), reader.count(below: Int(Int32.max)))
                if let index { task.rules[index].setSeen(hash, time: time, count: count) }
            }
        }
        guard reader.isValid else { return false }
        var metaReader = BinaryReader(metaBytes)
        restoreMeta(&metaReader, task)
        task.isDoubtful = true
        return metaReader.isValid
    }
}

extension KeyGroup {
    fileprivate func find(_ key: UnsafeBufferPointer<UInt8>) -> UInt32? {
        keys.find(key)
    }

    fileprivate func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        keys.intern(key)
    }
}
