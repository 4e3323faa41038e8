import Base
import Dataflow
import Records

extension Lane {
    /// How long a transaction that somebody left open may stand in the way. Brokers end it after its timeout, and
    /// look for such only every ten seconds.
    private static let openTransactionMilliseconds: Int64 = 60_000

    /// Takes over an assignment: tasks get their state back, then their partitions are read.
    func begin(_ assigned: [SourcePartition]) throws(Fault) {
        phase.enter(.restoring)
        let tasks = Set(assigned.map(\.partition))
        // Without a changelog there is no telling what another lane made of the partition meanwhile.
        for task in held.keys where storage == nil || !tasks.contains(task) {
            forget(task)
        }
        for partition in assigned { graph.open(partition) }
        let inGroup = try source.committed(assigned)
        var positions = inGroup
        if let storage { try restore(tasks, assigned, storage, &positions) }
        for task in tasks where held[task] == nil { held[task] = Held(snapshotAt: now()) }
        let started = try source.start(at: positions)
        let marks = storage == nil ? [:] : try marks(started)
        partitions = [:]
        for partition in assigned {
            guard let next = started[partition] else { continue }
            partitions[partition] = Position(
                next: next,
                // At least once the group may be behind the state, and is to follow though nothing is read.
                committed: inGroup[partition],
                mark: marks[partition],
                lastRecordAt: now()
            )
        }
        alignInputs()
        try holdStreams()
    }

    /// `positions`: the group's before, those to go on from after.
    private func restore(
        _ tasks: Set<Int32>,
        _ assigned: [SourcePartition],
        _ storage: Storage,
        _ positions: inout [SourcePartition: Int64]
    ) throws(Fault) {
        let begin = now()
        var from: [Int32: Int64?] = [:]
        var fromSnapshots = 0
        var fromMemory = 0
        var changes = 0
        // In memory and at work before: nothing can be put into these any more, nor need be, unlike those that are still being
        // restored.
        var whole: Set<Int32> = []
        for task in tasks.sorted() {
            if let held = held[task] {
                if !held.isWarm { whole.insert(task) }
                fromMemory += 1
                graph.resume(task: task)
            } else {
                held[task] = loadSnapshot(task, storage)
                if held[task]?.snapshotEnd != nil { fromSnapshots += 1 }
            }
            from[task] = .some(lastKnown(of: task))
        }
        let deadline = now() + Self.openTransactionMilliseconds
        var isTold = false
        while true {
            var overtaken: Set<Int32> = []
            let ends = try storage.changelog.read(from) { task, offset, key, value throws(Fault) in
                changes += 1
                if whole.contains(task) {
                    // Of what is whole only the last record is looked at again.
                    let end = self.held[task]?.changelogEnd ?? 0
                    if offset >= end { overtaken.insert(task) }
                    if offset != end - 1 || overtaken.contains(task) { return }
                }
                if try self.graph.restore(task: task, key: key, value: value) { self.held[task]?.changelogEnd = offset + 1 }
            }
            for (task, end) in ends { from[task] = end.offset }
            // Of a commit that has ended, and not in this partition yet, nothing can be read, be it one's own.
            let behind = tasks.filter { task in
                guard ends[task]?.isOpen == true else { return false }
                return whole.contains(task) && !graph.isContinued(task: task)
                    || assigned.contains { $0.partition == task && isBehind($0, positions[$0]) }
            }
            let foreign = tasks.filter { !graph.isContinued(task: $0) && !behind.contains($0) }
            for task in foreign.sorted() {
                Log.warning(
                    "\(storage.changelog.place(of: task)) does not go on from what this worker kept of task \(task): the topic was made "
                        + "anew since. What was kept is passed over, and the changelog read from its beginning")
                reopen(task, assigned)
                held[task] = Held(snapshotAt: now())
                from[task] = .some(nil)
            }
            // Another lane had them meanwhile, while this one was not heard of.
            for task in overtaken.subtracting(foreign).sorted() {
                Log.info("task \(task) was another lane's meanwhile: what this one kept of it is passed over")
                reopen(task, assigned)
                held[task] = loadSnapshot(task, storage)
                from[task] = .some(lastKnown(of: task))
                fromMemory -= 1
                if held[task]?.snapshotEnd != nil { fromSnapshots += 1 }
            }
            whole.subtract(foreign)
            whole.subtract(overtaken)
            if !foreign.isEmpty || !overtaken.isEmpty { continue }
            guard let behind = behind.min() else { break }
            guard now() < deadline else {
                throw Fault(
                    .external,
                    "\(storage.changelog.place(of: behind)): a transaction that another worker left stays open",
                    retry: .withBackoff
                )
            }
            if !isTold { Log.info("restore: waiting for the end of another worker's transaction") }
            isTold = true
        }
        for task in tasks.subtracting(whole).sorted() {
            try graph.finishRestore(task: task, place: storage.changelog.place(of: task))
            held[task]?.isWarm = false
        }
        let begun = try compareLogs(assigned, positions)
        for task in tasks.sorted() {
            let known = assigned.filter { $0.partition == task && !begun.contains($0) }
            try agree(task, known, storage.changelog.place(of: task), storage, &positions)
        }
        for partition in begun { positions[partition] = nil }
        let numbers = tasks.sorted().map(String.init).joined(separator: ", ")
        Log.info(
            "restored \(tasks.count) tasks (\(numbers)) in \(now() - begin) ms: \(fromMemory) were in memory, "
                + "\(fromSnapshots) in snapshots; \(changes) changes read")
    }

