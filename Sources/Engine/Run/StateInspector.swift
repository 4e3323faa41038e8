import Base
import Connectors
import Dataflow
import Glibc
import Operators
import Records
import State
import Topology

/// Looks at the state of a topology's tasks without taking part: from the changelog, as of the last commits,
/// or from the snapshots of a machine. Workers may run meanwhile.
package struct StateInspector {
    package struct Entry: Sendable {
        package var task: Int32
        package var state: StateEntry
    }

    package struct Store: Sendable {
        package var task: Int32
        package var summary: StoreSummary
    }

    private let pipeline: Pipeline
    private var tasks: [(task: Int32, state: TaskState)] = []

    /// The state as the changelog of a group holds it.
    package init(_ spec: TopologySpec, _ settings: KafkaSettings) throws(Fault) {
        let topic = LaneFactory.changelogTopic(group: settings.group)
        let admin = try KafkaAdmin(settings)
        guard let partitions = try admin.partitionCount(of: topic) else {
            throw Fault(
                .user,
                "topic '\(topic)' does not exist on \(settings.bootstrapServers): the topology has not run there"
            )
        }
        pipeline = try Self.pipeline(spec, partitions, settings.group)
        var states: [Int32: TaskState] = [:]
        for task in 0..<Int32(partitions) { states[task] = pipeline.makeTask(partition: task) }
        let pipeline = pipeline
        let log = try KafkaChangelog(settings, topic: topic) { _, _ in }
        _ = try log.read(states.mapValues { _ in nil }) { task, _, key, value throws(Fault) in
            if let state = states[task] { try pipeline.restore(key: key, value: value, task: state) }
        }
        for (task, state) in states.sorted(by: { $0.key < $1.key }) where state.isKept {
            try pipeline.finishRestore(state, place: log.place(of: task))
            tasks.append((task, state))
        }
    }

    /// The state as snapshot files hold it: one file, or every one in a folder and those below; of several of
    /// one task the newest. Of a state folder, which has a folder for each group, only the group's.
    package init(_ spec: TopologySpec, snapshots path: String, group: String? = nil) throws(Fault) {
        let group = group ?? spec.name
        var newest: [Int32: SnapshotFiles.Snapshot] = [:]
        let own = "\(path)/\(group)"
        for file in try Self.files(access(own, R_OK) == 0 ? own : path) {
            let snapshot = try SnapshotFiles.read(file)
            if snapshot.changelogEnd >= newest[snapshot.task]?.changelogEnd ?? .min {
                newest[snapshot.task] = snapshot
            }
        }
        guard let first = newest.values.first else { throw Fault(.user, "\(path): no snapshot is there") }
        let partitions = Pipeline.partitionCount(
            of: UnsafeBufferPointer(start: first.bytes.base, count: first.bytes.count))
        pipeline = try Self.pipeline(spec, partitions ?? 1, group)
        for (task, snapshot) in newest.sorted(by: { $0.key < $1.key }) {
            let state = pipeline.makeTask(partition: task)
            let bytes = UnsafeBufferPointer(start: snapshot.bytes.base, count: snapshot.bytes.count)
            guard pipeline.readSnapshot(bytes, task: state) else {
                throw Fault(
                    .user,
                    "\(path): the snapshot of task \(task) was written by another topology, or by other definitions of its steps"
                )
            }
            try pipeline.finishRestore(state, place: path)
            tasks.append((task, state))
        }
    }

    private static func pipeline(_ spec: TopologySpec, _ partitions: Int, _ group: String) throws(Fault)
        -> Pipeline
    {
        let options = Pipeline.Options(clock: SystemClock(), tracksChanges: true, partitions: partitions)
        return try Planner(partitions > 1 ? spec.repartitioned(prefix: group) : spec).pipeline(options)
            .pipeline
    }

    private static func files(_ path: String, depth: Int = 0) throws(Fault) -> [String] {
        guard let folder = opendir(path) else {
            guard access(path, R_OK) == 0 else {
                throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
            }
            return [path]
        }
        defer { closedir(folder) }
        var files: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".snapshot") { files.append("\(path)/\(name)") }
            if entry.pointee.d_type == DT_DIR, !name.hasPrefix("."), depth < 3 {
                files += try Self.files("\(path)/\(name)", depth: depth + 1)
            }
        }
        return files.sorted()
    }

    package var stores: [Store] {
        tasks.flatMap { task, state in pipeline.summaries(state).map { Store(task: task, summary: $0) } }
    }

    /// Of operators that can tell, in each task: whether they have lost anything.
    package var proofs: [(store: String, proof: StateProof)] {
        stores.compactMap { store in store.summary.proof.map { (store.summary.store, $0) } }
    }

    /// Entries of every task, ordered by store and key.
    package func entries(where isWanted: (StateEntry) -> Bool) -> [Entry] {
        var entries: [Entry] = []
        for (task, state) in tasks {
            pipeline.describe(state) { if isWanted($0) { entries.append(Entry(task: task, state: $0)) } }
        }
        return entries.sorted { ($0.state.store, $0.state.key) < ($1.state.store, $1.state.key) }
    }

    /// Lines that only one of two states has: `-` this one's, `+` the other's.
    package func differences(from other: StateInspector) -> [String] {
        let mine = entries { _ in true }
        let theirs = other.entries { _ in true }
        var lines: [String] = []
        var (left, right) = (0, 0)
        func order(_ entry: StateEntry) -> (String, String) { (entry.store, entry.key) }
        while left < mine.count || right < theirs.count {
            let isLeft =
                right == theirs.count
                || left < mine.count && order(mine[left].state) < order(theirs[right].state)
            let isRight =
                left == mine.count
                || right < theirs.count && order(theirs[right].state) < order(mine[left].state)
            if isLeft || isRight {
                lines.append(isLeft ? "- \(mine[left].state.json)" : "+ \(theirs[right].state.json)")
                left += isLeft ? 1 : 0
                right += isRight ? 1 : 0
                continue
            }
            if mine[left].state.json != theirs[right].state.json {
                lines += ["- \(mine[left].state.json)", "+ \(theirs[right].state.json)"]
            }
            left += 1
            right += 1
        }
        return lines
    }
}
