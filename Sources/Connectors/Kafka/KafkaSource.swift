import Base
import CRdkafka
import Dataflow
import Records
import Topology

/// A topic that is the topology's source number `source`.
package struct KafkaSourceTopic: Sendable {
    package var topic: String
    package var source: Int
    /// Where a partition starts of which the group has no committed position.
    package var start: SourceSpec.Start

    package init(topic: String, source: Int, start: SourceSpec.Start) {
        self.topic = topic
        self.source = source
        self.start = start
    }
}

/// Reads topics as a member of a consumer group; Kafka hands out the partitions.
///
/// A rebalance is carried out between two polls' records: what was fetched before it is handed over, then
/// `.revoked` is delivered while the partitions are still ours, so that the receiver can commit, and only
/// then are they given back.
package final class KafkaSource: LaneSource {
    let client: KafkaClient
    let topics: [KafkaSourceTopic]
    let slots: KafkaSlots
    private var queue: OpaquePointer?
    let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private let slotOf: UnsafeMutablePointer<Int32>
    private let storage: RawRecordStorage
    let capacity = Limits.rowsPerBatchMax
    private var ended: [SourcePartition] = []
    private var faults: [Fault] = []
    /// An assignment that was told of but not begun.
    var waiting: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    let settings: KafkaSettings
    /// As `committed` found them last.
    var sequences: [SourcePartition: UInt64] = [:]
    private var hasJoined = false
    private(set) var partitionCount = 0
    /// Made when it is first needed.
    var probe: KafkaLogProbe?
    /// Queues of partitions, where records are taken one partition after the other.
    private(set) var split: KafkaSplit?

    /// `isSplit`: records come through `take`. Joins the group with the first `poll`. Throws if no broker
    /// answers or a topic does not exist after `deadlineMilliseconds`.
    package init(
        _ settings: KafkaSettings,
        topics: [KafkaSourceTopic],
        isSplit: Bool = false,
        deadlineMilliseconds: Int = 30_000
    ) throws(Fault) {
        for (index, topic) in topics.enumerated()
        where topics[..<index].contains(where: { $0.topic == topic.topic }) {
            throw Fault(.user, "two sources read topic '\(topic.topic)'; read it once and use two steps")
        }
        client = try KafkaClient(settings, .consumer)
        self.settings = settings
        self.topics = topics
        for topic in topics {
            let count = try client.partitionCount(of: topic.topic, deadlineMilliseconds: deadlineMilliseconds)
            guard let count else { throw client.missing(topic.topic) }
            partitionCount = max(partitionCount, count)
        }
        slots = KafkaSlots(client, topics)
        messages = .allocate(capacity: capacity)
        messages.initialize(repeating: nil, count: capacity)
        slotOf = .allocate(capacity: capacity)
        slotOf.initialize(repeating: -1, count: capacity)
        storage = RawRecordStorage(capacity: capacity, findHeader: findKafkaHeader)
        client.forwardsToConsumer()
        queue = rd_kafka_queue_get_consumer(client.handle)
        if isSplit, let queue { split = try KafkaSplit(client, main: queue) }
    }

    deinit {
        if let queue { rd_kafka_queue_destroy(queue) }
        messages.deallocate()
        slotOf.deallocate()
    }

    private func subscribe() throws(Fault) {
        let list = rd_kafka_topic_partition_list_new(Int32(topics.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for topic in topics { rd_kafka_topic_partition_list_add(list, topic.topic, -1) }
        let code = rd_kafka_subscribe(client.handle, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "subscribe").text)")
        }
    }

    // MARK: LaneSource

    package func poll(
        timeoutMilliseconds: Int,
        _ body: (SourcePartition, RawRecords) -> Void,
        onEvent: (SourceEvent) -> Void
    ) {
        guard let queue else { return }
        if !hasJoined {
            hasJoined = true
            do throws(Fault) { try subscribe() } catch { faults.append(error) }
        }
        if let split, timeoutMilliseconds > 0 { split.wait(milliseconds: timeoutMilliseconds) }
        let timeout = split == nil ? Int32(timeoutMilliseconds) : 0
        let count = rd_kafka_consume_batch_queue(queue, timeout, messages, capacity)
        if count > 0 { handOver(count, body) }
        for partition in ended { onEvent(.caughtUp(partition)) }
        ended.removeAll(keepingCapacity: true)
        while !client.reports.pointee.rebalances.isEmpty {
            rebalance(client.reports.pointee.rebalances.removeFirst(), onEvent)
        }
        if let fault = client.takeFault() { faults.append(fault) }
        if client.reports.pointee.isTopicMissing {
            client.reports.pointee.isTopicMissing = false
            noteMissing("")
        }
        for fault in faults { onEvent(.failed(fault)) }
        faults.removeAll()
    }

    /// Commits positions by themselves, outside of any transaction.
    package func commit(_ positions: [SourcePartition: Int64]) throws(Fault) {
        guard !positions.isEmpty, queue != nil else { return }
        let list = list(of: positions)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        try commit(list)
    }

    /// Leaves the group, unless the membership is static, and frees what the client holds.
    package func close() {
        guard let queue else { return }
        client.reports.pointee.isClosing = true
        split?.close(main: queue)
        split = nil
        client.reports.pointee.isLeaving = leavesForGood && settings.instanceId != nil
        answerRebalances()
        rd_kafka_queue_destroy(queue)
        self.queue = nil
        leave()
        slots.removeAll()
        if let waiting { rd_kafka_topic_partition_list_destroy(waiting) }
        waiting = nil
        probe = nil
    }

    // MARK: What the source knows without asking a broker

    package var leavesForGood: Bool { settings.stop?.isForGood == true }

    package var assignment: [SourcePartition] { slots.assigned }

    /// Records between what was handed over and the end of the partition, as of the
    /// last fetch; nil before it.
    package func lag(of partition: SourcePartition) -> Int64? {
        guard let high = highWatermark(of: partition), let next = slots.position(of: partition) else {
            return nil
        }
        return max(high - next, 0)
    }

    /// The end of the partition as of the last fetch; nil before it.
    package func highWatermark(of partition: SourcePartition) -> Int64? {
        guard let topic = topics.first(where: { $0.source == partition.source }) else { return nil }
        var low: Int64 = -1
        var high: Int64 = -1
        let code = rd_kafka_get_watermark_offsets(
            client.handle,
            topic.topic,
            partition.partition,
            &low,
            &high
        )
        return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
    }

    // MARK: Records

    /// Sorts the messages by partition, which keeps their order within each, and calls `body` per partition.
    private func handOver(_ count: Int, _ body: (SourcePartition, RawRecords) -> Void) {
        slots.beginCount()
        for index in 0..<count {
            guard let message = messages[index] else { continue }
            var slot: Int32 = -1
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                slot = slots.count(message.pointee.rkt, message.pointee.partition, message.pointee.offset)
            } else {
                note(message)
            }
            slotOf[index] = slot
        }
        slots.endCount()
        let storage = storage
        for index in 0..<count {
            guard let message = messages[index], slotOf[index] >= 0 else { continue }
            storage.fill(slots.take(slotOf[index]), message)
        }
        slots.forEachCounted { partition, start, count in
            body(partition, RawRecords(at: storage, from: start, count: count))
        }
        for index in 0..<count { rd_kafka_message_destroy(messages[index]) }
    }

    /// What a message that carries an error says.
    func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let code = message.pointee.err
        let topic = message.pointee.rkt.map { name(ofTopic: $0) } ?? ""
        let detail = rd_kafka_message_errstr(message).map { String(cString: $0) } ?? ""
        let place = "topic '\(topic)', partition \(message.pointee.partition)"
        switch code {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            if let partition = slots.partition(message.pointee.rkt, message.pointee.partition) {
                ended.append(partition)
            }
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            faults.append(
                Fault(
                    .external,
                    "\(place): the group's position \(message.pointee.offset) is not there any more: records "
                        + "were deleted before they were read, or the topic was made anew (\(detail)); "
                        + "stop every worker, and ten seconds later set a new position with kafka-consumer-groups "
                        + "--reset-offsets: what lies between is then left out",
                    // Where there is state, a restore says which of the two.
                    retry: .withBackoff
                )
            )
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            noteMissing(topic)
        default:
            // A fatal error hides its cause in the handle.
            let problem =
                code == RD_KAFKA_RESP_ERR__FATAL
                ? KafkaProblem(code: code, nil, client.handle)
                : KafkaProblem(code: code, message.pointee.rkt == nil ? "consumer" : place)
            if problem.code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID {
                faults.append(client.fault(problem))
            } else if problem.isFinal {
                faults.append(Fault(.external, "Kafka: \(problem.text) (\(detail))", retry: problem.retry))
            } else {
                client.log(problem)
            }
        }
    }

    /// A topic that was read is not there, or was not for a moment. It may be deleted, and another one of its
    /// name be there already, so whoever reads it begins again and looks at what it is.
    private func noteMissing(_ topic: String) {
        let asked = topics.map(\.topic).filter { topic.isEmpty || $0 == topic }
        let gone = asked.filter {
            (try? client.partitionCount(of: $0, deadlineMilliseconds: 2000)) == .some(nil)
        }
        let names = "'" + (gone.isEmpty ? asked : gone).joined(separator: "', '") + "'"
        faults.append(
            Fault(
                .external,
                gone.isEmpty
                    ? "a broker did not know a topic for a moment (\(names)): whether it is still the same is looked at"
                    : "topic \(names) does not exist on \(client.bootstrapServers) any more: it was deleted while it was read",
                retry: .withBackoff))
    }
}

