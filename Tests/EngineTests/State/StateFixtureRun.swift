import Base
import Connectors
import Dataflow
import Engine
import Foundation
import Operators
import Records
import Testing
import Topology

/// A topology on all its tasks in memory, with what a broker and a disk would keep of them. What is read and
/// committed when depends on the input alone.
final class StateFixtureRun {
    struct Change {
        var offset: Int64
        var key: [UInt8]
        var value: [UInt8]?
    }

    private struct Record {
        var key: [UInt8]?
        var value: [UInt8]
    }

    private struct Place: Hashable {
        var source: Int
        var task: Int
    }

    private struct Topic {
        /// Of the first record that is here.
        var first = 0
        var records: [Record] = []
        var read = 0
    }

    let spec: TopologySpec
    let pipeline: Pipeline
    let partitions: Int
    private(set) var tasks: [TaskState] = []
    private(set) var changelogs: [[Change]]
    /// By task: what a snapshot holds, and the end of the changelog at that time.
    private(set) var snapshots: [(bytes: [UInt8], end: Int64)?]
    private(set) var outputs: [String] = []
    private var topics: [Place: Topic] = [:]
    private var outboxes: [Outbox] = []
    private let storage: RawRecordStorage
    private static let rowsMax = 16

    init(_ topology: String, partitions: Int) throws {
        let (read, diagnostics) = TopologyReader.read(topology, file: "topology.yaml")
        let whole = try #require(read, "\(diagnostics)")
        spec = partitions > 1 ? whole.repartitioned() : whole
        self.partitions = partitions
        var options = Pipeline.Options(
            rowsMax: Self.rowsMax,
            clock: nil,
            tracksChanges: true,
            partitions: partitions
        )
        var lives: UInt64 = 0
        options.newIncarnation = {
            lives += 1
            return lives
        }
        pipeline = try Planner(spec).pipeline(options).pipeline
        storage = RawRecordStorage(capacity: Self.rowsMax)
        changelogs = Array(repeating: [], count: partitions)
        snapshots = Array(repeating: nil, count: partitions)
        for task in 0..<partitions {
            tasks.append(pipeline.makeTask(partition: Int32(task)))
            outboxes.append(Outbox())
        }
    }

    // MARK: Running

    private func partition(of key: [UInt8]) -> Int {
        key.isEmpty
            ? 0
            : key.withUnsafeBufferPointer { Int(hashBytes($0.baseAddress!, $0.count) % UInt64(partitions)) }
    }

