import Base
import Dataflow
import Engine
import Formats
import Foundation
import Records
import State
import Testing
import Topology

@testable import Operators

/// Alerts and controls, in the order in which tasks read them, through tasks in memory.
final class LevelsHarness {
    struct Event {
        var isControl: Bool
        var customer: Int
        /// Milliseconds.
        var time: Int64
        var number: Int
        /// Of an alert: what it says of an item; tenths.
        var item: String?
        var isRaised = true
        var weight: Int64?
        var action: String?
        var until: Int64?
        var reason: String?
        var owner: String?

        var json: String {
            func text(_ value: String?) -> String { value.map { "\"\($0)\"" } ?? "null" }
            let head =
                "{\"number\":\(number),\"customer\":\"C\(customer)\",\"desk\":\(customer % 2),\"at\":\(time),\"item\":\(text(item))"
            if isControl {
                return head + ",\"action\":\(text(action)),\"until\":\(until.map(String.init) ?? "null"),"
                    + "\"reason\":\(text(reason)),\"owner\":\(text(owner))}"
            }
            let weight = weight.map { Decimal.string($0, scale: 1) } ?? "null"
            return head + ",\"state\":\"\(isRaised ? "raised" : "cleared")\",\"weight\":\(weight)}"
        }
    }

    /// What the alerts are partitioned by beside the controls, which go by customer, and what levels go by.
    enum Spread: CaseIterable {
        /// Both by customer, and levels by customer and desk.
        case none
        /// By number, and levels by customer.
        case byCustomer
        /// By number, and levels by customer and desk.
        case byBoth
        /// By desk, and levels by customer and desk.
        case byDesk
    }

    static let end: Int64 = 100_000_000

