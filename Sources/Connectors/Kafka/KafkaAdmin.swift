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

/// A topic as the cluster has it.
package struct KafkaTopicFacts: Equatable, Sendable {
    package var partitions: Int
    /// Replicas of the partition that has the fewest.
    package var replication: Int
    /// Partitions that nobody can read or write now.
    package var leaderless: Int
    /// Topic settings in effect, the cluster's defaults among them; nil: the brokers did not tell.
    package var configuration: [String: String]?

    package init(
        partitions: Int,
        replication: Int,
        leaderless: Int = 0,
        configuration: [String: String]? = nil
    ) {
        self.partitions = partitions
        self.replication = replication
        self.leaderless = leaderless
        self.configuration = configuration
    }
}

/// What a cluster is, as far as a topology depends on it.
package struct KafkaClusterFacts: Equatable, Sendable {
    package struct Broker: Equatable, Sendable {
        package var id: Int
        /// Broker settings in effect; nil: the broker did not tell.
        package var configuration: [String: String]?

        package init(id: Int, configuration: [String: String]?) {
            self.id = id
            self.configuration = configuration
        }
    }

    package var brokers: [Broker]
    /// By name; topics that the principal may not see are absent.
    package var topics: [String: KafkaTopicFacts]
    /// Why settings are missing above, once for each reason.
    package var refusals: [String]

    package init(brokers: [Broker], topics: [String: KafkaTopicFacts], refusals: [String] = []) {
        self.brokers = brokers
        self.topics = topics
        self.refusals = refusals
    }
}

