import Base
import Connectors
import Dataflow
import Formats
import Operators
import Records
import Runtime
import Topology

/// A full topic drained by one lane of the engine (decode, filter, 5-minute windows by 10 s, rule, commits) and by a
/// bare librdkafka loop that decodes the same fields, in turn.
package enum BenchKafka {
    static let keys = 10_000
    static let partitions = 4

    package static func run(_ settings: KafkaSettings, records: Int) throws(Fault) -> BenchReport {
        let stamp = SystemClock().nowMilliseconds
        let topic = "bench-orders-\(stamp)"
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        // Highest running turnover of each merchant, the plain way; alerts are those above a limit that some pass.
        let highest = try fill(settings, admin, topic, records)
        let limit = highest.sorted()[highest.count * 9 / 10]
        let expected = highest.filter { $0 > limit }.count
        var bare: [Double] = []
        var bareCpu: [Double] = []
        var engines = Mode.allCases.map { _ in (rates: [Double](), cpu: [Double]()) }
        for round in 0..<3 {
            for (index, mode) in Mode.allCases.enumerated() {
                let spec = try spec(topic: topic, limit: limit, name: "bench-\(stamp)-\(round)-\(index)", mode.guarantee)
                try admin.create(Worker.topics(of: spec, group: spec.name, partitions: partitions))
                if index == 0 {
                    let drained = try drain(settings, spec, topic, records)
                    bare.append(drained.rate)
                    bareCpu.append(drained.cpu)
                }
                var group = settings
                group.group = spec.name
                let run = try engineRun(group, spec, records, keepsState: mode != .memory)
                engines[index].rates.append(run.rate)
                engines[index].cpu.append(run.cpu)
                guard run.alerts == Int64(expected), run.dead == 0, run.late == 0 else {
                    throw Fault(
                        .defect, "bench kafka: \(run.alerts) alerts, \(run.dead) dead, \(run.late) late; \(expected) alerts are right")
                }
            }
        }
        var report = BenchReport("kafka: \(records) records of \(topicBytes) bytes, lz4, \(partitions) partitions, \(keys) merchants, one lane")
        report.add("bare loop records per second", median(bare), "records/s (librdkafka and the same decoding)")
        for (mode, engine) in zip(Mode.allCases, engines) {
            report.add("\(mode.rawValue) records per second", median(engine.rates), "records/s")
        }
        report.add("ratio", median(engines[Mode.exactlyOnce.index].rates) / median(bare), "exactly once / bare loop")
        report.add("ratio in memory", median(engines[Mode.memory.index].rates) / median(bare), "without changelog / bare loop")
        report.add(
            "ratio of guarantees", median(engines[Mode.exactlyOnce.index].rates) / median(engines[Mode.atLeastOnce.index].rates),
            "exactly once / at least once")
        report.add("exactly-once CPU per record", median(engines[Mode.exactlyOnce.index].cpu), "ns, all threads")
        report.add("bare loop CPU per record", median(bareCpu), "ns, all threads")
        report.add("checked", "\(expected) alerts in each of \(3 * engines.count) runs, as the plain loop finds")
        return report
    }

    private enum Mode: String, CaseIterable {
        /// No changelog: what the operators and the client cost by themselves.
        case memory = "engine in memory"
        case atLeastOnce = "engine at least once"
        case exactlyOnce = "engine exactly once"

        var guarantee: TopologySpec.Guarantee { self == .exactlyOnce ? .exactlyOnce : .atLeastOnce }
        var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    nonisolated(unsafe) private static var topicBytes = 0

    private static func fill(_ settings: KafkaSettings, _ admin: KafkaAdmin, _ topic: String, _ records: Int) throws(Fault) -> [Int64] {
        try admin.create([KafkaTopicPlan(name: topic, partitions: partitions)])
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        var orders = BenchOrders(keys: keys, recordsPerSecond: max(1, Int64(records) / 1800), seed: 99)
        var json = JsonWriter()
        // Panes of 10 s for each merchant.
        let ring = 31
        var panes = [Int64](repeating: 0, count: keys * ring)
        var newest = [Int64](repeating: .min, count: keys)
        var running = [Int64](repeating: 0, count: keys)
        var highest = [Int64](repeating: 0, count: keys)
        for number in 0..<records {
            let order = orders.next()
            BenchOrders.write(order, number: number, to: &json)
            topicBytes = json.bytes.count
            var name = BenchOrders.merchant(order.merchant)
            let key = order.merchant
            var fault: Fault?
            name.withUTF8 { bytes in
                do throws(Fault) {
                    try feeder.send(
                        to: target, key: bytes, value: UnsafeBufferPointer(start: json.bytes.base, count: json.bytes.count))
                } catch { fault = error }
            }
            if let fault { throw fault }
            if number % 1000 == 0 { feeder.poll() }
            guard order.isPaid else { continue }
            let pane = order.time / 10_000
            if newest[key] == .min { newest[key] = pane }
            while newest[key] < pane {
                newest[key] += 1
                running[key] -= panes[key * ring + Int((newest[key] - 30) % Int64(ring))]
                panes[key * ring + Int(newest[key] % Int64(ring))] = 0
            }
            panes[key * ring + Int(pane % Int64(ring))] += order.cents
            running[key] += order.cents
            highest[key] = max(highest[key], running[key])
        }
        try feeder.flush()
        return highest
    }

    private static func spec(
        topic: String, limit: Int64, name: String, _ guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> TopologySpec {
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
                aggregate: { n: count(), amount: sum(amount), least: min(amount), largest: max(amount) }
            rules:
              high:
                on: turnover
                when: amount > \(Decimal.string(limit, scale: 2)) and n > 0 and least <= largest
                clear: amount < 0.00
                risk: bench
                severity: low
            sinks:
              alerts: { kafka: { topic: \(name)-alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "bench")
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "; ")) }
        return spec
    }

    private static func drain(_ settings: KafkaSettings, _ spec: TopologySpec, _ topic: String, _ records: Int) throws(Fault)
        -> (rate: Double, cpu: Double)
    {
        let decoder = JsonDecoder(try Planner(spec).wireColumns(of: spec.sources[0]))
        let batch = Batch(schema: Schema(spec.sources[0].wire.map(\.field)))
        var decoded = 0
        let result = try KafkaDrain.run(settings, topic: topic) { _, raw in
            decoder.decode(raw, into: batch)
            for row in 0..<batch.count where batch.status[row] == 0 { decoded += 1 }
        }
        guard decoded == records else { throw Fault(.defect, "bench kafka: the bare loop decoded \(decoded) of \(records)") }
        return (result.recordsPerSecond, result.cpuNanosecondsPerRecord)
    }

    private static func engineRun(_ settings: KafkaSettings, _ spec: TopologySpec, _ records: Int, keepsState: Bool) throws(Fault)
        -> (rate: Double, cpu: Double, alerts: Int64, dead: Int64, late: Int64)
    {
        guard case .kafka(let topic, _) = spec.sources[0].origin else { throw Fault(.defect, "bench topology") }
        let factory = LaneFactory(
            spec: spec, kafka: settings, topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)],
            partitionCount: partitions, keepsState: keepsState)
        let (lane, pipeline) = try factory.make(0) { _ in }
        // The clock starts with the first records: joining the group is not what is measured.
        while pipeline.counters.records == 0 { try lane.step() }
        let first = pipeline.counters.records
        let begin = monotonicNanoseconds()
        let cpu = BenchClock.cpuNanoseconds()
        while pipeline.counters.records < Int64(records) { try lane.step() }
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        let used = Double(BenchClock.cpuNanoseconds() - cpu)
        try lane.run(until: { true })
        let counted = Double(Int64(records) - first)
        let counters = pipeline.counters
        return (counted / seconds, used / counted, counters.alerts, counters.deadTotal, counters.late)
    }
}
