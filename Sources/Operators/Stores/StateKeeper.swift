import Base
import Dataflow
import Records
import State
import Topology

/// Keeps the state of a topology's tasks: tells what changed to a changelog, and puts back what was told.
final class StateKeeper {
    let spec: TopologySpec
    let identities: StateIdentities
    let former: FormerState
    let rules: [RulePlan]
    let options: Pipeline.Options
    /// Names of the key fields of each key group.
    let groups: [[String]]

    init(
        _ spec: TopologySpec, steps: [StepPlan], rules: [RulePlan], groups: [[String]],
        options: Pipeline.Options
    ) {
        (self.spec, self.rules, self.groups, self.options) = (spec, rules, groups, options)
        identities = StateIdentities(spec, steps: steps, rules: rules, partitionCount: options.partitions)
        former = FormerState(identities)
    }

    // MARK: Changes

    /// Appends what changed in a task since the last call: what its stores hold, what was forgotten, and, if
    /// there is anything or the task moved on at all, the task's own record with `positions` (by source, the
    /// offset of the next record; those that are missing stay as they were). `written`: of repartition
    /// topics, the same for each writer. Returns the number of records.
    func collectChanges(
        _ task: TaskState, positions: [Int: Int64], written: [Int: [Int64]], into outbox: inout Outbox
    ) -> Int {
        let before = outbox.records.count
        for (source, offsets) in written where offsets.count == task.written[source].count {
            task.written[source] = offsets
        }
        for (source, position) in positions { task.positions[source] = position }
        if task.incarnation == 0 { task.incarnation = options.newIncarnation() }
        if task.definitions != identities.bytes || task.keptFormat != StateIdentities.format {
            task.definitions = identities.bytes
            task.keptFormat = StateIdentities.format
            let start = outbox.bytes.count
            outbox.bytes.appendByte(ChangeKind.definitions)
            let value = outbox.bytes.count
            for byte in former.kept(identities.bytes, task) { outbox.bytes.appendByte(byte) }
            outbox.add(
                .changelog, partition: task.partition, key: start..<value, value: value..<outbox.bytes.count)
        }
        collectRules(task, &outbox)
        if !task.removals.isEmpty {
            outbox.add(task.removals)
            task.removals.removeAll()
        }
        for store in task.all { store.drainChanges(into: &outbox) }
        let meta = meta(task)
        if outbox.records.count > before || meta != task.lastMeta {
            task.lastMeta = meta
            task.sequence += 1
            let start = outbox.bytes.count
            outbox.bytes.appendByte(ChangeKind.meta)
            let value = outbox.bytes.count
            outbox.bytes.appendVarint(task.sequence)
            for byte in meta { outbox.bytes.appendByte(byte) }
            outbox.add(
                .changelog, partition: task.partition, key: start..<value, value: value..<outbox.bytes.count)
        }
        if task.hasFormerIdentities { former.rename(&outbox, from: before) }
        return outbox.records.count - before
    }

    /// Appends what changed of what is kept of rules.
    private func collectRules(_ task: TaskState, _ outbox: inout Outbox) {
        let bytes = outbox.bytes
        func add(_ identity: UInt32, _ value: [UInt8]?) {
            let start = bytes.count
            bytes.appendByte(ChangeKind.rule)
            bytes.appendWord(identity)
            let end = bytes.count
            for byte in value ?? [] { bytes.appendByte(byte) }
            outbox.add(
                .changelog, partition: task.partition, key: start..<end,
                value: value == nil ? nil : end..<bytes.count)
        }
        for (identity, kept) in zip(identities.rules, identities.keptRules)
        where task.keptRules[identity] != kept {
            task.keptRules[identity] = kept
            add(identity, kept?.bytes)
        }
        for identity in task.keptRules.keys.sorted() where identities.rule(identity) == nil {
            task.keptRules[identity] = nil
            add(identity, nil)
        }
    }

    // MARK: Restoring

