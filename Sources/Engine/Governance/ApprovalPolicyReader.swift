import Base
import Security
import Topology

extension ApprovalPolicy {
    /// Reads a policy's file; throws with every mistake, each `file:line:column: …` on a line of its own.
    package static func read(file path: String) throws(Fault) -> ApprovalPolicy {
        try read(FileText.read(path), file: path, environment: .system)
    }

    package static func read(_ text: String, file: String, environment: Environment) throws(Fault)
        -> ApprovalPolicy
    {
        let yaml = YamlReader.read(text, file: file)
        let context = ReadingContext(file: file, catalogue: Catalogue(), environment: environment)
        // Secrets by reference, as everywhere; it has no parameters.
        context.hasParameters = true
        for diagnostic in yaml.diagnostics { context.error(diagnostic.position, diagnostic.message) }
        let policy = yaml.root.flatMap { ApprovalPolicyReader(context: context).read($0, text) }
        guard let policy, !context.hasErrors else {
            throw Fault(.user, context.sortedDiagnostics().map { "\($0)" }.joined(separator: "\n"))
        }
        return policy
    }
}

private struct ApprovalPolicyReader {
    let context: ReadingContext
    static let example = "people: { lin: { key: lin.pub, duties: [author] } }"

    func read(_ root: YamlNode, _ text: String) -> ApprovalPolicy? {
        let start = Position(line: 1, column: 1)
        guard
            let mapping = MappingReader(
                root, "the policy", keys: ["approvals", "approvals_outside_soft", "since", "people"],
                at: start, context,
                example: Self.example)
        else { return nil }
        let approvals =
            mapping["approvals"].map { context.integer($0, "approvals", 0...10, example: "approvals: 1") }
            ?? 1
        let outside = mapping["approvals_outside_soft"].map {
            context.integer($0, "approvals_outside_soft", 0...10, example: "approvals_outside_soft: 2")
        }
        let since =
            mapping["since"].map { context.integer($0, "since", 0...Int.max, example: "since: 12") } ?? 0
        var people: [String: ApprovalPolicy.Person] = [:]
        guard let node = mapping.required("people", example: Self.example) else { return nil }
        for entry in context.named(node, "people", example: Self.example)
        where context.checkName(entry, "person") {
            people[entry.key] = person(entry)
        }
        guard let approvals, let since, !context.hasErrors else { return nil }
        let count = people.values.count { $0.duties.contains(.approver) }
        if count < max(approvals, (outside ?? nil) ?? 0) {
            context.error(
                node.position,
                "\(max(approvals, (outside ?? nil) ?? 0)) approvals are asked for, and \(count) people may approve"
            )
        }
        return ApprovalPolicy(
            approvals: approvals, approvalsOutsideSoft: (outside ?? nil) ?? approvals, since: Int64(since),
            people: people,
            hash: "sha256:\(Sha256.hex(Array(text.utf8)))")
    }

    private func person(_ entry: YamlEntry) -> ApprovalPolicy.Person? {
        guard
            let mapping = MappingReader(
                entry.value, entry.key, keys: ["key", "duties", "speaks_for_others"], at: entry.keyPosition,
                context,
                example: "\(entry.key): { key: \(entry.key).pub, duties: [author] }")
        else { return nil }
        var duties: Set<ApprovalPolicy.Duty> = []
        if let node = mapping["duties"] {
            for text in context.names(node, "duties", example: "duties: [author]") ?? [] {
                guard let duty = ApprovalPolicy.Duty(rawValue: text.text) else {
                    context.error(
                        text.position,
                        "a duty is \(ReadingContext.list(ApprovalPolicy.Duty.allCases.map(\.rawValue), "or")), not '\(text.shown)'"
                    )
                    continue
                }
                duties.insert(duty)
            }
        }
        var speaks = false
        if let node = mapping["speaks_for_others"] {
            speaks = context.choice(node, "speaks_for_others", ["true", "false"]) == "true"
        }
        var key: VerifyingKey?
        if let text = mapping.text("key", example: "key: \(entry.key).pub") { key = self.key(text) }
        if speaks, key == nil, mapping["key"] == nil {
            context.error(entry.keyPosition, "\(entry.key) speaks for others, which takes a key")
        }
        return ApprovalPolicy.Person(duties: duties, key: key, speaksForOthers: speaks)
    }

    /// PEM, or the name of a file with it: beside the policy, unless it begins with `/`.
    private func key(_ text: ScalarText) -> VerifyingKey? {
        var pem = text.text
        var name = "the key"
        if !pem.hasPrefix("-----BEGIN") {
            let folder = context.file.lastIndex(of: "/").map { String(context.file[...$0]) } ?? ""
            name = pem.hasPrefix("/") ? pem : folder + pem
            guard let found = context.environment.fileText(name) else {
                context.error(text.position, "the file '\(name)' cannot be read")
                return nil
            }
            pem = found
        }
        do throws(Fault) {
            return try VerifyingKey(pem: pem, name: name)
        } catch {
            context.error(text.position, error.detail)
            return nil
        }
    }
}
