import Base
import CRdkafka
import Glibc
import Records

/// The bare librdkafka loop, which the engine is measured against: reads every partition of a
/// topic from its beginning until it has come to its end once, with the settings of `KafkaSource`.
package enum KafkaDrain {
    package struct Result: Sendable {
        package var records = 0
        /// Bytes of keys and values.
        package var bytes = 0
        package var wallNanoseconds: Int64 = 0
        /// Of the whole process, librdkafka's threads included.
        package var cpuNanoseconds: Int64 = 0

        package var recordsPerSecond: Double { Double(records) * 1e9 / Double(max(wallNanoseconds, 1)) }
        package var cpuNanosecondsPerRecord: Double { Double(cpuNanoseconds) / Double(max(records, 1)) }
    }

    /// Calls `body` with each run of messages of one partition, at most `Limits.rowsPerBatchMax` long; what
    /// it points at is valid during the call. Time counts from the first fetch to the last record.
    package static func run(
        _ settings: KafkaSettings,
        topic: String,
        deadlineMilliseconds: Int64 = 600_000,
        _ body: (Int32, RawRecords) -> Void
    ) throws(Fault) -> Result {
        let client = try KafkaClient(settings, .reader)
        guard let count = try client.partitionCount(of: topic, deadlineMilliseconds: 30_000) else {
            throw client.missing(topic)
        }
        var loop = Loop(partitions: count)
        client.forwardsToConsumer()
        guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
            throw Fault(.defect, "no consumer queue")
        }
        defer {
            rd_kafka_queue_destroy(queue)
            loop.messages.deallocate()
        }
        let list = rd_kafka_topic_partition_list_new(Int32(count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for partition in 0..<Int32(count) {
            rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = Int64(
                RD_KAFKA_OFFSET_BEGINNING
            )
        }
        var result = Result()
        let wall = nanoseconds(CLOCK_MONOTONIC)
        let processor = nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
        rd_kafka_assign(client.handle, list)
        while loop.open > 0 {
            let count = rd_kafka_consume_batch_queue(queue, 20, loop.messages, Loop.capacity)
            if count > 0 { loop.handOver(count, &result, body) }
            if let fault = loop.fault ?? client.takeFault() { throw fault }
            guard nanoseconds(CLOCK_MONOTONIC) - wall < deadlineMilliseconds * 1_000_000 else {
                throw Fault(.external, "topic '\(topic)' was not read within \(deadlineMilliseconds) ms")
            }
        }
        result.wallNanoseconds = nanoseconds(CLOCK_MONOTONIC) - wall
        result.cpuNanoseconds = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor
        return result
    }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private struct Loop {
        static let capacity = Limits.rowsPerBatchMax
        let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
        let storage = RawRecordStorage(capacity: Self.capacity)
        var isOpen: [Bool]
        /// Partitions that were not read to their end.
        var open: Int
        var fault: Fault?

        init(partitions: Int) {
            messages = .allocate(capacity: Self.capacity)
            messages.initialize(repeating: nil, count: Self.capacity)
            isOpen = Array(repeating: true, count: partitions)
            open = partitions
        }

        mutating func handOver(_ count: Int, _ result: inout Result, _ body: (Int32, RawRecords) -> Void) {
            var start = 0
            var filled = 0
            var partition: Int32 = -1
            for index in 0..<count {
                guard let message = messages[index] else { continue }
                guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    note(message)
                    continue
                }
                if message.pointee.partition != partition {
                    if filled > start {
                        body(partition, RawRecords(at: storage, from: start, count: filled - start))
                    }
                    start = filled
                    partition = message.pointee.partition
                }
                storage.fill(filled, message)
                filled += 1
                result.bytes += message.pointee.len + message.pointee.key_len
            }
            if filled > start { body(partition, RawRecords(at: storage, from: start, count: filled - start)) }
            result.records += filled
            for index in 0..<count { rd_kafka_message_destroy(messages[index]) }
        }

        private mutating func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            let partition = Int(message.pointee.partition)
            if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
                if isOpen[partition] { open -= 1 }
                isOpen[partition] = false
            } else {
                let problem = KafkaProblem(code: message.pointee.err, "partition \(partition)")
                if problem.isFinal || message.pointee.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET {
                    fault = Fault(.external, "Kafka: \(problem.text)")
                }
            }
        }
    }
}
