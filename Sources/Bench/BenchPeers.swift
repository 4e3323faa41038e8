import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Records
import Topology

/// The same job in Millrace and in its peers, Kafka Streams and Flink SQL, on the same topic: alerts compared
/// one by one, throughput and latency side by side. `Tests/Peers/compare` starts a broker, compiles the peers
/// and calls this.
package enum BenchPeers {
    package struct Options: Sendable {
        /// As for `java -cp`: the peer's classes and the jars of Kafka and Kafka Streams.
        package var classPath = ""
        package var records = 600_000
        /// The same of Flink's; without it Flink is left out.
        package var flinkClassPath: String?
        /// Orders for Flink, so many times `records`: it is quicker, and takes longer until it is.
        package var flinkTimes = 10
        /// Of the latency runs: one that Kafka Streams holds.
        package var rate = 4000
        package var seconds = 20

        package init() {}
    }

    private struct Result {
        var recordsPerSecond: Double
        var cpuNanoseconds: Double
        var edges: [PeerAnswer.Edge]
    }

    package static func run(_ settings: KafkaSettings, _ options: Options) throws(Fault) -> BenchReport {
        let streams = Peer.kafkaStreams(classPath: options.classPath, records: options.records)
        let flink =
            options.flinkClassPath.map {
                Peer.flink(classPath: $0, records: options.records, times: options.flinkTimes)
            } ?? []
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        var report = BenchReport(
            "peers: \(options.records) orders in 4 partitions, 10,000 merchants; count and sum over 5 min by 10 s, "
                + "alerts on the edge as windows close"
                + (flink.isEmpty
                    ? "" : "; for Flink \(options.flinkTimes) times as many, over longer or denser"))
        var checked =
            "\(try throughput(streams, settings, admin, &report)) alerts, the same ones from both, twice, as a plain loop finds"
        for peer in flink {
            checked += "; \(try throughput(peer, settings, admin, &report))\(peer.label(.atLeastOnce))"
        }
        let load = LatencyLoad(rate: options.rate, seconds: options.seconds)
        let own = try ownLatency(settings, load)
        let peer = try peerLatency(settings, admin, load, streams.program)
        report.add("latency at", Double(options.rate), "records/s for \(options.seconds) s, exactly once")
        for (name, histogram) in [("Millrace", own), (streams.name, peer)] {
            let (p50, p99) = (Int(histogram.quantile(0.5) * 1000), Int(histogram.quantile(0.99) * 1000))
            report.add(
                "latency of \(name)", "p50 \(p50), p99 \(p99), max \(Int(histogram.greatest * 1000)) ms")
        }
        report.add("checked", checked)
        return report
    }

    // MARK: Throughput

    /// The peer and Millrace on one topic, with each guarantee of the peer. Adds rows only for right answers;
    /// returns the number of alerts in an answer.
    private static func throughput(
        _ peer: Peer, _ settings: KafkaSettings, _ admin: KafkaAdmin, _ report: inout BenchReport
    ) throws(Fault) -> Int {
        let topic = "peers-\(SystemClock().nowMilliseconds)"
        let answer = PeerAnswer(peer.input, records: peer.records)
        defer { try? admin.delete([topic]) }
        try answer.fill(settings, admin, topic)
        for guarantee in peer.guarantees {
            let name = "\(topic)-\(guarantee.rawValue)"
            let own = try millrace(settings, admin, answer, topic, "\(name)-own", guarantee)
            try answer.check(own.edges, "Millrace, \(guarantee.rawValue)")
            let other = try run(peer, settings, admin, answer, topic, "\(name)-peer", guarantee)
            try answer.check(other.edges, "\(peer.name), \(guarantee.rawValue)")
            let label = peer.label(guarantee)
            report.add("Millrace\(label)", own.recordsPerSecond, "records/s, one lane")
            report.add("\(peer.name)\(label)", other.recordsPerSecond, "records/s, \(peer.note)")
            report.add(
                "\(peer.ratio)\(label)", own.recordsPerSecond / other.recordsPerSecond, "times as many")
            report.add("Millrace CPU\(label)", own.cpuNanoseconds, "ns a record, all threads")
            report.add("\(peer.name) CPU\(label)", other.cpuNanoseconds, "ns a record, all threads")
        }
        return answer.edges.count
    }

    private static func millrace(
        _ settings: KafkaSettings, _ admin: KafkaAdmin, _ answer: PeerAnswer, _ topic: String, _ name: String,
        _ guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> Result {
        let text = """
            topology: \(name)
            guarantee: \(guarantee.rawValue)
            sources:
              orders:
                kafka: { topic: \(topic) }
                time: { field: event_time, out_of_order: 1s, idle: 60s }
                schema: { merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              paid: { from: orders, where: kind == "paid" }
              turnover:
                from: paid
                key: merchant_id
                window: { size: 5m, slide: 10s }
                aggregate: { n: count(), amount: sum(amount) }
            rules:
              high:
                on: turnover
                at: close
                when: amount > \(Decimal.string(answer.limit, scale: 2)) and n > 0
                risk: bench
                severity: low
            sinks:
              alerts: { kafka: { topic: \(name)-alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "bench")
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "; ")) }
        let topics = Worker.topics(of: spec, group: name, partitions: 4)
        try admin.create(topics)
        defer { try? admin.delete(topics.map(\.name)) }
        var group = settings
        group.group = name
        let speed = try BenchDrain.run(
            LaneFactory(
                spec: spec, kafka: group,
                topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)],
                partitionCount: 4, keepsState: true), records: answer.sent
        ).speed
        var edges: [PeerAnswer.Edge] = []
        try read(settings, "\(name)-alerts", until: answer.edges.count, { edges.count }) { value in
            if value.contains("\"state\":\"raised\""), let edge = PeerAnswer.Edge(alert: value) {
                edges.append(edge)
            }
        }
        return Result(
            recordsPerSecond: speed.recordsPerSecond, cpuNanoseconds: speed.cpuNanoseconds, edges: edges)
    }

    private static func run(
        _ peer: Peer, _ settings: KafkaSettings, _ admin: KafkaAdmin, _ answer: PeerAnswer, _ topic: String,
        _ name: String, _ guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> Result {
        try admin.create([KafkaTopicPlan(name: "\(name)-alerts", partitions: 4)])
        defer { try? admin.delete(["\(name)-alerts"]) }
        let job = try PeerJob(
            peer.program,
            [settings.bootstrapServers, topic, "\(name)-alerts", name, "\(answer.limit)", guarantee.rawValue])
        defer { job.stop() }
        let deadline = monotonicNanoseconds() + 600_000_000_000
        while (job.progress.last?.records ?? 0) < answer.sent {
            try job.look()
            guard monotonicNanoseconds() < deadline else {
                throw Fault(.external, "\(peer.name) took over ten minutes")
            }
            usleep(20_000)
        }
        var edges: [PeerAnswer.Edge] = []
        try read(settings, "\(name)-alerts", until: answer.edges.count, { edges.count }) { value, key in
            if let edge = PeerAnswer.Edge(merchant: key ?? "", fields: value) { edges.append(edge) }
        }
        // The better of the whole and of the last two thirds, when code is compiled.
        guard let last = job.progress.last, let first = job.progress.first(where: { $0.records > 0 }),
            let warm = job.progress.first(where: { $0.records >= answer.sent / 3 })
        else { throw Fault(.defect, "\(peer.name) told no progress") }
        func speed(from: PeerJob.Progress) -> Double {
            Double(last.records - from.records) * 1e9 / Double(max(1, last.nanoseconds - from.nanoseconds))
        }
        let begin = speed(from: warm) > speed(from: first) ? warm : first
        let count = Double(max(1, last.records - begin.records))
        return Result(
            recordsPerSecond: speed(from: begin),
            cpuNanoseconds: Double(last.cpuNanoseconds - begin.cpuNanoseconds) / count, edges: edges)
    }

    private static func read(
        _ settings: KafkaSettings, _ topic: String, until wanted: Int, _ count: () -> Int,
        _ body: (String, String?) -> Void
    ) throws(Fault) {
        let reader = try KafkaReader(settings, topic: topic)
        let deadline = monotonicNanoseconds() + 30_000_000_000
        var settled: Int64?
        // A little longer than it takes, for what should not be there.
        while monotonicNanoseconds() < settled ?? deadline {
            _ = try reader.poll(timeoutMilliseconds: 20) { body($0.valueText ?? "", $0.keyText) }
            if settled == nil, count() >= wanted { settled = monotonicNanoseconds() + 500_000_000 }
        }
    }

    private static func read(
        _ settings: KafkaSettings, _ topic: String, until wanted: Int, _ count: () -> Int,
        _ body: (String) -> Void
    ) throws(Fault) {
        try read(settings, topic, until: wanted, count) { value, _ in body(value) }
    }

    // MARK: Latency

    private static func ownLatency(_ settings: KafkaSettings, _ load: LatencyLoad) throws(Fault) -> Histogram
    {
        let rig = try LatencyRig(settings, .exactlyOnce)
        defer { rig.close() }
        return try rig.measure(load).latency
    }

    private static func peerLatency(
        _ settings: KafkaSettings, _ admin: KafkaAdmin, _ load: LatencyLoad, _ program: PeerJob.Program
    ) throws(Fault) -> Histogram {
        let name = "peers-\(SystemClock().nowMilliseconds)-latency"
        let topics = ["\(name)-orders", "\(name)-alerts"]
        try admin.create(topics.map { KafkaTopicPlan(name: $0, partitions: 4) })
        defer { try? admin.delete(topics) }
        let job = try PeerJob(
            program,
            [
                settings.bootstrapServers, topics[0], topics[1], name, "9999999999",
                TopologySpec.Guarantee.exactlyOnce.rawValue,
            ])
        defer { job.stop() }
        // Code is compiled as it runs: the peer has as long a time before it is measured.
        try send(settings, topics[0], load) { _ throws(Fault) in }
        var histogram = Histogram()
        let reader = try KafkaReader(settings, topic: topics[1], from: .end)
        try send(settings, topics[0], load) { progress throws(Fault) in
            _ = try reader.poll(timeoutMilliseconds: 5) { record in
                guard let text = record.valueText, text.hasPrefix("marked,"),
                    let due = Int64(text.dropFirst(7))
                else { return }
                guard due >= progress.begin + LatencyRun.warmUpMilliseconds else { return }
                histogram.record(seconds: Double(SystemClock().nowMilliseconds - due) / 1000)
            }
        }
        let marked = (load.records - load.rate * Int(LatencyRun.warmUpMilliseconds) / 1000) / load.markEvery
        guard histogram.count >= Int64(marked * 8 / 10) else {
            throw Fault(.defect, "of Kafka Streams \(histogram.count) alerts were read")
        }
        return histogram
    }

    /// Calls `body` while the load is sent and for five seconds more.
    private static func send(
        _ settings: KafkaSettings, _ topic: String, _ load: LatencyLoad,
        _ body: (LatencySender.Progress.State) throws(Fault) -> Void
    ) throws(Fault) {
        let progress = LatencySender.Progress()
        let sender = Background { () throws(Fault) in try LatencySender.run(settings, topic, load, progress) }
        var end: Int64?
        while monotonicNanoseconds() < end ?? .max {
            try body(progress.state)
            if let fault = sender.fault { throw fault }
            if end == nil, sender.isFinished { end = monotonicNanoseconds() + 5_000_000_000 }
            usleep(1000)
        }
    }
}
