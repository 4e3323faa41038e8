import Connectors
import Records
import Topology

/// The topics of a topology, and what is known of them on a cluster.
struct ClusterTopics: Sendable {
    let spec: TopologySpec
    let group: String
    let facts: KafkaClusterFacts

    /// Whether the check of `spec` needs to know this topic of the cluster.
    static func needs(_ topic: String, _ spec: TopologySpec, group: String) -> Bool {
        topic.hasPrefix("\(spec.name)-") || topic.hasPrefix("\(group)-") || topic == transactionLog
            || read(by: spec).contains { $0.topic == topic }
            || outputs(of: spec).contains(topic)
    }

    static let transactionLog = "__transaction_state"

    /// Topics that sources read, each with these.
    var sources: [(topic: String, sources: [Int])] { Self.read(by: spec) }

    /// Each topic that sources read, once.
    private static func read(by spec: TopologySpec) -> [(topic: String, sources: [Int])] {
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
    var repartitions: [String] { spec.repartitioned(prefix: group).repartitions.map(\.topic) }

    /// Of `sources` those whose partitions are handed out to tasks.
    var taskTopics: [(topic: String, sources: [Int])] {
        sources.filter { !$0.sources.allSatisfy { spec.sources[$0].isBroadcast } }
    }

    /// How many partitions all sources have; nil if they differ or one does not exist.
    var partitions: Int? {
        let counts = taskTopics.map { facts.topics[$0.topic]?.partitions }
        guard let first = counts.first, counts.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    /// What an output is for.
    func use(ofOutput topic: String) -> String {
        let sinks = spec.sinks.filter { $0.topic == topic }
        if !sinks.isEmpty { return "sink " + sinks.map { "'\($0.name)'" }.joined(separator: ", ") }
        return topic == "\(spec.name)-late" ? "late records" : "dead letters"
    }

    /// Topics of which records come back: what the state is made from again, and what is on its way to
    /// another key.
    var internals: [String] { [changelog] + repartitions }

    /// All topics that a worker writes.
    var written: [String] { internals + outputs }
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

/// `1 partition`, `4 partitions`
func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
