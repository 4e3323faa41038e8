import Base
import COpenssl

/// Signs with Ed25519 (RFC 8032) by OpenSSL.
package final class SigningKey {
    private let key: OpaquePointer

    /// A private key in PEM, as `openssl genpkey -algorithm ed25519` writes it; `name` is for mistakes.
    package init(pem: String, name: String) throws(Fault) {
        key = try Pem.read(
            pem, name,
            otherwise:
                "\(name) holds no private key; make one with `openssl genpkey -algorithm ed25519 -out \(name)`"
        ) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
    }

    deinit { EVP_PKEY_free(key) }

    /// 64 bytes.
    package func sign(_ message: [UInt8]) throws(Fault) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw Fault(.defect, "OpenSSL has no memory") }
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: 64)
        var count = signature.count
        guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
            EVP_DigestSign(context, &signature, &count, message, message.count) == 1, count == 64
        else { throw Fault(.defect, "OpenSSL does not sign") }
        return signature
    }
}

/// Checks what a `SigningKey` has signed.
package final class VerifyingKey: @unchecked Sendable {
    // OpenSSL counts references of a key atomically, and verifying does not change it.
    private let key: OpaquePointer

    /// A public key in PEM, as `openssl pkey -pubout` writes it; `name` is for mistakes.
    package init(pem: String, name: String) throws(Fault) {
        key = try Pem.read(
            pem, name,
            otherwise: "\(name) holds no public key; `openssl pkey -in KEY -pubout -out \(name)` writes it"
        ) { PEM_read_bio_PUBKEY($0, nil, nil, nil) }
    }

    deinit { EVP_PKEY_free(key) }

    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

private enum Pem {
    /// An Ed25519 key, which is the caller's. `reason`: what is said of a text that holds no key.
    static func read(
        _ text: String, _ name: String, otherwise reason: String, _ body: (OpaquePointer) -> OpaquePointer?
    ) throws(Fault) -> OpaquePointer {
        // What a BIO reads is not copied into it.
        let key: OpaquePointer? = Array(text.utf8).withUnsafeBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
            defer {
                BIO_free(bio)
                ERR_clear_error()
            }
            return body(bio)
        }
        guard let key else { throw Fault(.user, reason) }
        guard EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 else {
            EVP_PKEY_free(key)
            throw Fault(.user, "\(name) is a key of another kind; an Ed25519 key is expected")
        }
        return key
    }
}
