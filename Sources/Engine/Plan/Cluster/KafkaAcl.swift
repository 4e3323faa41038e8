/// What a principal must be allowed to do with one resource, as `kafka-acls` says it.
package struct KafkaAcl: Equatable, Sendable {
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
