import Base
import Glibc

/// Connections that say nothing, from many addresses of loopback, since each may have only so many.
final class ConsoleCrowd {
    private var sockets: [Int32] = []

    init(port: UInt16, connections: Int) throws(Fault) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard Int(limit.rlim_cur) > connections + 200 else {
            throw Fault(.user, "\(connections) connections need `ulimit -n \(connections + 200)`")
        }
        for number in 0..<connections {
            guard let socket = LoopbackSocket.connect(port: port, from: UInt32(number / 200 + 2)) else {
                break
            }
            sockets.append(socket)
        }
    }

    deinit { close() }

    /// Those that the other side has not closed.
    private(set) lazy var open: Int = {
        var byte: UInt8 = 0
        return sockets.count { recv($0, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) != 0 }
    }()

    func close() {
        for socket in sockets { _ = Glibc.close(socket) }
        sockets = []
    }
}

enum LoopbackSocket {
    /// Nobody has this port of 127.0.0.1.
    static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// A connection from 127.0.x.y to 127.0.0.1; nil: it is refused, or not taken within five seconds.
    static func connect(port: UInt16, from host: UInt32) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        func call(
            _ host: UInt32, _ port: UInt16, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
        ) -> Bool {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = in_addr_t(0x7F00_0000 + host).bigEndian
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
        guard call(host, 0, { Glibc.bind($0, $1, $2) }), call(1, port, { Glibc.connect($0, $1, $2) }) else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
