import Base
import CMicrohttpd
import Glibc
import Synchronization

/// HTTP/1.1 by libmicrohttpd: one thread serves all connections and never waits; a few others answer requests
/// that are complete. Who does not send a request within a time, or does not take the answer, is cut off.
package final class HttpServer: Sendable {
    package struct Options: Sendable {
        /// IPv4.
        package var address = "127.0.0.1"
        /// 0: any that is free.
        package var port: UInt16 = 0
        package var connections = 2000
        package var connectionsPerAddress = 256
        package var bodyBytesMax = 2 << 20
        /// Without a byte from the other side.
        package var idleSeconds = 30
        /// For a whole request to come, its head and its body.
        package var requestSeconds = 20
        package var threads = 8
        /// PEM texts.
        package var certificate: String?
        package var key: String?
        /// What its faults begin with.
        package var name = "http"

        package init() {}
    }

    package typealias Handler = @Sendable (ServedRequest) -> ServedAnswer

    package let port: UInt16
    let options: Options
    let handler: Handler
    let pool: WorkerPool
    private struct State {
        /// By libmicrohttpd's connection.
        var connections: [UInt: Connection] = [:]
        var isStopping = false
        var daemon: UInt = 0
        var ticker: pthread_t?
    }
    private struct Connection {
        var socket: Int32
        /// Since when a request is awaited or comes; nil: it is complete.
        var awaitedSince: Int64?
        var stream: EventStream?
    }
    private let state = Mutex(State())

    package init(_ options: Options, handler: @escaping Handler) throws(Fault) {
        self.options = options
        self.handler = handler
        let listening = try Self.listen(options)
        port = listening.port
        pool = WorkerPool(threads: options.threads, waitingMax: 1000)
        var start = mr_mhd_options()
        start.socket = listening.socket
        start.connections = UInt32(options.connections)
        start.connections_per_address = UInt32(options.connectionsPerAddress)
        start.timeout_seconds = UInt32(options.idleSeconds)
        start.answer = answer
        start.completed = complete
        start.connected = connect
        start.log = { _, _, _ in }
        start.context = Unmanaged.passUnretained(self).toOpaque()
        let daemon = Self.with(options.certificate) { certificate in
            Self.with(options.key) { key in
                start.certificate = certificate
                start.key = key
                return mr_mhd_start(&start)
            }
        }
        guard let daemon else {
            pool.stop()
            _ = Glibc.close(listening.socket)
            let hint = options.certificate == nil ? "" : ": the certificate or its key cannot be used"
            throw Fault(
                options.certificate == nil ? .external : .user,
                "\(options.name): the server did not start\(hint)")
        }
        var ticker = pthread_t()
        pthread_create(
            &ticker, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<HttpServer>.fromOpaque(context).takeUnretainedValue().tick()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        let (bits, started) = (UInt(bitPattern: daemon), ticker)
        state.withLock { ($0.daemon, $0.ticker) = (bits, started) }
    }

    deinit { stop() }

    /// Ends all streams and connections.
    package func stop() {
        let (daemon, ticker, streams) = state.withLock { state in
            state.isStopping = true
            defer { (state.daemon, state.ticker) = (0, nil) }
            return (state.daemon, state.ticker, state.connections.values.compactMap(\.stream))
        }
        guard daemon != 0 else { return }
        if let ticker { pthread_join(ticker, nil) }
        for stream in streams { stream.end() }
        pool.stop()
        MHD_stop_daemon(OpaquePointer(bitPattern: daemon))
    }

    /// Connections that are open.
    package var connections: Int { state.withLock { $0.connections.count } }

    private static func with<T>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> T) -> T {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }

    /// Connections that wait to be taken, as far as the kernel allows: beyond it whoever comes waits a
    /// second.
    private static let backlog: Int32 = 4096

    private static func listen(_ options: Options) throws(Fault) -> (socket: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw Fault(.external, "\(options.name): no socket: \(String(cString: strerror(errno)))")
        }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = options.port.bigEndian
        guard inet_pton(AF_INET, options.address, &name.sin_addr) == 1 else {
            _ = Glibc.close(descriptor)
            throw Fault(.user, "\(options.name): '\(options.address)' is no IPv4 address")
        }
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, 4)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && Glibc.listen(descriptor, backlog) == 0
                    && getsockname(descriptor, raw, &length) == 0
            }
        }
        guard isBound else {
            let reason = String(cString: strerror(errno))
            _ = Glibc.close(descriptor)
            throw Fault(.user, "\(options.name): \(options.address):\(options.port): \(reason)")
        }
        return (descriptor, UInt16(bigEndian: name.sin_port))
    }

    // MARK: Time

    private func tick() {
        let start = monotonicNanoseconds()
        var beats: Int64 = 0
        while !state.withLock({ $0.isStopping }) {
            usleep(100_000)
            let now = monotonicNanoseconds()
            state.withLock { state in
                for connection in state.connections.values {
                    guard let since = connection.awaitedSince,
                        now - since > Int64(options.requestSeconds) * 1_000_000_000
                    else { continue }
                    // libmicrohttpd sees its end, and tells us; until then the number is this connection's.
                    shutdown(connection.socket, Int32(SHUT_RDWR))
                }
            }
            guard now - start > (beats + 1) * 15_000_000_000 else { continue }
            beats += 1
            for stream in state.withLock({ $0.connections.values.compactMap(\.stream) }) { stream.beat() }
        }
    }

    // MARK: Connections

    fileprivate func opened(_ connection: OpaquePointer) {
        let entry = Connection(socket: mr_mhd_socket(connection), awaitedSince: monotonicNanoseconds())
        let bits = UInt(bitPattern: connection)
        state.withLock { $0.connections[bits] = entry }
    }

    fileprivate func closed(_ connection: OpaquePointer) {
        let bits = UInt(bitPattern: connection)
        state.withLock { $0.connections[bits] = nil }
    }

    fileprivate func note(_ connection: OpaquePointer, isAwaited: Bool, stream: EventStream? = nil) {
        let bits = UInt(bitPattern: connection)
        let isStopping = state.withLock { state in
            state.connections[bits]?.awaitedSince = isAwaited ? monotonicNanoseconds() : nil
            state.connections[bits]?.stream = stream
            return state.isStopping
        }
        if isStopping { stream?.end() }
    }
}

