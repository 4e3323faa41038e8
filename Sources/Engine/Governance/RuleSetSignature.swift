import Base
import Models
import Records
import Security

/// What somebody has signed, and with whose key.
package struct RuleSetSignature: Equatable, Sendable {
    /// Whose key it was: the person's own, or a console's.
    package var holder: String
    package var bytes: [UInt8]

    init(holder: String, bytes: [UInt8]) { (self.holder, self.bytes) = (holder, bytes) }

    func write(_ json: inout JsonWriter) {
        json.beginObject()
        json.member("holder", holder)
        json.member("ed25519", Hexadecimal.text(bytes))
        json.endObject()
    }

    init(_ node: DocumentNode) throws(Fault) {
        holder = try node["holder"].text
        guard let bytes = Hexadecimal.bytes(try node["ed25519"].text) else {
            throw Fault(.user, "a signature is no hexadecimal number")
        }
        self.bytes = bytes
    }
}

/// A private key with the name that the policy has for it.
package struct RuleSetSigner {
    package var holder: String
    private let key: SigningKey

    package init(holder: String, keyFile path: String) throws(Fault) {
        try self.init(holder: holder, pem: FileText.read(path), name: path)
    }

    init(holder: String, pem: String, name: String) throws(Fault) {
        self.holder = holder
        key = try SigningKey(pem: pem, name: name)
    }

    func sign(_ statement: [UInt8]) throws(Fault) -> RuleSetSignature {
        RuleSetSignature(holder: holder, bytes: try key.sign(statement))
    }
}

/// That somebody agrees to a text as the epoch behind `previous`.
package struct RuleSetApproval: Equatable, Sendable {
    package var by: String
    /// ISO 8601.
    package var at: String
    package var signature: RuleSetSignature?

    /// What is signed: to be replayed neither for another text, nor another epoch, author or group.
    static func statement(
        group: String, previous: Int64, ruleset: String, author: String, by person: String, at: String
    ) -> [UInt8] {
        var json = JsonWriter()
        json.beginObject()
        json.member("statement", "approval")
        json.member("group", group)
        json.member("previous", previous)
        json.member("ruleset", ruleset)
        json.member("author", author)
        json.member("by", person)
        json.member("at", at)
        json.endObject()
        return Array(json.string.utf8)
    }

    func write(_ json: inout JsonWriter) {
        json.beginObject()
        json.member("by", by)
        json.member("at", at)
        if let signature {
            json.name("signature")
            signature.write(&json)
        }
        json.endObject()
    }

    init(by: String, at: String, signature: RuleSetSignature?) {
        (self.by, self.at, self.signature) = (by, at, signature)
    }

    init(_ node: DocumentNode) throws(Fault) {
        by = try node["by"].text
        at = try node["at"].text
        signature = try node.optional("signature").map { (node) throws(Fault) in try RuleSetSignature(node) }
    }
}

enum Hexadecimal {
    static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { UInt8(String(UnicodeScalar($0)), radix: 16) }
        guard digits.count % 2 == 0, digits.count <= 1024, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }
}
