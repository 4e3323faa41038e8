import Base
import Connectors
import Records
import Topology

extension ClusterCheck {
    /// Longest that a transaction of a worker may take, milliseconds; brokers refuse producers that ask for
    /// more than they allow.
    static let transactionMilliseconds = 10_000
    /// Brokers from which on one replica is a choice, not a need.
    private static let brokersForReplication = 3

    mutating func checkBrokers() {
        if !facts.refusals.isEmpty {
            add(
                .warning,
                "settings",
                "cluster",
                "some settings are unknown and their checks left out: "
                    + facts.refusals.map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }.joined(
                        separator: "; "
                    )
                    + " (who runs this check, not the worker, needs DescribeConfigs on topics and cluster)"
            )
        }
        if spec.guarantee == .exactlyOnce { checkTransactions() }
        checkDefaults()
    }

    private mutating func checkTransactions() {
        let limits = facts.brokers.compactMap {
            $0.configuration?["transaction.max.timeout.ms"].flatMap { Int($0) }
        }
        if let least = limits.min() {
            add(
                least < Self.transactionMilliseconds ? .error : .ok,
                "transaction-timeout",
                "cluster",
                least < Self.transactionMilliseconds
                    ? "transaction.max.timeout.ms is \(least) on a broker: transactions of "
                        + "\(Self.transactionMilliseconds) ms "
                        + "would be refused; raise it, or write guarantee: at-least-once"
                    : "transaction.max.timeout.ms \(least), \(Self.transactionMilliseconds) are needed"
            )
        }
        let log = facts.topics[Self.transactionLog]
        let replication = log?.replication ?? least("transaction.state.log.replication.factor")
        let inSync =
            log?.configuration?["min.insync.replicas"].flatMap { Int($0) }
            ?? least("transaction.state.log.min.isr")
        guard let replication, let inSync else { return }
        let text = "the transaction log has \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        if log == nil, replication > facts.brokers.count {
            add(
                .error,
                "transaction-log",
                "cluster",
                "the transaction log wants \(replication) replicas and there is "
                    + "\(counted(facts.brokers.count, "broker")): no "
                    + "transaction can begin; lower transaction.state.log.replication.factor, or start "
                    + "the other brokers"
            )
        } else if inSync > replication {
            add(.error, "transaction-log", "cluster", "\(text): no transaction can commit; lower the latter")
        } else if replication < Self.brokersForReplication, facts.brokers.count >= Self.brokersForReplication
        {
            add(.warning, "transaction-log", "cluster", "\(text): with one broker away, commits may stop")
        } else {
            add(.ok, "transaction-log", "cluster", text)
        }
    }

    /// The cluster's defaults decide about the topics that the first start makes.
    private mutating func checkDefaults() {
        let written = [changelog] + repartitionTopics + outputs
        guard written.contains(where: { facts.topics[$0] == nil }),
            let replication = least("default.replication.factor"), let inSync = least("min.insync.replicas")
        else { return }
        add(
            .ok,
            "defaults",
            "cluster",
            "new topics have \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        )
        checkReplication("new topics", "cluster", replication, inSync)
        if let bytes = least("message.max.bytes") { checkRecordBytes("new topics", "cluster", bytes) }
    }

    private func least(_ name: String) -> Int? {
        facts.brokers.compactMap { $0.configuration?[name].flatMap { Int($0) } }.min()
    }

    // MARK: Of each topic

    mutating func checkHealth(_ topic: String, _ known: KafkaTopicFacts) {
        if known.leaderless > 0 {
            add(
                .error,
                "leader",
                topic,
                "topic '\(topic)' has \(counted(known.leaderless, "partition")) without a leader: start "
                    + "the brokers that have it"
            )
        }
        if known.replication == 1, facts.brokers.count >= Self.brokersForReplication {
            add(
                .warning,
                "replication",
                topic,
                "topic '\(topic)' has one replica on \(facts.brokers.count) brokers: it stops, and may "
                    + "be lost, with its broker"
            )
        }
    }

    /// Whether records of every size that we write are taken, and kept.
    mutating func checkWriting(_ topic: String, _ known: KafkaTopicFacts) {
        guard let configuration = known.configuration else { return }
        if let inSync = configuration["min.insync.replicas"].flatMap({ Int($0) }) {
            checkReplication("topic '\(topic)'", topic, known.replication, inSync)
        }
        if let bytes = configuration["max.message.bytes"].flatMap({ Int($0) }) {
            checkRecordBytes("topic '\(topic)'", topic, bytes)
        }
    }

    private mutating func checkReplication(
        _ what: String,
        _ subject: String,
        _ replication: Int,
        _ inSync: Int
    ) {
        let text = "\(what): \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        if inSync > replication {
            add(.error, "min-insync-replicas", subject, "\(text): every write is refused; lower the latter")
        } else if inSync == replication, replication > 1 {
            add(.warning, "min-insync-replicas", subject, "\(text): one broker away stops every write")
        } else if inSync == 1, replication > 1, spec.guarantee == .exactlyOnce {
            add(
                .warning,
                "min-insync-replicas",
                subject,
                "\(text): what is committed may stand on one broker only, and go with it; exactly-once "
                    + "wants 2"
            )
        }
    }

    private mutating func checkRecordBytes(_ what: String, _ subject: String, _ bytes: Int) {
        guard bytes < Limits.recordBytesMax else { return }
        add(
            .warning,
            "record-bytes",
            subject,
            "\(what): records of at most \(bytes) bytes are taken, ours may have "
                + "\(Limits.recordBytesMax); the worker stops "
                + "at the first that is too large"
        )
    }
}

extension KafkaTopicFacts {
    var cleanupPolicy: String? { configuration?["cleanup.policy"] }

    /// `4 partitions, 1 replica`
    var size: String { "\(counted(partitions, "partition")), \(counted(replication, "replica"))" }

    /// `for 7d`, and what a limit by size says.
    var retention: String? {
        guard let configuration, let milliseconds = configuration["retention.ms"].flatMap({ Int64($0) })
        else { return nil }
        let time = milliseconds < 0 ? "for ever" : "for \(ValueText.duration(milliseconds))"
        guard let bytes = configuration["retention.bytes"].flatMap({ Int64($0) }), bytes >= 0 else {
            return time
        }
        return "\(time), at most \(bytes) bytes a partition"
    }
}
