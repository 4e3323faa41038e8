import Base
import Dataflow
import Records
import State
import Topology

/// Puts a task's state back: first a snapshot, if there is one, then the changelog's records in their order, then
/// `finishRestore`.
extension Pipeline {
    /// Takes one record of the task's changelog; `value` nil: a tombstone. Throws if it is not one of ours.
    package func restore(
        key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?, task: TaskState
    ) throws(Fault) {
        var keyReader = BinaryReader(key)
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        switch keyReader.byte() {
        case ChangeKind.meta:
            task.sequence = reader.varint()
            restoreMeta(&reader, task)
        case ChangeKind.definitions:
            task.definitions = value.map { Array($0) } ?? []
            // What follows may read otherwise.
            if let format = task.definitions.first,
                let problem = StateIdentities.formatMistake(format, place: "the changelog of task \(task.partition)")
            {
                throw problem
            }
        case ChangeKind.panes: restorePanes(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.panesAhead: restorePanesAhead(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.edge: restoreEdge(&keyReader, &reader, isRemoval: value == nil, task)
        case ChangeKind.seen:
            let rule = identities.rule(keyReader.word32())
            let hash = keyReader.word64()
            guard let rule, keyReader.isValid else { break }
            if value == nil { task.rules[rule].removeSeen(hash) } else {
                task.rules[rule].setSeen(hash, time: reader.zigzag(), count: reader.count(below: Int(Int32.max)))
            }
        case let kind where kind == ChangeKind.operatorState || kind == ChangeKind.buffered:
            restoreMaker(kind, &keyReader, value, task)
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
        guard let index = identities.rule(keyReader.word32()) else { return }
        let group = task.groups[rules[index].group]
        let key = keyReader.bytes(keyReader.left)
        guard keyReader.isValid else { return }
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
        finishRestoreOfMakers(task)
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
        for step in steps where step.window?.redisSinks.isEmpty == false {
            for id in task.stores[step.index]?.heldIds ?? [] { task.dirty[step.index].insert(id) }
        }
    }

    /// A key without windows, and what rules remember of it.
    private func forget(_ id: UInt32, _ group: KeyGroup, _ task: TaskState) {
        for rule in rules where rule.hasWindow && task.groups[rule.group] === group {
            _ = task.rules[rule.index].removeEdge(id)
        }
        group.keys.remove(id)
    }

    // MARK: Snapshots

    /// Appends the task's whole state to `bytes`. Only right after `collectChanges`, with nothing in between.
    package func writeSnapshot(_ task: TaskState, to bytes: Arena) {
        bytes.appendByte(StateIdentities.snapshotFormat)
        identities.bytes.withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendVarint(task.sequence)
        task.lastMeta.withUnsafeBufferPointer { bytes.appendBlob($0) }
        var numbers: [[UInt32]] = []
        for group in task.groups {
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
        writeMakers(task, to: bytes)
        writeTables(task, to: bytes)
        for rule in rules { write(task.rules[rule.index], numbers[rule.group], identities.rules[rule.index], to: bytes) }
    }

    private func write(_ state: RuleState, _ numbers: [UInt32], _ identity: UInt32, to bytes: Arena) {
        bytes.appendWord(identity)
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
        guard definitions == identities.bytes else { return false }
        task.definitions = definitions
        task.sequence = reader.varint()
        let metaBytes = reader.blob()
        var ids: [[UInt32]] = []
        for group in task.groups {
            let count = reader.count(below: snapshot.count + 1)
            ids.append((0..<count).map { _ in group.intern(reader.blob()) })
            guard reader.isValid else { return false }
        }
        for step in steps {
            guard let store = task.stores[step.index], let keyPlan = step.key else { continue }
            guard store.readSnapshot(&reader, ids: ids[keyPlan.group]) else { return false }
            for id in store.takeArrivals() { task.groups[keyPlan.group].retain(id) }
        }
        guard readMakers(&reader, task), readTables(&reader, task) else { return false }
        // Rules come and go without the steps' definitions changing.
        while !reader.isAtEnd {
            let index = identities.rule(reader.word32())
            for _ in 0..<reader.count(below: snapshot.count) {
                let number = Int(reader.word32())
                let edge = Self.edge(&reader)
                guard let index, ids[rules[index].group].indices.contains(number) else { continue }
                task.rules[index].setEdge(ids[rules[index].group][number], edge)
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
        return metaReader.isValid
    }
}

extension KeyGroup {
    fileprivate func find(_ key: UnsafeBufferPointer<UInt8>) -> UInt32? {
        withKey(key) { keys.find($0, $1) }
    }

    fileprivate func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        withKey(key) { keys.intern($0, $1) }
    }

    /// The empty text is a key like any other, but has no address.
    private func withKey<T>(_ key: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>, Int) -> T) -> T {
        if let start = key.baseAddress { return body(start, key.count) }
        var nothing: UInt8 = 0
        return body(&nothing, 0)
    }
}
