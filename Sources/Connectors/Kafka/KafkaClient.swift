import Base
import CRdkafka
import Glibc

/// A librdkafka handle and what its callbacks reported. Callbacks run inside polls, on the caller's thread.
final class KafkaClient {
    let handle: OpaquePointer
    let bootstrapServers: String
    let transactionalId: String?
    let reports: UnsafeMutablePointer<KafkaReports>
    private let isMember: Bool
    private let stop: StopSignal?
    /// Of a static member.
    private let instanceId: String?
    private var lastLogged: Int64 = 0

    /// `reportsDeliveries`: count delivery reports in `reports`.
    init(_ settings: KafkaSettings, _ role: KafkaRole, reportsDeliveries: Bool = false) throws(Fault) {
        bootstrapServers = settings.bootstrapServers
        transactionalId = settings.transactionalId
        isMember = role == .consumer
        stop = settings.stop
        instanceId = settings.instanceId
        let configuration = try settings.configuration(role)
        reports = .allocate(capacity: 1)
        reports.initialize(to: KafkaReports())
        rd_kafka_conf_set_opaque(configuration, reports)
        rd_kafka_conf_set_log_cb(configuration) { _, level, _, text in
            // Connection troubles come through the error callback too, where they are thinned out.
            let line = text.map { String(cString: $0) } ?? ""
            if level <= 2 { Log.error("kafka: \(line)") } else { Log.debug("kafka: \(line)") }
        }
        rd_kafka_conf_set_error_cb(configuration) { handle, code, reason, opaque in
            guard let reports = KafkaReports.at(opaque) else { return }
            reports.pointee.note(KafkaProblem(code: rd_kafka_resp_err_t(code), reason, handle))
        }
        if role == .consumer {
            rd_kafka_conf_set_rebalance_cb(configuration) { handle, code, list, opaque in
                guard let handle, let reports = KafkaReports.at(opaque) else { return }
                reports.pointee.rebalance(handle, code, list)
            }
        }
        if reportsDeliveries {
            rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
                guard let message, let reports = KafkaReports.at(opaque) else { return }
                reports.pointee.delivery(message)
            }
        }
        var reason = [CChar](repeating: 0, count: 512)
        let isConsumer = [KafkaRole.consumer, .reader, .probe, .inquirer].contains(role)
        let type = isConsumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let made = rd_kafka_new(type, configuration, &reason, reason.count) else {
            rd_kafka_conf_destroy(configuration)
            reports.deinitialize(count: 1)
            reports.deallocate()
            throw Fault(.user, "Kafka client: \(string(reason))")
        }
        handle = made
    }

    deinit {
        // A group member leaves in `KafkaSource.close`; closing here could wait for a broker that is gone.
        KafkaUndertaker.destroy(handle, isMember ? Int32(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) : 0, reports)
    }

    /// Throws if nobody wants what is waited for any more.
    func checkStop() throws(Fault) {
        if stop?.isSet == true { throw .stopped }
    }

    /// Takes the problems reported since the last call: logs the passing ones at most every ten seconds
    /// and returns the first that trying again does not help.
    func takeFault() -> Fault? {
        guard reports.pointee.hasProblem else { return nil }
        let problems = reports.pointee.problems
        reports.pointee.problems = []
        reports.pointee.hasProblem = false
        if let last = problems.last { log(last) }
        return problems.first { $0.isFinal }.map(fault)
    }

    /// What a problem means for whoever runs the worker.
    func fault(_ problem: KafkaProblem) -> Fault {
        switch problem.code {
        case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
            Fault(
                .user,
                "another worker runs under the same name\(instanceId.map { " ('\($0)')" } ?? "") and has taken its place: give each its own, by "
                    + "--instance-id or a state folder that is not a copy",
                retry: .withoutRival)
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
            Fault(
                .user,
                "Kafka does not take a record: \(problem.text). Raise the topic's max.message.bytes: records, and batches of them, may "
                    + "have up to \(Limits.recordBytesMax + Limits.recordHeadBytes) bytes")
        default: Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
    }

    func log(_ problem: KafkaProblem) {
        let now = monotonicNanoseconds()
        guard lastLogged == 0 || now - lastLogged > 10_000_000_000 else { return }
        lastLogged = now
        Log.warning("kafka: \(problem.text)")
    }

    /// Number of partitions of `topic`, nil if there is no such topic.
    /// Asks again until `deadlineMilliseconds` have passed, then throws what went wrong last.
    func partitionCount(of topic: String, deadlineMilliseconds: Int) throws(Fault) -> Int? {
        guard let rkt = rd_kafka_topic_new(handle, topic, nil) else {
            throw Fault(.user, "'\(topic)' is not a topic name")
        }
        defer { rd_kafka_topic_destroy(rkt) }
        var count: Int?
        try askMetadata(rkt, deadlineMilliseconds: deadlineMilliseconds) { metadata in
            guard metadata.topic_cnt == 1 else { return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC }
            let topic = metadata.topics[0]
            if topic.err == RD_KAFKA_RESP_ERR_NO_ERROR { count = Int(topic.partition_cnt) }
            return topic.err
        }
        return count
    }

    /// Throws if no broker answers until the deadline.
    func checkReachable(deadlineMilliseconds: Int) throws(Fault) {
        try askMetadata(nil, deadlineMilliseconds: deadlineMilliseconds) { _ in RD_KAFKA_RESP_ERR_NO_ERROR }
    }

    private func askMetadata(
        _ topic: OpaquePointer?,
        deadlineMilliseconds: Int,
        _ read: (rd_kafka_metadata) -> rd_kafka_resp_err_t
    ) throws(Fault) {
        let deadline = monotonicNanoseconds() + Int64(deadlineMilliseconds) * 1_000_000
        var reason = ""
        repeat {
            try checkStop()
            let left = max((deadline - monotonicNanoseconds()) / 1_000_000, 1)
            var metadata: UnsafePointer<rd_kafka_metadata>?
            var code = rd_kafka_metadata(handle, 0, topic, &metadata, Int32(min(left, 1000)))
            if let answer = metadata {
                code = read(answer.pointee)
                rd_kafka_metadata_destroy(answer)
            }
            let problem = KafkaProblem(code: code, topic.map { name(ofTopic: $0) } ?? "metadata")
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
                return
            default:
                if problem.isFinal { throw Fault(.external, "Kafka: \(problem.text)") }
                reason = problem.text
            }
            // The error callback knows more than "timed out".
            serve(milliseconds: 100)
            if let known = reports.pointee.problems.last { reason = known.text }
            if let fault = takeFault() { throw fault }
        } while monotonicNanoseconds() < deadline
        throw Fault(
            .external,
            "no Kafka broker answers at \(bootstrapServers): \(reason)",
            retry: .withBackoff
        )
    }

    /// The next event of a queue; nil: none came in time.
    func answer(from queue: OpaquePointer?, _ deadlineMilliseconds: Int) throws(Fault) -> OpaquePointer? {
        let deadline = monotonicNanoseconds() + Int64(deadlineMilliseconds) * 1_000_000
        repeat {
            try checkStop()
            if let event = rd_kafka_queue_poll(queue, 200) { return event }
        } while monotonicNanoseconds() < deadline
        return nil
    }

    /// The range of a partition's offsets, as this client's isolation level lets it see. Asks again for up to
    /// 30 s: a topic that was just made, or whose leader just moved, has none for a moment.
    func offsets(_ topic: String, _ partition: Int32) throws(Fault) -> Range<Int64> {
        let deadline = monotonicNanoseconds() + 30_000_000_000
        while true {
            var low: Int64 = -1
            var high: Int64 = -1
            try checkStop()
            let code = rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, 1000)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return max(low, 0)..<max(low, high, 0) }
            let problem = KafkaProblem(code: code, "offsets of topic '\(topic)', partition \(partition)")
            if problem.isFinal || monotonicNanoseconds() > deadline {
                throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
            }
            serve(milliseconds: 50)
        }
    }

    private var isForwarding = false

    /// Callbacks come through the consumer's queue from now on.
    func forwardsToConsumer() {
        rd_kafka_poll_set_consumer(handle)
        isForwarding = true
    }

    /// Serves callbacks for so long. Not where they come through a consumer's queue, in which there may be
    /// records: at those the client ends the process.
    private func serve(milliseconds: Int32) {
        if isForwarding { usleep(UInt32(milliseconds) * 1000) } else { rd_kafka_poll(handle, milliseconds) }
    }

    /// The fault for a topic that does not exist; it may come, or come back.
    func missing(_ topic: String) -> Fault {
        Fault(.user, "topic '\(topic)' does not exist on \(bootstrapServers)", retry: .withBackoff)
    }
}