    static func spec(group: String, outOfOrder: Int64 = 500, spread: Spread = .none) throws -> TopologySpec {
        let key = spread == .byCustomer ? "customer" : "[customer, desk]"
        let text = """
            topology: t
            sources:
              alerts:
                kafka: { topic: alerts }
                key: \(spread == .none ? "customer" : spread == .byDesk ? "desk" : "number")
                time: { field: at, out_of_order: \(outOfOrder)s }
                schema: { number: int, customer: text, desk: int, at: { type: timestamp, unit: ms }, item: text?, state: text, weight: "decimal(1)?" }
              control:
                kafka: { topic: control }
                key: customer
                time: { field: at, out_of_order: \(outOfOrder)s }
                schema: { number: int, customer: text, desk: int, at: { type: timestamp, unit: ms }, item: text?, action: text?, until: { type: "timestamp?", unit: ms }, reason: text?, owner: text? }
            steps:
              response:
                from: alerts
                key: \(key)
                levels:
                  item: item
                  active: state == "raised"
                  weight: weight
                  expire: 40s
                  \(group)
                  control: control
                  steps:
                    a: { at: 3, below: 2, hold: 20s, measure: look }
                    b: { at: 6, below: 4.5 }
                    c: { at: 9, below: 7, hold: 30s, or: { count: 2, weight: 4.0 }, measure: [call, freeze] }
              ups: { from: response, where: direction == "up", key: customer, window: { size: 60s }, aggregate: { n: count(), s: max(score) } }
            rules:
              called: { on: response, when: level == "c" and direction == "up", risk: r, severity: low, message: "{items}" }
            sinks:
              response: { kafka: { topic: response }, from: response }
              ups: { kafka: { topic: ups }, from: ups }
              alerts: { kafka: { topic: called } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    /// Times of whole seconds, so that records and what is due often meet; of one customer and kind they
    /// differ.
    static func events(_ random: inout SplitMix64, count: Int, disorder: UInt64 = 20, customers: UInt64 = 4)
        -> [Event]
    {
        var time: Int64 = 1000
        var taken: Set<[Int64]> = []
        return (0..<count).map { number in
            time += random.next() % 60 == 0 ? 90 : Int64(random.next() % 3)
            let isControl = random.next() % 5 == 0
            let customer = Int(random.next() % customers)
            var second = max(0, time - Int64(random.next() % disorder))
            while !taken.insert([isControl ? 1 : 0, Int64(customer), second]).inserted { second += 1 }
            var event = Event(isControl: isControl, customer: customer, time: second * 1000, number: number)
            event.item = random.next() % 8 == 0 ? nil : "r\(random.next() % 6)"
            guard isControl else {
                event.isRaised = random.next() % 3 != 0
                event.weight = random.next() % 20 == 0 ? nil : Int64(random.next() % 50)
                return event
            }
            event.action =
                ["suppress", "snooze", "resume", "suppress", "resume", "stop", nil].pick(
                    Dice(seed: random.next())) ?? nil
            if event.action == "snooze", random.next() % 5 > 0 || random.next() % 2 == 0 { event.item = nil }
            if random.next() % 3 > 0 { event.until = event.time + (Int64(random.next() % 40) - 4) * 1000 }
            event.reason = random.next() % 12 == 0 ? nil : "because \(number)"
            event.owner = random.next() % 12 == 0 ? ["", nil].pick(Dice(seed: random.next())) ?? nil : "desk"
            return event
        }
    }

    let spec: TopologySpec
    let pipeline: Pipeline
    let partitions: Int
    private(set) var tasks: [TaskState]
    private let storage = RawRecordStorage(capacity: 2048)
    private let bytes = Arena(capacity: 1 << 16)
    private var outbox = Outbox()
    /// Sink and value.
    private(set) var outputs: [String] = []
    /// Values that went elsewhere: late records, for one.
    private(set) var refused: [String] = []
    private var topics: [[[(key: [UInt8]?, value: [UInt8])]]]
    private(set) var log = ChangelogTests.Log()
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
            return switch source.format {
            case .rows: StreamRows(capacity: rowsMax)
            case .repartition:
                RepartitionDecoder(columns.map(\.field), partitions: partitions, capacity: rowsMax)
            case .published: JsonDecoder(columns, capacity: rowsMax)
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

    func place(_ text: String) -> Int { RepartitionBroker.partition(of: Array(text.utf8), among: partitions) }

    /// Gives the events in their order, as many at once as a batch holds and as go to one task and source.
    func give(_ events: [Event]) {
        let key = spec.sources[0].key
        func place(_ event: Event) -> Int {
            if event.isControl || key == ["customer"] { return self.place("C\(event.customer)") }
            return (key == ["desk"] ? event.customer % 2 : event.number) % partitions
        }
        var start = 0
        while start < events.count {
            var end = start + 1
            while end < events.count, end - start < rowsMax, events[end].isControl == events[start].isControl,
                place(events[end]) == place(events[start])
            {
                end += 1
            }
            feed(
                events[start..<end].map {
                    (Array("C\($0.customer)".utf8), Array($0.json.utf8), $0.time, $0.number)
                },
                source: events[start].isControl ? 1 : 0, task: place(events[start]))
            start = end
        }
    }

    func feed(
        _ records: [(key: [UInt8]?, value: [UInt8], timestamp: Int64, offset: Int)], source: Int, task: Int
    ) {
        bytes.removeAll()
        bytes.reserve(records.reduce(0) { $0 + ($1.key?.count ?? 0) + $1.value.count + 128 })
        func copy(_ data: [UInt8]?) -> UnsafePointer<UInt8>? {
            guard let data else { return nil }
            let text = bytes.append(data + [UInt8](repeating: 0, count: 64), data.count + 64)
            return UnsafePointer(bytes.base + text.offset)
        }
        for (row, record) in records.enumerated() {
            storage.keys[row] = copy(record.key)
            storage.keyCounts[row] = Int32(record.key?.count ?? -1)
            storage.values[row] = copy(record.value)
            storage.valueCounts[row] = Int32(record.value.count)
            storage.timestamps[row] = record.timestamp
            storage.offsets[row] = Int64(record.offset)
        }
        pipeline.process(
            RawRecords(at: storage, from: 0, count: records.count), source: source, task: tasks[task],
            outbox: &outbox)
        collect()
    }

    private func collect() {
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
            default: refused.append(text)
            }
        }
        outbox.removeAll()
    }

    /// Event time ends; repartition topics are read to their ends.
    func finish() {
        for task in tasks {
            for source in [0, 1] {
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

    // MARK: Rows

    /// Rows of the levels as the oracle writes them, by customer.
    func rows() throws -> [String: [String]] {
        var rows: [String: [String]] = [:]
        for output in outputs where output.hasPrefix("0 ") {
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(output.dropFirst(2).utf8)) as? [String: Any])
            let customer = try #require(object["customer"] as? String)
            if let desk = object["desk"] { #expect("\(desk)" == "\((Int(customer.dropFirst()) ?? 0) % 2)") }
            rows[customer, default: []].append(
                LevelsOracle.columns.map { name in
                    guard let value = object[name], !(value is NSNull) else { return "-" }
                    return "\(value)"
                }.joined(separator: "|"))
        }
        return rows
    }
}
