import Base
import CCurl

/// A mail and where it goes.
package struct SmtpMessage: Sendable {
    /// `smtp://host:port` or `smtps://host:port`.
    package var url: String
    /// The conversation is encrypted or does not take place; `smtps` always is.
    package var requiresTls: Bool
    package var user: String?
    package var password: String?
    /// Addresses of the envelope.
    package var from: String
    package var to: [String]
    /// Headers and body (RFC 5322), lines ended by CR LF.
    package var bytes: [UInt8]
    package var certificateAuthority: String?
    /// `host:port:address`: where the URL's host is, in place of what its name says.
    package var pinned: String?

    package init(url: String, requiresTls: Bool, from: String, to: [String], bytes: [UInt8]) {
        (self.url, self.requiresTls, self.from, self.to, self.bytes) = (url, requiresTls, from, to, bytes)
    }
}

/// Mail by libcurl, one after the other over a connection that is kept; to be used by one thread.
package final class SmtpClient {
    private let handle: UnsafeMutableRawPointer
    private let timeoutMilliseconds: Int

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    package init(timeoutMilliseconds: Int = 10_000) throws(Fault) {
        guard Self.isReady, let handle = curl_easy_init() else {
            throw Fault(.external, "smtp: libcurl does not start")
        }
        self.handle = handle
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    deinit { curl_easy_cleanup(handle) }

    /// The server's last code: 250 where it took the mail. Throws where there was none
    /// (`Fault.Kind.external`).
    package func send(_ message: SmtpMessage) throws(Fault) -> Int {
        guard
            !([message.from, message.url] + message.to).contains(where: {
                $0.utf8.contains { $0 == 10 || $0 == 13 || $0 == 0 }
            })
        else { throw Fault(.user, "smtp: a line end in an address") }
        curl_easy_reset(handle)
        mr_curl_set_text(handle, CURLOPT_URL, message.url)
        mr_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        mr_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        mr_curl_set_long(handle, CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
        mr_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(1, timeoutMilliseconds / 3))
        mr_curl_set_text(handle, CURLOPT_PROXY, "")
        if message.requiresTls { mr_curl_set_long(handle, CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)) }
        if let user = message.user { mr_curl_set_text(handle, CURLOPT_USERNAME, user) }
        if let password = message.password { mr_curl_set_text(handle, CURLOPT_PASSWORD, password) }
        if let file = message.certificateAuthority { mr_curl_set_text(handle, CURLOPT_CAINFO, file) }
        mr_curl_set_text(handle, CURLOPT_MAIL_FROM, "<\(message.from)>")
        var recipients: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(recipients) }
        for address in message.to { recipients = curl_slist_append(recipients, "<\(address)>") }
        mr_curl_set_pointer(handle, CURLOPT_MAIL_RCPT, recipients)
        var places: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(places) }
        if let pinned = message.pinned {
            places = curl_slist_append(places, pinned)
            mr_curl_set_pointer(handle, CURLOPT_RESOLVE, places)
        }
        let text = Upload(message.bytes)
        let context = UnsafeRawPointer(Unmanaged.passUnretained(text).toOpaque())
        mr_curl_set_callback(handle, CURLOPT_READFUNCTION) { bytes, size, count, context in
            // libcurl gives back what CURLOPT_READDATA was set to.
            Unmanaged<Upload>.fromOpaque(context!).takeUnretainedValue().give(bytes, size * count)
        }
        mr_curl_set_pointer(handle, CURLOPT_READDATA, context)
        mr_curl_set_long(handle, CURLOPT_UPLOAD, 1)
        var reason = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = reason.withUnsafeMutableBufferPointer { reason in
            mr_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason.baseAddress)
            defer { mr_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil) }
            return curl_easy_perform(handle)
        }
        withExtendedLifetime(text) {}
        var status = 0
        mr_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        if code == CURLE_OK || status >= 400 { return status }
        if code == CURLE_LOGIN_DENIED { return 535 }
        let detail =
            reason[0] == 0
            ? String(cString: curl_easy_strerror(code))
            : reason.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        throw Fault(.external, "smtp: \(message.url): \(detail)")
    }
}

/// What libcurl's callback takes from while a mail goes out.
private final class Upload {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func give(_ target: UnsafeMutablePointer<CChar>?, _ room: Int) -> Int {
        let count = min(room, bytes.count - at)
        bytes.withUnsafeBytes { source in
            guard count > 0, let target, let start = source.baseAddress else { return }
            UnsafeMutableRawPointer(target).copyMemory(from: start + at, byteCount: count)
        }
        at += count
        return count
    }
}
