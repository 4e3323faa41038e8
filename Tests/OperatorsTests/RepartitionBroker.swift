import Base
import Dataflow
import Formats
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// A topology that has gone through `repartitioned()`, with all its tasks and its topics in memory. The test
/// says which task reads how much next.
final class RepartitionBroker {
    struct Event {
        var shop: String
        var buyer: String
        var value: Int64?
        var flag: Bool
        var time: Int64
        /// Place in the whole stream; its offset, whatever partition it lies in.
        var index: Int
    }

    struct Record {
        var key: [UInt8]?
        var value: [UInt8]
        var timestamp: Int64
    }

    struct Output: Equatable {
        var sink: Int
        var key: String
        var text: String
        var causedAt: Int64
    }

    /// Rows are given by the test, so nothing is parsed.
    final class FixedDecoder: RecordDecoder {
        var events: [Event] = []
        /// Fields that nothing uses are not decoded.
        var names: [String] = []

        func decode(_ raw: RawRecords, into batch: Batch) {
            batch.arena.removeAll()
            batch.count = raw.count
            for row in 0..<raw.count {
                let event = events[Int(raw.offsets[row])]
                batch.status[row] = 0
                for (name, column) in zip(names, batch.columns) {
                    column.valid[row] = name == "value" && event.value == nil ? 0 : 1
                    column.values[row] =
                        switch name {
                        case "shop": batch.arena.append(event.shop).packed
                        case "buyer": batch.arena.append(event.buyer).packed
                        case "value": event.value ?? 0
                        case "flag": event.flag ? 1 : 0
                        default: event.time
                        }
                }
            }
        }

        func explain(_ row: Int, of batch: Batch, into text: Arena) {}
    }

    let spec: TopologySpec
    let partitions: Int
    let pipeline: Pipeline
    let decoder = FixedDecoder()
    let tasks: [TaskState]
    /// Indices of events by partition of the source.
    let inputs: [[Int]]
    private(set) var inputPositions: [Int]
    /// By repartition topic, then partition.
    private(set) var topics: [[[Record]]]
    private(set) var topicPositions: [[Int]]
    private(set) var outputs: [Output] = []
    private(set) var late: [(headers: [String: String], value: String)] = []
    private(set) var dead: [(headers: [String: String], value: String)] = []
    private var outbox = Outbox()
    private let storage: RawRecordStorage
    private let rowsMax = 64

    /// `place` gives the partition of an event; the split is left out where `isSplit` is false.
    init(
        _ spec: TopologySpec, _ events: [Event], partitions: Int, isSplit: Bool = true,
        zones: [String: TimeZoneTable] = [:], aheadBytesMax: Int = Limits.aheadBytesMax, place: (Event) -> Int
    ) {
        let spec = isSplit ? spec.repartitioned() : spec
        self.spec = spec
        self.partitions = partitions
        decoder.events = events
        decoder.names = spec.sources[0].wire.map(\.field.name)
        let decoders: [any RecordDecoder] = spec.sources.indices.map { [decoder] index -> any RecordDecoder in
            if index == 0 { return decoder }
            return RepartitionDecoder(
                spec.sources[index].wire.map(\.field), partitions: partitions, capacity: 64)
        }
        var options = Pipeline.Options(rowsMax: rowsMax, clock: nil, partitions: partitions)
        options.aheadBytesMax = aheadBytesMax
        pipeline = Pipeline(spec, decoders: decoders, zones: ZoneTables(zones), options: options)
        let pipeline = self.pipeline
        tasks = (0..<partitions).map { pipeline.makeTask(partition: Int32($0)) }
        inputs = (0..<partitions).map { partition in
            events.indices.filter { place(events[$0]) == partition }
        }
        inputPositions = Array(repeating: 0, count: partitions)
        topics = spec.repartitions.map { _ in Array(repeating: [], count: partitions) }
        topicPositions = spec.repartitions.map { _ in Array(repeating: 0, count: partitions) }
        storage = RawRecordStorage(capacity: rowsMax)
    }

    /// The partition that a key goes to.
    static func partition(of key: [UInt8], among partitions: Int) -> Int {
        key.withUnsafeBufferPointer { key in
            Int(hashBytes(key.baseAddress ?? UnsafePointer(bitPattern: 1)!, key.count) % UInt64(partitions))
        }
    }

    func isRead(_ task: Int) -> Bool { inputPositions[task] == inputs[task].count }

