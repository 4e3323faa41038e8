import Base
import Security

/// The signature of Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over
/// `id.timestamp.body`.
package enum StandardWebhook {
    /// 32 bytes over the message as it is sent; `seconds` since 1970.
    package static func signature(id: String, seconds: Int64, body: [UInt8], secret: [UInt8]) -> [UInt8] {
        Hmac.sha256(Array("\(id).\(seconds).".utf8) + body, key: secret)
    }

    /// Of a header: a signature by each secret, so that a receiver that knows any of them is content.
    package static func signatures(id: String, seconds: Int64, body: [UInt8], secrets: [[UInt8]]) -> String {
        secrets.map { "v1,\(Base64Text.encode(signature(id: id, seconds: seconds, body: body, secret: $0)))" }
            .joined(separator: " ")
    }

    /// The bytes of `whsec_…`: 24 to 64 of them in base64; nil: it is none.
    package static func secret(_ text: String) -> [UInt8]? {
        guard text.hasPrefix("whsec_"), let bytes = Base64Text.decode(String(text.dropFirst(6))) else {
            return nil
        }
        return (24...64).contains(bytes.count) ? bytes : nil
    }
}
