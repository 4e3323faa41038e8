import Base
import COpenssl

/// HMAC-SHA256 (RFC 2104) by OpenSSL.
package enum Hmac {
    /// 32 bytes.
    package static func sha256(_ message: some Sequence<UInt8>, key: [UInt8]) -> [UInt8] {
        let message = Array(message)
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &digest, &count)
        return digest
    }
}

/// Comparison in a time that says nothing of where the first difference is.
package enum SecretText {
    package static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
}
