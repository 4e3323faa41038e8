import Connectors
import Topology

/// That state is kept, and that what the topology writes is taken, and kept as it is meant.
struct WrittenTopicCheck {
    let topics: ClusterTopics

    func checkInternals(into findings: inout ClusterFindings) {
        if checkInternal(topics.changelog, "state", into: &findings) {
            let policy = topics.facts.topics[topics.changelog]?.cleanupPolicy
            if let policy, policy != "compact" {
                findings.add(
                    .error,
                    "cleanup-policy",
                    topics.changelog,
                    "topic '\(topics.changelog)' has cleanup.policy \(policy): state older than its retention "
                        + "would be lost; "
                        + "kafka-configs --alter --entity-type topics --entity-name \(topics.changelog) "
                        + "--add-config cleanup.policy=compact"
                )
            }
        }
        for topic in topics.repartitions
        where checkInternal(topic, "records on their way to another key", into: &findings) {
            let policy = topics.facts.topics[topic]?.cleanupPolicy
            if let policy, policy.contains("compact") {
                findings.add(
                    .error,
                    "cleanup-policy",
                    topic,
                    "topic '\(topic)' has cleanup.policy \(policy): records of one key that wait "
                        + "together would be lost; "
                        + "kafka-configs --alter --entity-type topics --entity-name \(topic) "
                        + "--add-config cleanup.policy=delete"
                )
            }
        }
    }

    /// False if there is no such topic yet.
    private func checkInternal(
        _ topic: String,
        _ use: String,
        into findings: inout ClusterFindings
    ) -> Bool {
        guard let known = topics.facts.topics[topic] else {
            addMissing(topic, use, into: &findings)
            return false
        }
        findings.add(.ok, "topic", topic, "topic '\(topic)' (\(use)): \(known.size)")
        TopicCheck.checkHealth(
            topic,
            known,
            brokers: topics.facts.brokers.count,
            into: &findings
        )
        TopicCheck.checkWriting(topic, known, topics.spec.guarantee, into: &findings)
        guard let partitions = topics.partitions, partitions != known.partitions else { return true }
        let found =
            "topic '\(topic)' has \(counted(known.partitions, "partition")), the sources have \(partitions): "
            + "a source was partitioned anew since, and "
        let reset =
            "kafka-consumer-groups --group \(topics.group) --reset-offsets --all-topics --to-earliest --execute"
        findings.add(
            .error,
            "partitions",
            topic,
            topic == topics.changelog
                ? found
                    + "keys are no longer where their state is. Make the source with "
                    + "\(known.partitions) again; or "
                    + "stop every worker, delete this topic and the workers' state directories, reset "
                    + "the group (\(reset)) "
                    + "and start: state is then computed from the sources' records that are still there."
                : found
                    + "its tasks would not match theirs. Stop every worker, delete this topic and "
                    + "start: it is "
                    + "made with \(partitions)."
        )
        return true
    }

    func checkOutputs(into findings: inout ClusterFindings) {
        for topic in topics.outputs {
            guard let known = topics.facts.topics[topic] else {
                addMissing(topic, topics.use(ofOutput: topic), into: &findings)
                continue
            }
            findings.add(
                .ok,
                "topic",
                topic,
                "topic '\(topic)' (\(topics.use(ofOutput: topic))): \(known.size)"
            )
            TopicCheck.checkHealth(
                topic,
                known,
                brokers: topics.facts.brokers.count,
                into: &findings
            )
            TopicCheck.checkWriting(topic, known, topics.spec.guarantee, into: &findings)
            checkKeeping(topic, known, into: &findings)
        }
    }

    /// Results of steps may be meant to be the newest of each key; alerts, and what was refused, are not.
    private func checkKeeping(
        _ topic: String,
        _ known: KafkaTopicFacts,
        into findings: inout ClusterFindings
    ) {
        guard let policy = known.cleanupPolicy, policy.contains("compact") else { return }
        let sinks = topics.spec.sinks.filter { $0.topic == topic }
        let areAlerts = sinks.contains { if case .alerts = $0.input { true } else { false } }
        guard areAlerts || sinks.isEmpty else { return }
        let what = areAlerts ? "an alert is lost to whoever reads it late, once" : "a record is lost, once"
        findings.add(
            areAlerts ? .error : .warning,
            "cleanup-policy",
            topic,
            "topic '\(topic)' (\(topics.use(ofOutput: topic))) is compacted: \(what) another one of its key was written; "
                + "kafka-configs --alter --entity-type topics --entity-name \(topic) --add-config cleanup.policy=delete"
        )
    }

    private func addMissing(_ topic: String, _ use: String, into findings: inout ClusterFindings) {
        let size = topics.partitions.map { " with \(counted($0, "partition"))" } ?? ""
        findings.add(
            .ok,
            "topic",
            topic,
            "topic '\(topic)' (\(use)) does not exist yet; the first start makes it\(size)"
        )
    }
}
