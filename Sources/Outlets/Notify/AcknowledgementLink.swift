import Base
import Security

/// A link by which who was told says that they look after it. It is signed, and good for a day; who shows the
/// page that it leads to writes the disposition when that is confirmed (POST) only, and refuses a token whose
/// `id` was used before.
package struct AcknowledgementLink: Sendable {
    package struct Claim: Equatable, Sendable {
        /// Alerts that are acknowledged together.
        package var alerts: [String]
        /// Who was sent the link, as `zhang/mail`.
        package var recipient: String
        /// Milliseconds since 1970.
        package var expiresAt: Int64
        /// The same for the same token, and for no other.
        package var id: String
    }

    package enum Refusal: Error, Equatable, Sendable { case forged, expired }

    /// Alerts that a link names at most; messages with more have none.
    package static let alertsMax = 8
    package static let secretBytesLeast = 24
    /// The path of the console's page.
    package static let page = "/acknowledge"

    /// Where the page is; the token follows as `?token=`.
    package var base: String
    package var validMilliseconds: Int64
    private let secret: [UInt8]

    package init(base: String, secret: [UInt8], validMilliseconds: Int64 = 86_400_000) {
        (self.base, self.secret, self.validMilliseconds) = (base, secret, validMilliseconds)
    }

    /// nil: for no alert, or for too many.
    package func make(alerts: [String], recipient: String, now: Int64) -> String? {
        token(alerts: alerts, recipient: recipient, now: now).map {
            "\(base)\(base.contains("?") ? "&" : "?")token=\($0)"
        }
    }

    package func token(alerts: [String], recipient: String, now: Int64) -> String? {
        guard !alerts.isEmpty, alerts.count <= Self.alertsMax else { return nil }
        let claim = Array("\(now + validMilliseconds)\n\(recipient)\n\(alerts.joined(separator: "\n"))".utf8)
        return Base64Text.encode(claim, url: true) + "." + Base64Text.encode(signature(claim), url: true)
    }

    package func verify(_ token: String, now: Int64) throws(Refusal) -> Claim {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, token.utf8.count <= 4096,
            let claim = Base64Text.decode(String(parts[0]), url: true),
            let signature = Base64Text.decode(String(parts[1]), url: true),
            SecretText.isEqual(signature, self.signature(claim))
        else { throw .forged }
        let lines = String(decoding: claim, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map(String.init)
        guard lines.count >= 3, let expiresAt = Int64(lines[0]) else { throw .forged }
        guard now < expiresAt else { throw .expired }
        return Claim(
            alerts: Array(lines[2...]), recipient: lines[1], expiresAt: expiresAt, id: String(parts[1]))
    }

    private func signature(_ claim: [UInt8]) -> [UInt8] {
        Hmac.sha256(Array("millrace-ack-1\n".utf8) + claim, key: secret)
    }
}
