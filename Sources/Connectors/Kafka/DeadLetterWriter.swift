import Base
import CRdkafka

/// Writes what an outlet could not hand on to the topology's dead letters, with the headers of Kafka Streams
/// (KIP-1034). Outside of a transaction: after a crash a letter may be there twice, which its topic,
/// partition and offset tell.
package final class DeadLetterWriter {
    package struct Letter {
        package var key: [UInt8]?
        package var value: [UInt8]
        /// Of the record.
        package var partition: Int32
        package var offset: Int64

        package init(key: [UInt8]?, value: [UInt8], partition: Int32, offset: Int64) {
            (self.key, self.value, self.partition, self.offset) = (key, value, partition, offset)
        }
    }

    private let client: KafkaClient
    private let producer: KafkaProducing
    private let topic: OpaquePointer
    private let step: String
    private let origin: String

    /// `origin`: the topic that the records were read from.
    package init(_ settings: KafkaSettings, topology: String, step: String, of origin: String) throws(Fault) {
        var settings = settings
        settings.transactionalId = nil
        client = try KafkaClient(settings, .producer, reportsDeliveries: true)
        guard let topic = rd_kafka_topic_new(client.handle, "\(topology)-dead-letter", nil) else {
            throw Fault(.defect, "no topic of dead letters")
        }
        self.topic = topic
        (self.step, self.origin) = (step, origin)
        producer = KafkaProducing(client)
    }

    deinit {
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_topic_destroy(topic)
    }

    package func write(_ letter: Letter, exception: String, message reason: String) throws(Fault) {
        let headers = rd_kafka_headers_new(6)
        func add(_ name: String, _ value: String) {
            rd_kafka_header_add(headers, name, -1, value, value.utf8.count)
        }
        add("__streams.errors.exception", exception)
        add("__streams.errors.message", reason)
        add("__streams.errors.topic", origin)
        add("__streams.errors.partition", "\(letter.partition)")
        add("__streams.errors.offset", "\(letter.offset)")
        add("millrace.errors.step", step)
        var code = RD_KAFKA_RESP_ERR_NO_ERROR
        var fault: Fault?
        // What is empty is no null.
        ((letter.key ?? []) + [0]).withUnsafeBufferPointer { key in
            (letter.value + [0]).withUnsafeBufferPointer { value in
                var message = KafkaProducing.Message()
                if letter.key != nil { message.key = UnsafeBufferPointer(rebasing: key.dropLast()) }
                message.value = UnsafeBufferPointer(rebasing: value.dropLast())
                message.headers = headers
                do throws(Fault) { code = try producer.send(message, to: topic) } catch { fault = error }
            }
        }
        if fault == nil, code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
        rd_kafka_headers_destroy(headers)
        if let fault { throw fault }
        throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "dead letters").text)", retry: .withBackoff)
    }

    /// Waits until all of them are acknowledged.
    package func flush(deadlineMilliseconds: Int32 = 30_000) throws(Fault) {
        let code = rd_kafka_flush(client.handle, deadlineMilliseconds)
        let problem =
            client.reports.pointee.firstUndelivered
            ?? (code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaProblem(code: code, "dead letters"))
        client.reports.pointee.firstUndelivered = nil
        if let problem { throw Fault(.external, "Kafka: \(problem.text)", retry: .withBackoff) }
    }
}
