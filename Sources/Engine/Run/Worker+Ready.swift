import Base
import Connectors
import Dataflow

/// What a worker tells whoever asks how it is.
extension Worker {
    /// True while every lane has its partitions and turns.
    package var isReady: Bool { unreadiness == nil }

    /// Why it is not ready; nil: it is.
    var unreadiness: String? {
        if stopping.isSet { return "it was asked to stop" }
        guard isPlanned.load(ordering: .acquiring) else { return "it starts" }
        if let reason = watch?.unreadiness { return reason }
        let statuses = board.statuses
        for lane in 0..<laneCount {
            let current = phases.withLock { $0[lane]?.current }
            guard statuses[lane]?.isReady == true, let current, current.phase.isTurning else {
                return "lane \(lane) waits for \(current?.phase.reason ?? "its thread")"
            }
            if current.milliseconds >= options.readyMilliseconds {
                return "lane \(lane) waits for \(current.phase.reason), for \(current.milliseconds / 1000) s"
            }
        }
        return nil
    }

    func serve() throws(Fault) -> MetricsServer? {
        guard let port = options.metricsPort else { return nil }
        let server = try MetricsServer(
            address: options.metricsAddress,
            port: port,
            pages: MetricsServer.Pages(
                metrics: { [self] in metricsText() },
                isHealthy: { [self] in isHealthy },
                unreadiness: { [self] in unreadiness }
            )
        )
        Log.info("metrics on http://\(options.metricsAddress):\(server.port)/metrics")
        return server
    }

    package func metricsText() -> String {
        guard isPlanned.load(ordering: .acquiring) else { return "# it starts\n" }
        return MetricsText.render(
            spec,
            lanes: board.lanes,
            sinks: sinks.all.map { (spec.sinks[$0.sink].name, $0.running.report) }
                + outlets.map { ($0.sink, $0.running.report) },
            isReady: isReady,
            now: SystemClock().nowMilliseconds
        )
    }

    /// Every lane turns, or waits for somebody else: what a restart does not mend is no reason for one, and
    /// all workers at once would be restarted while a broker is away.
    private var isHealthy: Bool {
        guard faults.withLock({ $0.isEmpty }) else { return false }
        return phases.withLock { phases in
            phases.values.allSatisfy { phase in
                let current = phase.current
                let isWaiting = current.phase.isWaiting && current.milliseconds < options.recoveryMilliseconds
                return isWaiting || current.milliseconds < options.stallMilliseconds
            }
        }
    }
}