    /// Reads up to `count` events of a partition of the source.
    func read(_ task: Int, _ count: Int) {
        var left = min(count, inputs[task].count - inputPositions[task])
        while left > 0 {
            let rows = min(left, rowsMax)
            for row in 0..<rows {
                let index = inputs[task][inputPositions[task] + row]
                storage.values[row] = nil
                storage.valueCounts[row] = -1
                storage.keys[row] = nil
                storage.keyCounts[row] = -1
                storage.offsets[row] = Int64(index)
                storage.timestamps[row] = 5_000_000 + Int64(index)
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: rows), source: 0, task: tasks[task], outbox: &outbox)
            inputPositions[task] += rows
            left -= rows
            deliver()
        }
    }

    /// Reads up to `count` records of a partition of a repartition topic. True if there were any.
    @discardableResult
    func readTopic(_ topic: Int, _ task: Int, _ count: Int = .max) -> Bool {
        var left = min(count, topics[topic][task].count - topicPositions[topic][task])
        guard left > 0 else { return false }
        while left > 0 {
            let rows = min(left, rowsMax)
            let records = Array(topics[topic][task][topicPositions[topic][task]...].prefix(rows))
            feed(records, topic, task)
            topicPositions[topic][task] += rows
            left -= rows
            deliver()
        }
        return true
    }

    private func feed(_ records: [Record], _ topic: Int, _ task: Int) {
        let arena = Arena(capacity: 64)
        let places = records.map { record in
            (record.key.map { arena.append(String(decoding: $0, as: UTF8.self)) }, bytes(record.value, arena))
        }
        for (row, place) in places.enumerated() {
            storage.keys[row] = place.0.map { UnsafePointer(arena.base + $0.offset) }
            storage.keyCounts[row] = Int32(place.0?.count ?? -1)
            storage.values[row] = UnsafePointer(arena.base + place.1.offset)
            storage.valueCounts[row] = Int32(place.1.count)
            storage.offsets[row] = Int64(topicPositions[topic][task] + row)
            storage.timestamps[row] = 1
        }
        pipeline.process(
            RawRecords(at: storage, from: 0, count: records.count), source: spec.repartitions[topic].source,
            task: tasks[task], outbox: &outbox)
    }

    private func bytes(_ value: [UInt8], _ arena: Arena) -> TextReference {
        value.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { arena.append($0, buffer.count) }
                ?? TextReference(offset: arena.count, count: 0)
        }
    }

    /// A record that no task wrote.
    func put(_ topic: Int, _ task: Int, key: String?, value: [UInt8]) {
        topics[topic][task].append(Record(key: key.map { Array($0.utf8) }, value: value, timestamp: 0))
    }

    /// What a lane does before a commit.
    func carry(_ task: Int, isQuiet: Bool = false) {
        pipeline.carryWatermarks(tasks[task], quiet: { _ in isQuiet }, into: &outbox)
        deliver()
    }

    /// The source's partition was read to its end, and has been quiet for so long.
    func idle(_ task: Int, milliseconds: Int64) {
        pipeline.idle(source: 0, forMilliseconds: milliseconds, task: tasks[task], outbox: &outbox)
        deliver()
    }

    /// Everything is read, event time ends, and every partition says so.
    func finish(at time: Int64) {
        for task in 0..<partitions {
            read(task, .max)
            pipeline.advance(source: 0, to: time, task: tasks[task], outbox: &outbox)
            carry(task, isQuiet: true)
        }
        for topic in topics.indices {
            for task in 0..<partitions { readTopic(topic, task) }
        }
    }

    private func deliver() {
        for record in outbox.records {
            let key = outbox.key(of: record).map { Array($0) }
            let value = outbox.value(of: record).map { Array($0) } ?? []
            switch record.destination {
            case .repartition(let topic):
                let place =
                    record.partition >= 0
                    ? Int(record.partition) : Self.partition(of: key ?? [], among: partitions)
                topics[topic][place].append(Record(key: key, value: value, timestamp: record.timestamp))
            case .sink(let sink):
                outputs.append(
                    Output(
                        sink: sink, key: String(decoding: key ?? [], as: UTF8.self),
                        text: String(decoding: value, as: UTF8.self), causedAt: record.causedAt))
            case .late: late.append((headers(record), String(decoding: value, as: UTF8.self)))
            case .deadLetter: dead.append((headers(record), String(decoding: value, as: UTF8.self)))
            case .changelog, .acknowledgement: Issue.record("a delta that nobody asked for")
            }
        }
        outbox.removeAll()
    }

    private func headers(_ record: Outbox.Record) -> [String: String] {
        var headers: [String: String] = [:]
        outbox.forEachHeader(of: record) { name, value in
            headers[String(decoding: name, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
        }
        return headers
    }
}
