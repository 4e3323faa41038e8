import Base
import CRdkafka
import Dataflow

/// Publishes an outbox's records with one idempotent producer.
///
/// After `send` or `flush` threw, records may or may not have been published: close the sink, make
/// another, and start again from the last commit.
package final class KafkaSink: LaneSink {
    /// Records since the start.
    package struct Counts: Equatable, Sendable {
        package var sent = 0
        package var delivered = 0
        package var undelivered = 0
        /// Dead letters and late records whose value was left out because it is too large for a record.
        package var shortened = 0
    }

    private let client: KafkaClient
    private let clock: any Clock
    private let producer: KafkaProducing
    /// By the topology's sink index; nil: that sink is not Kafka's.
    private var sinkTopics: [OpaquePointer?] = []
    private var deadLetterTopic: OpaquePointer?
    private var lateTopic: OpaquePointer?
    private let flushMilliseconds: Int64
    private var sent = 0
    private var shortened = 0
    private var isOpen = true

    /// `sinks`: topic of each of the topology's sinks, nil for those that are not Kafka's. `onDelivery` gets
    /// the milliseconds from the append of the causing record to the acknowledgement of its result, on this
    /// sink's thread. Throws if no broker answers or a topic is missing after `deadlineMilliseconds`.
    package init(
        _ settings: KafkaSettings,
        sinks: [String?],
        deadLetter: String?,
        late: String?,
        clock: any Clock,
        flushMilliseconds: Int64 = 30_000,
        deadlineMilliseconds: Int = 30_000,
        onDelivery: ((Int64) -> Void)? = nil
    ) throws(Fault) {
        client = try KafkaClient(settings, .producer, reportsDeliveries: true)
        self.clock = clock
        self.flushMilliseconds = flushMilliseconds
        producer = KafkaProducing(client)
        if let onDelivery {
            client.reports.pointee.onDelivery = { onDelivery(clock.nowMilliseconds - $0) }
        }
        for topic in Set((sinks + [deadLetter, late]).compactMap { $0 }) {
            let count = try client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
            if count == nil { throw client.missing(topic) }
        }
        func handle(_ topic: String?) -> OpaquePointer? {
            topic.flatMap { rd_kafka_topic_new(client.handle, $0, nil) }
        }
        sinkTopics = sinks.map(handle)
        deadLetterTopic = handle(deadLetter)
        lateTopic = handle(late)
    }

    deinit { close() }

    package var counts: Counts {
        let reports = client.reports.pointee
        return Counts(
            sent: sent,
            delivered: reports.delivered,
            undelivered: reports.undelivered,
            shortened: shortened
        )
    }

    /// Records that are not acknowledged yet.
    package var inFlight: Int { Int(rd_kafka_outq_len(client.handle)) }

    /// Records for a destination without a topic are left out.
    package func send(_ outbox: borrowing Outbox) throws(Fault) {
        guard isOpen else { throw Fault(.defect, "the sink is closed") }
        let now = clock.nowMilliseconds
        for index in outbox.records.indices {
            let record = outbox.records[index]
            guard let topic = topic(of: record.destination) else { continue }
            try send(record, of: outbox, to: topic, now: now)
        }
        rd_kafka_poll(client.handle, 0)
        try checkDeliveries()
    }

    package func flush() throws(Fault) {
        guard isOpen else { throw Fault(.defect, "the sink is closed") }
        let deadline = monotonicNanoseconds() + flushMilliseconds * 1_000_000
        while rd_kafka_outq_len(client.handle) > 0 {
            let left = (deadline - monotonicNanoseconds()) / 1_000_000
            guard left > 0 else {
                throw Fault(
                    .external,
                    "\(inFlight) records were not acknowledged by \(client.bootstrapServers) within "
                        + "\(flushMilliseconds) ms",
                    retry: .withBackoff
                )
            }
            rd_kafka_flush(client.handle, Int32(min(left, 100)))
            try checkDeliveries()
        }
        try checkDeliveries()
    }

    /// Drops what was not flushed.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_flush(client.handle, 1000)
        client.reports.pointee.onDelivery = nil
        for case let topic? in sinkTopics + [deadLetterTopic, lateTopic] { rd_kafka_topic_destroy(topic) }
        sinkTopics = []
        deadLetterTopic = nil
        lateTopic = nil
    }

    private func topic(of destination: Destination) -> OpaquePointer? {
        switch destination {
        case .sink(let index): index < sinkTopics.count ? sinkTopics[index] : nil
        case .deadLetter: deadLetterTopic
        case .late: lateTopic
        case .changelog, .repartition: nil
        }
    }

    private func send(
        _ record: Outbox.Record,
        of outbox: borrowing Outbox,
        to topic: OpaquePointer,
        now: Int64
    ) throws(Fault) {
        var message = KafkaProducing.Message()
        message.key = outbox.key(of: record)
        message.value = outbox.value(of: record)
        // Brokers refuse records that are ahead of their clock; the event time stands in the value as well.
        message.timestamp = min(record.timestamp, now)
        message.cause = record.causedAt
        message.partition = record.partition
        if record.headersCount > 0 { message.headers = headers(of: record, outbox) }
        var code = try producer.send(message, to: topic)
        if code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            record.destination == .deadLetter || record.destination == .late
        {
            shortened += 1
            message.value = nil
            code = try producer.send(message, to: topic)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            if let headers = message.headers { rd_kafka_headers_destroy(headers) }
            let problem = KafkaProblem(
                code: code,
                "topic '\(name(ofTopic: topic))', \(record.valueCount) bytes"
            )
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
        sent += 1
    }

    /// A list that the record's message will own.
    private func headers(of record: Outbox.Record, _ outbox: borrowing Outbox) -> OpaquePointer? {
        let list = rd_kafka_headers_new(8)
        outbox.forEachHeader(of: record) { name, value in
            rd_kafka_header_add(
                list,
                UnsafeRawPointer(name.baseAddress)?.assumingMemoryBound(to: CChar.self),
                name.count,
                value.baseAddress,
                value.count
            )
        }
        return list
    }

    private func checkDeliveries() throws(Fault) {
        if let problem = client.reports.pointee.firstUndelivered {
            throw Fault(.external, "Kafka did not take a record: \(problem.text)", retry: problem.retry)
        }
        if let fault = client.takeFault() { throw fault }
    }
}
