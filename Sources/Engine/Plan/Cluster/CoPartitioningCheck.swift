import Connectors
import Topology

/// That what is joined is partitioned alike. A task takes partition p of every source, so their counts must
/// be equal: first for the rules, whose inputs must meet, then for the rest, whose task would otherwise be in
/// two places.
struct CoPartitioningCheck {
    let topics: ClusterTopics

    func check(into findings: inout ClusterFindings) {
        var blamed: Set<String> = []
        for rule in topics.spec.rules {
            var inputs: [(topic: String, step: String, partitions: Int)] = []
            for step in rule.on {
                guard case .kafka(let topic, _) = topics.spec.sources[topics.spec.source(of: step)].origin,
                    let known = topics.facts.topics[topic], !inputs.contains(where: { $0.topic == topic })
                else { continue }
                inputs.append((topic, topics.spec.steps[step].name, known.partitions))
            }
            guard inputs.count > 1, let first = inputs.first else { continue }
            let list = inputs.map {
                "step '\($0.step)' reads '\($0.topic)' of \(counted($0.partitions, "partition"))"
            }
            .joined(separator: ", ")
            if inputs.allSatisfy({ $0.partitions == first.partitions }) {
                findings.add(
                    .ok,
                    "co-partitioning",
                    rule.name,
                    "rule '\(rule.name)': \(list); producers must also choose partitions alike (murmur2 "
                        + "of the same key)"
                )
            } else {
                blamed.formUnion(inputs.map(\.topic))
                findings.add(
                    .error,
                    "co-partitioning",
                    rule.name,
                    "rule '\(rule.name)' joins topics of different partition counts: \(list); equal "
                        + "keys would not "
                        + "meet in one task. \(Self.wayOut(inputs.map { ($0.topic, $0.partitions) }))"
                )
            }
        }
        checkJoins(into: &findings)
        let known = topics.taskTopics.compactMap { source in
            topics.facts.topics[source.topic].map { (topic: source.topic, partitions: $0.partitions) }
        }
        let isAlike = known.allSatisfy { $0.partitions == known[0].partitions }
        if !isAlike, known.contains(where: { !blamed.contains($0.topic) }) {
            let list = known.map { "'\($0.topic)' has \($0.partitions)" }.joined(separator: ", ")
            findings.add(
                .error,
                "co-partitioning",
                topics.spec.name,
                "the sources differ in partitions: \(list); a task takes the same partition of every source. "
                    + "\(Self.wayOut(known)) Or split the topology, if no rule needs both."
            )
        }
    }

    /// What a step looks up must lie where its rows do.
    private func checkJoins(into findings: inout ClusterFindings) {
        for (index, step) in topics.spec.steps.enumerated() {
            guard let join = step.join, case .kafka(let topic, _) = topics.spec.sources[join.table].origin
            else { continue }
            let name = topics.spec.sources[join.table].name
            if topics.spec.sources[join.table].isBroadcast {
                findings.add(
                    .ok,
                    "co-partitioning",
                    step.name,
                    "step '\(step.name)': every lane reads all of table '\(name)' ('\(topic)')"
                )
            } else if let mistake = topics.spec.joinMistake(of: index) {
                findings.add(
                    topics.partitions == 1 ? .warning : .error,
                    "co-partitioning",
                    step.name,
                    "step '\(step.name)' \(mistake)"
                )
            } else {
                findings.add(
                    .ok,
                    "co-partitioning",
                    step.name,
                    "step '\(step.name)' finds table '\(name)' ('\(topic)') in its own partition; producers must also choose "
                        + "partitions alike (murmur2 of the same key)"
                )
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
}
