import Base
import CRdkafka

/// Writes a few records at once or not at all. One name has one publisher at a time: who opens another ends
/// what the one before had not committed.
package final class KafkaPublisher {
    package struct Record: Sendable {
        package var topic: String
        package var partition: Int32
        package var key: String?
        /// nil: null.
        package var value: String?

        package init(topic: String, partition: Int32 = -1, key: String?, value: String?) {
            (self.topic, self.partition, self.key, self.value) = (topic, partition, key, value)
        }
    }

    private let client: KafkaClient
    private let producer: KafkaProducing
    private static let milliseconds: Int32 = 15_000

    /// `name`: of its transactions.
    package init(_ settings: KafkaSettings, name: String) throws(Fault) {
        var settings = settings
        settings.transactionalId = name
        client = try KafkaClient(settings, .producer, reportsDeliveries: true)
        producer = KafkaProducing(client)
        try check(rd_kafka_init_transactions(client.handle, Self.milliseconds), "opening")
    }

    deinit {
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_flush(client.handle, 1000)
    }

    /// Throws if another publisher of the name was opened since.
    package func publish(_ records: [Record]) throws(Fault) {
        try check(rd_kafka_begin_transaction(client.handle), "begin")
        for record in records { try send(record) }
        try check(rd_kafka_commit_transaction(client.handle, Self.milliseconds), "commit")
    }

    private func send(_ record: Record) throws(Fault) {
        guard let topic = rd_kafka_topic_new(client.handle, record.topic, nil) else {
            throw Fault(.user, "'\(record.topic)' is not a topic name")
        }
        defer { rd_kafka_topic_destroy(topic) }
        var code = RD_KAFKA_RESP_ERR_NO_ERROR
        var fault: Fault?
        // A text of nothing is no null.
        (Array((record.key ?? "").utf8) + [0]).withUnsafeBufferPointer { key in
            (Array((record.value ?? "").utf8) + [0]).withUnsafeBufferPointer { value in
                var message = KafkaProducing.Message()
                if record.key != nil { message.key = UnsafeBufferPointer(rebasing: key.dropLast()) }
                if record.value != nil { message.value = UnsafeBufferPointer(rebasing: value.dropLast()) }
                message.partition = record.partition
                do throws(Fault) { code = try producer.send(message, to: topic) } catch { fault = error }
            }
        }
        if let fault { throw fault }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            throw client.fault(KafkaProblem(code: code, "topic '\(record.topic)'"))
        }
    }

    private func check(_ error: OpaquePointer?, _ call: String) throws(Fault) {
        guard let error else { return }
        defer { rd_kafka_error_destroy(error) }
        if let problem = client.reports.pointee.firstUndelivered { throw client.fault(problem) }
        let code = rd_kafka_error_code(error)
        if code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
            || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED
        {
            throw Fault(.external, "somebody else publishes at the same time; nothing was written")
        }
        let text = rd_kafka_error_string(error).map { String(cString: $0) } ?? ""
        throw Fault(.external, "Kafka: transaction: \(call): \(text)", retry: .withBackoff)
    }
}