/// What callbacks of one client left for the thread that polls.
struct KafkaReports {
    enum Rebalance {
        case assign([(topic: String, partition: Int32)])
        case revoke
    }

    var problems: [KafkaProblem] = []
    var hasProblem = false
    /// A broker said that a topic, or a partition, is not there.
    var isTopicMissing = false
    var rebalances: [Rebalance] = []
    /// While the client closes, revocations are obeyed at once.
    var isClosing = false
    /// The group has given partitions and not taken them back: no rebalance is under way, as far as is known.
    var isJoined = false
    /// While the client leaves its group it takes what it is given: librdkafka 2.0.2 leaves none whose
    /// partitions were not taken.
    var isLeaving = false
    var delivered = 0
    var undelivered = 0
    var firstUndelivered: KafkaProblem?
    var onDelivery: ((Int64) -> Void)?
    /// A topic of which the greatest acknowledged offset of each partition is kept.
    var watched: OpaquePointer?
    var acknowledged: [Int32: Int64] = [:]

    static func at(_ opaque: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<KafkaReports>? {
        opaque?.assumingMemoryBound(to: KafkaReports.self)
    }

    mutating func note(_ problem: KafkaProblem) {
        hasProblem = true
        if problem.isMissing { isTopicMissing = true }
        // A broker that is away reports over and over; the first ones tell all.
        if problems.count < 100 { problems.append(problem) }
    }

    fileprivate mutating func rebalance(
        _ handle: OpaquePointer,
        _ code: rd_kafka_resp_err_t,
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) {
        isJoined = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
        if isLeaving {
            rd_kafka_assign(handle, isJoined ? list : nil)
        } else if isClosing {
            rd_kafka_assign(handle, nil)
        } else if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, let list {
            rebalances.append(
                .assign(
                    (0..<Int(list.pointee.cnt)).map { index in
                        let element = list.pointee.elems[index]
                        return (String(cString: element.topic), element.partition)
                    }
                )
            )
        } else {
            rebalances.append(.revoke)
        }
    }

    fileprivate mutating func delivery(_ message: UnsafePointer<rd_kafka_message_t>) {
        if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
            delivered &+= 1
            if let watched, message.pointee.rkt == watched {
                acknowledged[message.pointee.partition] = message.pointee.offset
            }
            // The opaque is the causing record's time + 1, so that nil means unknown.
            if let onDelivery, let cause = message.pointee._private {
                onDelivery(Int64(Int(bitPattern: cause)) - 1)
            }
        } else {
            undelivered &+= 1
            if firstUndelivered == nil {
                let topic = message.pointee.rkt.map { name(ofTopic: $0) } ?? "?"
                let bytes = message.pointee.len + message.pointee.key_len
                firstUndelivered = KafkaProblem(code: message.pointee.err, "topic '\(topic)', \(bytes) bytes")
            }
        }
    }
}

