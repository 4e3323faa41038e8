import Base
import CCurl
import Glibc

/// One request over HTTP or HTTPS, to be sent by `HttpClient`.
package struct HttpRequest: Sendable {
    package var method: String
    package var url: String
    /// `Name: value`, each without line ends.
    package var headers: [String]
    package var body: [UInt8]?
    /// `name:password` for Basic authentication.
    package var credentials: String?
    /// A file of certificates to trust in place of the system's.
    package var certificateAuthority: String?
    /// `host:port:address`: where the URL's host is, in place of what its name says.
    package var pinned: String?

    package init(
        _ method: String, _ url: String, headers: [String] = [], body: [UInt8]? = nil,
        credentials: String? = nil,
        certificateAuthority: String? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.credentials = credentials
        self.certificateAuthority = certificateAuthority
    }
}

package struct HttpResponse: Sendable {
    package var status: Int
    /// Names in lower case; of a name that comes twice, the last.
    package var headers: [String: String]
    package var body: [UInt8]

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        (self.status, self.headers, self.body) = (status, headers, body)
    }
}

/// HTTP by libcurl, one request after the other over connections that are kept; to be used by one thread.
/// Redirects are not followed, and no protocol but HTTP and HTTPS is spoken, whatever a URL says.
package final class HttpClient {
    private let handle: UnsafeMutableRawPointer
    private let timeoutMilliseconds: Int
    private let responseBytesMax: Int

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// A whole request may take `timeoutMilliseconds`, connecting a third of it; a longer answer than
    /// `responseBytesMax` is an error.
    package init(timeoutMilliseconds: Int = 10_000, responseBytesMax: Int = 64 << 20) throws(Fault) {
        guard Self.isReady, let handle = curl_easy_init() else {
            throw Fault(.external, "http: libcurl does not start")
        }
        self.handle = handle
        self.timeoutMilliseconds = timeoutMilliseconds
        self.responseBytesMax = responseBytesMax
    }

    deinit { curl_easy_cleanup(handle) }

    /// Throws where no answer came (`Fault.Kind.external`); any status is an answer.
    package func send(_ request: HttpRequest) throws(Fault) -> HttpResponse {
        guard
            !(request.headers + [request.url, request.method]).contains(where: {
                $0.utf8.contains { $0 == 10 || $0 == 13 || $0 == 0 }
            })
        else { throw Fault(.user, "http: a line end in a header or URL") }
        curl_easy_reset(handle)
        let answer = Answer(bytesMax: responseBytesMax)
        let context = UnsafeRawPointer(Unmanaged.passUnretained(answer).toOpaque())
        mr_curl_set_text(handle, CURLOPT_URL, request.url)
        mr_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        mr_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method)
        if request.method == "HEAD" { mr_curl_set_long(handle, CURLOPT_NOBODY, 1) }
        mr_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        mr_curl_set_long(handle, CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
        mr_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(1, timeoutMilliseconds / 3))
        // A proxy of the environment would see what goes to loopback and to the bank's own hosts.
        mr_curl_set_text(handle, CURLOPT_PROXY, "")
        if let credentials = request.credentials { mr_curl_set_text(handle, CURLOPT_USERPWD, credentials) }
        if let file = request.certificateAuthority { mr_curl_set_text(handle, CURLOPT_CAINFO, file) }
        mr_curl_set_callback(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            answerOf(context).take(bytes, size * count)
        }
        mr_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        mr_curl_set_callback(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            answerOf(context).takeHeader(bytes, size * count)
        }
        mr_curl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        // `Expect: 100-continue` costs a second where a server does not know it.
        for header in request.headers + ["Expect:"] { list = curl_slist_append(list, header) }
        mr_curl_set_pointer(handle, CURLOPT_HTTPHEADER, list)
        var places: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(places) }
        if let pinned = request.pinned {
            places = curl_slist_append(places, pinned)
            mr_curl_set_pointer(handle, CURLOPT_RESOLVE, places)
        }
        var reason = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = reason.withUnsafeMutableBufferPointer { reason in
            mr_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason.baseAddress)
            defer { mr_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil) }
            guard let body = request.body else { return curl_easy_perform(handle) }
            return body.withUnsafeBytes { bytes in
                mr_curl_set_long(handle, CURLOPT_POST, 1)
                mr_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method)
                mr_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
                mr_curl_set_pointer(
                    handle, CURLOPT_POSTFIELDS, bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1))
                return curl_easy_perform(handle)
            }
        }
        withExtendedLifetime(answer) {}
        guard code == CURLE_OK else {
            if answer.isTooLong {
                throw Fault(.external, "http: \(request.url): more than \(responseBytesMax) bytes came back")
            }
            let text =
                reason[0] == 0
                ? String(cString: curl_easy_strerror(code))
                : reason.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            throw Fault(.external, "http: \(request.url): \(text)")
        }
        var status = 0
        mr_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        return HttpResponse(status: status, headers: answer.headers, body: answer.body)
    }
}

/// What libcurl's callbacks fill while a request runs.
private final class Answer {
    var body: [UInt8] = []
    var headers: [String: String] = [:]
    var isTooLong = false
    let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func take(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        guard body.count + count <= bytesMax else {
            isTooLong = true
            return 0
        }
        body.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
        return count
    }

    func takeHeader(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        let line = UnsafeRawBufferPointer(start: bytes, count: count)
        // A new status line begins another answer (100, then 200).
        if line.starts(with: "HTTP/".utf8) { headers = [:] }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return count }
        let isBlank: (UInt8) -> Bool = { $0 == 32 || $0 == 9 || $0 == 13 || $0 == 10 }
        var value = line[(colon + 1)...].drop(while: isBlank)
        while let last = value.last, isBlank(last) { value = value.dropLast() }
        guard headers.count < 200 else { return count }
        headers[String(decoding: line[..<colon], as: UTF8.self).lowercased()] = String(
            decoding: value, as: UTF8.self)
        return count
    }
}

private func answerOf(_ context: UnsafeMutableRawPointer?) -> Answer {
    // libcurl gives back what CURLOPT_WRITEDATA was set to.
    Unmanaged<Answer>.fromOpaque(context!).takeUnretainedValue()
}
