import Base

/// Where a Redis server is: `redis://[[user]:password@]host[:port][/db]` or `unix:/path/to.sock`.
package struct RedisAddress: Sendable, CustomStringConvertible {
    package enum Place: Hashable, Sendable {
        case network(host: String, port: Int)
        case socket(path: String)
    }

    package var place: Place
    package var database = 0
    var user: String?
    var password: String?

    package init(_ url: String) throws(Fault) {
        // The message never repeats what may hold a password.
        let wrong = Fault(
            .user,
            "a Redis address is redis://[:password@]host[:port][/db] or unix:/path/to.sock"
        )
        if let path = Self.rest(of: url, after: "unix:") {
            guard path.hasPrefix("/"), path.utf8.count < 108 else { throw wrong }
            place = .socket(path: path)
            return
        }
        if url.hasPrefix("rediss:") {
            throw Fault(.user, "rediss: encrypted connections to Redis are not supported; use a local tunnel")
        }
        guard var rest = Self.rest(of: url, after: "redis://") else { throw wrong }
        if let at = rest.lastIndex(of: "@") {
            let secret = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            rest = String(rest[rest.index(after: at)...])
            guard secret.count == 2, let name = Self.decode(secret[0]), let word = Self.decode(secret[1])
            else {
                throw wrong
            }
            user = name.isEmpty ? nil : name
            password = word
        }
        if let slash = rest.firstIndex(of: "/") {
            let number = rest[rest.index(after: slash)...]
            guard number.isEmpty || Int(number).map({ $0 >= 0 }) == true else { throw wrong }
            database = Int(number) ?? 0
            rest = String(rest[..<slash])
        }
        place = try Self.network(rest, wrong)
    }

    /// Without the password.
    package var description: String {
        switch place {
        case .network(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .socket(let path): path
        }
    }

    private static func network(_ text: String, _ wrong: Fault) throws(Fault) -> Place {
        var host = Substring(text)
        var port = Substring("6379")
        if text.hasPrefix("[") {
            guard let end = text.lastIndex(of: "]") else { throw wrong }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw wrong }
            if !rest.isEmpty { port = rest.dropFirst() }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, let number = Int(port), 1...65_535 ~= number else { throw wrong }
        return .network(host: String(host), port: number)
    }

    private static func rest(of text: String, after prefix: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    /// Undoes percent encoding (RFC 3986).
    private static func decode(_ text: Substring) -> String? {
        var result: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == 0x25 else {
                result.append(byte)
                continue
            }
            guard bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            result.append(value)
            bytes = bytes.dropFirst(2)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
