import Connectors

/// The topics of a topology's notifier.
package struct NotifyTopics: Sendable {
    package let topology: String

    package init(topology: String) { self.topology = topology }

    /// What contacts are told, by customer.
    package var outbox: String { "\(topology)-outbox" }
    /// What became of each try, by message.
    package var deliveries: String { "\(topology)-deliveries" }
    /// Messages that were given up and not sent again since, by message; compacted.
    package var undelivered: String { "\(topology)-undelivered" }
    /// What people decided about alerts, by alert; compacted. The console writes it.
    package var dispositions: String { "\(topology)-dispositions" }
    /// Of the notifier itself; compacted.
    package var state: String { "\(topology)-notify-state" }

    package func plans(partitions: Int) -> [KafkaTopicPlan] {
        let kept = ["retention.ms": "7776000000"]
        let compacted = ["cleanup.policy": "compact"]
        return [
            KafkaTopicPlan(name: outbox, partitions: partitions, configuration: kept),
            KafkaTopicPlan(name: deliveries, partitions: partitions, configuration: kept),
            KafkaTopicPlan(name: undelivered, partitions: 1, configuration: compacted),
            KafkaTopicPlan(name: dispositions, partitions: 1, configuration: compacted),
            KafkaTopicPlan(
                name: state, partitions: 1,
                // Small segments, so that a restart reads little more than what is left.
                configuration: compacted.merging([
                    "segment.bytes": "16777216", "min.cleanable.dirty.ratio": "0.1",
                ]) { $1 }),
        ]
    }
}
