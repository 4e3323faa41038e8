import Base
import CMicrohttpd
import Glibc

/// `/metrics`, `/health` and `/ready` over HTTP, on libmicrohttpd's own thread.
package final class MetricsServer {
    package struct Pages: Sendable {
        package var metrics: @Sendable () -> String
        package var isHealthy: @Sendable () -> Bool
        /// Why it is not ready; nil: it is.
        package var unreadiness: @Sendable () -> String?

        package init(
            metrics: @escaping @Sendable () -> String,
            isHealthy: @escaping @Sendable () -> Bool,
            unreadiness: @escaping @Sendable () -> String?
        ) {
            self.metrics = metrics
            self.isHealthy = isHealthy
            self.unreadiness = unreadiness
        }
    }

    package let port: UInt16
    private let daemon: OpaquePointer
    private let pages: Unmanaged<Box>

    final class Box: Sendable {
        let pages: Pages
        init(_ pages: Pages) { self.pages = pages }
    }

    /// Listens on `address` (an IPv4 address); port 0 takes any free one.
    package init(address: String = "127.0.0.1", port: UInt16, pages: Pages) throws(Fault) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Fault(.external, "metrics: no socket: \(String(cString: strerror(errno)))") }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        guard inet_pton(AF_INET, address, &name.sin_addr) == 1 else {
            _ = Glibc.close(descriptor)
            throw Fault(.user, "metrics: '\(address)' is no IPv4 address")
        }
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, 4)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, raw, &length) == 0
            }
        }
        guard isBound else {
            let reason = String(cString: strerror(errno))
            _ = Glibc.close(descriptor)
            throw Fault(.user, "metrics: \(address):\(port): \(reason)")
        }
        self.port = UInt16(bigEndian: name.sin_port)
        let box = Unmanaged.passRetained(Box(pages))
        self.pages = box
        let options: [any CVarArg] = [
            mr_mhd_listen_socket, descriptor, mr_mhd_connection_limit, UInt32(64),
            mr_mhd_connection_timeout, UInt32(10), mr_mhd_end,
        ]
        let started = withVaList(options) { list in
            MHD_start_daemon_va(mr_mhd_flags, 0, nil, nil, respond, box.toOpaque(), list)
        }
        guard let started else {
            box.release()
            _ = Glibc.close(descriptor)
            throw Fault(.external, "metrics: the HTTP server did not start")
        }
        daemon = started
    }

    deinit {
        MHD_stop_daemon(daemon)
        pages.release()
    }
}

/// libmicrohttpd calls this first when a request's headers are there, then again when it is complete.
private func respond(
    _ context: UnsafeMutableRawPointer?,
    _ connection: OpaquePointer?,
    _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?,
    _ version: UnsafePointer<CChar>?,
    _ upload: UnsafePointer<CChar>?,
    _ uploadCount: UnsafeMutablePointer<Int>?,
    _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context, let connection, let url, let method, let state else { return mr_mhd_no }
    if state.pointee == nil {
        state.pointee = context
        return mr_mhd_yes
    }
    if let uploadCount, uploadCount.pointee > 0 {
        // A body is read and thrown away.
        uploadCount.pointee = 0
        return mr_mhd_yes
    }
    let pages = Unmanaged<MetricsServer.Box>.fromOpaque(context).takeUnretainedValue().pages
    var (code, text): (UInt32, String)
    switch (String(cString: method), String(cString: url)) {
    case ("GET", "/metrics"), ("HEAD", "/metrics"): (code, text) = (200, pages.metrics())
    case ("GET", "/health"), ("HEAD", "/health"): (code, text) = pages.isHealthy() ? (200, "healthy\n") : (503, "not healthy\n")
    case ("GET", "/ready"), ("HEAD", "/ready"): 
        let reason = pages.unreadiness()
        (code, text) = reason.map { (503, "not ready: \($0)\n") } ?? (200, "ready\n")
    case ("GET", _), ("HEAD", _): (code, text) = (404, "there is /metrics, /health and /ready\n")
    default: (code, text) = (405, "only GET\n")
    }
    let response = text.withUTF8 { bytes in
        MHD_create_response_from_buffer(bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), mr_mhd_must_copy)
    }
    guard let response else { return mr_mhd_no }
    defer { MHD_destroy_response(response) }
    MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    return MHD_queue_response(connection, code, response)
}
