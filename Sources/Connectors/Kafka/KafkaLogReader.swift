import Base
import CRdkafka
import Dataflow

/// Reads stretches of partitions outside of any group, committed records only. For one thread.
package final class KafkaLogReader {
    package struct Place: Hashable, Sendable {
        package var topic: String
        package var partition: Int32

        package init(_ topic: String, _ partition: Int32) {
            (self.topic, self.partition) = (topic, partition)
        }
    }

    private let client: KafkaClient
    private let queue: OpaquePointer
    private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private static let capacity = 1000
    /// Without a record for so long, what is asked for does not come.
    private static let silenceMilliseconds: Int64 = 30_000

    package init(_ settings: KafkaSettings) throws(Fault) {
        client = try KafkaClient(settings, .reader)
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

    /// nil: there is no such topic.
    package func partitionCount(of topic: String) throws(Fault) -> Int? {
        try client.partitionCount(of: topic, deadlineMilliseconds: 10_000)
    }

    /// From the first offset that is still there to the one behind the last.
    package func range(of place: Place) throws(Fault) -> Range<Int64> {
        try client.offsets(place.topic, place.partition)
    }

    /// The first offset whose record's time in Kafka is not before `time`, milliseconds; missing: there is
    /// none.
    package func offsets(at time: Int64, of places: [Place]) throws(Fault) -> [Place: Int64] {
        if places.isEmpty { return [:] }
        let list = rd_kafka_topic_partition_list_new(Int32(places.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for place in places {
            rd_kafka_topic_partition_list_add(list, place.topic, place.partition).pointee.offset = max(
                0, time)
        }
        let code = rd_kafka_offsets_for_times(client.handle, list, 30_000)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let list else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "offsets by time").text)")
        }
        var found: [Place: Int64] = [:]
        for index in 0..<Int(list.pointee.cnt) {
            let entry = list.pointee.elems[index]
            guard let topic = entry.topic, entry.err == RD_KAFKA_RESP_ERR_NO_ERROR, entry.offset >= 0 else {
                continue
            }
            found[Place(String(cString: topic), entry.partition)] = entry.offset
        }
        return found
    }

    /// Hands over the records of these stretches, those of one partition in offset order. To be called once:
    /// what was fetched for one call may come in the next.
    package func read(
        _ ranges: [Place: Range<Int64>], _ body: (Place, KafkaReader.Record) throws(Fault) -> Void
    ) throws(Fault) {
        var open = ranges.filter { !$0.value.isEmpty }
        if open.isEmpty { return }
        let list = rd_kafka_topic_partition_list_new(Int32(open.count))
        for (place, range) in open {
            rd_kafka_topic_partition_list_add(list, place.topic, place.partition).pointee.offset =
                range.lowerBound
        }
        let code = rd_kafka_assign(client.handle, list)
        rd_kafka_topic_partition_list_destroy(list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "assign").text)")
        }
        defer { rd_kafka_assign(client.handle, nil) }
        var heardAt = monotonicNanoseconds()
        while !open.isEmpty {
            try client.checkStop()
            let count = rd_kafka_consume_batch_queue(queue, 100, messages, Self.capacity)
            var fault = client.takeFault()
            for index in 0..<max(count, 0) {
                guard let message = messages[index] else { continue }
                defer { rd_kafka_message_destroy(message) }
                guard fault == nil, let place = place(of: message), let range = open[place] else { continue }
                heardAt = monotonicNanoseconds()
                switch message.pointee.err {
                case RD_KAFKA_RESP_ERR_NO_ERROR:
                    let record = KafkaReader.Record(message)
                    if record.offset < range.upperBound {
                        do throws(Fault) { try body(place, record) } catch { fault = error }
                    }
                    if record.offset >= range.upperBound - 1 { open[place] = nil }
                case RD_KAFKA_RESP_ERR__PARTITION_EOF: open[place] = nil
                default:
                    let problem = KafkaProblem(
                        code: message.pointee.err, "topic '\(place.topic)', partition \(place.partition)")
                    fault = Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
                }
            }
            if let fault { throw fault }
            if let place = open.keys.first,
                monotonicNanoseconds() - heardAt > Self.silenceMilliseconds * 1_000_000
            {
                throw Fault(
                    .external,
                    "topic '\(place.topic)', partition \(place.partition): its records cannot be read")
            }
        }
    }

    private func place(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> Place? {
        message.pointee.rkt.map { Place(name(ofTopic: $0), message.pointee.partition) }
    }
}
