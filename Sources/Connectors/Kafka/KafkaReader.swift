import Base
import CRdkafka
import Dataflow
import Records

/// Reads all partitions of a topic outside of any group, committed records only: for tables that every lane
/// has all of, and for the demo, tests and benchmarks. Partitions that are added later are not read.
package final class KafkaReader: BroadcastReader {
    /// A record; its pointers are valid during the call that got it.
    package struct Record {
        package var partition: Int32
        package var offset: Int64
        /// Broker timestamp, milliseconds; -1: none.
        package var timestamp: Int64
        /// nil: null.
        package var key: UnsafeBufferPointer<UInt8>?
        package var value: UnsafeBufferPointer<UInt8>?
        var message: UnsafeMutablePointer<rd_kafka_message_t>

        package var keyText: String? { key.map { String(decoding: $0, as: UTF8.self) } }
        package var valueText: String? { value.map { String(decoding: $0, as: UTF8.self) } }

        /// Names and values in the order in which they were written.
        package var headers: [(name: String, value: String)] {
            var list: OpaquePointer?
            guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR else { return [] }
            var result: [(name: String, value: String)] = []
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var count = 0
            while rd_kafka_header_get_all(list, result.count, &name, &value, &count)
                == RD_KAFKA_RESP_ERR_NO_ERROR,
                let known = name
            {
                let bytes = UnsafeRawBufferPointer(start: value, count: count)
                result.append((String(cString: known), String(decoding: bytes, as: UTF8.self)))
            }
            return result
        }
    }

    package enum Start: Sendable {
        case beginning, end
        /// The next offset of each partition; those that are not named begin at their beginning. What lies
        /// outside of the log is taken to its nearest end, and `moved` says so.
        case at([Int32: Int64])
    }

    /// A position that the log does not have (any more), and where reading begins instead.
    package struct Move: Equatable, Sendable {
        package var partition: Int32
        package var from: Int64
        package var to: Int64
    }

    private static let readToEndMilliseconds: Int64 = 30_000

    private let client: KafkaClient
    private let topic: String
    private let queue: OpaquePointer
    package private(set) var moved: [Move] = []
    private var atEnd: [Bool]
    private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private static let capacity = 1000
    private lazy var storage = RawRecordStorage(capacity: Self.capacity, findHeader: findKafkaHeader)

    package init(
        _ settings: KafkaSettings,
        topic: String,
        from start: Start = .beginning,
        deadlineMilliseconds: Int = 30_000
    ) throws(Fault) {
        self.topic = topic
        client = try KafkaClient(settings, .reader)
        guard let count = try client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
        else {
            throw client.missing(topic)
        }
        atEnd = Array(repeating: false, count: count)
        messages = .allocate(capacity: Self.capacity)
        messages.initialize(repeating: nil, count: Self.capacity)
        client.forwardsToConsumer()
        guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
            throw Fault(.defect, "no consumer queue")
        }
        self.queue = queue
        let list = rd_kafka_topic_partition_list_new(Int32(count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for partition in 0..<Int32(count) {
            var from = Int64(RD_KAFKA_OFFSET_BEGINNING)
            switch start {
            case .beginning: break
            // An explicit end: a logical one is looked up later, and records would slip in between.
            case .end: from = try client.offsets(topic, partition).upperBound
            case .at(let positions):
                guard let position = positions[partition] else { break }
                let range = try client.offsets(topic, partition)
                from = position > range.upperBound ? range.lowerBound : max(position, range.lowerBound)
                if from != position { moved.append(Move(partition: partition, from: position, to: from)) }
            }
            rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = from
        }
        rd_kafka_assign(client.handle, list)
    }

    deinit {
        rd_kafka_queue_destroy(queue)
        messages.deallocate()
    }

    /// Every partition was read to its end as of the last poll.
    package var isAtEnd: Bool { atEnd.allSatisfy { $0 } }

    /// Hands over all records up to the end as of now, or throws.
    package func readToEnd(_ body: (Record) -> Void) throws(Fault) {
        let deadline = monotonicNanoseconds() + Self.readToEndMilliseconds * 1_000_000
        repeat {
            try client.checkStop()
            if monotonicNanoseconds() > deadline {
                throw Fault(
                    .external,
                    "topic '\(topic)' was not read to its end within \(Self.readToEndMilliseconds / 1000) s",
                    retry: .withBackoff)
            }
            try poll(timeoutMilliseconds: 50, body)
        } while !isAtEnd
    }

    /// Hands over the records that come within `timeoutMilliseconds`, returns how many. Throws when a record
    /// cannot be had.
    @discardableResult
    package func poll(timeoutMilliseconds: Int, _ body: (Record) -> Void) throws(Fault) -> Int {
        let count = rd_kafka_consume_batch_queue(queue, Int32(timeoutMilliseconds), messages, Self.capacity)
        var fault = client.takeFault()
        var records = 0
        for index in 0..<max(count, 0) {
            guard let message = messages[index] else { continue }
            defer { rd_kafka_message_destroy(message) }
            if note(message, &fault) {
                records += 1
                body(Record(message))
            }
        }
        if let fault { throw fault }
        return records
    }

    package func poll(timeoutMilliseconds: Int, batch body: (RawRecords) -> Void) throws(Fault) {
        let count = rd_kafka_consume_batch_queue(queue, Int32(timeoutMilliseconds), messages, Self.capacity)
        var fault = client.takeFault()
        var records = 0
        for index in 0..<max(count, 0) {
            guard let message = messages[index], note(message, &fault) else { continue }
            storage.fill(records, message)
            records += 1
        }
        if records > 0, fault == nil { body(RawRecords(at: storage, from: 0, count: records)) }
        for index in 0..<max(count, 0) {
            if let message = messages[index] { rd_kafka_message_destroy(message) }
        }
        if let fault { throw fault }
    }

    /// True if the message is a record.
    private func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>, _ fault: inout Fault?) -> Bool {
        let partition = message.pointee.partition
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            atEnd[Int(partition)] = false
            return true
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            atEnd[Int(partition)] = true
        default:
            let problem = KafkaProblem(code: message.pointee.err, "partition \(partition)")
            fault = fault ?? Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
        return false
    }
}

extension KafkaReader.Record {
    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeBufferPointer<UInt8>? {
            start.map { UnsafeBufferPointer(start: $0.assumingMemoryBound(to: UInt8.self), count: count) }
        }
        self.init(
            partition: message.pointee.partition,
            offset: message.pointee.offset,
            timestamp: rd_kafka_message_timestamp(message, nil),
            key: bytes(message.pointee.key, message.pointee.key_len),
            value: bytes(message.pointee.payload, message.pointee.len),
            message: message
        )
    }
}