    /// The last record of a task's changelog that is known here, from which on to read, for it says whose life it is; nil:
    /// none is.
    func lastKnown(of task: Int32) -> Int64? { held[task]?.changelogEnd.map { $0 - 1 } }

    /// A task begins anew, with nothing.
    private func reopen(_ task: Int32, _ assigned: [SourcePartition]) {
        graph.drop(task: task)
        for partition in assigned where partition.partition == task { graph.open(partition) }
    }

    /// True if the group knows of a later commit than the state.
    private func isBehind(_ partition: SourcePartition, _ committed: Int64?) -> Bool {
        guard let committed else { return false }
        let task = partition.partition
        return committed > graph.positions(task: task)?[partition.source] ?? -1
            || source.sequence(of: partition) ?? 0 > graph.sequence(task: task)
    }

    func loadSnapshot(_ task: Int32, _ storage: Storage) -> Held {
        var end: Int64?
        storage.snapshots?.load(task) { bytes, changelogEnd in
            guard self.graph.restore(task: task, snapshot: bytes) else { return false }
            end = changelogEnd
            return true
        }
        Plant.pass(.restore)
        return Held(changelogEnd: end, snapshotEnd: end, snapshotAt: now())
    }

    /// The state says how far it has come; the group's position must not contradict it.
    private func agree(
        _ task: Int32,
        _ assigned: [SourcePartition],
        _ place: String,
        _ storage: Storage,
        _ positions: inout [SourcePartition: Int64]
    ) throws(Fault) {
        let kept = graph.positions(task: task)
        for partition in assigned {
            let committed = positions[partition]
            guard let kept else {
                guard let committed else { continue }
                throw Fault(
                    .user,
                    "the group has read partition \(partition.partition) up to offset \(committed), but \(place) holds no "
                        + "state: its windows are lost. To begin anew with empty windows, stop every worker and delete "
                        + "the group's positions (kafka-consumer-groups --delete), or use another --group"
                )
            }
            // A source that is new to the topology.
            guard let position = kept[partition.source], position >= 0 else { continue }
            positions[partition] = position
            guard let committed, committed != position, storage.isAtomic || committed > position else { continue }
            guard committed > position else {
                throw Fault(
                    .user,
                    "the group's position of partition \(partition.partition) is \(committed), but \(place) holds what was "
                        + "read up to \(position): reading those records again would count them twice. Set the position "
                        + "to \(position) or later, or begin anew under another --group"
                )
            }
            Log.warning(
                "partition \(partition.partition): the group's position was set from \(position) to \(committed); the records "
                    + "between are left out")
            positions[partition] = committed
        }
    }
}