// MARK: What libmicrohttpd calls

/// First when a request's head is there, then with each part of its body, then when it is complete, and again
/// when it was suspended and goes on.
private func answer(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ upload: UnsafePointer<CChar>?,
    _ uploadCount: UnsafeMutablePointer<Int>?, _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context, let connection, let url, let method, let state else { return mr_mhd_no }
    let server = Unmanaged<HttpServer>.fromOpaque(context).takeUnretainedValue()
    guard let known = state.pointee else {
        let exchange = HttpExchange(connection, method: method, url: url)
        state.pointee = Unmanaged.passRetained(exchange).toOpaque()
        if let refusal = exchange.refusal(server.options) { return exchange.queue(refusal) }
        return mr_mhd_yes
    }
    let exchange = Unmanaged<HttpExchange>.fromOpaque(known).takeUnretainedValue()
    if let uploadCount, uploadCount.pointee > 0 {
        exchange.take(upload, uploadCount.pointee, max: server.options.bodyBytesMax)
        uploadCount.pointee = 0
        return mr_mhd_yes
    }
    if let answer = exchange.answer {
        if let stream = answer.stream { server.note(connection, isAwaited: false, stream: stream) }
        return exchange.queue(answer)
    }
    server.note(connection, isAwaited: false)
    if exchange.isTooLong { return exchange.queue(exchange.tooLong(server.options)) }
    let request = exchange.request
    let handler = server.handler
    MHD_suspend_connection(connection)
    if !server.pool.run({ exchange.finish(handler(request)) }) {
        exchange.finish(ServedAnswer(503, text: "too many requests wait\n"))
    }
    return mr_mhd_yes
}

private func complete(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ code: MHD_RequestTerminationCode
) {
    guard let known = state?.pointee else { return }
    state?.pointee = nil
    let exchange = Unmanaged<HttpExchange>.fromOpaque(known).takeRetainedValue()
    exchange.answer?.stream?.detach()
    guard let context, let connection else { return }
    Unmanaged<HttpServer>.fromOpaque(context).takeUnretainedValue().note(connection, isAwaited: true)
}

private func connect(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ code: MHD_ConnectionNotificationCode
) {
    guard let context, let connection else { return }
    let server = Unmanaged<HttpServer>.fromOpaque(context).takeUnretainedValue()
    if code == mr_mhd_connected { server.opened(connection) } else { server.closed(connection) }
}