extension RawRecordStorage {
    /// Puts what `message` points at into entry `index`; valid until the message is destroyed.
    @inline(__always)
    func fill(_ index: Int, _ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        values[index] = UnsafePointer(message.pointee.payload?.assumingMemoryBound(to: UInt8.self))
        valueCounts[index] = Int32(truncatingIfNeeded: message.pointee.len)
        keys[index] = UnsafePointer(message.pointee.key?.assumingMemoryBound(to: UInt8.self))
        keyCounts[index] = Int32(truncatingIfNeeded: message.pointee.key_len)
        offsets[index] = message.pointee.offset
        timestamps[index] = rd_kafka_message_timestamp(message, nil)
        holders[index] = UnsafeRawPointer(message)
    }
}

/// A header of the message that a record's holder is. librdkafka takes a message's headers apart when the
/// first of them is asked for; who asks for none does not pay for that.
let findKafkaHeader: RawRecords.FindHeader = { holder, name, start in
    let message = holder.assumingMemoryBound(to: rd_kafka_message_t.self)
    var list: OpaquePointer?
    guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR else { return -1 }
    var value: UnsafeRawPointer?
    var count = 0
    guard rd_kafka_header_get_last(list, name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR, let value
    else { return -1 }
    start.pointee = value.assumingMemoryBound(to: UInt8.self)
    return count
}
