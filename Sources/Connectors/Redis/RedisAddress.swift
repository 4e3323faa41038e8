import Base
import Security
import Topology

/// Where a Redis server is: `redis://[[user]:password@]host[:port][/db]`, `rediss://` with TLS, or
/// `unix:/path/to.sock`; or the master that sentinels know, or a cluster.
package struct RedisAddress: Sendable, CustomStringConvertible {
    package enum Place: Hashable, Sendable {
        case network(host: String, port: Int)
        case socket(path: String)
    }

    package enum Mode: Sendable {
        /// The server at `place`.
        case single
        /// `place` is that of the first of them.
        case sentinel(RedisServerSpec.Sentinels, [Place])
        /// Some of its nodes.
        case cluster([Place])
    }

    package var place: Place
    package var mode = Mode.single
    package var database = 0
    package var user: String?
    package var password: String?
    /// nil: no TLS.
    package var tls: TlsOptions?

    package init(_ url: String) throws(Fault) {
        // The message never repeats what may hold a password.
        let wrong = Fault(
            .user,
            "a Redis address is redis://[:password@]host[:port][/db], rediss:// with TLS, or unix:/path/to.sock"
        )
        if let path = Self.rest(of: url, after: "unix:") {
            guard path.hasPrefix("/"), path.utf8.count < 108 else { throw wrong }
            place = .socket(path: path)
            return
        }
        if url.hasPrefix("rediss:") { tls = TlsOptions() }
        guard var rest = Self.rest(of: url, after: tls == nil ? "redis://" : "rediss://") else { throw wrong }
        if tls != nil, let mark = rest.firstIndex(of: "?") {
            tls = try Self.options(rest[rest.index(after: mark)...])
            rest = String(rest[..<mark])
        }
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

    /// What a sink or table says; nil: nothing.
    package static func of(_ server: RedisServerSpec) throws(Fault) -> RedisAddress? {
        guard server.isGiven else { return nil }
        func place(_ text: String) -> Place {
            guard let known = RedisServerSpec.hostAndPort(text) else {
                unreachable("'\(text)' was read as host:port")
            }
            return .network(host: known.host, port: known.port)
        }
        var address: RedisAddress
        if let sentinel = server.sentinel {
            let places = sentinel.hosts.map(place)
            address = RedisAddress(places[0], .sentinel(sentinel, places))
        } else if !server.cluster.isEmpty {
            let places = server.cluster.map(place)
            address = RedisAddress(places[0], .cluster(places))
        } else {
            address = try RedisAddress(server.url ?? "")
        }
        if let password = server.password { (address.user, address.password) = (server.user, password) }
        if server.isEncrypted {
            let own = address.tls
            address.tls = TlsOptions(
                certificateAuthority: server.certificateAuthority ?? own?.certificateAuthority,
                certificate: server.certificate ?? own?.certificate, key: server.key ?? own?.key,
                serverName: server.serverName ?? own?.serverName)
        }
        return address
    }

    package init(_ place: Place, _ mode: Mode = .single) { (self.place, self.mode) = (place, mode) }

    /// The same log-in and encryption at another place.
    func at(_ place: Place) -> RedisAddress {
        var address = self
        (address.place, address.mode) = (place, .single)
        return address
    }

    /// `ca=/path&cert=/path&key=/path&server_name=name` of a command line's address.
    private static func options(_ query: Substring) throws(Fault) -> TlsOptions {
        var options = TlsOptions()
        for pair in query.split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = words.count == 2 ? decode(words[1]) : nil
            switch (words[0], value) {
            case ("ca", let value?): options.certificateAuthority = value
            case ("cert", let value?): options.certificate = value
            case ("key", let value?): options.key = value
            case ("server_name", let value?): options.serverName = value
            default: throw Fault(.user, "behind ? a rediss:// address has ca=, cert=, key= and server_name=")
            }
        }
        if (options.certificate == nil) != (options.key == nil) {
            throw Fault(.user, "a rediss:// address has cert= and key= or neither")
        }
        return options
    }

    /// Without the password.
    package var description: String {
        switch mode {
        case .sentinel(let sentinel, _):
            "\(sentinel.master) of sentinels \(sentinel.hosts.joined(separator: ", "))"
        case .cluster(let places): "cluster \(places.map { at($0).description }.joined(separator: ", "))"
        case .single: placeText
        }
    }

    private var placeText: String {
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
