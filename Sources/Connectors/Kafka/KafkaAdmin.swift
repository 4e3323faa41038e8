import Base
import CRdkafka

/// A topic to be made.
package struct KafkaTopicPlan: Equatable, Sendable {
    package var name: String
    package var partitions: Int
    /// -1: the broker's default.
    package var replication: Int
    /// Topic settings, as in `kafka-topics --config`.
    package var configuration: [String: String]

    package init(name: String, partitions: Int, replication: Int = -1, configuration: [String: String] = [:])
    {
        self.name = name
        self.partitions = partitions
        self.replication = replication
        self.configuration = configuration
    }
}

/// Looks topics up and makes them.
package final class KafkaAdmin {
    private let client: KafkaClient
    private let isMock: Bool

    /// `isMock`: the cluster is a `MockBroker`, which makes topics (of 4 partitions) when they are asked for
    /// and knows no request for it.
    package init(_ settings: KafkaSettings, isMock: Bool = false) throws(Fault) {
        client = try KafkaClient(settings, .admin)
        self.isMock = isMock
    }

    /// Throws, after `deadlineMilliseconds` at the latest, if no broker answers.
    package func checkReachable(deadlineMilliseconds: Int = 30_000) throws(Fault) {
        try client.checkReachable(deadlineMilliseconds: deadlineMilliseconds)
    }

    /// The cluster's own name.
    package func clusterId() throws(Fault) -> String {
        guard let text = rd_kafka_clusterid(client.handle, 10_000) else {
            throw Fault(.external, "\(client.bootstrapServers) does not tell its cluster's id", retry: .withBackoff)
        }
        defer { rd_kafka_mem_free(client.handle, text) }
        return String(cString: text)
    }

    /// Number of partitions, nil if there is no such topic.
    package func partitionCount(of topic: String, deadlineMilliseconds: Int = 30_000) throws(Fault) -> Int? {
        try client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
    }

    /// Makes the topics that do not exist yet and waits until the brokers know them. Those that exist are
    /// left as they are.
    package func create(_ plans: [KafkaTopicPlan], deadlineMilliseconds: Int = 30_000) throws(Fault) {
        guard !plans.isEmpty else { return }
        if !isMock { try request(plans, deadlineMilliseconds) }
        let deadline = monotonicNanoseconds() + Int64(deadlineMilliseconds) * 1_000_000
        for plan in plans {
            while try partitionCount(of: plan.name, deadlineMilliseconds: deadlineMilliseconds) == nil {
                guard monotonicNanoseconds() < deadline else { throw client.missing(plan.name) }
                rd_kafka_poll(client.handle, 50)
            }
        }
    }

    private func request(_ plans: [KafkaTopicPlan], _ deadlineMilliseconds: Int) throws(Fault) {
        var requests: [OpaquePointer?] = []
        defer { for request in requests { rd_kafka_NewTopic_destroy(request) } }
        for plan in plans { requests.append(try newTopic(plan)) }
        let options = rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        rd_kafka_AdminOptions_set_operation_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        let answers = rd_kafka_queue_new(client.handle)
        defer { rd_kafka_queue_destroy(answers) }
        requests.withUnsafeMutableBufferPointer { list in
            rd_kafka_CreateTopics(client.handle, list.baseAddress, list.count, options, answers)
        }
        // The request has its own deadline; a little later there is an answer in any case.
        guard let event = rd_kafka_queue_poll(answers, Int32(deadlineMilliseconds) + 5000) else {
            throw Fault(
                .external,
                "\(client.bootstrapServers) did not answer a request to make topics",
                retry: .withBackoff
            )
        }
        defer { rd_kafka_event_destroy(event) }
        try check(event)
    }

    private func newTopic(_ plan: KafkaTopicPlan) throws(Fault) -> OpaquePointer? {
        var reason = [CChar](repeating: 0, count: 512)
        guard
            let topic = rd_kafka_NewTopic_new(
                plan.name,
                Int32(plan.partitions),
                Int32(plan.replication),
                &reason,
                reason.count
            )
        else { throw Fault(.user, "topic '\(plan.name)': \(string(reason))") }
        for (name, value) in plan.configuration { rd_kafka_NewTopic_set_config(topic, name, value) }
        return topic
    }

    private func check(_ event: OpaquePointer) throws(Fault) {
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? ""
            throw Fault(.external, "topics could not be made: \(reason)", retry: .withBackoff)
        }
        var count = 0
        let topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
        for index in 0..<count {
            let result = topics?[index]
            let code = rd_kafka_topic_result_error(result)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
                continue
            }
            let name = rd_kafka_topic_result_name(result).map { String(cString: $0) } ?? ""
            let reason = rd_kafka_topic_result_error_string(result).map { String(cString: $0) } ?? ""
            let problem = KafkaProblem(code: code, "topic '\(name)'")
            throw Fault(
                .external,
                "topic '\(name)' could not be made: \(reason.isEmpty ? problem.text : reason)",
                retry: problem.retry
            )
        }
    }
}
