import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Marketplace
import Records
import Synchronization
import Topology

/// The main job from end to end in one process: a broker (librdkafka's mock cluster, or a real one), a
/// synthetic marketplace with planted fraud, a worker, a Redis of its own where one is installed.
package final class Demo {
    package struct Options: Sendable {
        package var topologyPath: String
        package var marketplace: MarketplaceOptions
        /// Nil: the mock cluster.
        package var bootstrapServers: String?
        package var eventsPerSecond: Int?

        package init(topologyPath: String, marketplace: MarketplaceOptions) {
            self.topologyPath = topologyPath
            self.marketplace = marketplace
        }
    }

    package struct Alert {
        package var rule: String
        package var merchant: String
        package var state: String
        package var eventTime: String
        package var message: String
    }

    package struct Summary {
        package var events = 0
        package var milliseconds: Int64 = 0
        package var found: [(label: String, alerts: Int)] = []
        package var missed: [String] = []
        package var falseAlerts: [Alert] = []
        package var alerts = 0
        package var latency = Histogram()
        package var redisKeys: Int?
        package var late: Int64 = 0
        package var dead: Int64 = 0
    }

    private let options: Options
    private let settings: KafkaSettings
    private let broker: MockBroker?
    private let redis: PrivateRedis?
    private let spec: TopologySpec
    private let ordersTopic: String
    private let alertsTopic: String

    /// Events that may be on their way: the mock cluster keeps 5 MiB of each partition.
    private static let eventsAheadMax: Int64 = 40_000

    package init(_ options: Options) throws(Fault) {
        self.options = options
        let suffix = options.bootstrapServers == nil ? "" : "-demo-\(SystemClock().nowMilliseconds)"
        ordersTopic = "orders\(suffix)"
        alertsTopic = "risk-alerts\(suffix)"
        if let servers = options.bootstrapServers {
            broker = nil
            settings = KafkaSettings(bootstrapServers: servers, group: "millrace\(suffix)")
        } else {
            let mock = try MockBroker()
            try mock.createTopic(ordersTopic, partitions: 4)
            try mock.createTopic(alertsTopic, partitions: 4)
            broker = mock
            settings = mock.settings(group: "millrace")
        }
        redis = try PrivateRedis.start()
        var problems: [Diagnostic] = []
        let parameters = ["topic": ordersTopic, "alerts": alertsTopic]
        let spec = try TopologyFile.read(options.topologyPath, parameters: parameters) { problems.append($0) }
        guard let spec else { throw Fault(.user, problems.map(\.description).joined(separator: "\n")) }
        self.spec = spec
    }

    deinit { redis?.stop() }

    package var place: String {
        options.bootstrapServers ?? "a broker inside this process (librdkafka's mock cluster)"
    }
    package var hasRedis: Bool { redis != nil }

    /// Runs to the end of the marketplace; `show` gets every alert as it is read from its topic.
    package func run(shouldStop: @escaping @Sendable () -> Bool, show: (Alert) -> Void) throws(Fault)
        -> Summary
    {
        let admin = try KafkaAdmin(settings, isMock: broker != nil)
        try admin.create([ordersTopic, alertsTopic].map { KafkaTopicPlan(name: $0, partitions: 4) })
        var workerOptions = Worker.Options(kafka: settings)
        workerOptions.lanes = 1
        workerOptions.isMock = broker != nil
        workerOptions.redis = redis?.address
        workerOptions.commitMilliseconds = 50
        let worker = Worker(spec, workerOptions)
        let workerThread = Background { () throws(Fault) in try worker.run() }
        defer {
            worker.stop()
            _ = workerThread.join()
        }
        while !worker.isReady {
            if let fault = workerThread.fault { throw fault }
            if shouldStop() { return Summary() }
            usleep(10_000)
        }
        let reader = try KafkaReader(settings, topic: alertsTopic)
        let feed = Feed(try MarketplaceLoad(options.marketplace, eventsPerSecond: options.eventsPerSecond))
        let begin = monotonicNanoseconds()
        let feedThread = Background { [settings, ordersTopic] () throws(Fault) in
            try feed.run(
                to: settings, topic: ordersTopic, worker: worker, eventsAheadMax: Self.eventsAheadMax,
                shouldStop)
        }
        var alerts: [Alert] = []
        var quietPolls = 0
        // The end: everything fed, everything read, every alert seen.
        while quietPolls < 20 {
            let count = try reader.poll(timeoutMilliseconds: 20) { record in
                guard let value = record.valueText, let alert = Self.alert(value) else { return }
                alerts.append(alert)
                show(alert)
            }
            if let fault = workerThread.fault ?? feedThread.fault { throw fault }
            let isDone =
                feedThread.isFinished && worker.statuses.reduce(0) { $0 + $1.records } >= Int64(feed.events)
            quietPolls = isDone && count == 0 ? quietPolls + 1 : 0
            if shouldStop() { break }
        }
        _ = feedThread.join()
        var summary = score(alerts, feed.labels)
        summary.events = feed.events
        summary.milliseconds = (monotonicNanoseconds() - begin) / 1_000_000
        for status in worker.statuses {
            summary.latency.add(status.alertSeconds)
            summary.late += status.late
            summary.dead += status.dead.values.reduce(0, +)
        }
        if let redis {
            let reader = try RedisReader(redis.address)
            summary.redisKeys = try reader.command("DBSIZE").integer.map(Int.init)
        }
        return summary
    }

    private static func alert(_ json: String) -> Alert? {
        guard let node = YamlText.read(json), let members = node.mapping else { return nil }
        func text(_ name: String) -> String { members.first { $0.key == name }?.value.scalar?.text ?? "" }
        return Alert(
            rule: text("rule"), merchant: text("customer"), state: text("state"),
            eventTime: text("event_time"),
            message: text("message"))
    }

    /// An alert of the label's rule and shop within its time, or a day after it, finds it.
    private func score(_ alerts: [Alert], _ labels: [MarketplaceLabel]) -> Summary {
        var summary = Summary()
        let raised = alerts.filter { $0.state == "raised" }
        summary.alerts = raised.count
        var explained: Set<Int> = []
        for label in labels {
            let hits = raised.indices.filter { index in
                let alert = raised[index]
                guard alert.rule == label.ruleName, alert.merchant == label.merchantName,
                    let time = CivilTime.parse(alert.eventTime)?.milliseconds
                else { return false }
                return time >= label.from && time <= label.to + Marketplace.day
            }
            let text = "\(label.merchantName) \(label.ruleName) from \(CivilTime.string(label.from))"
            if label.isNearMiss { continue }
            explained.formUnion(hits)
            if hits.isEmpty { summary.missed.append(text) } else { summary.found.append((text, hits.count)) }
        }
        summary.falseAlerts = raised.indices.filter { !explained.contains($0) }.map { raised[$0] }
        return summary
    }
}

