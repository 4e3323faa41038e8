import Base
import CRdkafka
import Dataflow

/// Reads whole topics outside of any group, committed records only, each from where it is told, and goes on
/// with what comes; more may be added while it reads. For one thread.
package final class KafkaTopicReader {
    private let client: KafkaClient
    private let queue: OpaquePointer
    private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private static let capacity = 2000
    /// By topic, whether each partition was read to its end as of the last poll.
    private var atEnd: [String: [Int32: Bool]] = [:]

    package init(_ settings: KafkaSettings) throws(Fault) {
        client = try KafkaClient(settings, .reader)
        client.forwardsToConsumer()
        guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
            throw Fault(.defect, "no consumer queue")
        }
        self.queue = queue
        messages = .allocate(capacity: Self.capacity)
        messages.initialize(repeating: nil, count: Self.capacity)
    }

    deinit {
        rd_kafka_queue_destroy(queue)
        messages.deallocate()
    }

    package var topics: Set<String> { Set(atEnd.keys) }

    /// Reads a topic from these offsets on, and from the beginning where none is given or it is gone; nil:
    /// there is no such topic. Returns how many records wait at most.
    package func add(_ topic: String, from offsets: [Int32: Int64] = [:], deadlineMilliseconds: Int = 10_000)
        throws(Fault) -> Int64?
    {
        if atEnd[topic] != nil { return 0 }
        guard let count = try client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
        else { return nil }
        let list = rd_kafka_topic_partition_list_new(Int32(count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        var waiting: Int64 = 0
        var ends: [Int32: Bool] = [:]
        for partition in 0..<Int32(count) {
            let range = try client.offsets(topic, partition)
            var from = max(range.lowerBound, offsets[partition] ?? 0)
            if from > range.upperBound {
                Log.warning(
                    "topic '\(topic)', partition \(partition) ends at \(range.upperBound) and was read up to \(from): it was made anew and is "
                        + "read from its beginning")
                from = range.lowerBound
            }
            waiting += range.upperBound - from
            ends[partition] = from == range.upperBound
            rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = from
        }
        if let error = rd_kafka_incremental_assign(client.handle, list) {
            defer { rd_kafka_error_destroy(error) }
            throw Fault(
                .external, "Kafka: topic '\(topic)': \(String(cString: rd_kafka_error_string(error)))")
        }
        atEnd[topic] = ends
        return waiting
    }

    fileprivate func partitionCount(_ topic: String) throws(Fault) -> Int? {
        try client.partitionCount(of: topic, deadlineMilliseconds: 10_000)
    }

    /// Reads one partition, from an offset or its last records; its range as of now. nil: there is no such
    /// partition.
    fileprivate func assign(
        _ topic: String, _ partition: Int32, from offset: Int64? = nil, last: Int64 = 0
    ) throws(Fault) -> Range<Int64>? {
        guard let count = try partitionCount(topic), partition >= 0, partition < Int32(count) else {
            return nil
        }
        let range = try client.offsets(topic, partition)
        let from = min(max(range.lowerBound, offset ?? range.upperBound - last), range.upperBound)
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = from
        if let error = rd_kafka_incremental_assign(client.handle, list) { rd_kafka_error_destroy(error) }
        atEnd[topic, default: [:]][partition] = from == range.upperBound
        return range
    }

    /// Every partition of a topic was read to its end as of the last poll.
    package func isAtEnd(_ topic: String) -> Bool { atEnd[topic]?.values.allSatisfy { $0 } ?? false }
    package var isAtEnd: Bool { atEnd.values.allSatisfy { $0.values.allSatisfy { $0 } } }

    /// Hands over what comes within `timeoutMilliseconds`, returns how many records. What a broker does not
    /// give for now is tried again by itself; a fault is something that stays.
    package func poll(timeoutMilliseconds: Int, _ body: (String, KafkaReader.Record) -> Void) throws(Fault)
        -> Int
    {
        let count = rd_kafka_consume_batch_queue(queue, Int32(timeoutMilliseconds), messages, Self.capacity)
        var fault = client.takeFault()
        var records = 0
        for index in 0..<max(count, 0) {
            guard let message = messages[index] else { continue }
            defer { rd_kafka_message_destroy(message) }
            guard let handle = message.pointee.rkt else { continue }
            let topic = name(ofTopic: handle)
            let partition = message.pointee.partition
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                atEnd[topic]?[partition] = false
                records += 1
                body(topic, KafkaReader.Record(message))
            case RD_KAFKA_RESP_ERR__PARTITION_EOF: atEnd[topic]?[partition] = true
            default:
                let problem = KafkaProblem(
                    code: message.pointee.err, "topic '\(topic)', partition \(partition)")
                fault = fault ?? Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
            }
        }
        if let fault { throw fault }
        return records
    }
}

/// A record that was read by its place, and is kept.
package struct KafkaStored: Sendable {
    package var partition: Int32
    package var offset: Int64
    package var timestamp: Int64
    package var key: [UInt8]?
    package var value: [UInt8]?
    package var headers: [(name: String, value: String)]

    fileprivate init(_ record: KafkaReader.Record) {
        (partition, offset, timestamp) = (record.partition, record.offset, record.timestamp)
        key = record.key.map { Array($0) }
        value = record.value.map { Array($0) }
        headers = record.headers
    }

    package func header(_ name: String) -> String? { headers.last { $0.name == name }?.value }
}

extension KafkaTopicReader {
    /// One record; nil: it is not there any more, or never was.
    package static func record(_ settings: KafkaSettings, topic: String, partition: Int32, offset: Int64)
        throws(Fault) -> KafkaStored?
    {
        let reader = try KafkaTopicReader(settings)
        guard let range = try reader.assign(topic, partition, from: offset), range.contains(offset) else {
            return nil
        }
        var found: KafkaStored?
        let deadline = monotonicNanoseconds() + 10_000_000_000
        while found == nil, monotonicNanoseconds() < deadline {
            var isBehind = false
            _ = try reader.poll(timeoutMilliseconds: 20) { _, record in
                if record.offset == offset {
                    found = KafkaStored(record)
                } else if record.offset > offset {
                    isBehind = true
                }
            }
            if isBehind || reader.isAtEnd { break }
        }
        return found
    }

    /// The last records of a topic, at most `count` of each partition; nil: there is no such topic.
    package static func last(_ settings: KafkaSettings, topic: String, count: Int64) throws(Fault)
        -> [KafkaStored]?
    {
        let reader = try KafkaTopicReader(settings)
        guard let partitions = try reader.partitionCount(topic) else { return nil }
        for partition in 0..<Int32(partitions) { _ = try reader.assign(topic, partition, last: count) }
        var found: [KafkaStored] = []
        let deadline = monotonicNanoseconds() + 10_000_000_000
        while !reader.isAtEnd, monotonicNanoseconds() < deadline {
            _ = try reader.poll(timeoutMilliseconds: 20) { _, record in found.append(KafkaStored(record)) }
        }
        return found
    }
}
