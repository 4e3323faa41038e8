import Base
import Demo
import Marketplace
import Synchronization

enum DemoCommand: Command {
    static let name = "demo"
    static let summary = "the main job, with nothing to set up"
    static let help = """
        usage: millrace demo [OPTIONS]

        Ten days of a synthetic marketplace with planted fraud go through Topologies/marketplace: alerts are shown
        as they come, then what was found, missed and raised without cause. The broker is librdkafka's mock
        cluster inside this process, unless one is named; Redis is a private server, where installed.

          --bootstrap-server L   a real broker; its topics get names of their own
          --topology FILE        default Topologies/marketplace/topology.yaml
          --seed N --merchants N --orders-per-day N --days N --rate N   as for generate

        example: millrace demo --seed 7
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--topology": .value, "--seed": .value, "--merchants": .value,
        "--orders-per-day": .value, "--days": .value, "--rate": .value,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let path = arguments.value("--topology") ?? "Topologies/marketplace/topology.yaml"
        var options = Demo.Options(topologyPath: path, marketplace: try MarketplaceArguments.read(arguments))
        options.bootstrapServers = arguments.value("--bootstrap-server")
        options.eventsPerSecond = try arguments.integer("--rate", in: 1...10_000_000)
        let demo = try Demo(options)
        put(
            "broker: \(demo.place); Redis: \(demo.hasRedis ? "a private server" : "none, redis-server is not installed")"
        )
        let wasStopped = Flag()
        Signals.onStop { _ in wasStopped.set() }
        let summary = try demo.run(shouldStop: { wasStopped.isSet }) { alert in
            put(
                "\(alert.eventTime)  \(alert.state == "raised" ? "RAISED " : "cleared")  \(alert.rule): \(alert.message)"
            )
            Output.flush()
            if Output.hasFailed { wasStopped.set() }
        }
        report(summary)
        return summary.missed.isEmpty && summary.falseAlerts.isEmpty ? ExitCode.done : ExitCode.failed
    }

    private static func report(_ summary: Demo.Summary) {
        put("")
        for (label, alerts) in summary.found {
            put("found    \(label)\(alerts > 1 ? " (\(alerts) alerts)" : "")")
        }
        for label in summary.missed { put("MISSED   \(label)") }
        for alert in summary.falseAlerts {
            put("FALSE    \(alert.eventTime) \(alert.rule): \(alert.message)")
        }
        let seconds = Double(max(1, summary.milliseconds)) / 1000
        func ms(_ share: Double) -> String { "\(Int((summary.latency.quantile(share) * 1000).rounded())) ms" }
        put(
            """

            \(summary.events) events in \(Int(seconds * 10) / 10) s, \(Int(Double(summary.events) / seconds)) events/s; \
            \(summary.late) late, \(summary.dead) dead letters
            planted fraud: \(summary.found.count) found, \(summary.missed.count) missed; \
            \(summary.falseAlerts.count) false alerts of \(summary.alerts)
            from a record's append to its alert's acknowledgement: p50 \(ms(0.5)), p99 \(ms(0.99)), max \(ms(1))
            """)
        if let keys = summary.redisKeys { put("merchants with hot metrics in Redis: \(keys)") }
    }
}

/// Set by one thread, read by others.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
