import Base
import CRdkafka

/// Puts records into topics as fast as librdkafka can: for `generate`, the demo, tests and benchmarks.
package final class KafkaFeeder {
    /// A topic to send to; valid as long as its feeder.
    package struct Topic {
        fileprivate var handle: OpaquePointer
    }

    private let client: KafkaClient
    private let producer: KafkaProducing
    private var topics: [OpaquePointer] = []

    package init(_ settings: KafkaSettings) throws(Fault) {
        client = try KafkaClient(settings, .feeder, reportsDeliveries: true)
        producer = KafkaProducing(client)
    }

    deinit {
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        for topic in topics { rd_kafka_topic_destroy(topic) }
    }

    /// Throws if there is no such topic or no broker answers until the deadline.
    package func topic(_ name: String, deadlineMilliseconds: Int = 30_000) throws(Fault) -> Topic {
        guard try client.partitionCount(of: name, deadlineMilliseconds: deadlineMilliseconds) != nil,
            let handle = rd_kafka_topic_new(client.handle, name, nil)
        else { throw client.missing(name) }
        topics.append(handle)
        return Topic(handle: handle)
    }

    /// Copies the record into the queue; waits while that is full. Timestamp in milliseconds, 0: now;
    /// partition -1: by the key.
    package func send(
        to topic: Topic,
        key: UnsafeBufferPointer<UInt8>?,
        value: UnsafeBufferPointer<UInt8>?,
        timestamp: Int64 = 0,
        partition: Int32 = -1
    ) throws(Fault) {
        var message = KafkaProducing.Message()
        message.key = key
        message.value = value
        message.timestamp = timestamp
        message.partition = partition
        let code = try producer.send(message, to: topic.handle)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let problem = KafkaProblem(code: code, "topic '\(name(ofTopic: topic.handle))'")
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
    }

    /// The same for texts.
    package func send(
        to topic: Topic,
        key: String?,
        value: String?,
        timestamp: Int64 = 0,
        partition: Int32 = -1
    ) throws(Fault) {
        let key = key.map { Array($0.utf8) }
        let value = value.map { Array($0.utf8) }
        // An empty array has no address, but an empty text is not a null.
        let empty: [UInt8] = [0]
        func at(_ bytes: [UInt8]?, _ body: (UnsafeBufferPointer<UInt8>?) -> Result<Void, Fault>) -> Result<
            Void, Fault
        > {
            guard let bytes else { return body(nil) }
            return (bytes.isEmpty ? empty : bytes).withUnsafeBufferPointer {
                body(UnsafeBufferPointer(start: $0.baseAddress, count: bytes.count))
            }
        }
        try at(key) { key in
            at(value) { value in
                Result { () throws(Fault) in
                    try send(to: topic, key: key, value: value, timestamp: timestamp, partition: partition)
                }
            }
        }.get()
    }

    /// Serves what the producer has to report; call it now and then when sending slowly.
    package func poll() { rd_kafka_poll(client.handle, 0) }

    /// Records acknowledged so far.
    package var delivered: Int { client.reports.pointee.delivered }

    /// Waits until every record is acknowledged; throws if one was refused or the deadline passed.
    package func flush(deadlineMilliseconds: Int = 60_000) throws(Fault) {
        let code = rd_kafka_flush(client.handle, Int32(deadlineMilliseconds))
        if let problem = client.reports.pointee.firstUndelivered {
            throw Fault(.external, "Kafka did not take a record: \(problem.text)", retry: problem.retry)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(
                .external,
                "records were not acknowledged within \(deadlineMilliseconds) ms",
                retry: .withBackoff
            )
        }
    }
}
