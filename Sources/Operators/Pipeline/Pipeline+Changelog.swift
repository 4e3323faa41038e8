import Base
import Dataflow
import Records
import State
import Topology

/// The kinds of records in a changelog; the first byte of their keys.
enum ChangeKind {
    /// The task as a whole: positions, watermarks, what was closed. One record, the last of each commit.
    static let meta: UInt8 = 0
    /// step, segment, key -> the panes of a segment.
    static let panes: UInt8 = 1
    /// rule, key -> whether its alert is raised.
    static let edge: UInt8 = 2
    /// rule, hash of key and event time -> alerts on records so far.
    static let seen: UInt8 = 3
    /// Under which definitions the state is kept. One record.
    static let definitions: UInt8 = 4
    /// step, key of the operator's choosing -> what it remembers under it.
    static let operatorState: UInt8 = 5
    /// step, sequence number -> a row that waits in an operator's buffer.
    static let buffered: UInt8 = 6
    /// rule -> what is kept of it beside its edges. One record a rule.
    static let rule: UInt8 = 8
    /// step, page, key -> panes that lie ahead of what the key's ring reaches.
    static let panesAhead: UInt8 = 7
}

extension Pipeline {
    /// Appends what changed in a task since the last call: panes, edges, what was forgotten, and, if there is
    /// anything or the task moved on at all, the task's own record with `positions` (by source, the offset of
    /// the next record; those that are missing stay as they were). `written`: of repartition topics, the same for each
    /// writer. Returns the number of records.
    @discardableResult
    package func collectChanges(
        _ task: TaskState, positions: [Int: Int64], written: [Int: [Int64]] = [:], into outbox: inout Outbox
    ) -> Int {
        let before = outbox.records.count
        for (source, offsets) in written where offsets.count == task.written[source].count { task.written[source] = offsets }
        for (source, position) in positions { task.positions[source] = position }
        if task.incarnation == 0 { task.incarnation = options.newIncarnation() }
        if task.definitions != identities.bytes {
            task.definitions = identities.bytes
            let start = outbox.bytes.count
            outbox.bytes.appendByte(ChangeKind.definitions)
            let value = outbox.bytes.count
            for byte in identities.bytes { outbox.bytes.appendByte(byte) }
            outbox.add(.changelog, partition: task.partition, key: start..<value, value: value..<outbox.bytes.count)
        }
        collectRules(task, &outbox)
        if !task.removals.isEmpty {
            outbox.add(task.removals)
            task.removals.removeAll()
        }
        for step in steps { collectPanes(step, task, &outbox) }
        if hasStreams { collectOperators(task, &outbox) }
        if hasTables { collectTables(task, &outbox) }
        for rule in rules { collectEdges(rule, task, &outbox) }
        let meta = meta(task)
        if outbox.records.count > before || meta != task.lastMeta {
            task.lastMeta = meta
            task.sequence += 1
            let start = outbox.bytes.count
            outbox.bytes.appendByte(ChangeKind.meta)
            let value = outbox.bytes.count
            outbox.bytes.appendVarint(task.sequence)
            for byte in meta { outbox.bytes.appendByte(byte) }
            outbox.add(.changelog, partition: task.partition, key: start..<value, value: value..<outbox.bytes.count)
        }
        return outbox.records.count - before
    }

    /// The last record that was read of a source, to be kept with its next position.
    package func note(_ mark: LogMark, of source: Int, _ task: TaskState) { task.marks[source] = mark }

    private func collectPanes(_ step: StepPlan, _ task: TaskState, _ outbox: inout Outbox) {
        guard let store = task.stores[step.index], store.hasChanges, let identity = identities.steps[step.index],
            let keyPlan = step.key
        else { return }
        let keys = task.groups[keyPlan.group].keys
        let bytes = outbox.bytes
        store.drainChanges(into: bytes) { id, segment, start in
            let key = bytes.count
            Self.appendPanesKey(identity.id, segment, keys.key(of: id), to: bytes)
            outbox.add(.changelog, partition: task.partition, key: key..<bytes.count, value: start..<key)
        }
        store.drainAhead(into: bytes) { id, page, start in
            let key = bytes.count
            Self.appendPageKey(identity.id, page, keys.key(of: id), to: bytes)
            outbox.add(.changelog, partition: task.partition, key: key..<bytes.count, value: start..<key)
        }
    }

