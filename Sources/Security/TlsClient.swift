import Base
import COpenssl
import Glibc

/// Whom a TLS client trusts and who it is. Files are PEM.
package struct TlsOptions: Equatable, Sendable {
    /// Certificates to trust; nil: the system's.
    package var certificateAuthority: String?
    /// What the client shows, with its key.
    package var certificate: String?
    package var key: String?
    /// The name that the server's certificate must have; nil: the host's that was connected to.
    package var serverName: String?

    package init(
        certificateAuthority: String? = nil, certificate: String? = nil, key: String? = nil,
        serverName: String? = nil
    ) {
        self.certificateAuthority = certificateAuthority
        self.certificate = certificate
        self.key = key
        self.serverName = serverName
    }
}

/// TLS 1.2 or 1.3 by OpenSSL over a connected socket that does not block. The server's certificate is always
/// checked: its chain, its dates, its name. Used by one thread.
package final class TlsClient {
    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let socket: Int32

    /// Shakes hands until `deadline` (monotonic nanoseconds). `socket` stays the caller's.
    package init(_ options: TlsOptions, socket: Int32, host: String, until deadline: Int64) throws(Fault) {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw Self.failure("OpenSSL does not start")
        }
        guard let ssl = Self.prepare(context, options) else {
            SSL_CTX_free(context)
            throw Self.failure(Self.fileProblem(options))
        }
        (self.context, self.ssl, self.socket) = (context, ssl, socket)
        let name = options.serverName ?? host
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
        if !isAddress {
            guard SSL_set1_host(ssl, name) == 1 else { throw Self.failure("'\(name)' is no server's name") }
            _ = mr_ssl_set_server_name(ssl, name)
        }
        guard SSL_set_fd(ssl, socket) == 1 else { throw Self.failure("no connection") }
        try shakeHands(name, until: deadline)
    }

    deinit {
        // Without waiting for the other side's goodbye.
        SSL_shutdown(ssl)
        SSL_free(ssl)
        SSL_CTX_free(context)
        ERR_clear_error()
    }

    private static func prepare(_ context: OpaquePointer, _ options: TlsOptions) -> OpaquePointer? {
        ERR_clear_error()
        _ = mr_ssl_require_tls12(context)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        if let file = options.certificateAuthority {
            guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else { return nil }
        } else {
            guard SSL_CTX_set_default_verify_paths(context) == 1 else { return nil }
        }
        if let file = options.certificate {
            guard SSL_CTX_use_certificate_chain_file(context, file) == 1,
                SSL_CTX_use_PrivateKey_file(context, options.key ?? file, SSL_FILETYPE_PEM) == 1,
                SSL_CTX_check_private_key(context) == 1
            else { return nil }
        }
        return SSL_new(context)
    }

    /// Which of the files it was.
    private static func fileProblem(_ options: TlsOptions) -> String {
        for (what, file) in [
            ("certificate authority", options.certificateAuthority),
            ("client certificate", options.certificate), ("key", options.key),
        ] {
            if let file, access(file, R_OK) != 0 {
                return "the \(what) '\(file)' cannot be read: \(String(cString: strerror(errno)))"
            }
        }
        let files = [options.certificateAuthority, options.certificate, options.key].compactMap { $0 }
        return
            "of \(files.joined(separator: ", ")) one is no PEM file of what it should hold, or the key is another certificate's"
    }

    private func shakeHands(_ name: String, until deadline: Int64) throws(Fault) {
        while true {
            ERR_clear_error()
            let code = SSL_connect(ssl)
            if code == 1 { return }
            switch SSL_get_error(ssl, code) {
            case SSL_ERROR_WANT_READ: try wait(POLLIN, until: deadline)
            case SSL_ERROR_WANT_WRITE: try wait(POLLOUT, until: deadline)
            default:
                let verified = SSL_get_verify_result(ssl)
                guard verified == X509_V_OK else {
                    throw Fault(.user, "TLS: \(Self.text(of: verified, name))", retry: .withBackoff)
                }
                throw Self.failure("TLS: the server ended the handshake")
            }
        }
    }

    private static func text(of verified: Int, _ name: String) -> String {
        let reason = X509_verify_cert_error_string(verified).map { String(cString: $0) } ?? "\(verified)"
        switch Int32(truncatingIfNeeded: verified) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return "the server's certificate has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: return "the server's certificate is not valid yet"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "the server's certificate is not one for '\(name)'"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return "the server's certificate is not signed by anybody who is trusted (\(reason))"
        default: return "the server's certificate is refused: \(reason)"
        }
    }

    /// Writes some of the bytes; returns how many.
    package func write(_ bytes: UnsafeRawBufferPointer, until deadline: Int64) throws(Fault) -> Int {
        try transfer(until: deadline, "write") {
            SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
        }
    }

    /// Reads some bytes, at least one; 0: the other side has closed.
    package func read(_ bytes: UnsafeMutableRawBufferPointer, until deadline: Int64) throws(Fault) -> Int {
        try transfer(until: deadline, "read") {
            SSL_read(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
        }
    }

    private func transfer(until deadline: Int64, _ what: String, _ step: () -> Int32) throws(Fault) -> Int {
        while true {
            ERR_clear_error()
            let count = step()
            if count > 0 { return Int(count) }
            switch SSL_get_error(ssl, count) {
            case SSL_ERROR_WANT_READ: try wait(POLLIN, until: deadline)
            case SSL_ERROR_WANT_WRITE: try wait(POLLOUT, until: deadline)
            case SSL_ERROR_ZERO_RETURN: return 0
            case SSL_ERROR_SYSCALL where ERR_peek_error() == 0: return 0
            default: throw Self.failure("TLS: \(what)")
            }
        }
    }

    private func wait(_ events: Int32, until deadline: Int64) throws(Fault) {
        try SocketWait.wait(socket, Int16(events), until: deadline)
    }

    /// What OpenSSL says is added. TLS alerts that name the client's certificate are said in words.
    private static func failure(_ what: String) -> Fault {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return Fault(.external, what, retry: .withBackoff) }
        let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        return Fault(.external, "\(what): \(reason)", retry: .withBackoff)
    }
}

package enum SocketWait {
    /// Returns once the socket is ready; throws at the deadline (monotonic nanoseconds).
    package static func wait(_ socket: Int32, _ events: Int16, until deadline: Int64) throws(Fault) {
        while true {
            let left = (deadline - monotonicNanoseconds()) / 1_000_000
            guard left >= 0 else { throw Fault(.external, "no answer in time", retry: .withBackoff) }
            var entry = pollfd(fd: socket, events: events, revents: 0)
            // Rounded up, so that the last millisecond is not spent in turns.
            let count = poll(&entry, 1, Int32(clamping: left + 1))
            if count > 0 { return }
            if count < 0, errno != EINTR {
                throw Fault(.external, String(cString: strerror(errno)), retry: .withBackoff)
            }
        }
    }
}
