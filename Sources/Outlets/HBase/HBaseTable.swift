/// A table behind one or several REST gateways, and how to log in.
package struct HBaseTable: Sendable {
    /// `http://host:port`, without a slash at the end; any of them will do.
    package var urls: [String]
    package var table: String
    package var family: String
    /// `name:password`
    package var credentials: String?
    /// A file of certificates.
    package var certificateAuthority: String?

    package init(
        urls: [String], table: String, family: String, credentials: String? = nil,
        certificateAuthority: String? = nil
    ) {
        (self.urls, self.table, self.family) = (urls, table, family)
        (self.credentials, self.certificateAuthority) = (credentials, certificateAuthority)
    }

    /// A row to be put: its key, the time of all its cells, and those.
    package struct Row: Equatable, Sendable {
        package var key: [UInt8]
        /// Milliseconds, not negative.
        package var timestamp: Int64
        /// Qualifiers and values.
        package var cells: [(name: String, value: ArraySlice<UInt8>)]

        package init(key: [UInt8], timestamp: Int64, cells: [(name: String, value: ArraySlice<UInt8>)]) {
            (self.key, self.timestamp, self.cells) = (key, timestamp, cells)
        }

        /// Of its JSON, about.
        package var bytes: Int {
            cells.reduce(key.count * 2 + 16) { $0 + ($1.name.utf8.count + $1.value.count) * 2 + 64 }
        }

        package static func == (a: Row, b: Row) -> Bool {
            a.key == b.key && a.timestamp == b.timestamp
                && a.cells.elementsEqual(b.cells) { $0.name == $1.name && $0.value == $1.value }
        }
    }

    /// Why a text is no address of a gateway; nil: it is one. It is not repeated: a password may stand in it.
    package static func mistake(inUrl url: String) -> String? {
        let rest =
            url.hasPrefix("http://") ? url.dropFirst(7) : url.hasPrefix("https://") ? url.dropFirst(8) : ""
        if rest.contains("@") { return "a name and password stand in 'user' and 'password', not in the url" }
        let host = rest.prefix { $0 != "/" }
        let hasQuery = rest.contains { $0 == "?" || $0 == "#" || $0.isWhitespace }
        return host.isEmpty || hasQuery
            ? "it is http://host:port or https://host:port of HBase's REST gateway" : nil
    }
}