/// An error of librdkafka or of a broker.
struct KafkaProblem {
    var code: rd_kafka_resp_err_t
    var text: String
    /// No use in waiting with this client.
    var isFinal: Bool
    /// Whether a new client may do better.
    var retry: Fault.Retry

    /// `subject`: what it concerns.
    init(code: rd_kafka_resp_err_t, _ subject: String) {
        self.code = code
        text = "\(subject): \(String(cString: rd_kafka_err2str(code)))"
        isFinal = Self.isFinal(code)
        retry = isFinal ? .never : .withBackoff
    }

    /// From the error callback; a fatal error hides its cause in the handle.
    init(code: rd_kafka_resp_err_t, _ reason: UnsafePointer<CChar>?, _ handle: OpaquePointer?) {
        self.code = code
        text = reason.map { String(cString: $0) } ?? String(cString: rd_kafka_err2str(code))
        isFinal = Self.isFinal(code)
        retry = isFinal ? .never : .withBackoff
        if code == RD_KAFKA_RESP_ERR__FATAL {
            var buffer = [CChar](repeating: 0, count: 512)
            self.code = rd_kafka_fatal_error(handle, &buffer, buffer.count)
            text = string(buffer)
            // The client is lost, but a new one starts clean; unless that would take the place of a namesake
            // again.
            isFinal = true
            retry = self.code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? .never : .withBackoff
        }
    }

    /// There is no such topic or partition, or the broker does not know it yet.
    var isMissing: Bool { Self.isMissing(code) }

    static func isMissing(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            true
        default: false
        }
    }

    private static func isFinal(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR__FATAL, RD_KAFKA_RESP_ERR__AUTHENTICATION,
            RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
            RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
            // The same record would be sent again.
            RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
            true
        default:
            false
        }
    }
}

func name(ofTopic topic: OpaquePointer) -> String { String(cString: rd_kafka_topic_name(topic)) }
