import Base
import Models
import Records
import Topology

/// A topology file as it was deployed, with the parameters that were given beside it: all that its rules come
/// from.
package struct RuleSetText: Equatable, Sendable {
    /// What mistakes call it.
    package var file: String
    package var text: String
    package var parameters: [String: String]

    package init(file: String, text: String, parameters: [String: String]) {
        (self.file, self.text, self.parameters) = (file, text, parameters)
    }

    /// The spec; nil: the diagnostics say why not.
    package func read() -> (spec: TopologySpec?, diagnostics: [Diagnostic]) {
        TopologyReader.read(text, file: file, parameters: parameters)
    }

    package static func key(_ ruleset: String) -> String { "text/\(hash(ruleset))" }
    /// Of what a task says of it before it is activated.
    static func preparedKey(_ ruleset: String, _ task: Int32) -> String {
        "prepared/\(hash(ruleset))/\(task)"
    }

    /// Without `sha256:`.
    private static func hash(_ ruleset: String) -> Substring { ruleset.split(separator: ":").last ?? "" }

    /// Throws if a record that holds it, this one, is too large to be deployed.
    func checkSize(of json: String) throws(Fault) {
        guard json.utf8.count > Limits.ruleSetBytesMax else { return }
        throw Fault(.user, "\(file): a topology that is deployed has at most \(Limits.ruleSetBytesMax) bytes")
    }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("file", file)
        json.name("parameters")
        json.beginObject()
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) { json.member(name, value) }
        json.endObject()
        json.member("text", text)
        json.endObject()
        return json.string
    }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        try self.init(DocumentNode(try JsonDocument.read(Array(value))))
    }

    init(_ node: DocumentNode) throws(Fault) {
        file = try node["file"].text
        text = try node["text"].text
        parameters = [:]
        for (name, node) in try node["parameters"].members { parameters[name] = try node.text }
    }
}

/// That a text becomes the rules, as of an epoch.
package struct RuleSetActivation: Equatable, Sendable {
    package var epoch: Int64
    /// The epoch before, which its author saw.
    package var previous: Int64
    package var ruleset: String
    package var logic: String
    /// Of epoch 0, the file that the workers were started with; in the first activation only.
    package var former: String?
    package var author: String
    package var reason: String
    /// ISO 8601.
    package var at: String
    /// Who agreed; the author's signature. None where no policy asks for them.
    package var approvals: [RuleSetApproval] = []
    package var signature: RuleSetSignature?

    package init(
        epoch: Int64, previous: Int64, ruleset: String, logic: String, former: String? = nil, author: String,
        reason: String,
        at: String
    ) {
        (self.epoch, self.previous, self.ruleset, self.logic, self.former) = (
            epoch, previous, ruleset, logic, former
        )
        (self.author, self.reason, self.at) = (author, reason, at)
    }

    package var key: String { "activation/\(epoch)" }

    /// What the author signs.
    func statement(group: String) -> [UInt8] {
        var json = JsonWriter()
        json.beginObject()
        json.member("statement", "activation")
        json.member("group", group)
        writeMembers(&json)
        json.endObject()
        return Array(json.string.utf8)
    }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        writeMembers(&json)
        if !approvals.isEmpty {
            json.name("approvers")
            json.list(approvals) { $1.write(&$0) }
        }
        if let signature {
            json.name("signature")
            signature.write(&json)
        }
        json.endObject()
        return json.string
    }

    private func writeMembers(_ json: inout JsonWriter) {
        json.member("epoch", epoch)
        json.member("previous", previous)
        json.member("ruleset", ruleset)
        json.member("logic", logic)
        if let former { json.member("former", former) }
        json.member("author", author)
        json.member("reason", reason)
        json.member("at", at)
    }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        try self.init(DocumentNode(try JsonDocument.read(Array(value))))
    }

    init(_ node: DocumentNode) throws(Fault) {
        epoch = Int64(try node["epoch"].integer)
        previous = Int64(try node["previous"].integer)
        ruleset = try node["ruleset"].text
        logic = try node["logic"].text
        former = try node.optional("former")?.text
        author = try node["author"].text
        reason = try node["reason"].text
        at = try node["at"].text
        for node in try node.optional("approvers")?.list ?? [] { approvals.append(try RuleSetApproval(node)) }
        signature = try node.optional("signature").map { (node) throws(Fault) in try RuleSetSignature(node) }
    }
}
