import Base
import Glibc
import Topology

/// Scheme, host and port of a URL.
package struct WebAddress: Equatable, Sendable {
    package var scheme: String
    /// In lower case; IPv6 without brackets.
    package var host: String
    package var port: Int

    private static let ports = ["http": 80, "https": 443, "smtp": 25, "smtps": 465]

    /// nil: it is none, or holds a name and password.
    package init?(_ url: String) {
        guard let end = url.firstRange(of: "://") else { return nil }
        scheme = url[..<end.lowerBound].lowercased()
        guard let standard = Self.ports[scheme],
            url.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F })
        else { return nil }
        let authority = url[end.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != "\\" }
        guard !authority.contains("@"), !authority.isEmpty else { return nil }
        var rest = authority
        if rest.first == "[" {
            guard let close = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<close].lowercased()
            rest = rest[rest.index(after: close)...]
            guard HostList.bytes(host)?.count == 16 else { return nil }
        } else {
            host = rest.prefix { $0 != ":" }.lowercased()
            rest = rest.dropFirst(host.count)
            guard !host.isEmpty,
                host.utf8.allSatisfy({
                    ReadingContext.isLetter($0) || ReadingContext.isDigit($0) || "-._".utf8.contains($0)
                })
            else { return nil }
        }
        port = standard
        if !rest.isEmpty {
            guard rest.first == ":", let number = Int(rest.dropFirst()), (1...65_535).contains(number) else {
                return nil
            }
            port = number
        }
    }
}

/// Where messages may be sent. A host is allowed by its name; an address that is not public (of this machine,
/// of private networks) only if it is listed itself, whatever name leads to it.
package struct HostList: Sendable, Equatable {
    /// In lower case; `*.` in front stands for any names below.
    package private(set) var names: [String] = []
    private var networks: [Network] = []

    private struct Network: Sendable, Equatable {
        var bytes: [UInt8]
        var bits: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            for bit in 0..<bits where (address[bit / 8] ^ bytes[bit / 8]) & (0x80 >> UInt8(bit % 8)) != 0 {
                return false
            }
            return true
        }
    }

    package init() {}

    /// False: it is no name, address or network.
    package mutating func add(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if let bytes = Self.bytes(String(parts[0])) {
            var bits = bytes.count * 8
            if parts.count == 2 {
                guard let given = Int(parts[1]), (0...bits).contains(given) else { return false }
                bits = given
            }
            guard parts.count <= 2 else { return false }
            networks.append(Network(bytes: bytes, bits: bits))
            return true
        }
        let name = text.hasPrefix("*.") ? text.dropFirst(2) : Substring(text)
        guard !name.isEmpty,
            name.utf8.allSatisfy({
                ReadingContext.isLetter($0) || ReadingContext.isDigit($0) || "-._".utf8.contains($0)
            })
        else { return false }
        names.append(text.lowercased())
        return true
    }

    package func allows(host: String) -> Bool {
        if let bytes = Self.bytes(host) { return networks.contains { $0.contains(bytes) } }
        return names.contains { $0.hasPrefix("*.") ? host.hasSuffix($0.dropFirst(1)) : host == $0 }
    }

    package func allows(address: [UInt8]) -> Bool {
        networks.contains { $0.contains(address) } || Self.isPublic(address)
    }

    /// 4 or 16 bytes of an address as it is written; nil: it is none.
    package static func bytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, text, &six) == 1 { return withUnsafeBytes(of: six) { Array($0) } }
        return nil
    }

    /// IANA's special-purpose registries: what is not reached over the internet is not public.
    package static func isPublic(_ address: [UInt8]) -> Bool {
        guard address.count == 4 else {
            // Addresses of IPv4 in IPv6's clothes.
            if address[..<10].allSatisfy({ $0 == 0 }) {
                return address[10] == 0xFF && address[11] == 0xFF && isPublic(Array(address[12...]))
            }
            if address.starts(with: [0x00, 0x64, 0xFF, 0x9B]) { return isPublic(Array(address[12...])) }
            // Global unicast is 2000::/3, without documentation, Teredo, 6to4.
            guard address[0] & 0xE0 == 0x20 else { return false }
            return !address.starts(with: [0x20, 0x01, 0x0D, 0xB8])
                && !address.starts(with: [0x20, 0x01, 0x00, 0x00])
                && !address.starts(with: [0x20, 0x02])
        }
        switch (address[0], address[1]) {
        case (0, _), (10, _), (127, _), (169, 254), (192, 168), (198, 18), (198, 19), (224..., _):
            return false
        case (100, 64...127), (172, 16...31): return false
        case (192, 0): return address[2] != 0 && address[2] != 2
        case (198, 51): return address[2] != 100
        case (203, 0): return address[2] != 113
        default: return true
        }
    }

    /// `host:port:address` of the first address of a URL's host that may be reached; throws in words what is
    /// wrong.
    package func resolve(_ url: String) throws(Fault) -> String {
        guard let web = WebAddress(url) else { throw Fault(.user, "'\(url)' is no URL") }
        guard allows(host: web.host) else { throw Fault(.user, "host '\(web.host)' is not in 'allow'") }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(web.host, nil, &hints, &list)
        guard code == 0 else {
            throw Fault(
                .external, "host '\(web.host)': \(String(cString: gai_strerror(code)))", retry: .withBackoff)
        }
        defer { freeaddrinfo(list) }
        var refused: String?
        var entry = list
        while let info = entry?.pointee {
            entry = info.ai_next
            guard let (bytes, text) = Self.address(of: info) else { continue }
            guard allows(address: bytes) else {
                refused = text
                continue
            }
            let quoted = web.host.contains(":") ? "[\(web.host)]" : web.host
            return "\(quoted):\(web.port):\(bytes.count == 16 ? "[\(text)]" : text)"
        }
        throw Fault(
            .user,
            "host '\(web.host)' is at \(refused ?? "no address"), which is not public and not in 'allow'")
    }

    private static func address(of info: addrinfo) -> (bytes: [UInt8], text: String)? {
        guard let socket = info.ai_addr else { return nil }
        var bytes: [UInt8]
        switch info.ai_family {
        case AF_INET:
            bytes = socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }
            }
        case AF_INET6:
            bytes = socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) }
            }
        default: return nil
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(info.ai_family, &bytes, &text, socklen_t(text.count)) != nil else { return nil }
        return (bytes, String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
