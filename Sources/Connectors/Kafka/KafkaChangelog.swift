import Base
import CRdkafka
import Dataflow

/// Reads the changelog topic of a topology, whose partition p is that of task p, outside of any group.
package final class KafkaChangelog: ChangelogReader {
    private let client: KafkaClient
    private let topic: String
    private let queue: OpaquePointer
    private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private let progress: (_ records: Int64, _ total: Int64) -> Void
    private static let capacity = 2000
    /// Without a record for so long the broker is taken for lost.
    private static let silenceMilliseconds: Int64 = 60_000

    /// `progress`: called after every batch with the records read and, roughly, how many there are.
    package init(
        _ settings: KafkaSettings,
        topic: String,
        progress: @escaping (_ records: Int64, _ total: Int64) -> Void
    ) throws(Fault) {
        client = try KafkaClient(settings, .reader)
        self.topic = topic
        self.progress = progress
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

    package func place(of task: Int32) -> String { "changelog '\(topic)', partition \(task)" }

    package func read(
        _ tasks: [Int32: Int64?],
        _ body: (Int32, Int64, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>?) throws(Fault) -> Void
    ) throws(Fault) -> [Int32: ChangelogEnd] {
        let list = rd_kafka_topic_partition_list_new(Int32(tasks.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let partitions = try client.partitionCount(of: topic, deadlineMilliseconds: 30_000) else {
            throw client.missing(topic)
        }
        if let task = tasks.keys.first(where: { $0 >= Int32(partitions) }) {
            throw Fault(
                .user,
                "partition \(task) was assigned, and changelog '\(topic)' has \(partitions) partitions: a source was given more. "
                    + "Keys have moved between partitions, and their windows cannot follow: begin anew under another --group"
            )
        }
        var total: Int64 = 0
        var ends: [Int32: ChangelogEnd] = [:]
        for (task, from) in tasks {
            let range = try client.offsets(topic, task)
            let begin = min(max(from ?? range.lowerBound, range.lowerBound), range.upperBound)
            total += range.upperBound - begin
            rd_kafka_topic_partition_list_add(list, topic, task).pointee.offset = begin
        }
        let code = rd_kafka_assign(client.handle, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "assign").text)", retry: .withBackoff)
        }
        defer { rd_kafka_assign(client.handle, nil) }
        var records: Int64 = 0
        var deadline = monotonicNanoseconds() + Self.silenceMilliseconds * 1_000_000
        while ends.count < tasks.count {
            try client.checkStop()
            let count = rd_kafka_consume_batch_queue(queue, 10, messages, Self.capacity)
            if count > 0 { deadline = monotonicNanoseconds() + Self.silenceMilliseconds * 1_000_000 }
            try take(max(count, 0), tasks, body, &ends, &records)
            if let fault = client.takeFault() { throw fault }
            progress(records, total)
            guard monotonicNanoseconds() < deadline else {
                throw Fault(.external, "changelog '\(topic)': no record for a minute", retry: .withBackoff)
            }
        }
        return ends
    }

    private func take(
        _ count: Int,
        _ tasks: [Int32: Int64?],
        _ body: (Int32, Int64, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>?) throws(Fault) -> Void,
        _ ends: inout [Int32: ChangelogEnd],
        _ records: inout Int64
    ) throws(Fault) {
        defer { for index in 0..<count { rd_kafka_message_destroy(messages[index]) } }
        for index in 0..<count {
            guard let message = messages[index]?.pointee else { continue }
            // Of an assignment before this one.
            guard let topicHandle = message.rkt, tasks[message.partition] != nil else { continue }
            switch message.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                records += 1
                do throws(Fault) {
                    let key = bytes(message.key, message.key_len) ?? UnsafeBufferPointer(start: nil, count: 0)
                    try body(message.partition, message.offset, key, bytes(message.payload, message.len))
                } catch {
                    throw Fault(
                        error.domain,
                        "\(place(of: message.partition)), offset \(message.offset): \(error.detail)",
                        retry: error.retry)
                }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                var low: Int64 = -1
                var high: Int64 = -1
                rd_kafka_get_watermark_offsets(client.handle, topic, message.partition, &low, &high)
                ends[message.partition] = ChangelogEnd(offset: message.offset, isOpen: high > message.offset)
            default:
                let problem = KafkaProblem(
                    code: message.err, "'\(name(ofTopic: topicHandle))', partition \(message.partition)")
                throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
            }
        }
    }

    private func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeBufferPointer<UInt8>? {
        start.map { UnsafeBufferPointer(start: $0.assumingMemoryBound(to: UInt8.self), count: count) }
    }
}
