import Base
import Foundation
import Glibc
import Synchronization

/// An HTTP server on loopback that takes some requests and fails others: 500, 429 with `Retry-After`, a
/// reset, a stall after which it answers when nobody listens any more.
final class FaultyEndpoint: Sendable {
    struct Request: Sendable {
        var path: String
        var headers: [String: String]
        var body: [UInt8]
        /// Milliseconds since 1970 at which it was read.
        var at: Int64
        /// When it was taken; nil: it was not.
        var takenAt: Int64?
    }

    struct Faults: Sendable {
        /// Of 100 requests.
        var percent = 0
        var stallMilliseconds = 1200
    }

    let port: UInt16
    private let listener: Int32
    private let requests = Mutex<[Request]>([])
    private let faults: Mutex<Faults>
    private let random = Mutex(SplitMix64(seed: 42))

    init(_ faults: Faults) throws {
        self.faults = Mutex(faults)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) | listen(listener, 128) | getsockname(listener, $0, &size)
            }
        }
        guard code == 0 else { throw Fault(.external, "no port: \(String(cString: strerror(errno)))") }
        port = in_port_t(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    var count: Int { requests.withLock { $0.count } }
    var all: [Request] { requests.withLock { $0 } }
    func setFaults(_ percent: Int) { faults.withLock { $0.percent = percent } }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        var bytes: [UInt8] = []
        while let (request, rest) = read(connection, bytes) {
            bytes = rest
            let place = requests.withLock { requests in
                requests.append(request)
                return requests.count - 1
            }
            guard answer(connection, place) else { return }
        }
    }

    private func take(_ place: Int) {
        requests.withLock { $0[place].takenAt = Int64(Date().timeIntervalSince1970 * 1000) }
    }

    /// False: the connection is over.
    private func answer(_ connection: Int32, _ place: Int) -> Bool {
        let faults = faults.withLock { $0 }
        let (fails, kind) = random.withLock { ($0.next() % 100 < UInt64(faults.percent), $0.next() % 4) }
        func write(_ status: String, _ headers: String = "", _ body: String = #"{"Code":"OK","BizId":"b1"}"#)
            -> Bool
        {
            let text = Array(
                "HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
            return send(connection, text, text.count, Int32(MSG_NOSIGNAL)) == text.count
        }
        guard fails else {
            take(place)
            return write("200 OK")
        }
        switch kind {
        case 0: return write("500 Sorry")
        case 1: return write("429 Slow down", "Retry-After: 1\r\n")
        case 2:
            var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            return false
        default:
            usleep(UInt32(faults.stallMilliseconds) * 1000)
            take(place)
            return write("200 OK")
        }
    }

    private func read(_ connection: Int32, _ before: [UInt8]) -> (Request, [UInt8])? {
        var bytes = before
        var part = [UInt8](repeating: 0, count: 16 << 10)
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let head = bytes.firstRange(of: end) {
                let lines = String(decoding: bytes[..<head.lowerBound], as: UTF8.self).components(
                    separatedBy: "\r\n")
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let sides = line.split(separator: ":", maxSplits: 1)
                    if sides.count == 2 {
                        headers[sides[0].lowercased()] = sides[1].trimmingCharacters(in: .whitespaces)
                    }
                }
                let count = Int(headers["content-length"] ?? "0") ?? 0
                if bytes.count - head.upperBound >= count {
                    let words = lines[0].split(separator: " ")
                    let body = Array(bytes[head.upperBound..<(head.upperBound + count)])
                    let at = Int64(Date().timeIntervalSince1970 * 1000)
                    return (
                        Request(
                            path: words.count > 1 ? String(words[1]) : "", headers: headers, body: body,
                            at: at), Array(bytes[(head.upperBound + count)...])
                    )
                }
            }
            let count = recv(connection, &part, part.count, 0)
            guard count > 0 else { return nil }
            bytes += part[..<count]
        }
    }
}
