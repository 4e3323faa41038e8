import Base
import Dataflow
import Engine
import Foundation
import Operators
import Records
import Testing
import Topology

/// A topology on several tasks, with its topics in memory: sources, repartition topics and changelogs. The
/// test says which task reads, commits and dies when. What was not committed is lost with its task, as after
/// a crash.
final class TaskCluster {
    struct Record {
        var key: [UInt8]?
        var value: [UInt8]
    }

    struct Output: Hashable {
        var sink: String
        var key: String
        var text: String
    }

    struct Place: Hashable {
        var source: Int
        var task: Int
    }

    private(set) var spec: TopologySpec
    private(set) var pipeline: Pipeline
    let partitions: Int
    let rowsMax: Int
    private(set) var tasks: [TaskState] = []
    private var topics: [Place: [Record]] = [:]
    private var committed: [Place: Int] = [:]
    private var read: [Place: Int] = [:]
    private var pending: [Outbox] = []
    /// What the task under way has handed on in the middle of a batch.
    private var spilled: [[Output]] = []
    private(set) var spills = 0
    private var changelogs: [[(key: [UInt8], value: [UInt8]?)]] = []
    private(set) var outputs: [Output] = []
    /// Dead letters: why, the step, the value.
    private(set) var letters: [(why: String, step: String, text: String)] = []
    private(set) var lateCount = 0
    private(set) var deadCount = 0
    private(set) var crashes = 0
    /// Partitions without a record are known to be empty.
    private var hasEnded = false
    private let storage: RawRecordStorage
    private let options: Pipeline.Options

    /// `outboxBytesMax`: beyond that outputs are handed on in the middle of a batch, and joins make few at a
    /// time.
    init(_ text: String, partitions: Int, rowsMax: Int = 64, outboxBytesMax: Int? = nil) throws {
        let (read, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        let whole = try #require(read, "\(diagnostics)")
        spec = partitions > 1 ? whole.repartitioned() : whole
        self.partitions = partitions
        self.rowsMax = rowsMax
        var options = Pipeline.Options(
            rowsMax: rowsMax, clock: nil, tracksChanges: true, partitions: partitions)
        if let outboxBytesMax { (options.outboxBytesMax, options.pairsAtOnceMax) = (outboxBytesMax, 20) }
        self.options = options
        pipeline = try Planner(spec).pipeline(options).pipeline
        storage = RawRecordStorage(capacity: rowsMax)
        for task in 0..<partitions {
            tasks.append(pipeline.makeTask(partition: Int32(task)))
            pending.append(Outbox())
            changelogs.append([])
            spilled.append([])
        }
    }

    private func output(_ record: Outbox.Record, _ sink: Int, of outbox: Outbox) -> Output {
        func text(_ bytes: UnsafeBufferPointer<UInt8>?) -> String {
            bytes.map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        return Output(
            sink: spec.sinks[sink].name, key: text(outbox.key(of: record)),
            text: text(outbox.value(of: record)))
    }

    // MARK: Topics

    private func partition(of key: [UInt8]) -> Int {
        key.isEmpty
            ? 0
            : key.withUnsafeBufferPointer { Int(hashBytes($0.baseAddress!, $0.count) % UInt64(partitions)) }
    }

    func append(_ source: String, key: String, _ json: String) throws {
        let index = try #require(spec.sources.firstIndex { $0.name == source && !$0.origin.isStream })
        let key = Array(key.utf8)
        topics[Place(source: index, task: partition(of: key)), default: []]
            .append(Record(key: key, value: Array(json.utf8)))
    }

    func unread(_ task: Int) -> [Place] {
        spec.sources.indices.map { Place(source: $0, task: task) }
            .filter { (topics[$0]?.count ?? 0) > read[$0] ?? 0 }
    }

    var isRead: Bool { (0..<partitions).allSatisfy { unread($0).isEmpty } }

    // MARK: Tasks

    func process(_ place: Place, rows: Int) {
        let start = read[place] ?? 0
        let records = (topics[place] ?? [])[start...].prefix(min(rows, rowsMax))
        // Readable bytes behind each record, as every source has them.
        var bytes: [UInt8] = []
        var offsets: [(key: Int?, value: Int)] = []
        for record in records {
            let key = record.key == nil ? nil : bytes.count
            bytes += record.key ?? []
            offsets.append((key, bytes.count))
            bytes += record.value
        }
        bytes += [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for (row, (record, offset)) in zip(records, offsets).enumerated() {
                storage.keys[row] = offset.key.map { base + $0 }
                storage.keyCounts[row] = Int32(record.key?.count ?? -1)
                storage.values[row] = base + offset.value
                storage.valueCounts[row] = Int32(record.value.count)
                storage.offsets[row] = Int64(start + row)
                storage.timestamps[row] = 1
            }
            pipeline.spill = { [unowned self] outbox in
                spills += 1
                for record in outbox.records {
                    guard case .sink(let sink) = record.destination else { continue }
                    spilled[place.task].append(output(record, sink, of: outbox))
                }
                outbox.removeAll()
            }
            defer { pipeline.spill = nil }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: records.count), source: place.source,
                task: tasks[place.task],
                outbox: &pending[place.task])
        }
        read[place] = start + records.count
    }

