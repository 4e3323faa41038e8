import Connectors
import Topology

/// The topics by which the rules of a topology are changed while it runs; they belong to a group, as its
/// state does.
package enum RuleSetTopics {
    /// Texts and activations; one partition, compacted.
    package static func ruleSets(_ group: String) -> String { "\(group)-rulesets" }
    /// Which task goes on with which; as many partitions as there are tasks, compacted.
    package static func acknowledgements(_ group: String) -> String { "\(group)-ruleset-acks" }

    /// What was done to the rules, by whom; one partition, kept for good.
    package static func audit(_ group: String) -> String { "\(group)-audit" }
    /// The name under which one at a time may publish to them.
    package static func publisher(_ group: String) -> String { "\(group)-rulesets" }

    package static func plans(_ group: String, partitions: Int) -> [KafkaTopicPlan] {
        // Every alert names its rules, so their texts stay.
        let compacted = ["cleanup.policy": "compact"]
        return [
            KafkaTopicPlan(name: ruleSets(group), partitions: 1, configuration: compacted),
            KafkaTopicPlan(name: acknowledgements(group), partitions: partitions, configuration: compacted),
            auditPlan(group),
        ]
    }

    package static func auditPlan(_ group: String) -> KafkaTopicPlan {
        KafkaTopicPlan(
            name: audit(group), partitions: 1,
            configuration: ["cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"])
    }
}