    private static func appendPageKey(_ step: UInt32, _ page: Int64, _ key: UnsafeBufferPointer<UInt8>, to bytes: Arena) {
        bytes.appendByte(ChangeKind.panesAhead)
        bytes.appendWord(step)
        bytes.appendZigzag(page)
        bytes.reserve(key.count)
        if let start = key.baseAddress { _ = bytes.append(start, key.count) }
    }

    private static func appendPanesKey(_ step: UInt32, _ segment: Int, _ key: UnsafeBufferPointer<UInt8>, to bytes: Arena) {
        bytes.appendByte(ChangeKind.panes)
        bytes.appendWord(step)
        bytes.appendVarint(UInt64(segment))
        bytes.reserve(key.count)
        if let start = key.baseAddress { _ = bytes.append(start, key.count) }
    }

    private static func appendEdgeKey(_ rule: UInt32, _ key: UnsafeBufferPointer<UInt8>, to bytes: Arena) {
        bytes.appendByte(ChangeKind.edge)
        bytes.appendWord(rule)
        bytes.reserve(key.count)
        if let start = key.baseAddress { _ = bytes.append(start, key.count) }
    }

    private func collectEdges(_ rule: RulePlan, _ task: TaskState, _ outbox: inout Outbox) {
        let bytes = outbox.bytes
        let identity = identities.rules[rule.index]
        let state = task.rules[rule.index]
        guard !state.dirtyEdges.isEmpty || !state.dirtySeen.isEmpty else { return }
        let keys = task.groups[rule.group].keys
        for id in Set(state.dirtyEdges).sorted() {
            guard let edge = state.edges[id] else { continue }
            let start = bytes.count
            Self.append(edge, to: bytes)
            let key = bytes.count
            Self.appendEdgeKey(identity, keys.key(of: id), to: bytes)
            outbox.add(.changelog, partition: task.partition, key: key..<bytes.count, value: start..<key)
        }
        for hash in Set(state.dirtySeen).sorted() {
            let key = bytes.count
            bytes.appendByte(ChangeKind.seen)
            bytes.appendWord(identity)
            bytes.appendWord(hash)
            let value = bytes.count
            if let seen = state.seen[hash] {
                bytes.appendZigzag(seen.time)
                bytes.appendVarint(UInt64(seen.count))
            }
            outbox.add(
                .changelog, partition: task.partition, key: key..<value,
                value: state.seen[hash] == nil ? nil : value..<bytes.count)
        }
        task.rules[rule.index].dirtyEdges.removeAll(keepingCapacity: true)
        task.rules[rule.index].dirtySeen.removeAll(keepingCapacity: true)
    }

    static func append(_ edge: RuleState.Edge, to bytes: Arena) {
        bytes.appendWord(edge.alertId)
        bytes.appendWord(edge.secondHalf)
        bytes.appendZigzag(edge.eventTime)
        bytes.appendVarint(UInt64(edge.ordinal))
        bytes.appendVarint(UInt64(edge.outOfOrder))
        bytes.appendByte(edge.isRaised ? 1 : 0)
    }

    static func edge(_ reader: inout BinaryReader) -> RuleState.Edge {
        RuleState.Edge(
            alertId: reader.word64(),
            secondHalf: reader.word64(),
            eventTime: reader.zigzag(),
            ordinal: reader.count(below: Int(Int32.max)),
            outOfOrder: reader.count(below: Int.max),
            isRaised: reader.byte() != 0
        )
    }

    /// A key has left a step's windows: its panes leave the changelog.
    func noteRemoval(of id: UInt32, _ step: StepPlan, _ store: WindowStore, _ group: KeyGroup, _ task: TaskState) {
        guard let identity = identities.steps[step.index] else { return }
        let bytes = task.removals.bytes
        store.forgetDrained(id) { segment in
            let start = bytes.count
            Self.appendPanesKey(identity.id, segment, group.keys.key(of: id), to: bytes)
            task.removals.add(.changelog, partition: task.partition, key: start..<bytes.count, value: nil)
        }
    }

    /// Panes that lay ahead are in their keys' rings by now: their pages leave the changelog. While the keys are there.
    func noteRemovalAhead(_ step: StepPlan, _ task: TaskState) {
        guard let store = task.stores[step.index], let identity = identities.steps[step.index], let keyPlan = step.key
        else { return }
        let bytes = task.removals.bytes
        for (id, page) in store.takeGoneAhead() {
            let start = bytes.count
            Self.appendPageKey(identity.id, page, task.groups[keyPlan.group].keys.key(of: id), to: bytes)
            task.removals.add(.changelog, partition: task.partition, key: start..<bytes.count, value: nil)
        }
    }

