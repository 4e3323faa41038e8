import Base
import Foundation
import Testing

@testable import Http

/// Goal: whatever comes over a socket is answered or cut off, and others are answered meanwhile. Method:
/// sockets by hand.
@Suite(.serialized) struct HttpServerTests {
    static func connect(_ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(code == 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Up to the end, or until `until` is there.
    static func read(_ descriptor: Int32, until: String? = nil) -> String {
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &part, part.count, 0)
            if count <= 0 { break }
            answer += part[..<count]
            if let until, String(decoding: answer, as: UTF8.self).contains(until) { break }
        }
        return String(decoding: answer, as: UTF8.self)
    }

    static func ask(_ port: UInt16, _ text: String) throws -> String {
        let descriptor = try connect(port)
        defer { close(descriptor) }
        write(descriptor, Array(text.utf8))
        return read(descriptor)
    }

    static func server(
        _ change: (inout HttpServer.Options) -> Void = { _ in }, _ handler: @escaping HttpServer.Handler
    ) throws -> HttpServer {
        var options = HttpServer.Options()
        options.bodyBytesMax = 10_000
        options.threads = 2
        change(&options)
        return try HttpServer(options, handler: handler)
    }

    private static let echo: HttpServer.Handler = { request in
        ServedAnswer(
            200,
            text:
                "\(request.method) \(request.path) \(request.query.map { "\($0.name)=\($0.value)" }) \(request.body.count) \(request.headers["x-a"] ?? "")"
        )
    }

    @Test func requestsComeWhole() throws {
        let server = try Self.server { _ in
        } _: {
            Self.echo($0)
        }
        let answer = try Self.ask(
            server.port,
            "POST /a%20b?x=1&y=%E4%BD%A0 HTTP/1.1\r\nHost: h\r\nX-A: one\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        )
        #expect(answer.hasPrefix("HTTP/1.1 200"))
        #expect(answer.hasSuffix(#"POST /a b ["x=1", "y=你"] 5 one"#))
        server.stop()
    }

    @Test func bodiesHaveALimit() throws {
        let server = try Self.server { _ in
        } _: {
            Self.echo($0)
        }
        let said = try Self.ask(server.port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10001\r\n\r\n")
        #expect(said.hasPrefix("HTTP/1.1 413"))
        let part = String(repeating: "x", count: 6000)
        let chunk = "\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n"
        let chunked = try Self.ask(
            server.port,
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk
                + chunk + "0\r\n\r\n")
        #expect(chunked.hasPrefix("HTTP/1.1 413"))
        server.stop()
    }

    @Test func whoIsSlowIsCutOffAndOthersAreAnswered() throws {
        let server = try Self.server({ $0.requestSeconds = 1 }) { Self.echo($0) }
        let slow = try (0..<50).map { _ in try Self.connect(server.port) }
        for descriptor in slow { Self.write(descriptor, Array("GET / HT".utf8)) }
        #expect(
            try Self.ask(server.port, "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hasPrefix(
                "HTTP/1.1 200"))
        for descriptor in slow {
            #expect(Self.read(descriptor).isEmpty)
            close(descriptor)
        }
        server.stop()
    }

    @Test func oneAddressHasSoManyConnections() throws {
        let server = try Self.server({ $0.connectionsPerAddress = 3 }) { Self.echo($0) }
        let held = try (0..<3).map { _ in try Self.connect(server.port) }
        while server.connections < 3 { usleep(1000) }
        let other = try Self.connect(server.port)
        Self.write(other, Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        #expect(Self.read(other).isEmpty)
        for descriptor in held + [other] { close(descriptor) }
        server.stop()
    }

    /// Events come as they are sent, an answer of another thread comes meanwhile, and the end ends it.
    @Test func streams() throws {
        let stream = EventStream()
        let server = try Self.server { _ in
        } _: { request in
            request.path == "/events"
                ? ServedAnswer(200, headers: [("Content-Type", "text/event-stream")], stream: stream)
                : Self.echo(request)
        }
        let descriptor = try Self.connect(server.port)
        Self.write(descriptor, Array("GET /events HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        stream.send(event: "alert", id: "a.1", data: "{}")
        #expect(Self.read(descriptor, until: "data: {}").contains("id: a.1\nevent: alert\ndata: {}\n\n"))
        for number in 2...200 { stream.send(event: "alert", id: "a.\(number)", data: "line\nline") }
        #expect(
            Self.read(descriptor, until: "id: a.200\nevent: alert\ndata: line\ndata: line\n\n").contains(
                "id: a.100\n"))
        #expect(
            try Self.ask(server.port, "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hasPrefix(
                "HTTP/1.1 200"))
        stream.end()
        #expect(Self.read(descriptor).hasSuffix("0\r\n\r\n"))
        close(descriptor)
        while !stream.isClosed { usleep(1000) }
        server.stop()
    }

    @Test func whoTakesNothingIsCutOff() throws {
        let stream = EventStream()
        let large = String(repeating: "x", count: 100_000)
        var sent = 0
        while stream.send(event: "e", data: large), sent < 1000 { sent += 1 }
        #expect(sent < 50)
        #expect(stream.isClosed)
    }

    /// Bytes by a seed: every connection ends, none ends the server.
    @Test func nonsense() throws {
        let server = try Self.server({ $0.requestSeconds = 1 }) { Self.echo($0) }
        let seed: UInt64 = 20_261_128
        var random = SplitMix64(seed: seed)
        let parts = [
            "GET ", "POST ", "/", "?a=%zz", " HTTP/1.1\r\n", "Host: h\r\n", "Content-Length: -1\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 99999999999999999999\r\n", "\r\n", "\r\n\r\n", "FFFFFFFFFFFFFFFF\r\n",
            "Cookie: \0\r\n", ": \r\n", "Expect: 100-continue\r\n",
        ]
        for _ in 0..<400 {
            let descriptor = try Self.connect(server.port)
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                if Bool.random(using: &random) {
                    bytes += Array(parts.randomElement(using: &random)!.utf8)
                } else {
                    bytes += (0..<Int.random(in: 1...20, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                }
            }
            Self.write(descriptor, bytes)
            shutdown(descriptor, Int32(SHUT_WR))
            close(descriptor)
        }
        #expect(
            try Self.ask(server.port, "GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hasPrefix(
                "HTTP/1.1 200"), "seed \(seed)")
        server.stop()
    }
}