    func commit(_ task: Int) {
        pipeline.carryWatermarks(tasks[task], quiet: { _ in hasEnded }, into: &pending[task])
        outputs += spilled[task]
        spilled[task] = []
        for record in pending[task].records {
            let key = pending[task].key(of: record).map { Array($0) }
            let value = pending[task].value(of: record).map { Array($0) } ?? []
            switch record.destination {
            case .sink(let sink): outputs.append(output(record, sink, of: pending[task]))
            case .repartition(let index):
                let to = record.partition >= 0 ? Int(record.partition) : partition(of: key ?? [])
                topics[Place(source: spec.repartitions[index].source, task: to), default: []]
                    .append(Record(key: key, value: value))
            case .late: lateCount += 1
            case .deadLetter:
                deadCount += 1
                var headers: [String: String] = [:]
                pending[task].forEachHeader(of: record) {
                    headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self)
                }
                letters.append(
                    (
                        headers["__streams.errors.exception"] ?? "", headers["millrace.errors.step"] ?? "",
                        String(decoding: value, as: UTF8.self)
                    ))
            case .changelog, .acknowledgement: break
            }
        }
        pending[task].removeAll()
        var positions: [Int: Int64] = [:]
        for source in spec.sources.indices {
            let place = Place(source: source, task: task)
            if let position = read[place], position != committed[place] ?? 0 {
                positions[source] = Int64(position)
                committed[place] = position
            }
        }
        var changes = Outbox()
        pipeline.collectChanges(tasks[task], positions: positions, into: &changes)
        for record in changes.records {
            changelogs[task].append(
                (changes.key(of: record).map { Array($0) } ?? [], changes.value(of: record).map { Array($0) })
            )
        }
    }

    /// The task dies with what it has not committed, and is put back from its changelog, or, right after a
    /// commit, from a snapshot.
    func crash(_ task: Int, compacts: Bool, fromSnapshot: Bool) throws {
        crashes += 1
        var snapshot: Arena?
        if fromSnapshot {
            commit(task)
            let bytes = Arena(capacity: 1024)
            pipeline.writeSnapshot(tasks[task], to: bytes)
            snapshot = bytes
        }
        try crash(task, compacts: compacts, snapshot: snapshot)
    }

    private func crash(_ task: Int, compacts: Bool, snapshot: Arena?) throws {
        pending[task].removeAll()
        spilled[task] = []
        for source in spec.sources.indices {
            let place = Place(source: source, task: task)
            read[place] = committed[place] ?? 0
        }
        if compacts {
            var newest: [[UInt8]: Int] = [:]
            for (index, record) in changelogs[task].enumerated() { newest[record.key] = index }
            changelogs[task] = changelogs[task].enumerated().filter { newest[$1.key] == $0 }.map(\.element)
        }
        let state = pipeline.makeTask(partition: Int32(task))
        if let snapshot {
            let isRead = pipeline.readSnapshot(
                UnsafeBufferPointer(start: snapshot.base, count: snapshot.count), task: state)
            #expect(isRead)
        } else {
            for (key, value) in changelogs[task] {
                try key.withUnsafeBufferPointer { key in
                    guard let value else { return try pipeline.restore(key: key, value: nil, task: state) }
                    try value.withUnsafeBufferPointer {
                        try pipeline.restore(key: key, value: $0, task: state)
                    }
                }
            }
        }
        try pipeline.finishRestore(state, place: "changelog \(task)")
        tasks[task] = state
    }

    /// All commit and go on under another topology with the same sources; of one partition.
    func recompile(_ text: String, fromSnapshot: Bool) throws {
        require(partitions == 1, "topics between tasks are known by the places of their sources")
        let (read, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        let spec = try #require(read, "\(diagnostics)")
        let next = try Planner(spec).pipeline(options).pipeline
        commit(0)
        let snapshot = Arena(capacity: 1024)
        if fromSnapshot { pipeline.writeSnapshot(tasks[0], to: snapshot) }
        (self.spec, pipeline) = (spec, next)
        try crash(0, compacts: true, snapshot: fromSnapshot ? snapshot : nil)
    }

    /// What a task keeps, a line of JSON for each key of each store.
    func description(_ task: Int) -> [String] {
        var lines: [String] = []
        pipeline.describe(tasks[task]) { lines.append($0.json) }
        return lines.sorted()
    }

    // MARK: Runs

    /// Reads everything in random steps and commits, with crashes, then lets event time go on to `end`.
    func run(_ random: inout SplitMix64, crashesPerMille: UInt64 = 0, until end: Int64) throws {
        while !isRead {
            let task = Int(random.next() % UInt64(partitions))
            if let place = unread(task).randomElement(using: &random) {
                process(place, rows: 1 + Int(random.next() % UInt64(rowsMax)))
            }
            if random.next() % 3 == 0 { commit(task) }
            if random.next() % 1000 < crashesPerMille {
                try crash(task, compacts: random.next() % 2 == 0, fromSnapshot: random.next() % 3 == 0)
            }
            if isRead { commitAll() }
        }
        hasEnded = true
        for task in 0..<partitions {
            for (index, source) in spec.sources.enumerated() {
                if case .kafka = source.origin {
                    pipeline.advance(source: index, to: end, task: tasks[task], outbox: &pending[task])
                }
            }
        }
        drain()
    }

    private func commitAll() { for task in 0..<partitions { commit(task) } }

    /// Until nothing is under way between tasks any more.
    private func drain() {
        commitAll()
        while !isRead {
            for task in 0..<partitions {
                while let place = unread(task).first { process(place, rows: rowsMax) }
            }
            commitAll()
        }
    }

    /// The outputs of a sink, sorted: several tasks have no order among them.
    func sorted(_ sink: String) -> [String] { outputs.filter { $0.sink == sink }.map(\.text).sorted() }
}
