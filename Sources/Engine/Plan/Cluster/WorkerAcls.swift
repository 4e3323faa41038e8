import Outlets
import Topology

extension KafkaAcl {
    /// The least that a worker's principal needs; Create only while a topic is missing.
    static func ofWorker(_ topics: ClusterTopics) -> [KafkaAcl] {
        var acls = topics.sources.map { source in
            KafkaAcl(
                resource: .topic,
                name: source.topic,
                operations: ["Read", "Describe"],
                purpose: "sources"
            )
        }
        acls.append(
            KafkaAcl(
                resource: .group,
                name: topics.group,
                operations: ["Read"],
                purpose: "positions of the sources"
            )
        )
        let followed = topics.spec.sinks.filter { $0.target is any OutletSink }.compactMap(\.topic)
        for topic in followed {
            acls.append(
                KafkaAcl(
                    resource: .group, name: topic, operations: ["Read"], purpose: "positions of an outlet"))
        }
        for topic in topics.outputs {
            let isOurs = topic.hasPrefix("\(topics.spec.name)-")
            let create = topics.facts.topics[topic] == nil && !isOurs ? ["Create"] : []
            acls.append(
                KafkaAcl(
                    resource: .topic,
                    name: topic,
                    operations: (followed.contains(topic) ? ["Read"] : []) + ["Write", "Describe"] + create,
                    purpose: topics.use(ofOutput: topic)
                )
            )
        }
        for topic in topics.internals {
            acls.append(
                KafkaAcl(
                    resource: .topic,
                    name: topic,
                    operations: ["Read", "Write", "Describe"],
                    purpose: topic == topics.changelog ? "state" : "records on their way to another key"
                )
            )
        }
        acls.append(
            KafkaAcl(
                resource: .topic, name: RuleSetTopics.ruleSets(topics.group),
                operations: ["Read", "Write", "Describe"],
                purpose: "rules that change while they run; Write for the text of the worker's file"))
        acls.append(
            KafkaAcl(
                resource: .topic, name: RuleSetTopics.acknowledgements(topics.group),
                operations: ["Write", "Describe"],
                purpose: "which task goes by which rules"))
        for prefix in Set([topics.spec.name, topics.group]).sorted()
        where topics.written.contains(where: { $0.hasPrefix("\(prefix)-") && topics.facts.topics[$0] == nil })
        {
            acls.append(
                KafkaAcl(
                    resource: .topic,
                    name: "\(prefix)-",
                    isPrefix: true,
                    operations: ["Create"],
                    purpose: "topics that do not exist yet; not needed once they do"
                )
            )
        }
        switch topics.spec.guarantee {
        case .exactlyOnce:
            acls.append(
                KafkaAcl(
                    resource: .transactionalId,
                    name: "\(topics.group)-",
                    isPrefix: true,
                    operations: ["Write", "Describe"],
                    purpose: "transactions"
                )
            )
        case .atLeastOnce:
            acls.append(
                KafkaAcl(
                    resource: .cluster,
                    name: "",
                    operations: ["IdempotentWrite"],
                    purpose: "idempotent producers; needed on brokers before 3.0 only"
                )
            )
        }
        return acls
    }
}
