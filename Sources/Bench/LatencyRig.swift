import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Records
import Synchronization
import Topology

/// A worker under a load that is sent from here, and a reader of its alerts.
final class LatencyRig {
    private let settings: KafkaSettings
    private let admin: KafkaAdmin
    private let orders: String
    private let worker: Worker
    private let thread: Background
    private let reader: KafkaReader
    private let topics: [String]

    init(_ settings: KafkaSettings, _ guarantee: TopologySpec.Guarantee) throws(Fault) {
        let stamp = SystemClock().nowMilliseconds
        let alerts = "latency-alerts-\(stamp)"
        let orders = "latency-orders-\(stamp)"
        self.settings = settings
        self.orders = orders
        admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        try admin.create([orders, alerts].map { KafkaTopicPlan(name: $0, partitions: 4) })
        let spec = try Self.spec("latency-\(stamp)", orders, alerts, guarantee)
        topics = [orders] + Worker.topics(of: spec, group: spec.name, partitions: 4).map(\.name)
        var group = settings
        group.group = spec.name
        let worker = Worker(spec, Worker.Options(kafka: group))
        let thread = Background { () throws(Fault) in try worker.run() }
        self.worker = worker
        self.thread = thread
        do throws(Fault) {
            while !worker.isReady {
                if let fault = thread.fault { throw fault }
                usleep(10_000)
            }
            reader = try KafkaReader(settings, topic: alerts)
        } catch {
            worker.stop()
            _ = thread.join()
            throw error
        }
    }

    /// Ends the worker and removes the topics.
    func close() {
        worker.stop()
        _ = thread.join()
        try? admin.delete(topics)
    }

    private static func spec(
        _ name: String, _ orders: String, _ alerts: String, _ guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> TopologySpec {
        let text = """
            topology: \(name)
            guarantee: \(guarantee.rawValue)
            sources:
              orders:
                kafka: { topic: \(orders) }
                time: { field: event_time, out_of_order: 1s, idle: 1s }
                schema: { merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              paid: { from: orders, where: kind == "paid" }
              turnover:
                from: paid
                key: merchant_id
                window: { size: 5m, slide: 10s }
                aggregate: { n: count(), amount: sum(amount), largest: max(amount) }
              marked: { from: orders, where: kind == "marked", key: merchant_id }
            rules:
              high: { on: turnover, when: amount > 99999999.00, risk: bench, severity: low }
              marked: { on: marked, when: amount > 0.00, risk: bench, severity: low }
            sinks:
              alerts: { kafka: { topic: \(alerts) } }
            """
        guard let spec = TopologyReader.read(text, file: "bench").spec else {
            throw Fault(.defect, "bench topology")
        }
        return spec
    }

    /// Sends the load and reads until the last of its alerts was there.
    func measure(_ load: LatencyLoad) throws(Fault) -> LatencyRun {
        let progress = LatencySender.Progress()
        let sender = Background { [settings, orders] () throws(Fault) in
            try LatencySender.run(settings, orders, load, progress)
        }
        var run = LatencyRun(load: load)
        var watch = LatencyWatch()
        let begin = monotonicNanoseconds()
        var movedAt = begin
        while true {
            let count = try reader.poll(timeoutMilliseconds: 5) { record in
                run.seen += 1
                // The alert carries the time at which its order was due: the event time.
                guard let value = record.valueText, let due = Self.eventTime(value) else { return }
                // The first two seconds warm clients and caches up.
                guard load.isFlatOut || due >= progress.state.begin + LatencyRun.warmUpMilliseconds else {
                    return
                }
                run.add(due: due, milliseconds: SystemClock().nowMilliseconds - due)
            }
            watch.look(at: worker)
            if let fault = thread.fault ?? sender.fault { throw fault }
            let now = monotonicNanoseconds()
            if count > 0 { movedAt = now }
            guard sender.isFinished else { continue }
            // A little longer, for one that comes twice.
            if run.seen >= progress.state.marked, now - movedAt > 300_000_000 { break }
            guard now - movedAt < 60_000_000_000 else { break }
        }
        let state = progress.state
        run.sent = state.sent
        run.marked = state.marked
        run.begin = state.begin
        run.sendSeconds = Double(state.finishedAt - state.startedAt) / 1e9
        run.allSeconds = Double(movedAt - state.startedAt) / 1e9
        run.behindMilliseconds = state.behind.max() ?? 0
        run.spells = watch.explain(run, senderBehind: state.behind)
        guard run.seen == run.marked, run.latency.count > 0 || load.isFlatOut else {
            throw Fault(.defect, "bench latency: \(run.seen) alerts read of \(run.marked) that were due")
        }
        return run
    }

    private static func eventTime(_ alert: String) -> Int64? {
        guard let node = YamlText.read(alert)?.mapping?.first(where: { $0.key == "event_time" }),
            let text = node.value.scalar?.text
        else { return nil }
        return CivilTime.parse(text)?.milliseconds
    }
}

/// What is to be sent.
struct LatencyLoad: Sendable {
    var rate: Int
    var records: Int
    /// As fast as it goes; `rate` says nothing.
    var isFlatOut = false

    init(rate: Int, seconds: Int) {
        self.rate = rate
        records = rate * seconds
    }

    init(flatOut records: Int) {
        rate = 10_000_000
        self.records = records
        isFlatOut = true
    }

    /// One in so many is marked: each is an alert. A hundred a second.
    var markEvery: Int { isFlatOut ? 10_000 : max(1, rate / 100) }
}

/// What came of a load.
struct LatencyRun {
    static let warmUpMilliseconds: Int64 = 2000

    let load: LatencyLoad
    var latency = Histogram()
    /// In the order in which they were read.
    private(set) var alerts: [(due: Int64, milliseconds: Int64)] = []
    var seen = 0
    var marked = 0
    var sent = 0
    var begin: Int64 = 0
    var sendSeconds = 0.0
    /// Until the last alert was read.
    var allSeconds = 0.0
    var behindMilliseconds: Int64 = 0
    /// The worst stalls, in words.
    var spells: [String] = []

    init(load: LatencyLoad) { self.load = load }

    mutating func add(due: Int64, milliseconds: Int64) {
        latency.record(seconds: Double(milliseconds) / 1000)
        alerts.append((due, milliseconds))
    }

    /// Later alerts took longer than earlier ones: a queue builds up.
    var isGrowing: Bool {
        func mean(_ part: ArraySlice<(due: Int64, milliseconds: Int64)>) -> Double {
            Double(part.reduce(0) { $0 + $1.milliseconds }) / Double(max(1, part.count))
        }
        let quarter = alerts.count / 4
        return mean(alerts.suffix(quarter)) > mean(alerts.prefix(2 * quarter).suffix(quarter)) + 100
    }
}