/// Looks topics up and makes them.
package final class KafkaAdmin {
    let client: KafkaClient
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
            throw Fault(
                .external, "\(client.bootstrapServers) does not tell its cluster's id", retry: .withBackoff)
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
        if !isMock {
            // Brokers refuse those who may not make topics even if the topic exists: ask for the others.
            var names: Set<String> = []
            try list(deadlineMilliseconds) { metadata in
                for index in 0..<Int(metadata.topic_cnt)
                where metadata.topics[index].err == RD_KAFKA_RESP_ERR_NO_ERROR {
                    names.insert(String(cString: metadata.topics[index].topic))
                }
            }
            let missing = plans.filter { !names.contains($0.name) }
            if !missing.isEmpty { try request(missing, deadlineMilliseconds) }
        }
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
        guard let event = try client.answer(from: answers, deadlineMilliseconds + 5000) else {
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

    // MARK: Describing

    /// The brokers, the topics that `isWanted` picks by name, and the settings of both. Changes nothing: it
    /// lists all topics, because asking for one by its name could make it. Settings that the brokers do not
    /// tell are left out with the reason; throws if no broker lists its topics until the deadline.
    package func describe(
        deadlineMilliseconds: Int = 30_000,
        _ isWanted: (String) -> Bool
    ) throws(Fault) -> KafkaClusterFacts {
        try checkReachable(deadlineMilliseconds: deadlineMilliseconds)
        var facts = KafkaClusterFacts(brokers: [], topics: [:])
        try list(deadlineMilliseconds) { metadata in
            for index in 0..<Int(metadata.broker_cnt) {
                let broker = KafkaClusterFacts.Broker(id: Int(metadata.brokers[index].id), configuration: nil)
                facts.brokers.append(broker)
            }
            facts.brokers.sort { $0.id < $1.id }
            for index in 0..<Int(metadata.topic_cnt) {
                let topic = metadata.topics[index]
                let name = String(cString: topic.topic)
                guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, isWanted(name) else { continue }
                let partitions = (0..<Int(topic.partition_cnt)).map { topic.partitions[$0] }
                facts.topics[name] = KafkaTopicFacts(
                    partitions: partitions.count,
                    replication: Int(partitions.map(\.replica_cnt).min() ?? 0),
                    leaderless: partitions.count { $0.leader < 0 }
                )
            }
        }
        addConfigurations(to: &facts, deadlineMilliseconds)
        return facts
    }

    /// Calls `body` once with the brokers and all topics that the principal may see.
    private func list(
        _ deadlineMilliseconds: Int,
        _ body: (rd_kafka_metadata) -> Void
    ) throws(Fault) {
        var answer: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(client.handle, 1, nil, &answer, Int32(deadlineMilliseconds))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else {
            let problem = KafkaProblem(code: code, "list of topics of \(client.bootstrapServers)")
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
        defer { rd_kafka_metadata_destroy(answer) }
        body(answer.pointee)
    }

    /// Each broker answers for itself only, so it takes one request for each, and one for all topics.
    private func addConfigurations(to facts: inout KafkaClusterFacts, _ deadlineMilliseconds: Int) {
        let answers = rd_kafka_queue_new(client.handle)
        defer { rd_kafka_queue_destroy(answers) }
        for broker in facts.brokers {
            requestConfigurations(RD_KAFKA_RESOURCE_BROKER, ["\(broker.id)"], answers, deadlineMilliseconds)
        }
        let names = facts.topics.keys.sorted()
        if !names.isEmpty {
            requestConfigurations(RD_KAFKA_RESOURCE_TOPIC, names, answers, deadlineMilliseconds)
        }
        for _ in 0..<(facts.brokers.count + (names.isEmpty ? 0 : 1)) {
            // Each request has its own deadline; a little later there is an answer in any case.
            guard let event = rd_kafka_queue_poll(answers, Int32(deadlineMilliseconds) + 5000) else { return }
            defer { rd_kafka_event_destroy(event) }
            readConfigurations(event, into: &facts)
        }
    }

    private func requestConfigurations(
        _ type: rd_kafka_ResourceType_t,
        _ names: [String],
        _ answers: OpaquePointer?,
        _ deadlineMilliseconds: Int
    ) {
        var resources = names.map { rd_kafka_ConfigResource_new(type, $0) }
        defer { for resource in resources { rd_kafka_ConfigResource_destroy(resource) } }
        let options = rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        resources.withUnsafeMutableBufferPointer { list in
            rd_kafka_DescribeConfigs(client.handle, list.baseAddress, list.count, options, answers)
        }
    }

    private func readConfigurations(_ event: OpaquePointer, into facts: inout KafkaClusterFacts) {
        func refuse(_ reason: String) {
            if !facts.refusals.contains(reason) { facts.refusals.append(reason) }
        }
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return refuse(rd_kafka_event_error_string(event).map { String(cString: $0) } ?? "no answer")
        }
        var count = 0
        let result = rd_kafka_event_DescribeConfigs_result(event)
        let resources = rd_kafka_DescribeConfigs_result_resources(result, &count)
        for index in 0..<count {
            guard let resource = resources?[index], let text = rd_kafka_ConfigResource_name(resource) else {
                continue
            }
            guard rd_kafka_ConfigResource_error(resource) == RD_KAFKA_RESP_ERR_NO_ERROR else {
                let reason = rd_kafka_ConfigResource_error_string(resource).map { String(cString: $0) }
                refuse(reason ?? String(cString: rd_kafka_err2str(rd_kafka_ConfigResource_error(resource))))
                continue
            }
            let name = String(cString: text)
            if rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_TOPIC {
                facts.topics[name]?.configuration = entries(resource)
            } else if let place = facts.brokers.firstIndex(where: { "\($0.id)" == name }) {
                facts.brokers[place].configuration = entries(resource)
            }
        }
    }

    /// Settings that have a value; those that the broker keeps secret have none.
    private func entries(_ resource: OpaquePointer) -> [String: String] {
        var count = 0
        let entries = rd_kafka_ConfigResource_configs(resource, &count)
        var values: [String: String] = [:]
        for index in 0..<count {
            guard let entry = entries?[index], let name = rd_kafka_ConfigEntry_name(entry),
                let value = rd_kafka_ConfigEntry_value(entry)
            else { continue }
            values[String(cString: name)] = String(cString: value)
        }
        return values
    }
}
