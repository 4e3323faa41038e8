import Base
import COpenssl

/// SHA-256 of bytes that come piece by piece, by OpenSSL.
package final class Digest {
    private let context: OpaquePointer

    package init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            unreachable("SHA-256 that OpenSSL does not have")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    package func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    package func add(_ bytes: [UInt8]) { bytes.withUnsafeBufferPointer { add($0) } }

    /// 64 hexadecimal digits; nothing may be added any more.
    package func hex() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &digest, nil)
        return digest.map { String(UInt16($0) | 0x100, radix: 16).suffix(2) }.joined()
    }
}
