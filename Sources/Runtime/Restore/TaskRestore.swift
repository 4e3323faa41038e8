import Base
import Dataflow
import Records

/// Gives tasks their state back: from memory, from snapshots, and from their changelogs.
struct TaskRestore {
    /// How long a transaction that somebody left open may stand in the way. Brokers end it after its timeout,
    /// and look for such only every ten seconds.
    private static let openTransactionMilliseconds: Int64 = 60_000
    /// How often the changelogs are read on to their ends before the group is joined: each time there is
    /// less.
    private static let passesMax = 3
    private static let changesFew = 1_000

    let graph: any LaneGraph
    let source: any LaneSource
    let changelog: any ChangelogReader
    /// Positions and state are committed at once, so they must agree.
    let isAtomic: Bool
    let held: HeldTasks
    let logs: LogComparison
    let now: () -> Int64

    /// Restores what the lane is likely to get before it joins its group, while others still work on it: of
    /// what it gets then only the last changes have to be read, during which nobody does. What it does not
    /// get is dropped.
    func warmUp(_ tasks: Set<Int32>, until shouldStop: () -> Bool) throws(Fault) {
        let begin = now()
        var changes = 0
        var lastRead: [Int32: Int64] = [:]
        do throws(Fault) {
            for task in tasks { graph.open(SourcePartition(source: 0, partition: task)) }
            for task in tasks.sorted() { held.load(task) }
            var from: [Int32: Int64?] = [:]
            for task in tasks {
                from[task] = .some(held.lastKnown(of: task))
            }
            for _ in 0..<Self.passesMax {
                let before = changes
                let ends = try changelog.read(from) { task, offset, key, value throws(Fault) in
                    changes += 1
                    lastRead[task] = offset
                    if try graph.restore(task: task, key: key, value: value) {
                        held.note(changelogEnd: offset + 1, of: task)
                    }
                }
                for (task, end) in ends { from[task] = end.offset }
                if shouldStop() || changes - before < Self.changesFew { break }
            }
        } catch {
            if error == .stopped { throw error }
            // What is wrong is told when it is needed.
            Log.debug("warm-up: \(error.detail)")
            for task in tasks { held.forget(task) }
        }
        for task in tasks { held.note(isWarm: true, task) }
        for task in tasks {
            // What was read of a commit whose end was not there yet would be read twice.
            guard let end = held[task]?.changelogEnd, lastRead[task] == end - 1, graph.isContinued(task: task)
            else {
                held.forget(task)
                continue
            }
        }
        Log.info(
            "warmed \(held.all.count) tasks up in \(now() - begin) ms before joining; \(changes) changes read"
        )
    }

    /// `positions`: the group's before, those to go on from after.
    func restore(
        _ tasks: Set<Int32>,
        _ assigned: [SourcePartition],
        _ positions: inout [SourcePartition: Int64]
    ) throws(Fault) {
        let begin = now()
        var from: [Int32: Int64?] = [:]
        var fromSnapshots = 0
        var fromMemory = 0
        var changes = 0
        // In memory and at work before: nothing can be put into these any more, nor need be, unlike those
        // that are still being restored.
        var whole: Set<Int32> = []
        for task in tasks.sorted() {
            if let held = held[task] {
                if !held.isWarm { whole.insert(task) }
                fromMemory += 1
                graph.resume(task: task)
            } else {
                held.load(task)
                if held[task]?.snapshotEnd != nil { fromSnapshots += 1 }
            }
            from[task] = .some(held.lastKnown(of: task))
        }
        let deadline = now() + Self.openTransactionMilliseconds
        var isTold = false
        while true {
            var overtaken: Set<Int32> = []
            let ends = try changelog.read(from) { task, offset, key, value throws(Fault) in
                changes += 1
                if whole.contains(task) {
                    // Of what is whole only the last record is looked at again.
                    let end = held[task]?.changelogEnd ?? 0
                    if offset >= end { overtaken.insert(task) }
                    if offset != end - 1 || overtaken.contains(task) { return }
                }
                if try graph.restore(task: task, key: key, value: value) {
                    held.note(changelogEnd: offset + 1, of: task)
                }
            }
            for (task, end) in ends { from[task] = end.offset }
            // Of a commit that has ended, and not in this partition yet, nothing can be read, be it one's
            // own.
            let behind = tasks.filter { task in
                guard ends[task]?.isOpen == true else { return false }
                return whole.contains(task) && !graph.isContinued(task: task)
                    || assigned.contains { $0.partition == task && isBehind($0, positions[$0]) }
            }
            let foreign = tasks.filter { !graph.isContinued(task: $0) && !behind.contains($0) }
            for task in foreign.sorted() {
                Log.warning(
                    "\(changelog.place(of: task)) does not go on from what this worker kept of task \(task): the topic was made "
                        + "anew since. What was kept is passed over, and the changelog read from its beginning"
                )
                reopen(task, assigned)
                held.begin(task)
                from[task] = .some(nil)
            }
            // Another lane had them meanwhile, while this one was not heard of.
            for task in overtaken.subtracting(foreign).sorted() {
                Log.info("task \(task) was another lane's meanwhile: what this one kept of it is passed over")
                reopen(task, assigned)
                held.load(task)
                from[task] = .some(held.lastKnown(of: task))
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
                    "\(changelog.place(of: behind)): a transaction that another worker left stays open",
                    retry: .withBackoff
                )
            }
            if !isTold { Log.info("restore: waiting for the end of another worker's transaction") }
            isTold = true
        }
        for task in tasks.subtracting(whole).sorted() {
            try graph.finishRestore(task: task, place: changelog.place(of: task))
            held.note(isWarm: false, task)
        }
        for task in whole { graph.keep(task: task) }
        let begun = try logs.compare(assigned, positions)
        for task in tasks.sorted() {
            let known = assigned.filter { $0.partition == task && !begun.contains($0) }
            try agree(task, known, changelog.place(of: task), &positions)
        }
        for partition in begun { positions[partition] = nil }
        let numbers = tasks.sorted().map(String.init).joined(separator: ", ")
        Log.info(
            "restored \(tasks.count) tasks (\(numbers)) in \(now() - begin) ms: \(fromMemory) were in memory, "
                + "\(fromSnapshots) in snapshots; \(changes) changes read"
        )
    }

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

    /// The state says how far it has come; the group's position must not contradict it.
    private func agree(
        _ task: Int32,
        _ assigned: [SourcePartition],
        _ place: String,
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
            guard let committed, committed != position, isAtomic || committed > position else { continue }
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
                    + "between are left out"
            )
            positions[partition] = committed
        }
    }
}
