import Base
import Testing

@testable import Http

/// Goal: a request that cannot be made is an error in words. Method: nobody listens on port 1; line ends in
/// headers.
@Suite struct HttpClientTests {
    @Test func whatCannotBeSentIsSaid() throws {
        let client = try HttpClient(timeoutMilliseconds: 2_000)
        #expect(throws: Fault.self) { try client.send(HttpRequest("GET", "http://127.0.0.1:1/")) }
        #expect(throws: Fault.self) { try client.send(HttpRequest("GET", "file:///etc/passwd")) }
        #expect(throws: Fault.self) {
            try client.send(HttpRequest("GET", "http://127.0.0.1:1/", headers: ["A: b\r\nC: d"]))
        }
    }
}
