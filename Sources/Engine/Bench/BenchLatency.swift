import Base
import Connectors
import Dataflow
import Glibc
import Records
import Synchronization
import Topology

/// From the moment that a record was due to be sent to the moment that its alert is read, at a fixed rate: a
/// record that is sent late because the sender was held up counts from when it was due.
package enum BenchLatency {
    package static func run(
        _ settings: KafkaSettings, rate: Int, seconds: Int, guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> BenchReport {
        let stamp = SystemClock().nowMilliseconds
        let (orders, alerts) = ("latency-orders-\(stamp)", "latency-alerts-\(stamp)")
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        try admin.create([orders, alerts].map { KafkaTopicPlan(name: $0, partitions: 4) })
        let text = """
            topology: latency-\(stamp)
            guarantee: \(guarantee.rawValue)
            sources:
              orders:
                kafka: { topic: \(orders) }
                time: { field: event_time, out_of_order: 1s, idle: 1s }
                schema: { merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              paid: { from: orders, where: kind == "paid" }
              turnover: { from: paid, key: merchant_id, window: { size: 5m, slide: 10s }, aggregate: { n: count(), amount: sum(amount), largest: max(amount) } }
              marked: { from: orders, where: kind == "marked", key: merchant_id }
            rules:
              high: { on: turnover, when: amount > 99999999.00, risk: bench, severity: low }
              marked: { on: marked, when: amount > 0.00, risk: bench, severity: low }
            sinks:
              alerts: { kafka: { topic: \(alerts) } }
            """
        guard let spec = TopologyReader.read(text, file: "bench").spec else { throw Fault(.defect, "bench topology") }
        var group = settings
        group.group = spec.name
        let worker = Worker(spec, Worker.Options(kafka: group))
        let workerThread = Background { () throws(Fault) in try worker.run() }
        defer {
            worker.stop()
            _ = workerThread.join()
        }
        while !worker.isReady {
            if let fault = workerThread.fault { throw fault }
            usleep(10_000)
        }
        let reader = try KafkaReader(settings, topic: alerts)
        let marked = Marks()
        let sender = Background { () throws(Fault) in
            try send(settings, orders, rate: rate, seconds: seconds, marked)
        }
        var latency = Histogram()
        var seen = 0
        var quiet = 0
        while quiet < 100 {
            let count = try reader.poll(timeoutMilliseconds: 5) { record in
                seen += 1
                // The alert carries the time at which its order was due: the event time.
                guard let value = record.valueText, let due = eventTime(value) else { return }
                // The first two seconds warm clients and caches up.
                guard due >= marked.begin + 2000 else { return }
                latency.record(seconds: Double(SystemClock().nowMilliseconds - due) / 1000)
            }
            if let fault = workerThread.fault ?? sender.fault { throw fault }
            quiet = sender.isFinished && count == 0 ? quiet + 1 : 0
        }
        guard seen == marked.count, latency.count > 0 else {
            throw Fault(.defect, "bench latency: \(seen) alerts read of \(marked.count) that were due")
        }
        var report = BenchReport("latency: \(rate) records/s for \(seconds) s, from the scheduled send to the alert read, \(guarantee.rawValue)")
        report.add("p50", latency.quantile(0.5) * 1000, "ms")
        report.add("p99", latency.quantile(0.99) * 1000, "ms")
        report.add("p999", latency.quantile(0.999) * 1000, "ms")
        report.add("max", latency.greatest * 1000, "ms")
        report.add("alerts", Double(latency.count), "measured")
        report.add("checked", "\(seen) alerts for \(marked.count) marked orders")
        return report
    }

    /// How many orders were marked, and when sending began.
    final class Marks: Sendable {
        private let state = Mutex((count: 0, begin: Int64(0)))
        var count: Int { state.withLock { $0.count } }
        var begin: Int64 { state.withLock { $0.begin } }
        func start(_ time: Int64) { state.withLock { $0.begin = time } }
        func add() { state.withLock { $0.count += 1 } }
    }

    private static func eventTime(_ alert: String) -> Int64? {
        guard let node = YamlText.read(alert)?.mapping?.first(where: { $0.key == "event_time" }),
            let text = node.value.scalar?.text
        else { return nil }
        return CivilTime.parse(text)?.milliseconds
    }

    private static func send(_ settings: KafkaSettings, _ topic: String, rate: Int, seconds: Int, _ marked: Marks) throws(Fault) {
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        var orders = BenchOrders(keys: 10_000, recordsPerSecond: 1000, seed: 5)
        var json = JsonWriter()
        let start = SystemClock().nowMilliseconds
        let begin = monotonicNanoseconds()
        marked.start(start)
        let total = rate * seconds
        for number in 0..<total {
            let due = Int64(number) * 1_000_000_000 / Int64(rate)
            while monotonicNanoseconds() - begin < due {
                feeder.poll()
                usleep(500)
            }
            var order = orders.next()
            order.time = start + due / 1_000_000
            // A hundred a second are marked: each is an alert.
            let isMarked = number % max(1, rate / 100) == 0
            json.removeAll()
            json.beginObject()
            json.member("order_id", "O\(number)")
            json.member("merchant_id", BenchOrders.merchant(order.merchant))
            json.member("buyer_id", "B0000001")
            json.member("kind", isMarked ? "marked" : "paid")
            json.name("amount")
            json.number(Int128(order.cents), scale: 2)
            json.name("event_time")
            json.timestamp(order.time)
            json.member("platform", "mall")
            json.member("country", "CN")
            json.endObject()
            if isMarked { marked.add() }
            try feeder.send(to: target, key: BenchOrders.merchant(order.merchant), value: json.string)
        }
        try feeder.flush()
    }
}
