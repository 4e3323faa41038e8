import Base
import Glibc
import Synchronization

/// Requests that are nearly right: good ones whose bytes are changed, cut, doubled and joined by a seed, sent
/// in pieces or with more announced than comes.
struct ConsoleFuzz {
    private var requests: UInt32 = 0
    private var host: UInt32 = 0
    private let port: UInt16
    private let key: String
    private var random: SplitMix64

    init(port: UInt16, key: String, seed: UInt64) {
        (self.port, self.key) = (port, key)
        random = SplitMix64(seed: seed)
    }

    private static let paths = [
        "/", "/api/info", "/api/alerts?limit=5&severity=high", "/api/alerts/facets", "/api/alerts/%00",
        "/app.js",
        "/acknowledge?token=a.b", "/api/openapi.json", "/api/topologies/x/rules/y",
        "/api/jobs/../../etc/passwd",
        "/lib/codemirror/../../../etc/passwd", "/api/alerts?cursor=%ff&q=%e4%b8%ad",
        "/api/audit?from=x&limit=-1",
        "/api/session", "/api/alerts/bulk", "/api/lint", "/api/plan", "/api/changes", "/api/popups/x/seen",
    ]
    private static let bodies = [
        "", "{}", "[]", #"{"name":"lin","password":"x"}"#,
        #"{"action":"take","alerts":[{"id":"a","revision":0}]}"#,
        #"{"topology":"x","text":"topology: x\nsources: {}\n","parameters":{"a":"1"}}"#,
        #"{"a":{"a":{"a":[[[[1e999]]]]}}}"#,
        #"{"name":"\ud800","password":"\u0000"}"#, "token=a.b", "null",
    ]
    private static let methods = [
        "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "",
    ]

    private mutating func number(_ below: Int) -> Int { Int(random.next() % UInt64(below)) }
    private mutating func one(_ of: [String]) -> String { of[number(of.count)] }

    private mutating func request() -> [UInt8] {
        let body = one(Self.bodies)
        var lines = [
            "\(one(Self.methods)) \(one(Self.paths)) HTTP/1.\(number(8) == 0 ? "0" : "1")", "Host: 127.0.0.1",
        ]
        if number(3) > 0 { lines.append("Authorization: Bearer \(key)") }
        if number(3) > 0 { lines.append("Content-Type: application/json") }
        if number(3) > 0 { lines.append("Sec-Fetch-Site: same-origin") }
        if number(4) == 0 {
            lines.append("Cookie: millrace-session=\(String(repeating: "x", count: number(300)))")
        }
        if number(6) == 0 { lines.append("If-Match: \"\(number(5))\"") }
        if number(8) == 0 { lines.append("X-Long: \(String(repeating: "y", count: number(60_000)))") }
        if number(10) == 0 { lines.append("Transfer-Encoding: chunked") }
        let announced = number(10) == 0 ? number(1 << 33) - 5 : body.utf8.count
        if !body.isEmpty || number(2) == 0 { lines.append("Content-Length: \(announced)") }
        lines.append("Connection: close")
        var bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
        // A third goes as it is, so that what lies behind the parser is reached too.
        if number(3) == 0 { return bytes }
        for _ in 0..<number(6) where !bytes.isEmpty {
            let place = number(bytes.count)
            switch number(5) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + number(20)))
            case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + number(200))], at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }

    private static let threads = 4

    /// Several at once, each with a seed of its own. `check` is called each second; what it throws ends it.
    /// How many answers had which status; 0: none.
    static func run(
        port: UInt16, key: String, seed: UInt64, seconds: Int, _ check: () throws(Fault) -> Void
    ) throws(Fault) -> [Int: Int] {
        let found = FoundStatuses()
        let stop = StopSignal()
        let threads = (0..<Self.threads).map { number in
            Background { () throws(Fault) in
                var fuzz = ConsoleFuzz(port: port, key: key, seed: seed &* 1000 &+ UInt64(number))
                fuzz.host = UInt32(20_000 + number * 200)
                while !stop.isSet {
                    let bytes = fuzz.request()
                    found.add(fuzz.exchange(bytes))
                }
            }
        }
        defer {
            stop.set()
            for thread in threads { _ = thread.join() }
        }
        for _ in 0..<seconds {
            usleep(1_000_000)
            try check()
        }
        return found.counts
    }

    private final class FoundStatuses: Sendable {
        private let state = Mutex<[Int: Int]>([:])
        func add(_ status: Int) { state.withLock { $0[status, default: 0] += 1 } }
        var counts: [Int: Int] { state.withLock { $0 } }
    }

    /// The status of the answer; 0: the connection was closed without one, or nothing came in time.
    private mutating func exchange(_ bytes: [UInt8]) -> Int {
        guard let socket = LoopbackSocket.connect(port: port, from: host + requests % 200) else { return 0 }
        requests += 1
        defer { close(socket) }
        let cut = number(4) == 0 ? number(max(1, bytes.count)) : bytes.count
        _ = Glibc.send(socket, bytes, cut, Int32(MSG_NOSIGNAL))
        if cut < bytes.count {
            _ = Array(bytes[cut...]).withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
        }
        // Some close their side, others say nothing more.
        if number(4) == 0 { shutdown(socket, Int32(SHUT_WR)) }
        var limit = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var answer = [UInt8](repeating: 0, count: 512)
        let count = recv(socket, &answer, answer.count, 0)
        guard count > 12, answer.starts(with: Array("HTTP/1.".utf8)) else { return 0 }
        return Int(String(decoding: answer[9..<12], as: UTF8.self)) ?? 0
    }
}
