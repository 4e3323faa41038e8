import Records
import Topology

extension ClusterCheck {
    /// What a principal must be allowed to do with one resource, as `kafka-acls` says it.
    package struct Acl: Equatable, Sendable {
        package enum Resource: String, Sendable {
            case topic, group
            case transactionalId = "transactional-id"
            case cluster
        }

        package var resource: Resource
        /// Empty for the cluster.
        package var name: String
        /// All resources whose names begin with `name`.
        package var isPrefix = false
        package var operations: [String]
        package var purpose: String
    }

    /// The least that a worker's principal needs; Create only while a topic is missing.
    package var acls: [Acl] {
        var acls = sourceTopics.map { source in
            Acl(resource: .topic, name: source.topic, operations: ["Read", "Describe"], purpose: "sources")
        }
        acls.append(
            Acl(resource: .group, name: group, operations: ["Read"], purpose: "positions of the sources")
        )
        for topic in outputs {
            let isOurs = topic.hasPrefix("\(spec.name)-")
            let create = facts.topics[topic] == nil && !isOurs ? ["Create"] : []
            acls.append(
                Acl(
                    resource: .topic,
                    name: topic,
                    operations: ["Write", "Describe"] + create,
                    purpose: use(ofOutput: topic)
                )
            )
        }
        for topic in internalTopics {
            acls.append(
                Acl(
                    resource: .topic,
                    name: topic,
                    operations: ["Read", "Write", "Describe"],
                    purpose: topic == changelog ? "state" : "records on their way to another key"
                )
            )
        }
        for prefix in Set([spec.name, group]).sorted()
        where (outputs + internalTopics).contains(where: { $0.hasPrefix("\(prefix)-") && facts.topics[$0] == nil }) {
            acls.append(
                Acl(
                    resource: .topic,
                    name: "\(prefix)-",
                    isPrefix: true,
                    operations: ["Create"],
                    purpose: "topics that do not exist yet; not needed once they do"
                )
            )
        }
        switch spec.guarantee {
        case .exactlyOnce:
            acls.append(
                Acl(
                    resource: .transactionalId,
                    name: "\(group)-",
                    isPrefix: true,
                    operations: ["Write", "Describe"],
                    purpose: "transactions"
                )
            )
        case .atLeastOnce:
            acls.append(
                Acl(
                    resource: .cluster,
                    name: "",
                    operations: ["IdempotentWrite"],
                    purpose: "idempotent producers; needed on brokers before 3.0 only"
                )
            )
        }
        return acls
    }

    private var internalTopics: [String] { [changelog] + repartitionTopics }
}

extension ClusterCheck.Acl {
    /// One line for a shell. `principal`: like `User:millrace`.
    package func command(_ bootstrapServers: String, principal: String) -> String {
        var words = [
            "kafka-acls", "--bootstrap-server", bootstrapServers, "--add", "--allow-principal", principal,
        ]
        for operation in operations { words += ["--operation", operation] }
        words.append("--\(resource.rawValue)")
        if resource != .cluster { words.append(name) }
        if isPrefix { words += ["--resource-pattern-type", "prefixed"] }
        return words.map(Self.quoted).joined(separator: " ")
    }

    /// As one word of a POSIX shell.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_.,:/=@+".utf8.contains(byte)
            }
        }
        if isPlain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
            + "'"
    }
}

// MARK: Printing

extension ClusterCheck {
    /// A line for each finding, then the commands that give the rights.
    package func text(_ bootstrapServers: String, principal: String) -> String {
        var lines = ["  cluster \(bootstrapServers): \(counted(facts.brokers.count, "broker"))"]
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
        json.member("topology", spec.name)
        json.member("ruleset", spec.ruleset)
        json.member("logic", spec.logic)
        json.member("bootstrap_servers", bootstrapServers)
        json.member("brokers", Int64(facts.brokers.count))
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

    private static func json(_ acl: Acl, _ command: String) -> String {
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
