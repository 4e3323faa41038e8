import Base
import Connectors
import Topology

/// That transactions can begin and commit on the cluster, and what its defaults make of topics that do not
/// exist yet.
struct BrokerCheck {
    /// Longest that a transaction of a worker may take, milliseconds; brokers refuse producers that ask for
    /// more than they allow.
    private static let transactionMilliseconds = 10_000

    let topics: ClusterTopics

    func check(into findings: inout ClusterFindings) {
        if !topics.facts.refusals.isEmpty {
            findings.add(
                .warning,
                "settings",
                "cluster",
                "some settings are unknown and their checks left out: "
                    + topics.facts.refusals.map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }.joined(
                        separator: "; "
                    )
                    + " (who runs this check, not the worker, needs DescribeConfigs on topics and cluster)"
            )
        }
        if topics.spec.guarantee == .exactlyOnce { checkTransactions(into: &findings) }
        checkDefaults(into: &findings)
    }

    private func checkTransactions(into findings: inout ClusterFindings) {
        let limits = topics.facts.brokers.compactMap {
            $0.configuration?["transaction.max.timeout.ms"].flatMap { Int($0) }
        }
        if let least = limits.min() {
            findings.add(
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
        let log = topics.facts.topics[ClusterTopics.transactionLog]
        let replication = log?.replication ?? least("transaction.state.log.replication.factor")
        let inSync =
            log?.configuration?["min.insync.replicas"].flatMap { Int($0) }
            ?? least("transaction.state.log.min.isr")
        guard let replication, let inSync else { return }
        let text = "the transaction log has \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        if log == nil, replication > topics.facts.brokers.count {
            findings.add(
                .error,
                "transaction-log",
                "cluster",
                "the transaction log wants \(replication) replicas and there is "
                    + "\(counted(topics.facts.brokers.count, "broker")): no "
                    + "transaction can begin; lower transaction.state.log.replication.factor, or start "
                    + "the other brokers"
            )
        } else if inSync > replication {
            findings.add(
                .error,
                "transaction-log",
                "cluster",
                "\(text): no transaction can commit; lower the latter"
            )
        } else if replication < TopicCheck.brokersForReplication,
            topics.facts.brokers.count >= TopicCheck.brokersForReplication
        {
            findings.add(
                .warning,
                "transaction-log",
                "cluster",
                "\(text): with one broker away, commits may stop"
            )
        } else {
            findings.add(.ok, "transaction-log", "cluster", text)
        }
    }

    /// The cluster's defaults decide about the topics that the first start makes.
    private func checkDefaults(into findings: inout ClusterFindings) {
        guard topics.written.contains(where: { topics.facts.topics[$0] == nil }),
            let replication = least("default.replication.factor"), let inSync = least("min.insync.replicas")
        else { return }
        findings.add(
            .ok,
            "defaults",
            "cluster",
            "new topics have \(counted(replication, "replica")), min.insync.replicas \(inSync)"
        )
        TopicCheck.checkReplication(
            "new topics",
            "cluster",
            replication,
            inSync,
            topics.spec.guarantee,
            into: &findings
        )
        if let bytes = least("message.max.bytes") {
            TopicCheck.checkRecordBytes("new topics", "cluster", bytes, into: &findings)
        }
    }

    private func least(_ name: String) -> Int? {
        topics.facts.brokers.compactMap { $0.configuration?[name].flatMap { Int($0) } }.min()
    }
}
