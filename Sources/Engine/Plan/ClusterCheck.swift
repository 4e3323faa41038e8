import Base
import Connectors
import Records
import Topology

/// Compares a topology with the cluster that it is to run on: that topics exist, that what is joined is
/// partitioned alike, that state is kept and that commits can succeed. Pure: facts in, findings out.
package struct ClusterCheck: Sendable {
    package enum Level: String, Sendable { case ok, warning, error }

    package struct Finding: Equatable, Sendable {
        package var level: Level
        /// What was checked, for programs: `topic`, `co-partitioning`, `cleanup-policy`, …
        package var check: String
        /// The topic, rule or broker.
        package var subject: String
        package var message: String
    }

    package let spec: TopologySpec
    package let group: String
    package let facts: KafkaClusterFacts
    package private(set) var findings: [Finding] = []

    package init(_ spec: TopologySpec, group: String, facts: KafkaClusterFacts) {
        self.spec = spec
        self.group = group
        self.facts = facts
        checkBrokers()
        checkSources()
        checkCoPartitioning()
        checkInternalTopics()
        checkOutputs()
    }

    package var hasErrors: Bool { findings.contains { $0.level == .error } }

    /// Whether the check of `spec` needs to know this topic of the cluster.
    package static func needs(_ topic: String, _ spec: TopologySpec, group: String) -> Bool {
        topic.hasPrefix("\(spec.name)-") || topic.hasPrefix("\(group)-") || topic == transactionLog
            || topics(of: spec).contains { $0.topic == topic }
            || outputs(of: spec).contains(topic)
    }

    static let transactionLog = "__transaction_state"

    // MARK: The topology's topics

    var sourceTopics: [(topic: String, sources: [Int])] { Self.topics(of: spec) }

    /// Each topic that sources read, once.
    private static func topics(of spec: TopologySpec) -> [(topic: String, sources: [Int])] {
        var topics: [(topic: String, sources: [Int])] = []
        for (index, source) in spec.sources.enumerated() {
            guard case .kafka(let topic, _) = source.origin else { continue }
            if let known = topics.firstIndex(where: { $0.topic == topic }) {
                topics[known].sources.append(index)
            } else {
                topics.append((topic, [index]))
            }
        }
        return topics
    }

    /// Topics that only producers of the topology touch.
    var outputs: [String] { Self.outputs(of: spec) }

    private static func outputs(of spec: TopologySpec) -> [String] {
        Worker.topics(of: spec, group: spec.name, partitions: 1).map(\.name)
            .filter { !$0.hasSuffix(changelogSuffix) && !$0.hasSuffix(repartitionSuffix) }
    }

    private static let changelogSuffix = "-state-changelog"
    private static let repartitionSuffix = "-repartition"

    var changelog: String { LaneFactory.changelogTopic(group: group) }

    /// Topics through which records change their partition.
    var repartitionTopics: [String] { spec.repartitioned(prefix: group).repartitions.map(\.topic) }

    /// Of these the ones whose partitions are handed out to tasks.
    private var taskTopics: [(topic: String, sources: [Int])] {
        sourceTopics.filter { !$0.sources.allSatisfy { spec.sources[$0].isBroadcast } }
    }

    /// How many partitions all sources have; nil if they differ or one does not exist.
    var partitions: Int? {
        let counts = taskTopics.map { facts.topics[$0.topic]?.partitions }
        guard let first = counts.first, counts.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    // MARK: Findings

    mutating func add(_ level: Level, _ check: String, _ subject: String, _ message: String) {
        findings.append(Finding(level: level, check: check, subject: subject, message: message))
    }

    private mutating func checkSources() {
        for (topic, sources) in sourceTopics {
            let names = sources.map { "'\(spec.sources[$0].name)'" }.joined(separator: ", ")
            guard let known = facts.topics[topic] else {
                add(
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
            add(.ok, "topic", topic, "topic '\(topic)' of source \(names): \(known.size)\(keeps)")
            checkHealth(topic, known)
            let areTables = sources.allSatisfy { spec.sources[$0].table != nil }
            if areTables, let policy = known.cleanupPolicy, !policy.contains("compact") {
                add(
                    .warning,
                    "cleanup-policy",
                    topic,
                    "topic '\(topic)' of a table has cleanup.policy \(policy): rows that did not change for longer than "
                        + "its retention are gone for whoever reads it anew; set its cleanup.policy to compact"
                )
            }
            if !areTables, known.cleanupPolicy?.contains("compact") == true {
                add(
                    .warning,
                    "cleanup-policy",
                    topic,
                    "topic '\(topic)' is compacted: of the records of a key only the last one is sure "
                        + "to be there "
                        + "when they are read late; set its cleanup.policy to delete"
                )
            }
        }
        if sourceTopics.isEmpty { add(.ok, "topic", spec.name, "no source reads Kafka") }
    }

    /// A task takes partition p of every source, so their counts must be equal: first for the rules, whose
    /// inputs must meet, then for the rest, whose task would otherwise be in two places.
    private mutating func checkCoPartitioning() {
        var blamed: Set<String> = []
        for rule in spec.rules {
            var inputs: [(topic: String, step: String, partitions: Int)] = []
            for step in rule.on {
                guard case .kafka(let topic, _) = spec.sources[spec.source(of: step)].origin,
                    let known = facts.topics[topic], !inputs.contains(where: { $0.topic == topic })
                else { continue }
                inputs.append((topic, spec.steps[step].name, known.partitions))
            }
            guard inputs.count > 1, let first = inputs.first else { continue }
            let list = inputs.map {
                "step '\($0.step)' reads '\($0.topic)' of \(counted($0.partitions, "partition"))"
            }
            .joined(separator: ", ")
            if inputs.allSatisfy({ $0.partitions == first.partitions }) {
                add(
                    .ok,
                    "co-partitioning",
                    rule.name,
                    "rule '\(rule.name)': \(list); producers must also choose partitions alike (murmur2 "
                        + "of the same key)"
                )
            } else {
                blamed.formUnion(inputs.map(\.topic))
                add(
                    .error,
                    "co-partitioning",
                    rule.name,
                    "rule '\(rule.name)' joins topics of different partition counts: \(list); equal "
                        + "keys would not "
                        + "meet in one task. \(Self.wayOut(inputs.map { ($0.topic, $0.partitions) }))"
                )
            }
        }
        checkJoins()
        let known = taskTopics.compactMap { source in
            facts.topics[source.topic].map { (topic: source.topic, partitions: $0.partitions) }
        }
        let isAlike = known.allSatisfy { $0.partitions == known[0].partitions }
        if !isAlike, known.contains(where: { !blamed.contains($0.topic) }) {
            let list = known.map { "'\($0.topic)' has \($0.partitions)" }.joined(separator: ", ")
            add(
                .error,
                "co-partitioning",
                spec.name,
                "the sources differ in partitions: \(list); a task takes the same partition of every source. "
                    + "\(Self.wayOut(known)) Or split the topology, if no rule needs both."
            )
        }
    }

    /// What a step looks up must lie where its rows do.
    private mutating func checkJoins() {
        for (index, step) in spec.steps.enumerated() {
            guard let join = step.join, case .kafka(let topic, _) = spec.sources[join.table].origin else { continue }
            let name = spec.sources[join.table].name
            if spec.sources[join.table].isBroadcast {
                add(.ok, "co-partitioning", step.name, "step '\(step.name)': every lane reads all of table '\(name)' ('\(topic)')")
            } else if let mistake = spec.joinMistake(of: index) {
                add(partitions == 1 ? .warning : .error, "co-partitioning", step.name, "step '\(step.name)' \(mistake)")
            } else {
                add(
                    .ok, "co-partitioning", step.name,
                    "step '\(step.name)' finds table '\(name)' ('\(topic)') in its own partition; producers must also choose "
                        + "partitions alike (murmur2 of the same key)")
            }
        }
    }

    /// Adding partitions is no way out: it leaves the records that are there where they are.
    private static func wayOut(_ topics: [(topic: String, partitions: Int)]) -> String {
        let most = topics.map(\.partitions).max() ?? 1
        let small = topics.filter { $0.partitions < most }.map { "'\($0.topic)'" }.joined(separator: ", ")
        return "Make \(small) anew with \(counted(most, "partition")) and produce the records again "
            + "(added partitions would leave old records where they are)."
    }

    private mutating func checkInternalTopics() {
        if checkInternal(changelog, "state") {
            let policy = facts.topics[changelog]?.cleanupPolicy
            if let policy, policy != "compact" {
                add(
                    .error,
                    "cleanup-policy",
                    changelog,
                    "topic '\(changelog)' has cleanup.policy \(policy): state older than its retention "
                        + "would be lost; "
                        + "kafka-configs --alter --entity-type topics --entity-name \(changelog) "
                        + "--add-config cleanup.policy=compact"
                )
            }
        }
        for topic in repartitionTopics where checkInternal(topic, "records on their way to another key") {
            let policy = facts.topics[topic]?.cleanupPolicy
            if let policy, policy.contains("compact") {
                add(
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
    private mutating func checkInternal(_ topic: String, _ use: String) -> Bool {
        guard let known = facts.topics[topic] else {
            addMissing(topic, use)
            return false
        }
        add(.ok, "topic", topic, "topic '\(topic)' (\(use)): \(known.size)")
        checkHealth(topic, known)
        checkWriting(topic, known)
        guard let partitions, partitions != known.partitions else { return true }
        let found =
            "topic '\(topic)' has \(counted(known.partitions, "partition")), the sources have \(partitions): "
            + "a source was partitioned anew since, and "
        let reset =
            "kafka-consumer-groups --group \(group) --reset-offsets --all-topics --to-earliest --execute"
        add(
            .error,
            "partitions",
            topic,
            topic == changelog
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

    private mutating func checkOutputs() {
        for topic in outputs {
            guard let known = facts.topics[topic] else {
                addMissing(topic, use(ofOutput: topic))
                continue
            }
            add(.ok, "topic", topic, "topic '\(topic)' (\(use(ofOutput: topic))): \(known.size)")
            checkHealth(topic, known)
            checkWriting(topic, known)
            checkKeeping(topic, known)
        }
    }

    /// Results of steps may be meant to be the newest of each key; alerts, and what was refused, are not.
    private mutating func checkKeeping(_ topic: String, _ known: KafkaTopicFacts) {
        guard let policy = known.cleanupPolicy, policy.contains("compact") else { return }
        let sinks = spec.sinks.filter { $0.topic == topic }
        let areAlerts = sinks.contains { if case .alerts = $0.input { true } else { false } }
        guard areAlerts || sinks.isEmpty else { return }
        let what = areAlerts ? "an alert is lost to whoever reads it late, once" : "a record is lost, once"
        add(
            areAlerts ? .error : .warning, "cleanup-policy", topic,
            "topic '\(topic)' (\(use(ofOutput: topic))) is compacted: \(what) another one of its key was written; "
                + "kafka-configs --alter --entity-type topics --entity-name \(topic) --add-config cleanup.policy=delete")
    }

    func use(ofOutput topic: String) -> String {
        let sinks = spec.sinks.filter { $0.topic == topic }
        if !sinks.isEmpty { return "sink " + sinks.map { "'\($0.name)'" }.joined(separator: ", ") }
        return topic == "\(spec.name)-late" ? "late records" : "dead letters"
    }

    private mutating func addMissing(_ topic: String, _ use: String) {
        let size = partitions.map { " with \(counted($0, "partition"))" } ?? ""
        add(
            .ok,
            "topic",
            topic,
            "topic '\(topic)' (\(use)) does not exist yet; the first start makes it\(size)"
        )
    }
}

/// `1 partition`, `4 partitions`
func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
