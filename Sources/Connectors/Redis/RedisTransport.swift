import Base
import Glibc
import Security

/// Bytes to a server and back, with or without TLS. Every wait ends at a deadline (monotonic nanoseconds).
final class RedisTransport {
    private let socket: Int32
    private let tls: TlsClient?

    init(_ address: RedisAddress, until deadline: Int64) throws(Fault) {
        let host: String
        switch address.place {
        case .network(let name, let port):
            host = name
            socket = try Self.connect(name, port, until: deadline)
        case .socket(let path):
            host = "localhost"
            socket = try Self.connect(path, until: deadline)
        }
        do throws(Fault) {
            tls = try address.tls.map { [socket] (options) throws(Fault) in
                try TlsClient(options, socket: socket, host: host, until: deadline)
            }
        } catch {
            close(socket)
            throw error
        }
    }

    deinit {
        // Its goodbye needs the socket.
        withExtendedLifetime(tls) {}
        close(socket)
    }

    func write(_ bytes: UnsafeRawBufferPointer, until deadline: Int64) throws(Fault) {
        var rest = bytes
        while !rest.isEmpty {
            let count: Int
            if let tls {
                count = try tls.write(rest, until: deadline)
                guard count > 0 else {
                    throw Fault(.external, "Server closed the connection", retry: .withBackoff)
                }
            } else {
                count = send(socket, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    try SocketWait.wait(socket, Int16(POLLOUT), until: deadline)
                    continue
                }
                guard count >= 0 else { throw Self.failure(errno) }
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    /// Some bytes, at least one; 0: the server has closed.
    func read(_ bytes: UnsafeMutableRawBufferPointer, until deadline: Int64) throws(Fault) -> Int {
        if let tls { return try tls.read(bytes, until: deadline) }
        while true {
            let count = recv(socket, bytes.baseAddress, bytes.count, 0)
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN: try SocketWait.wait(socket, Int16(POLLIN), until: deadline)
            default: throw Self.failure(errno)
            }
        }
    }

    private static func failure(_ code: Int32) -> Fault {
        Fault(.external, String(cString: strerror(code)), retry: .withBackoff)
    }

    private static func connect(_ host: String, _ port: Int, until deadline: Int64) throws(Fault) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var found: UnsafeMutablePointer<addrinfo>?
        var code = getaddrinfo(host, "\(port)", &hints, &found)
        if code != 0 {
            // A machine with nothing but a loopback device has no configured address.
            hints.ai_flags = 0
            code = getaddrinfo(host, "\(port)", &hints, &found)
        }
        guard code == 0 else {
            throw Fault(.external, "\(host): \(String(cString: gai_strerror(code)))", retry: .withBackoff)
        }
        defer { freeaddrinfo(found) }
        var last = Fault(.external, "\(host) has no address", retry: .withBackoff)
        var next = found
        while let entry = next {
            next = entry.pointee.ai_next
            do throws(Fault) {
                return try connect(
                    entry.pointee.ai_family, entry.pointee.ai_addr, entry.pointee.ai_addrlen, until: deadline)
            } catch { last = error }
        }
        throw last
    }

    private static func connect(_ path: String, until deadline: Int64) throws(Fault) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            for (index, byte) in path.utf8.prefix(place.count - 1).enumerated() { place[index] = byte }
        }
        var result: Result<Int32, Fault> = .failure(.stopped)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                do throws(Fault) {
                    result = .success(
                        try connect(
                            AF_UNIX, pointer, socklen_t(MemoryLayout<sockaddr_un>.size), until: deadline))
                } catch { result = .failure(error) }
            }
        }
        return try result.get()
    }

    private static func connect(
        _ family: Int32, _ address: UnsafePointer<sockaddr>?, _ count: socklen_t, until deadline: Int64
    ) throws(Fault) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let socket = Glibc.socket(family, kind, 0)
        guard socket >= 0 else { throw failure(errno) }
        do throws(Fault) {
            if Glibc.connect(socket, address, count) != 0 {
                guard errno == EINPROGRESS else { throw failure(errno) }
                try SocketWait.wait(socket, Int16(POLLOUT), until: deadline)
                var code: Int32 = 0
                var size = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size)
                guard code == 0 else { throw failure(code) }
            }
            var yes: Int32 = 1
            if family != AF_UNIX {
                for option in [TCP_NODELAY] {
                    setsockopt(socket, Int32(IPPROTO_TCP), option, &yes, socklen_t(MemoryLayout<Int32>.size))
                }
                setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &yes, socklen_t(MemoryLayout<Int32>.size))
            }
        } catch {
            close(socket)
            throw error
        }
        return socket
    }
}
