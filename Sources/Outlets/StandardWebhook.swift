import Security

/// The signature of Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
package enum StandardWebhook {
    /// 32 bytes over the message as it is sent; `seconds` since 1970.
    package static func signature(id: String, seconds: Int64, body: [UInt8], secret: [UInt8]) -> [UInt8] {
        Hmac.sha256(Array("\(id).\(seconds).".utf8) + body, key: secret)
    }
}
