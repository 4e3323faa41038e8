import Base
import CRdkafka
import Dataflow

/// Publishes an outbox's records with one idempotent producer. With a transactional id everything between two
/// commits is one transaction, the group's positions included; without, outputs become durable first, then
/// the changes, then the positions.
///
/// After a call threw, records may or may not have been published: close the sink, make another, and start
/// again from the last commit. A transaction whose outcome is unknown is thereby ended either way before
/// anything else is sent: the new producer's epoch fences the old one's requests.
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
    private var changelogTopic: OpaquePointer?
    private var repartitionTopics: [OpaquePointer?] = []
    private var acknowledgementTopic: OpaquePointer?
    /// Of sinks that are no more; messages to them may be under way.
    private var formerTopics: [OpaquePointer?] = []
    /// The member of the group whose positions are committed with the results.
    private let group: KafkaSource?
    private let isTransactional: Bool
    private var isInTransaction = false
    /// When the records were appended that caused what this transaction publishes.
    private var causes: [Int64] = []
    private let onDelivery: ((Int64) -> Void)?
    private var commits = 0
    private var flushMilliseconds: Int64
    private var sent = 0
    private var shortened = 0
    private var isOpen = true

    /// Topics by what goes there; nil: nothing does.
    package struct Topics: Sendable {
        /// Of each of the topology's sinks, nil for those that are not Kafka's.
        package var sinks: [String?]
        package var deadLetter: String?
        package var late: String?
        package var changelog: String?
        package var repartitions: [String]
        package var acknowledgements: String?

        package init(
            sinks: [String?], deadLetter: String? = nil, late: String? = nil, changelog: String? = nil,
            repartitions: [String] = [], acknowledgements: String? = nil
        ) {
            self.acknowledgements = acknowledgements
            self.sinks = sinks
            self.deadLetter = deadLetter
            self.late = late
            self.changelog = changelog
            self.repartitions = repartitions
        }
    }

    /// `group`: commits the positions; nil: there are none. `onDelivery` gets the milliseconds from the
    /// append of the causing record to when its result can be read, on this sink's thread. Throws if no
    /// broker answers or a topic is missing after `deadlineMilliseconds`.
    package init(
        _ settings: KafkaSettings,
        topics: Topics,
        group: KafkaSource? = nil,
        clock: any Clock,
        flushMilliseconds: Int64 = 30_000,
        deadlineMilliseconds: Int = 30_000,
        onDelivery: ((Int64) -> Void)? = nil
    ) throws(Fault) {
        client = try KafkaClient(settings, .producer, reportsDeliveries: true)
        self.clock = clock
        self.flushMilliseconds = flushMilliseconds
        self.group = group
        self.onDelivery = onDelivery
        isTransactional = settings.transactionalId != nil
        producer = KafkaProducing(client)
        if let onDelivery, !isTransactional {
            client.reports.pointee.onDelivery = { onDelivery(clock.nowMilliseconds - $0) }
        }
        let names =
            topics.sinks + [topics.deadLetter, topics.late, topics.changelog, topics.acknowledgements]
            + topics.repartitions
        for topic in Set(names.compactMap { $0 }) {
            let count = try client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
            if count == nil { throw client.missing(topic) }
        }
        func handle(_ topic: String?) -> OpaquePointer? {
            topic.flatMap { rd_kafka_topic_new(client.handle, $0, nil) }
        }
        sinkTopics = topics.sinks.map(handle)
        deadLetterTopic = handle(topics.deadLetter)
        lateTopic = handle(topics.late)
        changelogTopic = handle(topics.changelog)
        repartitionTopics = topics.repartitions.map(handle)
        acknowledgementTopic = handle(topics.acknowledgements)
        client.reports.pointee.watched = changelogTopic
        if isTransactional {
            try openTransactions(Int64(deadlineMilliseconds))
        }
    }

    /// Ends what the last owner of the name left open. The call may be made again as long as it took too
    /// long.
    private func openTransactions(_ deadlineMilliseconds: Int64) throws(Fault) {
        let deadline = monotonicNanoseconds() + deadlineMilliseconds * 1_000_000
        while let error = rd_kafka_init_transactions(client.handle, 500) {
            try client.checkStop()
            let isOver = monotonicNanoseconds() > deadline || rd_kafka_error_is_retriable(error) == 0
            if isOver { return try check(error, "opening transactions") }
            rd_kafka_error_destroy(error)
        }
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
        if outbox.isEmpty { return }
        try beginTransaction()
        let now = clock.nowMilliseconds
        for index in outbox.records.indices {
            let record = outbox.records[index]
            guard let topic = topic(of: record.destination) else { continue }
            try send(record, of: outbox, to: topic, now: now)
        }
        rd_kafka_poll(client.handle, 0)
        try checkDeliveries()
    }

    package func commit(
        _ changes: borrowing Outbox, _ positions: [SourcePartition: Int64], sequences: [Int32: UInt64] = [:]
    ) throws(Fault) {
        client.reports.pointee.acknowledged.removeAll(keepingCapacity: true)
        if Plant.isOn(.offsetsFirst) { try group?.commit(positions) }
        guard isTransactional else {
            if let group, rd_kafka_assignment_lost(group.client.handle) != 0 {
                // Others have its partitions, and nothing but this look keeps its changes out of theirs.
                throw Fault(.external, "Kafka: the partitions were lost before a commit", retry: .withBackoff)
            }
            // What the changes say has been published must have been.
            try flush()
            try send(changes)
            Plant.pass(.commitSent)
            try flush()
            Plant.pass(.commitOffsets)
            try group?.commit(positions)
            return
        }
        try send(changes)
        // A commit of nothing but watermarks is none in which something could get lost.
        if !positions.isEmpty { Plant.pass(.commitSent) }
        if !positions.isEmpty, let group {
            try beginTransaction()
            if !Plant.isOn(.offsetsFirst) { try sendOffsets(positions, sequences, group) }
        }
        guard isInTransaction else { return }
        Plant.pass(.commitOffsets)
        commits += 1
        if Plant.isOn(.producerKept), commits % 10 == 0 {
            rd_kafka_abort_transaction(client.handle, Self.transactionMilliseconds)
        } else {
            try check(rd_kafka_commit_transaction(client.handle, Self.transactionMilliseconds), "commit")
        }
        isInTransaction = false
        try checkDeliveries()
        if let onDelivery {
            let now = clock.nowMilliseconds
            for cause in causes { onDelivery(now - cause) }
        }
        causes.removeAll(keepingCapacity: true)
    }

    package func changelogEnd(of task: Int32) -> Int64? {
        client.reports.pointee.acknowledged[task].map { $0 + 1 }
    }

    /// A commit takes milliseconds; while its coordinator moves, seconds.
    private static let transactionMilliseconds: Int32 = 15_000

    private func beginTransaction() throws(Fault) {
        guard isTransactional, !isInTransaction else { return }
        try check(rd_kafka_begin_transaction(client.handle), "begin")
        isInTransaction = true
    }

    private func sendOffsets(
        _ positions: [SourcePartition: Int64], _ sequences: [Int32: UInt64], _ group: KafkaSource
    ) throws(Fault) {
        let owner = client.transactionalId ?? ""
        let list = group.list(of: positions) { partition in
            PositionNote(owner: owner, sequence: sequences[partition.partition]).text
        }
        guard let list,
            let member = rd_kafka_consumer_group_metadata(group.client.handle)
        else { return }
        defer {
            rd_kafka_topic_partition_list_destroy(list)
            rd_kafka_consumer_group_metadata_destroy(member)
        }
        try check(
            rd_kafka_send_offsets_to_transaction(client.handle, list, member, Self.transactionMilliseconds),
            "positions of the group")
    }

    /// Any error leaves the transaction in doubt or lost: a new producer starts clean.
    private func check(_ error: OpaquePointer?, _ call: String) throws(Fault) {
        guard let error else { return }
        defer { rd_kafka_error_destroy(error) }
        // What was not taken is why the transaction cannot go on.
        if let problem = client.reports.pointee.firstUndelivered, problem.isFinal {
            throw client.fault(problem)
        }
        let text = rd_kafka_error_string(error).map { String(cString: $0) } ?? ""
        let problem = KafkaProblem(code: rd_kafka_error_code(error), "transaction: \(call)")
        if problem.code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID { throw client.fault(problem) }
        let mayHelp = rd_kafka_error_is_fatal(error) != 0 || !problem.isFinal
        throw Fault(
            .external, "Kafka: \(problem.text)\(text.isEmpty ? "" : " (\(text))")",
            retry: mayHelp ? .withBackoff : .never)
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
        if isInTransaction {
            // Frees readers at once; if it fails, the transaction's timeout does.
            if let error = rd_kafka_abort_transaction(client.handle, 2000) { rd_kafka_error_destroy(error) }
        }
        client.reports.pointee.watched = nil
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_flush(client.handle, 1000)
        client.reports.pointee.onDelivery = nil
        let topics =
            sinkTopics + [deadLetterTopic, lateTopic, changelogTopic, acknowledgementTopic]
            + repartitionTopics
            + formerTopics
        for case let topic? in topics { rd_kafka_topic_destroy(topic) }
        sinkTopics = []
        deadLetterTopic = nil
        lateTopic = nil
        changelogTopic = nil
        acknowledgementTopic = nil
        repartitionTopics = []
        formerTopics = []
    }

    package func route(_ sinks: [SinkRoute]) throws(Fault) {
        for case let topic? in sinks.map(\.topic) {
            guard try client.partitionCount(of: topic, deadlineMilliseconds: 30_000) != nil else {
                throw client.missing(topic)
            }
        }
        formerTopics += sinkTopics
        sinkTopics = sinks.map { sink in sink.topic.flatMap { rd_kafka_topic_new(client.handle, $0, nil) } }
    }

    private func topic(of destination: Destination) -> OpaquePointer? {
        switch destination {
        case .sink(let index): index < sinkTopics.count ? sinkTopics[index] : nil
        case .deadLetter: deadLetterTopic
        case .late: lateTopic
        case .changelog: changelogTopic
        case .repartition(let index): index < repartitionTopics.count ? repartitionTopics[index] : nil
        case .acknowledgement: acknowledgementTopic
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
        if isTransactional, record.causedAt >= 0, onDelivery != nil {
            causes.append(record.causedAt)
        } else {
            message.cause = record.causedAt
        }
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
            throw client.fault(problem)
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
            if problem.isFinal { throw client.fault(problem) }
            throw Fault(.external, "Kafka did not take a record: \(problem.text)", retry: problem.retry)
        }
        if let fault = client.takeFault() { throw fault }
    }
}
