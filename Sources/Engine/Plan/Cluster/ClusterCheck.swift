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

    private let topics: ClusterTopics
    package let findings: [Finding]

    package init(_ spec: TopologySpec, group: String, facts: KafkaClusterFacts) {
        topics = ClusterTopics(spec: spec, group: group, facts: facts)
        var findings = ClusterFindings()
        BrokerCheck(topics: topics).check(into: &findings)
        SourceTopicCheck(topics: topics).check(into: &findings)
        CoPartitioningCheck(topics: topics).check(into: &findings)
        let written = WrittenTopicCheck(topics: topics)
        written.checkInternals(into: &findings)
        written.checkOutputs(into: &findings)
        self.findings = findings.all
    }

    package var hasErrors: Bool { findings.contains { $0.level == .error } }

    /// The least that a worker's principal needs; Create only while a topic is missing.
    package var acls: [KafkaAcl] { KafkaAcl.ofWorker(topics) }

    /// Whether the check of `spec` needs to know this topic of the cluster.
    package static func needs(_ topic: String, _ spec: TopologySpec, group: String) -> Bool {
        ClusterTopics.needs(topic, spec, group: group)
    }

    // MARK: Printing

    /// A line for each finding, then the commands that give the rights.
    package func text(_ bootstrapServers: String, principal: String) -> String {
        var lines = ["  cluster \(bootstrapServers): \(counted(topics.facts.brokers.count, "broker"))"]
        for finding in findings {
            let level = finding.level.rawValue
            lines.append(
                "  \(level)\(String(repeating: " ", count: max(1, 8 - level.count)))\(finding.message)"
            )
        }
        lines.append("  rights that \(principal) needs (nothing was changed):")
        var purpose = ""
        for acl in acls {
            if acl.purpose != purpose { lines.append("    # \(acl.purpose)") }
            purpose = acl.purpose
            lines.append("    " + acl.command(bootstrapServers, principal: principal))
        }
        return lines.joined(separator: "\n")
    }

    /// One JSON object on one line.
    package func json(file: String, _ bootstrapServers: String, principal: String) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("file", file)
        json.member("topology", topics.spec.name)
        json.member("ruleset", topics.spec.ruleset)
        json.member("logic", topics.spec.logic)
        json.member("bootstrap_servers", bootstrapServers)
        json.member("brokers", Int64(topics.facts.brokers.count))
        json.member("principal", principal)
        json.name("is_ok")
        json.bool(!hasErrors)
        json.name("checks")
        json.raw("[\(findings.map(Self.json).joined(separator: ","))]")
        let rights = acls.map { Self.json($0, $0.command(bootstrapServers, principal: principal)) }
        json.name("acls")
        json.raw("[\(rights.joined(separator: ","))]")
        json.endObject()
        return json.string
    }

    private static func json(_ finding: Finding) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("level", finding.level.rawValue)
        json.member("check", finding.check)
        json.member("subject", finding.subject)
        json.member("message", finding.message)
        json.endObject()
        return json.string
    }

    private static func json(_ acl: KafkaAcl, _ command: String) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("resource", acl.resource.rawValue)
        json.member("name", acl.resource == .cluster ? "kafka-cluster" : acl.name)
        json.member("pattern", acl.isPrefix ? "prefixed" : "literal")
        json.name("operations")
        json.raw("[\(acl.operations.map { "\"\($0)\"" }.joined(separator: ","))]")
        json.member("purpose", acl.purpose)
        json.member("command", command)
        json.endObject()
        return json.string
    }
}
