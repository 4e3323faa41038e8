import Connectors
import Topology

/// That the topics that sources read exist, and keep what they are read for.
struct SourceTopicCheck {
    let topics: ClusterTopics

    func check(into findings: inout ClusterFindings) {
        for (topic, sources) in topics.sources {
            let names = sources.map { "'\(topics.spec.sources[$0].name)'" }.joined(separator: ", ")
            guard let known = topics.facts.topics[topic] else {
                findings.add(
                    .error,
                    "topic",
                    topic,
                    "topic '\(topic)' of source \(names) does not exist, or this principal may not "
                        + "describe it; "
                        + "make it (kafka-topics --create --topic \(topic) --partitions N) or allow Describe"
                )
                continue
            }
            let keeps = known.retention.map { ", keeps records \($0)" } ?? ""
            findings.add(.ok, "topic", topic, "topic '\(topic)' of source \(names): \(known.size)\(keeps)")
            TopicCheck.checkHealth(
                topic,
                known,
                brokers: topics.facts.brokers.count,
                into: &findings
            )
            let areTables = sources.allSatisfy { topics.spec.sources[$0].table != nil }
            if areTables, let policy = known.cleanupPolicy, !policy.contains("compact") {
                findings.add(
                    .warning,
                    "cleanup-policy",
                    topic,
                    "topic '\(topic)' of a table has cleanup.policy \(policy): rows that did not change for longer than "
                        + "its retention are gone for whoever reads it anew; set its cleanup.policy to compact"
                )
            }
            if !areTables, known.cleanupPolicy?.contains("compact") == true {
                findings.add(
                    .warning,
                    "cleanup-policy",
                    topic,
                    "topic '\(topic)' is compacted: of the records of a key only the last one is sure "
                        + "to be there "
                        + "when they are read late; set its cleanup.policy to delete"
                )
            }
        }
        if topics.sources.isEmpty { findings.add(.ok, "topic", topics.spec.name, "no source reads Kafka") }
    }
}