    /// Takes one record of the task's changelog; `value` nil: a tombstone. Throws if it is not one of ours.
    /// What was restored from elsewhere may be of another life of the changelog: then the task becomes
    /// `isContradicted`, and of no use.
    func restore(
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

    private func take(
        key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?, task: TaskState
    ) throws(Fault) {
        var keyReader = BinaryReader(key)
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        let change = keyReader.byte()
        switch change {
        case ChangeKind.meta:
            task.sequence = reader.varint()
            let isRead = restoreMeta(reader.bytes(reader.left), task)
            if task.isContradicted { return }
            if value != nil, !isRead { keyReader.fail() }
        case ChangeKind.definitions:
            if let value { try StateIdentities.checkFormat(value) }
            task.definitions = value.map { former.definitions($0, task) } ?? []
        case ChangeKind.rule:
            if !restoreRule(keyReader.word32(), value, task) { keyReader.fail() }
        case ChangeKind.panes, ChangeKind.panesAhead, ChangeKind.edge, ChangeKind.seen,
            ChangeKind.operatorState,
            ChangeKind.buffered:
            let kept = keyReader.word32()
            guard keyReader.isValid else { break }
            let id = ChangeKind.ofStores.contains(change) ? former.identity(kept, task) : kept
            if let store = task.store(id) {
                if !store.restore(change, &keyReader, value) { keyReader.fail() }
            } else if change == ChangeKind.edge {
                // A rule that the topology has no more, and that may have raised.
                let name = Array(keyReader.bytes(keyReader.left))
                task.strangers[id, default: [:]][name] = value == nil ? nil : AlertEdge(&reader)
                if value != nil, !reader.isValid { keyReader.fail() }
            }
        default: keyReader.fail()
        }
        guard keyReader.isValid else {
            throw Fault(.external, "a record that no version of this program wrote")
        }
    }

    /// Takes what was kept of a rule; nil: the rule is gone. False: the bytes are none of ours.
    private func restoreRule(_ identity: UInt32, _ value: UnsafeBufferPointer<UInt8>?, _ task: TaskState)
        -> Bool
    {
        guard let value else {
            task.keptRules[identity] = nil
            return true
        }
        guard let rule = KeptRule(value) else { return false }
        task.keptRules[identity] = former.rule(rule)
        return true
    }

    /// Makes the task whole after its last record. Throws if the state was kept under other definitions;
    /// `place`: where it was found.
    func finishRestore(_ task: TaskState, place: String) throws(Fault) {
        if !task.definitions.isEmpty {
            try identities.check(task.definitions, partitionCount: options.partitions, place: place)
        }
        abandonAlerts(task)
        for store in task.all { store.finishRestore() }
        task.settled = task.watermarks
        for group in task.groups {
            group.keys.forEach { id in if !group.isUsed(id) { forget(id, group, task) } }
        }
    }

    /// A key without windows, and what rules remember of it.
    private func forget(_ id: UInt32, _ group: KeyGroup, _ task: TaskState) {
        for rule in task.rules where rule.rule.hasWindow && task.groups[rule.rule.group] === group {
            abandon(rule, id, task)
        }
        group.keys.remove(id)
    }

    // MARK: Alerts that nothing clears any more

    /// After the last record: alerts of rules that are gone, and of those that look at other windows now.
    private func abandonAlerts(_ task: TaskState) {
        for (identity, edges) in task.strangers {
            guard let rule = task.keptRules[identity] else { continue }
            let reason: AbandonedAlert.Reason =
                switch rules.first(where: { $0.spec.name == rule.name }) {
                case nil: .ruleRemoved
                case let other?: other.keyNames == rule.key.map(\.name) ? .windowChanged : .keyChanged
                }
            for (key, edge) in edges {
                if edge.isRaised {
                    task.abandoned.append(AbandonedAlert(rule: rule, key: key, edge: edge, reason: reason))
                }
                guard options.tracksChanges else { continue }
                let start = task.removals.bytes.count
                key.withUnsafeBufferPointer { AlertEdge.appendKey(identity, $0, to: task.removals.bytes) }
                task.removals.add(
                    .changelog, partition: task.partition, key: start..<task.removals.bytes.count, value: nil)
            }
        }
        task.strangers = [:]
        for rule in task.rules where rule.rule.hasWindow {
            guard let kept = task.keptRules[rule.id],
                kept.windows != identities.keptRules[rule.rule.index]?.windows
            else { continue }
            for id in rule.edges.keys { abandon(rule, id, task) }
        }
        task.abandoned.sort { a, b in
            a.rule.name != b.rule.name ? a.rule.name < b.rule.name : a.key.lexicographicallyPrecedes(b.key)
        }
    }

    /// A rule forgets a key, though its alert may be raised.
    private func abandon(_ rule: TaskRule, _ id: UInt32, _ task: TaskState) {
        if let edge = rule.edges[id], edge.isRaised, let kept = task.keptRules[rule.id] {
            let key = Array(task.groups[rule.rule.group].keys.key(of: id))
            task.abandoned.append(AbandonedAlert(rule: kept, key: key, edge: edge, reason: .windowChanged))
        }
        rule.forget(id)
    }

    // MARK: Snapshots

    /// Appends the task's whole state to `bytes`. Only right after `collectChanges`, with nothing in between.
    func writeSnapshot(_ task: TaskState, to bytes: Arena) {
        bytes.appendByte(StateIdentities.snapshotFormat)
        former.kept(identities.bytes, task).withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendVarint(task.sequence)
        task.lastMeta.withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendVarint(UInt64(task.keptRules.count))
        for (identity, kept) in task.keptRules {
            bytes.appendWord(identity)
            kept.bytes.withUnsafeBufferPointer { bytes.appendBlob($0) }
        }
        let snapshot = SnapshotWriter(keyGroups(task), to: bytes)
        for store in task.all { snapshot.append(store) }
    }

    private func keyGroups(_ task: TaskState) -> [(names: [String], group: KeyGroup)] {
        zip(groups, task.groups).map { (names: $0, group: $1) }
    }

    /// The partitions that the sources had when a snapshot was written; nil if it is none.
    static func partitionCount(of snapshot: UnsafeBufferPointer<UInt8>) -> Int? {
        var reader = BinaryReader(snapshot)
        guard StateIdentities.snapshotFormats.contains(reader.byte()) else { return nil }
        let count = partitionCount(ofDefinitions: reader.blob())
        return reader.isValid ? count : nil
    }

    private static func partitionCount(ofDefinitions bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var reader = BinaryReader(bytes)
        let format = reader.byte()
        guard format == StateIdentities.format || format == FormerState.format else { return nil }
        let count = reader.count(below: Int(Int32.max))
        return reader.isValid ? count : nil
    }

    /// Reads what `writeSnapshot` wrote into an empty task: what the topology still has of it. False if it is
    /// no snapshot of such a task; it is then of no use. `finishRestore` says whether what was kept has
    /// another meaning now.
    func readSnapshot(_ bytes: UnsafeBufferPointer<UInt8>, task: TaskState) -> Bool {
        var reader = BinaryReader(bytes)
        let format = reader.byte()
        guard StateIdentities.snapshotFormats.contains(format) else { return false }
        let definitions = reader.blob()
        guard Self.partitionCount(ofDefinitions: definitions) == options.partitions else { return false }
        task.definitions = former.definitions(definitions, task)
        task.sequence = reader.varint()
        let meta = reader.blob()
        let isRead =
            format == StateIdentities.snapshotFormat
            ? readSections(&reader, task) : readInOrder(&reader, task)
        guard isRead, reader.isValid, restoreMeta(meta, task) else { return false }
        task.isDoubtful = true
        return true
    }

    private func readSections(_ reader: inout BinaryReader, _ task: TaskState) -> Bool {
        for _ in 0..<reader.count(below: reader.left + 1) {
            guard restoreRule(reader.word32(), reader.blob(), task) else { return false }
        }
        guard let snapshot = SnapshotReader(&reader, keyGroups(task)) else { return false }
        while !reader.isAtEnd, reader.isValid {
            let kind = StoreKind(rawValue: reader.byte())
            let id = reader.word32()
            let length = reader.word64()
            guard length <= UInt64(reader.left) else { return false }
            var section = BinaryReader(reader.bytes(Int(length)))
            if let store = task.store(id), store.kind == kind {
                guard store.read(&section, snapshot), section.isValid, section.isAtEnd else { return false }
            } else if kind == .rule {
                guard readStranger(id, &section, snapshot, task) else { return false }
            }
        }
        return true
    }

    /// Formats 6 and 7: stores had no names, and came in the order of the topology, rules but for.
    private func readInOrder(_ reader: inout BinaryReader, _ task: TaskState) -> Bool {
        guard identities.isSameStructure(task.definitions),
            let snapshot = SnapshotReader(&reader, keyGroups(task))
        else {
            return false
        }
        for kind in [StoreKind.window, .operation, .table] {
            for store in task.all where store.kind == kind {
                guard store.read(&reader, snapshot) else { return false }
            }
        }
        while !reader.isAtEnd, reader.isValid {
            let identity = reader.word32()
            let kept = reader.blob()
            if !kept.isEmpty, !restoreRule(identity, kept, task) { return false }
            let isRead =
                task.store(identity)?.read(&reader, snapshot)
                ?? readStranger(identity, &reader, snapshot, task)
            guard isRead else { return false }
        }
        return true
    }

    /// Alerts of a rule that the topology has no more.
    private func readStranger(
        _ id: UInt32, _ reader: inout BinaryReader, _ snapshot: SnapshotReader, _ task: TaskState
    ) -> Bool {
        TaskRule.read(
            &reader, snapshot, edge: { task.strangers[id, default: [:]][Array($0)] = $1 },
            seen: { _, _, _ in })
    }
}
