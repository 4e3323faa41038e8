/// A request as the server hands it on: complete, its body within the server's limit.
package struct ServedRequest: Sendable {
    package var method: String
    /// Without the query, percent signs resolved.
    package var path: String
    /// In their order, percent signs resolved.
    package var query: [(name: String, value: String)]
    /// Names in lower case; of a name that comes twice, the last.
    package var headers: [String: String]
    package var body: [UInt8]
    /// The other end's address, without its port.
    package var peer: String

    package init(
        method: String, path: String, query: [(name: String, value: String)] = [],
        headers: [String: String] = [:],
        body: [UInt8] = [], peer: String = "127.0.0.1"
    ) {
        (self.method, self.path, self.query, self.headers) = (method, path, query, headers)
        (self.body, self.peer) = (body, peer)
    }

    /// The last of its name.
    package func parameter(_ name: String) -> String? { query.last { $0.name == name }?.value }
}

package struct ServedAnswer: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Events in place of a body; they come for as long as it is open.
    package var stream: EventStream?

    package init(
        _ status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        stream: EventStream? = nil
    ) {
        (self.status, self.headers, self.body, self.stream) = (status, headers, body, stream)
    }

    package init(_ status: Int, text: String) {
        self.init(status, headers: [("Content-Type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }
}