    /// Takes records one after the other, with a commit after every `rows`.
    func take(_ records: ArraySlice<StateFixtureInput>, commitEvery rows: Int = 11) throws {
        for (index, record) in records.enumerated() {
            let source = try #require(
                spec.sources.firstIndex { $0.name == record.source && !$0.origin.isStream }
            )
            let key = Array(record.key.utf8)
            let place = Place(source: source, task: partition(of: key))
            topics[place, default: Topic()].records.append(Record(key: key, value: Array(record.json.utf8)))
            process(place)
            if index % rows == rows - 1 { commitAll() }
        }
        drain()
    }

    /// Lets event time go on to `end`.
    func finish(at end: Int64) {
        for task in 0..<partitions {
            for (index, source) in spec.sources.enumerated() {
                if case .kafka = source.origin {
                    pipeline.advance(source: index, to: end, task: tasks[task], outbox: &outboxes[task])
                }
            }
        }
        drain()
    }

    /// Until nothing is under way between tasks any more.
    private func drain() {
        commitAll()
        while let place = unread.first {
            process(place)
            if unread.isEmpty { commitAll() }
        }
        commitAll()
    }

    private var unread: [Place] {
        topics.filter { $1.read < $1.first + $1.records.count }.keys
            .sorted { ($0.source, $0.task) < ($1.source, $1.task) }
    }

    private func process(_ place: Place) {
        guard let topic = topics[place] else { return }
        let records = topic.records.dropFirst(topic.read - topic.first).prefix(Self.rowsMax)
        // Readable bytes behind each record, as every source has them.
        var bytes: [UInt8] = []
        var starts: [Int] = []
        for record in records {
            starts.append(bytes.count)
            bytes += (record.key ?? []) + record.value
        }
        bytes += [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for (row, (record, start)) in zip(records, starts).enumerated() {
                storage.keys[row] = record.key.map { _ in base + start }
                storage.keyCounts[row] = Int32(record.key?.count ?? -1)
                storage.values[row] = base + start + (record.key?.count ?? 0)
                storage.valueCounts[row] = Int32(record.value.count)
                storage.offsets[row] = Int64(topic.read + row)
                storage.timestamps[row] = 1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: records.count),
                source: place.source,
                task: tasks[place.task],
                outbox: &outboxes[place.task]
            )
        }
        topics[place]?.read += records.count
    }

    private func commitAll() { for task in 0..<partitions { commit(task) } }

    private func commit(_ task: Int) {
        pipeline.carryWatermarks(tasks[task], quiet: { _ in false }, into: &outboxes[task])
        for record in outboxes[task].records {
            let key = outboxes[task].key(of: record).map { Array($0) }
            let value = outboxes[task].value(of: record).map { Array($0) } ?? []
            switch record.destination {
            case .sink(let sink):
                outputs.append("\(spec.sinks[sink].name) \(String(decoding: value, as: UTF8.self))")
            case .repartition(let index):
                let to = record.partition >= 0 ? Int(record.partition) : partition(of: key ?? [])
                topics[Place(source: spec.repartitions[index].source, task: to), default: Topic()].records
                    .append(Record(key: key, value: value))
            default: outputs.append("\(record.destination) \(String(decoding: value, as: UTF8.self))")
            }
        }
        outboxes[task].removeAll()
        var positions: [Int: Int64] = [:]
        for (place, topic) in topics where place.task == task && topic.read > 0 {
            positions[place.source] = Int64(topic.read)
            let mark = LogMark(offset: Int64(topic.read - 1), timestamp: 1, hash: UInt64(topic.read))
            pipeline.note(mark, of: place.source, tasks[task])
        }
        pipeline.collectChanges(tasks[task], positions: positions, into: &outboxes[task])
        for record in outboxes[task].records {
            let key = outboxes[task].key(of: record).map { Array($0) } ?? []
            let value = outboxes[task].value(of: record).map { Array($0) }
            changelogs[task].append(
                Change(offset: (changelogs[task].last?.offset ?? -1) + 1, key: key, value: value)
            )
        }
        outboxes[task].removeAll()
    }

    /// Of all tasks; right after `take`, which commits.
    func snapshot() {
        for task in 0..<partitions {
            let bytes = Arena(capacity: 1024)
            pipeline.writeSnapshot(tasks[task], to: bytes)
            snapshots[task] = (
                Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)),
                (changelogs[task].last?.offset ?? -1) + 1
            )
        }
    }

    /// As Kafka compacts: of what lies before the snapshot only the newest record of each key is left.
    func compact() {
        for (task, changes) in changelogs.enumerated() {
            guard let end = snapshots[task]?.end else { continue }
            var newest: [[UInt8]: Int64] = [:]
            for change in changes where change.offset < end { newest[change.key] = change.offset }
            changelogs[task] = changes.filter { $0.offset >= end || newest[$0.key] == $0.offset }
        }
    }

    // MARK: Restoring

    /// Puts all tasks back from changelogs, or from snapshots and what changed since.
    func restore(_ changelogs: [[Change]], _ snapshots: [(bytes: [UInt8], end: Int64)?]?) throws {
        self.changelogs = changelogs
        for (index, task) in tasks.enumerated() {
            var from: Int64 = 0
            if let snapshot = snapshots?[index] {
                let isRead = snapshot.bytes.withUnsafeBufferPointer { pipeline.readSnapshot($0, task: task) }
                try #require(isRead, "the snapshot is not read")
                // The last record that it knows says whose life it is.
                from = snapshot.end - 1
            }
            for change in changelogs[index] where change.offset >= from {
                try change.key.withUnsafeBufferPointer { key in
                    guard let value = change.value else {
                        return try pipeline.restore(key: key, value: nil, task: task)
                    }
                    try value.withUnsafeBufferPointer {
                        try pipeline.restore(key: key, value: $0, task: task)
                    }
                }
            }
            #expect(!task.isContradicted && !task.isDoubtful)
            try pipeline.finishRestore(task, place: "changelog \(index)")
            for (source, position) in task.positions.enumerated() where position > 0 {
                let read = Int(position)
                topics[Place(source: source, task: index)] = Topic(first: read, records: [], read: read)
            }
        }
    }

    /// All that the tasks hold, as lines of JSON in their order.
    func description() -> [String] {
        var lines: [String] = []
        for task in tasks {
            let number = "{\"task\":\(task.partition),"
            var entries: [String] = []
            pipeline.describe(task) { entries.append(number + $0.json.dropFirst()) }
            lines += entries.sorted()
            for store in pipeline.summaries(task) {
                lines.append(
                    number
                        + "\"store\":\"\(store.store)\",\"keys\":\(store.keys),\"waiting\":\(store.waiting),"
                        + "\"closed\":\(store.closedUntil.map(String.init) ?? "null")}"
                )
            }
            for (index, source) in spec.sources.enumerated() {
                let mark = task.marks[index].map { "[\($0.offset),\($0.timestamp),\($0.hash)]" } ?? "null"
                lines.append(
                    number + "\"source\":\"\(source.name)\",\"position\":\(task.positions[index]),"
                        + "\"watermark\":\(task.watermarks[index]),\"mark\":\(mark)}"
                )
            }
            lines.append(number + "\"late\":\(task.lateCount),\"life\":\(task.incarnation)}")
        }
        return lines
    }
}
