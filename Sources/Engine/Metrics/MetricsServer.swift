import Base
import Http

/// `/metrics`, `/health` and `/ready` over HTTP.
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

    package var port: UInt16 { server.port }
    private let server: HttpServer

    /// Listens on `address` (an IPv4 address); port 0 takes any free one.
    package init(address: String = "127.0.0.1", port: UInt16, pages: Pages) throws(Fault) {
        var options = HttpServer.Options()
        options.name = "metrics"
        options.address = address
        options.port = port
        options.connections = 64
        options.connectionsPerAddress = 64
        options.idleSeconds = 10
        options.threads = 1
        server = try HttpServer(options) { request in Self.answer(request, pages) }
    }

    private static func answer(_ request: ServedRequest, _ pages: Pages) -> ServedAnswer {
        var (status, text): (Int, String)
        switch (request.method, request.path) {
        case ("GET", "/metrics"), ("HEAD", "/metrics"): (status, text) = (200, pages.metrics())
        case ("GET", "/health"), ("HEAD", "/health"):
            (status, text) = pages.isHealthy() ? (200, "healthy\n") : (503, "not healthy\n")
        case ("GET", "/ready"), ("HEAD", "/ready"):
            let reason = pages.unreadiness()
            (status, text) = reason.map { (503, "not ready: \($0)\n") } ?? (200, "ready\n")
        case ("GET", _), ("HEAD", _): (status, text) = (404, "there is /metrics, /health and /ready\n")
        default: (status, text) = (405, "only GET\n")
        }
        return ServedAnswer(
            status, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
            body: Array(text.utf8))
    }
}
