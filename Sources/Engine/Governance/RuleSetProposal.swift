import Base
import Models
import Records

/// That an author would make a text the epoch behind `previous`, and who agrees. In the topic of rule sets:
/// compacted by keys of its own, open as long as `previous` is the newest epoch.
package struct RuleSetProposal: Equatable, Sendable {
    package var previous: Int64
    package var ruleset: String
    package var author: String
    package var reason: String
    /// ISO 8601.
    package var at: String
    package var approvals: [RuleSetApproval] = []

    package init(previous: Int64, ruleset: String, author: String, reason: String, at: String) {
        (self.previous, self.ruleset, self.author, self.reason, self.at) = (
            previous, ruleset, author, reason, at
        )
    }

    package var key: String { "proposal/\(previous)/\(Self.hash(ruleset))" }

    package static func approvalKey(previous: Int64, ruleset: String, by person: String) -> String {
        "approval/\(previous)/\(hash(ruleset))/\(person)"
    }

    private static func hash(_ ruleset: String) -> Substring { ruleset.split(separator: ":").last ?? "" }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("previous", previous)
        json.member("ruleset", ruleset)
        json.member("author", author)
        json.member("reason", reason)
        json.member("at", at)
        json.endObject()
        return json.string
    }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        let node = DocumentNode(try JsonDocument.read(Array(value)))
        previous = Int64(try node["previous"].integer)
        ruleset = try node["ruleset"].text
        author = try node["author"].text
        reason = try node["reason"].text
        at = try node["at"].text
    }

    /// The record of an approval, which names what it is of.
    static func approvalJson(_ approval: RuleSetApproval, of proposal: RuleSetProposal) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("previous", proposal.previous)
        json.member("ruleset", proposal.ruleset)
        json.name("approval")
        approval.write(&json)
        json.endObject()
        return json.string
    }

    static func readApproval(
        _ value: UnsafeBufferPointer<UInt8>
    ) throws(Fault) -> (previous: Int64, ruleset: String, approval: RuleSetApproval) {
        let node = DocumentNode(try JsonDocument.read(Array(value)))
        return (
            Int64(try node["previous"].integer), try node["ruleset"].text,
            try RuleSetApproval(node["approval"])
        )
    }
}
