import Base
import CRdkafka
import Dataflow

/// Looks at single records of topics, outside of any group, fetching as little as a broker gives.
final class KafkaLogProbe {
    struct Place: Hashable {
        var topic: String
        var partition: Int32
    }

    private let settings: KafkaSettings
    let client: KafkaClient
    private let queue: OpaquePointer
    /// A broker that answers does so within milliseconds.
    private static let answerMilliseconds: Int64 = 30_000

    init(_ settings: KafkaSettings) throws(Fault) {
        self.settings = settings
        client = try KafkaClient(settings, .probe)
        client.forwardsToConsumer()
        guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
            throw Fault(.defect, "no consumer queue")
        }
        self.queue = queue
    }

    deinit { rd_kafka_queue_destroy(queue) }

    /// What stands at these offsets.
    func look(_ places: [Place: Int64]) throws(Fault) -> [Place: LogSight] {
        guard !places.isEmpty else { return [:] }
        let list = rd_kafka_topic_partition_list_new(Int32(places.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for (place, offset) in places {
            rd_kafka_topic_partition_list_add(list, place.topic, place.partition).pointee.offset = offset
        }
        let code = rd_kafka_assign(client.handle, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "assign").text)", retry: .withBackoff)
        }
        defer { rd_kafka_assign(client.handle, nil) }
        // Of those that were looked at before.
        rd_kafka_resume_partitions(client.handle, list)
        let deadline = monotonicNanoseconds() + Self.answerMilliseconds * 1_000_000
        var found: [Place: LogMark?] = [:]
        while found.count < places.count {
            try client.checkStop()
            if let message = rd_kafka_consumer_poll(client.handle, 100) {
                defer { rd_kafka_message_destroy(message) }
                if let place = try take(message, places, &found) { pause(place) }
            }
            if let fault = client.takeFault() { throw fault }
            guard monotonicNanoseconds() < deadline else {
                let missing = places.keys.first { found[$0] == nil }
                throw Fault(
                    .external,
                    "topic '\(missing?.topic ?? "")', partition \(missing?.partition ?? 0): its records cannot be read",
                    retry: .withBackoff)
            }
        }
        return try sights(places, found)
    }

    /// No more of a partition is fetched: a broker gives one batch an answer that is larger than what was
    /// asked for, to the first partition that has one, and the others would wait for their turn without end.
    private func pause(_ place: Place) {
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, place.topic, place.partition)
        rd_kafka_pause_partitions(client.handle, list)
    }

    /// The place that was found with this message, if one was.
    private func take(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, _ places: [Place: Int64],
        _ found: inout [Place: LogMark?]
    ) throws(Fault) -> Place? {
        guard let topic = message.pointee.rkt else { return nil }
        let place = Place(topic: name(ofTopic: topic), partition: message.pointee.partition)
        guard places[place] != nil, found[place] == nil else { return nil }
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            found[place] = .some(
                LogMark(
                    offset: message.pointee.offset, timestamp: rd_kafka_message_timestamp(message, nil),
                    key: message.pointee.key.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) },
                    message.pointee.key_len,
                    value: message.pointee.payload.map {
                        UnsafePointer($0.assumingMemoryBound(to: UInt8.self))
                    },
                    message.pointee.len))
        case RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
            RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            found[place] = .some(nil)
        default:
            let problem = KafkaProblem(
                code: message.pointee.err, "topic '\(place.topic)', partition \(place.partition)")
            guard problem.isFinal || problem.isMissing else {
                client.log(problem)
                return nil
            }
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
        return place
    }

    private func sights(_ places: [Place: Int64], _ found: [Place: LogMark?]) throws(Fault) -> [Place:
        LogSight]
    {
        var sights: [Place: LogSight] = [:]
        var areCompacted: [String: Bool] = [:]
        for (place, offset) in places {
            var sight = LogSight(record: found[place] ?? nil)
            if sight.record?.offset != offset {
                let range = try client.offsets(place.topic, place.partition)
                sight.range = range
                if range.contains(offset) {
                    if areCompacted[place.topic] == nil {
                        areCompacted[place.topic] = try mayBeCompacted(place.topic)
                    }
                    sight.isCompacted = areCompacted[place.topic] == true
                }
            }
            sights[place] = sight
        }
        return sights
    }

    /// True also where the brokers do not tell.
    private func mayBeCompacted(_ topic: String) throws(Fault) -> Bool {
        let facts = try KafkaAdmin(settings).describe { $0 == topic }
        return facts.topics[topic]?.configuration?["cleanup.policy"]?.contains("compact") ?? true
    }
}

extension KafkaSource {
    package func look(at offsets: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: LogSight] {
        guard !offsets.isEmpty else { return [:] }
        if probe == nil { probe = try KafkaLogProbe(settings) }
        var places: [KafkaLogProbe.Place: Int64] = [:]
        var partitions: [KafkaLogProbe.Place: SourcePartition] = [:]
        for (partition, offset) in offsets {
            guard let topic = topics.first(where: { $0.source == partition.source }) else { continue }
            let place = KafkaLogProbe.Place(topic: topic.topic, partition: partition.partition)
            places[place] = offset
            partitions[place] = partition
        }
        var sights: [SourcePartition: LogSight] = [:]
        for (place, sight) in try probe?.look(places) ?? [:] {
            if let partition = partitions[place] { sights[partition] = sight }
        }
        return sights
    }
}
