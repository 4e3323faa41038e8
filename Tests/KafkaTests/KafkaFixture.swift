import Base
import Connectors
import Dataflow
import Topology

/// A record as text, for comparisons.
struct Seen: Equatable, Hashable {
    var partition: Int32
    var offset: Int64
    var key: String?
    var value: String?
}

func text(_ start: UnsafePointer<UInt8>?, _ count: Int32) -> String? {
    start.map { String(decoding: UnsafeBufferPointer(start: $0, count: Int(count)), as: UTF8.self) }
}

/// What a source handed over so far.
final class Intake {
    let source: KafkaSource
    var records: [Seen] = []
    var events: [SourceEvent] = []
    /// Where each partition of the assignment began.
    var started: [SourcePartition: Int64] = [:]
    private var assigned: [SourcePartition]?
    /// Called for each event, after it was noted.
    var onEvent: (SourceEvent) -> Void = { _ in }

    init(_ source: KafkaSource) { self.source = source }

    deinit { source.close() }

    /// Polls until `isDone`, false if that takes longer than `seconds`.
    func poll(seconds: Int = 60, until isDone: () -> Bool) -> Bool {
        let deadline = monotonicNanoseconds() + Int64(seconds) * 1_000_000_000
        while !isDone() {
            if monotonicNanoseconds() > deadline { return false }
            pollOnce()
        }
        return true
    }

    func pollOnce() {
        source.poll(timeoutMilliseconds: 10) { partition, raw in
            for index in 0..<raw.count {
                records.append(
                    Seen(
                        partition: partition.partition,
                        offset: raw.offsets[index],
                        key: text(raw.keys[index], raw.keyCounts[index]),
                        value: text(raw.values[index], raw.valueCounts[index])
                    )
                )
            }
        } onEvent: { event in
            events.append(event)
            if case .assigned(let partitions) = event { assigned = partitions }
            onEvent(event)
        }
        guard let assigned else { return }
        self.assigned = nil
        do throws(Fault) {
            started = try source.start(at: source.committed(assigned))
        } catch {
            events.append(.failed(error))
        }
    }

    var fault: Fault? {
        for case .failed(let fault) in events { return fault }
        return nil
    }

    /// For each partition the offset after the last record seen.
    var positions: [SourcePartition: Int64] {
        var result: [SourcePartition: Int64] = [:]
        for record in records {
            result[SourcePartition(source: 0, partition: record.partition)] = record.offset + 1
        }
        return result
    }
}

/// Reads a topic to its end.
func readAll(_ settings: KafkaSettings, _ topic: String) throws -> [(Seen, [(name: String, value: String)])] {
    let reader = try KafkaReader(settings, topic: topic)
    var result: [(Seen, [(name: String, value: String)])] = []
    let deadline = monotonicNanoseconds() + 60_000_000_000
    while !reader.isAtEnd {
        if monotonicNanoseconds() > deadline { throw Fault(.external, "topic '\(topic)' does not end") }
        try reader.poll(timeoutMilliseconds: 10) { record in
            let seen = Seen(
                partition: record.partition,
                offset: record.offset,
                key: record.keyText,
                value: record.valueText
            )
            result.append((seen, record.headers))
        }
    }
    return result
}

/// Adds a record made of texts.
func add(
    _ key: String?,
    _ value: String?,
    _ destination: Destination,
    causedAt: Int64 = -1,
    to outbox: inout Outbox
) {
    var record = outbox.begin(destination, timestamp: 1000, causedAt: causedAt)
    if var key { key.withUTF8 { outbox.setKey($0.baseAddress, $0.count, of: &record) } }
    if var value { value.withUTF8 { outbox.setValue($0.baseAddress, $0.count, of: &record) } }
    outbox.end(record)
}
