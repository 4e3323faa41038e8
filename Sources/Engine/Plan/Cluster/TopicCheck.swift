import Base
import Connectors
import Topology

/// What must hold for every topic: that it can be read, and that what we write is taken and kept.
enum TopicCheck {
    /// Brokers from which on one replica is a choice, not a need.
    static let brokersForReplication = 3

    static func checkHealth(
        _ topic: String,
        _ known: KafkaTopicFacts,
        brokers: Int,
        into findings: inout ClusterFindings
    ) {
        if known.leaderless > 0 {
            findings.add(
                .error,
                "leader",
                topic,
                "topic '\(topic)' has \(counted(known.leaderless, "partition")) without a leader: start "
                    + "the brokers that have it"
            )
        }
        if known.replication == 1, brokers >= brokersForReplication {
            findings.add(
                .warning,
                "replication",
                topic,
                "topic '\(topic)' has one replica on \(brokers) brokers: it stops, and may "
                    + "be lost, with its broker"
            )
        }
    }

    /// Whether records of every size that we write are taken, and kept.
    static func checkWriting(
        _ topic: String,
        _ known: KafkaTopicFacts,
        _ guarantee: TopologySpec.Guarantee,
        into findings: inout ClusterFindings
    ) {
        guard let configuration = known.configuration else { return }
        if let inSync = configuration["min.insync.replicas"].flatMap({ Int($0) }) {
            checkReplication("topic '\(topic)'", topic, known.replication, inSync, guarantee, into: &findings)
        }
        if let bytes = configuration["max.message.bytes"].flatMap({ Int($0) }) {
            checkRecordBytes("topic '\(topic)'", topic, bytes, into: &findings)
        }
    }

    static func checkReplication(
        _ what: String,
        _ subject: String,
        _ replication: Int,
        _ inSync: Int,
        _ guarantee: TopologySpec.Guarantee,
        into findings: inout ClusterFindings
    ) {
        let text = "\(what): \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        if inSync > replication {
            findings.add(
                .error,
                "min-insync-replicas",
                subject,
                "\(text): every write is refused; lower the latter"
            )
        } else if inSync == replication, replication > 1 {
            findings.add(
                .warning,
                "min-insync-replicas",
                subject,
                "\(text): one broker away stops every write"
            )
        } else if inSync == 1, replication > 1, guarantee == .exactlyOnce {
            findings.add(
                .warning,
                "min-insync-replicas",
                subject,
                "\(text): what is committed may stand on one broker only, and go with it; exactly-once "
                    + "wants 2"
            )
        }
    }

    static func checkRecordBytes(
        _ what: String,
        _ subject: String,
        _ bytes: Int,
        into findings: inout ClusterFindings
    ) {
        guard bytes < Limits.recordBytesMax else { return }
        findings.add(
            .warning,
            "record-bytes",
            subject,
            "\(what): records of at most \(bytes) bytes are taken, ours may have "
                + "\(Limits.recordBytesMax); the worker stops "
                + "at the first that is too large"
        )
    }
}
