import Base
import Dataflow
import Engine
import Formats
import Records
import State
import Testing
import Topology

@testable import Operators

/// Orders and a registry of merchants, in the order in which a task reads them, through tasks in memory.
final class TableHarness {
    struct Event {
        var isTable: Bool
        var merchant: String
        /// nil: the record deletes the merchant, with a member or, `isNull`, without a value.
        var city: String?
        var isNull = false
        var grade: Int64?
        var time: Int64
        var number: Int

        var json: String {
            if !isTable { return "{\"id\":\(number),\"merchant\":\"\(merchant)\",\"at\":\(time)}" }
            guard let city else {
                return "{\"merchant\":\"\(merchant)\",\"since\":\(time),\"_deleted\":true}"
            }
            return
                "{\"merchant\":\"\(merchant)\",\"city\":\"\(city)\",\"grade\":\(grade.map(String.init) ?? "null"),\"since\":\(time)}"
        }
    }

    static let end: Int64 = 1_000_000_000

    static func spec(versions: String = "100s", isBroadcast: Bool = false, outOfOrder: String = "20s") throws
        -> TopologySpec
    {
        let text = """
            topology: t
            sources:
              orders:
                kafka: { topic: orders }
                key: merchant
                time: { field: at, out_of_order: 500s }
                schema: { id: int, merchant: text, at: { type: timestamp, unit: ms } }
              registry:
                kafka: { topic: registry }
                time: { field: since, out_of_order: \(outOfOrder) }
                table: { key: merchant, versions: \(versions), broadcast: \(isBroadcast) }
                schema: { merchant: text, city: text, grade: int?, since: { type: timestamp, unit: ms }, twice: { from: grade * 2, type: "int?" } }
            steps:
              all: { from: orders, key: merchant, join: { table: registry, on: merchant, kind: left } }
              found: { from: orders, join: { table: registry, on: merchant, select: [twice], as: r }, where: r.twice > 2 or r.twice is null }
              cities:
                from: orders
                join: { table: registry, on: merchant, select: [city] }
                key: registry.city
                window: { size: 60s }
                aggregate: { n: count() }
              grown: { from: all, where: registry.found, key: merchant, window: { size: 40s }, aggregate: { n: count(), g: sum(registry.grade), c: last(registry.city) } }
            rules:
              graded: { on: all, when: registry.grade > 6 and registry.found, risk: r, severity: low, message: "{registry.city}" }
            sinks:
              all: { kafka: { topic: all }, from: all }
              found: { kafka: { topic: found }, from: found }
              cities: { kafka: { topic: cities }, from: [cities, grown] }
              alerts: { kafka: { topic: alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    /// Times within 300 s of each other, but for table records that come with any time at all.
    static func events(_ random: inout SplitMix64, count: Int, nulls: Bool = true) -> [Event] {
        var time: Int64 = 100_000
        return (0..<count).map { number in
            time += Int64(random.next() % 2000)
            let isTable = random.next() % 3 == 0
            let merchant = "M\(random.next() % 7)"
            var event = Event(
                isTable: isTable, merchant: merchant, time: time - Int64(random.next() % 300_000),
                number: number)
            // Coarse, so that times are equal now and then.
            event.time = max(0, event.time / 4000 * 4000)
            guard isTable else { return event }
            if random.next() % 4 > 0 {
                event.city = "c\(random.next() % 4)"
                event.grade = random.next() % 5 == 0 ? nil : Int64(random.next() % 10)
            } else {
                event.isNull = nulls && random.next() % 2 == 0
            }
            return event
        }
    }

    let spec: TopologySpec
    let pipeline: Pipeline
    let partitions: Int
    private(set) var tasks: [TaskState]
    private let storage = RawRecordStorage(capacity: 2048)
    private let bytes = Arena(capacity: 1 << 16)
    var outbox = Outbox()
    private(set) var outputs: [String] = []
    private(set) var dead: [String] = []
    private var topics: [[[(key: [UInt8]?, value: [UInt8])]]]
    var log = ChangelogTests.Log()
    private let rowsMax: Int

    init(_ spec: TopologySpec, rowsMax: Int, partitions: Int = 1, tracksChanges: Bool = false) {
        let spec = partitions > 1 ? spec.repartitioned() : spec
        self.spec = spec
        self.rowsMax = rowsMax
        self.partitions = partitions
        let decoders: [any RecordDecoder] = spec.sources.map { source in
            let columns = source.wire.map {
                WireColumn(path: $0.path, field: $0.field, zone: nil, isRounded: false, reading: $0.reading)
            }
            if let table = source.table {
                return TableDecoder(columns, key: table.key, deleted: table.deleted, capacity: rowsMax) {
                    JsonDecoder($0, capacity: rowsMax)
                }
            }
            return switch source.format {
            case .repartition:
                RepartitionDecoder(columns.map(\.field), partitions: partitions, capacity: rowsMax)
            case .published, .rows: JsonDecoder(columns, capacity: rowsMax)
            }
        }
        pipeline = Pipeline(
            spec, decoders: decoders, zones: ZoneTables([:]),
            options: Pipeline.Options(
                rowsMax: rowsMax, clock: nil, tracksChanges: tracksChanges, partitions: partitions))
        let pipeline = self.pipeline
        tasks = (0..<partitions).map { pipeline.makeTask(partition: Int32($0)) }
        topics = spec.repartitions.map { _ in Array(repeating: [], count: partitions) }
    }

    func task(of merchant: String) -> Int {
        RepartitionBroker.partition(of: Array(merchant.utf8), among: partitions)
    }

    /// Gives the events in their order, as many at once as a batch holds and as go to one task and source.
    func give(_ events: [Event]) {
        var start = 0
        while start < events.count {
            let place = task(of: events[start].merchant)
            var end = start + 1
            while end < events.count, end - start < rowsMax, events[end].isTable == events[start].isTable,
                task(of: events[end].merchant) == place
            {
                end += 1
            }
            feed(
                events[start..<end].map { event in
                    (
                        Array(event.merchant.utf8), event.isNull ? nil : Array(event.json.utf8), event.time,
                        event.number
                    )
                }, source: events[start].isTable ? 1 : 0, task: place)
            start = end
        }
    }

    func feed(
        _ records: [(key: [UInt8]?, value: [UInt8]?, timestamp: Int64, offset: Int)], source: Int, task: Int
    ) {
        bytes.removeAll()
        bytes.reserve(records.reduce(0) { $0 + ($1.key?.count ?? 0) + ($1.value?.count ?? 0) + 128 })
        func copy(_ data: [UInt8]?) -> UnsafePointer<UInt8>? {
            guard let data else { return nil }
            let text = bytes.append(data + [UInt8](repeating: 0, count: 64), data.count + 64)
            return UnsafePointer(bytes.base + text.offset)
        }
        for (row, record) in records.enumerated() {
            storage.keys[row] = copy(record.key)
            storage.keyCounts[row] = Int32(record.key?.count ?? -1)
            storage.values[row] = copy(record.value)
            storage.valueCounts[row] = Int32(record.value?.count ?? -1)
            storage.timestamps[row] = record.timestamp
            storage.offsets[row] = Int64(record.offset)
        }
        pipeline.process(
            RawRecords(at: storage, from: 0, count: records.count), source: source, task: tasks[task],
            outbox: &outbox)
        collect()
    }

    func collect() {
        for record in outbox.records {
            let value = outbox.value(of: record).map { Array($0) } ?? []
            let text = String(decoding: value, as: UTF8.self)
            switch record.destination {
            case .sink(let sink): outputs.append("\(sink) \(text)")
            case .repartition(let topic):
                let key = outbox.key(of: record).map { Array($0) }
                let place =
                    record.partition >= 0
                    ? Int(record.partition) : RepartitionBroker.partition(of: key ?? [], among: partitions)
                topics[topic][place].append((key, value))
            default: dead.append(text)
            }
        }
        outbox.removeAll()
    }

    /// Event time ends; repartition topics are read to their ends.
    func finish() {
        for task in tasks {
            for source in spec.sources.indices {
                guard case .kafka = spec.sources[source].origin else { continue }
                pipeline.advance(source: source, to: Self.end, task: task, outbox: &outbox)
            }
            pipeline.carryWatermarks(task, quiet: { _ in true }, into: &outbox)
            collect()
        }
        for topic in topics.indices {
            for place in topics[topic].indices {
                var left = topics[topic][place][...]
                while !left.isEmpty {
                    let records = left.prefix(rowsMax)
                    left = left.dropFirst(rowsMax)
                    feed(
                        records.map { ($0.key, $0.value, 1, 0) }, source: spec.repartitions[topic].source,
                        task: place)
                }
            }
        }
    }

    // MARK: State

    func commit() {
        var changes = Outbox()
        pipeline.collectChanges(tasks[0], positions: [:], into: &changes)
        log.append(changes)
    }

    func snapshot() -> ChangelogTests.Saved {
        let bytes = Arena(capacity: 64)
        pipeline.writeSnapshot(tasks[0], to: bytes)
        return ChangelogTests.Saved(
            bytes: Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)), offset: log.end)
    }

    /// The task is lost and put back from what was committed.
    func crash(_ random: inout SplitMix64, saved: ChangelogTests.Saved?, outputs: [String]) throws {
        self.outputs = outputs
        tasks[0] = pipeline.makeTask(partition: 0)
        if random.next() % 2 == 0 { log.compact(&random, seen: saved?.offset ?? .max) }
        var from = 0
        if let saved, random.next() % 2 == 0 {
            let isRead = saved.bytes.withUnsafeBufferPointer { pipeline.readSnapshot($0, task: tasks[0]) }
            #expect(isRead)
            from = saved.offset
        }
        try ChangelogTests.restore(pipeline, tasks[0], log, from: from)
    }
}