    /// A rule has forgotten a key.
    func noteRemoval(of id: UInt32, _ rule: RulePlan, _ group: KeyGroup, _ task: TaskState) {
        noteRemoval(of: group.keys.key(of: id), identities.rules[rule.index], task)
    }

    func noteRemoval(of key: UnsafeBufferPointer<UInt8>, _ rule: UInt32, _ task: TaskState) {
        guard options.tracksChanges else { return }
        let bytes = task.removals.bytes
        let start = bytes.count
        Self.appendEdgeKey(rule, key, to: bytes)
        task.removals.add(.changelog, partition: task.partition, key: start..<bytes.count, value: nil)
    }

    // MARK: The task as a whole

    private func meta(_ task: TaskState) -> [UInt8] {
        let bytes = Arena(capacity: 256)
        bytes.appendWord(task.incarnation)
        bytes.appendVarint(UInt64(task.lateCount))
        bytes.appendVarint(UInt64(sources.count))
        for source in sources.indices {
            bytes.appendWord(identities.sources[source])
            bytes.appendZigzag(task.positions[source])
            bytes.appendZigzag(task.times[source])
            bytes.appendZigzag(task.watermarks[source])
            bytes.appendVarint(UInt64(task.upstream[source].count))
            for partition in task.upstream[source] {
                bytes.appendZigzag(partition.watermark)
                bytes.appendByte(partition.isIdle ? 1 : 0)
            }
            for offset in task.written[source] { bytes.appendZigzag(offset) }
            bytes.appendByte(task.marks[source] == nil ? 0 : 1)
            if let mark = task.marks[source] {
                bytes.appendZigzag(mark.offset)
                bytes.appendZigzag(mark.timestamp)
                bytes.appendWord(mark.hash)
            }
        }
        let stores = steps.filter { task.stores[$0.index] != nil }
        bytes.appendVarint(UInt64(stores.count))
        for step in stores {
            guard let store = task.stores[step.index], let identity = identities.steps[step.index] else { continue }
            bytes.appendWord(identity.id)
            bytes.appendZigzag(store.closing.closed)
            bytes.appendZigzag(store.closing.sweepDue)
        }
        return Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
    }

    private func restoreCrowd(_ source: Int, _ task: TaskState) {
        guard task.watermarks[source] != .min else { return }
        let appended = task.marks[source].map(\.timestamp) ?? 0
        task.crowds[source].restore(
            reached: task.watermarks[source] + sources[source].spec.outOfOrder, appended: appended > 0 ? appended : nil)
    }

    func restoreMeta(_ reader: inout BinaryReader, _ task: TaskState) {
        let incarnation = reader.word64()
        if task.isDoubtful, reader.isValid {
            task.isDoubtful = false
            task.isContradicted = incarnation != task.incarnation
            if task.isContradicted { return }
        }
        task.incarnation = incarnation
        task.lateCount = reader.count(below: Int.max)
        for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
            let source = identities.source(reader.word32())
            let (position, time, watermark) = (reader.zigzag(), reader.zigzag(), reader.zigzag())
            let upstream = (0..<reader.count(below: reader.left + 1)).map { _ in
                let (watermark, isIdle) = (reader.zigzag(), reader.byte() != 0)
                // One that was quiet then may have had records since, and says so again if not: its time goes on with the
                // clock. One that is empty has said it once and for all.
                return UpstreamTime(watermark: watermark, isIdle: isIdle && watermark == .min)
            }
            let written = upstream.map { _ in reader.zigzag() }
            var mark: LogMark?
            if reader.byte() == 1 {
                mark = LogMark(offset: reader.zigzag(), timestamp: reader.zigzag(), hash: reader.word64())
            }
            guard let source else { continue }
            task.positions[source] = position
            task.marks[source] = mark
            if written.count == task.written[source].count { task.written[source] = written }
            task.times[source] = time
            task.watermarks[source] = watermark
            restoreCrowd(source, task)
            if upstream.count == task.upstream[source].count { task.upstream[source] = upstream }
        }
        for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
            let step = identities.step(reader.word32())
            let closing = (closed: reader.zigzag(), sweepDue: reader.zigzag())
            if let step { task.stores[step]?.closing = closing }
        }
        task.lastMeta = meta(task)
    }
}
