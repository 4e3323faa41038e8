import Base
import CRdkafka
import Glibc

/// Follows a topic as a member of a group of its own, committed records only: what was handed over counts as
/// done once `commit` was called, and comes again if it never was. Used by one thread.
package final class KafkaFollower {
    private let client: KafkaClient
    private let topic: String
    private let group: String
    private let queue: OpaquePointer
    private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private static let capacity = 1000
    /// Of the partitions that are held: what comes next, and what the group knows.
    private var positions: [Int32: Int64] = [:]
    private var committed: [Int32: Int64] = [:]
    private var isPaused = false
    /// Partitions are held since as many changes; what was handed over before the last of them is somebody
    /// else's.
    package private(set) var generation = 0
    /// Records that the topic had let go of before they were read.
    package private(set) var lost: Int64 = 0

    /// A group that has no positions begins with the oldest record.
    package init(_ settings: KafkaSettings, topic: String, group: String) throws(Fault) {
        var settings = settings
        settings.group = group
        settings.instanceId = nil
        settings.memberTag = ""
        settings.transactionalId = nil
        settings.prefetchBytes = 16 << 20
        self.topic = topic
        self.group = group
        client = try KafkaClient(settings, .consumer)
        client.forwardsToConsumer()
        guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
            throw Fault(.defect, "no consumer queue")
        }
        self.queue = queue
        messages = .allocate(capacity: Self.capacity)
        messages.initialize(repeating: nil, count: Self.capacity)
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, topic, -1)
        let code = rd_kafka_subscribe(client.handle, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(
                .external, "Kafka: \(KafkaProblem(code: code, "topic '\(topic)'").text)", retry: .withBackoff)
        }
    }

    deinit {
        rd_kafka_queue_destroy(queue)
        messages.deallocate()
    }

    /// Hands over the records that come within `timeoutMilliseconds`; returns how many.
    @discardableResult
    package func poll(timeoutMilliseconds: Int32, _ body: (KafkaReader.Record) -> Void) throws(Fault) -> Int {
        let count = rd_kafka_consume_batch_queue(queue, timeoutMilliseconds, messages, Self.capacity)
        var fault = client.takeFault()
        var records = 0
        let isStale = !client.reports.pointee.rebalances.isEmpty
        for index in 0..<max(count, 0) {
            guard let message = messages[index] else { continue }
            defer { rd_kafka_message_destroy(message) }
            // What was held before a change of partitions is read again by whoever holds it now.
            if !isStale, note(message, &fault) {
                records += 1
                body(KafkaReader.Record(message))
            }
        }
        try rebalance()
        if let fault { throw fault }
        return records
    }

    /// Stays in the group while nothing more can be taken; the few records that were under way are handed
    /// over.
    package func idle(milliseconds: Int32, _ body: (KafkaReader.Record) -> Void) throws(Fault) {
        setPaused(true)
        try poll(timeoutMilliseconds: milliseconds, body)
    }

    /// Records come again.
    package func goOn() { setPaused(false) }

    /// What was handed over is done.
    package func commit() throws(Fault) {
        let done = positions.filter { committed[$0.key] != $0.value }
        if done.isEmpty { return }
        let list = list(of: done)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        let code = rd_kafka_commit(client.handle, list, 0)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(
                .external, "Kafka: \(KafkaProblem(code: code, "positions of group '\(group)'").text)",
                retry: .withBackoff)
        }
        committed.merge(done) { $1 }
    }

    /// Records of the held partitions that are not done, as far as the broker told; markers of transactions
    /// count.
    package var lag: Int64 {
        positions.reduce(0) { sum, position in
            var low: Int64 = 0
            var high: Int64 = -1
            rd_kafka_get_watermark_offsets(client.handle, topic, position.key, &low, &high)
            return sum + max(0, high - max(0, committed[position.key] ?? position.value))
        }
    }

    /// Leaves the group.
    package func close() {
        guard let answers = rd_kafka_queue_new(client.handle) else { return }
        defer { rd_kafka_queue_destroy(answers) }
        if let error = rd_kafka_consumer_close_queue(client.handle, answers) {
            return rd_kafka_error_destroy(error)
        }
        let begin = monotonicNanoseconds()
        while rd_kafka_consumer_closed(client.handle) == 0, monotonicNanoseconds() - begin < 5_000_000_000 {
            guard let event = rd_kafka_queue_poll(answers, 20) else { continue }
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE { rd_kafka_assign(client.handle, nil) }
            rd_kafka_event_destroy(event)
        }
    }

    private func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>, _ fault: inout Fault?) -> Bool {
        let partition = message.pointee.partition
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            // Not of a partition that is gone, and none twice: 2.0.2 may hand over what it had fetched before
            // a pause.
            guard let position = positions[partition], message.pointee.offset >= position else {
                return false
            }
            positions[partition] = message.pointee.offset + 1
            return true
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            // Behind the last record there may be the end of its transaction.
            if positions[partition] != nil { positions[partition] = message.pointee.offset }
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            fault = fault ?? client.missing(topic)
        default:
            let problem = KafkaProblem(code: message.pointee.err, "topic '\(topic)', partition \(partition)")
            fault = fault ?? Fault(.external, "Kafka: \(problem.text)", retry: .withBackoff)
        }
        return false
    }

    // MARK: Partitions

    private func rebalance() throws(Fault) {
        let changes = client.reports.pointee.rebalances
        if changes.isEmpty { return }
        client.reports.pointee.rebalances.removeAll()
        for change in changes {
            generation += 1
            positions = [:]
            committed = [:]
            guard case .assign(let partitions) = change else {
                rd_kafka_assign(client.handle, nil)
                continue
            }
            let held = partitions.filter { $0.topic == topic }.map(\.partition)
            positions = try starts(of: held)
            committed = positions
            let list = list(of: positions)
            defer { rd_kafka_topic_partition_list_destroy(list) }
            rd_kafka_assign(client.handle, list)
            if isPaused { rd_kafka_pause_partitions(client.handle, list) }
        }
    }

    /// What the group has not done yet; where the topic does not have that any more, what it still has.
    private func starts(of partitions: [Int32]) throws(Fault) -> [Int32: Int64] {
        if partitions.isEmpty { return [:] }
        let list = list(of: Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        let deadline = monotonicNanoseconds() + 60_000_000_000
        var code = rd_kafka_committed(client.handle, list, 5000)
        while code != RD_KAFKA_RESP_ERR_NO_ERROR {
            try client.checkStop()
            let problem = KafkaProblem(code: code, "positions of group '\(group)'")
            if problem.isFinal || monotonicNanoseconds() > deadline {
                throw Fault(.external, "Kafka: \(problem.text)", retry: .withBackoff)
            }
            client.log(problem)
            usleep(100_000)
            code = rd_kafka_committed(client.handle, list, 5000)
        }
        var starts: [Int32: Int64] = [:]
        for index in 0..<Int(list?.pointee.cnt ?? 0) {
            guard let known = list?.pointee.elems[index] else { continue }
            let range = try client.offsets(topic, known.partition)
            if known.offset >= 0, known.offset < range.lowerBound {
                lost += range.lowerBound - known.offset
                Log.error(
                    "topic '\(topic)', partition \(known.partition): \(range.lowerBound - known.offset) records were deleted before group "
                        + "'\(group)' had taken them; raise the topic's retention.ms")
            } else if known.offset > range.upperBound {
                Log.warning(
                    "topic '\(topic)', partition \(known.partition) ends at \(range.upperBound) and group '\(group)' was at "
                        + "\(known.offset): the topic was made anew and is read from its beginning")
            }
            let isThere = known.offset >= range.lowerBound && known.offset <= range.upperBound
            starts[known.partition] = isThere ? known.offset : range.lowerBound
        }
        return starts
    }

    private func setPaused(_ pauses: Bool) {
        guard pauses != isPaused else { return }
        isPaused = pauses
        let list = list(of: positions)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        if pauses {
            rd_kafka_pause_partitions(client.handle, list)
        } else {
            rd_kafka_resume_partitions(client.handle, list)
        }
    }

    private func list(of positions: [Int32: Int64]) -> UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    {
        let list = rd_kafka_topic_partition_list_new(Int32(positions.count))
        for (partition, offset) in positions {
            rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = offset
        }
        return list
    }
}