extension MarketplaceLabel {
    var ruleName: String { "\(scheme.rule)" }
    var merchantName: String { "M" + String(String(1_000_001 + merchant).dropFirst()) }
}

/// The marketplace on its way to the topic.
private final class Feed: Sendable {
    nonisolated(unsafe) private var load: MarketplaceLoad
    private let sent = Atomic<Int>(0)

    init(_ load: MarketplaceLoad) { self.load = load }

    var events: Int { sent.load(ordering: .acquiring) }
    /// Only after `run` has returned.
    var labels: [MarketplaceLabel] { load.labels }

    func run(
        to settings: KafkaSettings,
        topic: String,
        worker: Worker,
        eventsAheadMax: Int64,
        _ shouldStop: () -> Bool
    ) throws(Fault) {
        let feeder = try KafkaFeeder(settings)
        let handle = try feeder.topic(topic)
        _ = try load.run(shouldStop: shouldStop) { events throws(Fault) in
            for event in events.events {
                let key = UnsafeBufferPointer(
                    start: events.bytes.base + event.keyOffset, count: Int(event.keyCount))
                let value = UnsafeBufferPointer(
                    start: events.bytes.base + event.valueOffset, count: Int(event.valueCount))
                try feeder.send(to: handle, key: key, value: value)
            }
            feeder.poll()
            let sent = self.sent.add(events.events.count, ordering: .releasing).newValue
            while Int64(sent) - worker.statuses.reduce(0, { $0 + $1.records }) > eventsAheadMax, !shouldStop()
            {
                feeder.poll()
                usleep(2000)
            }
        }
        try feeder.flush()
    }
}
