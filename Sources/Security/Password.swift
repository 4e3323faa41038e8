import Base
import CCrypt
import COpenssl

/// Passwords as they are kept: yescrypt by libcrypt (crypt(5)), `$y$…`. What was hashed by another of its
/// methods is checked as well.
package enum Password {
    /// As long as libcrypt takes them.
    package static let bytesMax = 511

    /// A new hash, with a salt of its own.
    package static func hash(_ password: String) throws(Fault) -> String {
        let salt = Secret.bytes(32)
        let setting = salt.withUnsafeBytes { bytes in
            crypt_gensalt_ra(
                "$y$", 0, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
        }
        guard let setting else { throw Fault(.external, "libcrypt has no yescrypt") }
        defer { free(setting) }
        guard let hash = crypt(password, String(cString: setting)) else {
            throw Fault(.external, "libcrypt did not hash the password")
        }
        return hash
    }

    /// Takes about as long for a wrong password as for a right one.
    package static func matches(_ password: String, _ hash: String) -> Bool {
        guard !hash.isEmpty, let own = crypt(password, hash) else { return false }
        return Secret.equal(Array(own.utf8), Array(hash.utf8))
    }

    private static func crypt(_ password: String, _ setting: String) -> String? {
        guard password.utf8.count <= bytesMax, !password.utf8.contains(0) else { return nil }
        var data: UnsafeMutableRawPointer?
        var count: Int32 = 0
        defer { free(data) }
        guard let hash = crypt_ra(password, setting, &data, &count) else { return nil }
        let text = String(cString: hash)
        return text.hasPrefix("*") ? nil : text
    }
}

/// Random bytes and comparisons that tell nothing by the time they take.
package enum Secret {
    /// From OpenSSL's generator.
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        require(RAND_bytes(&bytes, Int32(count)) == 1, "no random bytes")
        return bytes
    }

    /// Hexadecimal digits, two a byte.
    package static func text(_ count: Int) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes(count).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    package static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
