import Base
import Connectors
import Engine

/// A full topic drained by one lane of the engine (decode, filter, 5-minute windows by 10 s, rule, commits)
/// and by a bare librdkafka loop that decodes the same fields, in turn.
package enum BenchKafka {
    private static let rounds = 3

    package static func run(_ settings: KafkaSettings, records: Int) throws(Fault) -> BenchReport {
        let topic = "bench-orders-\(SystemClock().nowMilliseconds)"
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        let input = BenchInput()
        let answer = BenchAnswer(BenchShape("base"), records: records)
        defer { try? admin.delete([topic]) }
        let bytes = try BenchRecords.fill(settings, admin, topic: topic, input, records: records)
        var bare: [BenchDrain.Speed] = []
        var engines = Mode.allCases.map { _ in [BenchDrain.Speed]() }
        for round in 0..<rounds {
            for (index, mode) in Mode.allCases.enumerated() {
                let drain = BenchDrain(
                    settings: settings, admin: admin, shape: mode.shape, answer: answer, topic: topic,
                    records: records)
                if index == 0 { bare.append(try drain.bare()) }
                engines[index].append(try drain.engine(as: "\(topic)-\(round)-\(index)"))
            }
        }
        func rate(_ mode: Mode) -> Double { median(engines[mode.index].map(\.recordsPerSecond)) }
        let bareRate = median(bare.map(\.recordsPerSecond))
        var report = BenchReport(
            "kafka: \(records) records of \(bytes) bytes, \(input.codec), \(input.partitions) partitions, "
                + "\(input.keys) merchants, one lane")
        report.add("bare loop records per second", bareRate, "records/s (librdkafka and the same decoding)")
        for mode in Mode.allCases {
            report.add("\(mode.rawValue) records per second", rate(mode), "records/s")
        }
        report.add("ratio", rate(.exactlyOnce) / bareRate, "exactly once / bare loop")
        report.add("ratio in memory", rate(.memory) / bareRate, "without changelog / bare loop")
        report.add(
            "ratio of guarantees", rate(.exactlyOnce) / rate(.atLeastOnce), "exactly once / at least once")
        report.add(
            "exactly-once CPU per record", median(engines[Mode.exactlyOnce.index].map(\.cpuNanoseconds)),
            "ns, all threads")
        report.add("bare loop CPU per record", median(bare.map(\.cpuNanoseconds)), "ns, all threads")
        report.add(
            "checked",
            "\(answer.alerts) alerts in each of \(rounds * engines.count) runs, as the plain loop finds")
        return report
    }

    private enum Mode: String, CaseIterable {
        /// No changelog: what the operators and the client cost by themselves.
        case memory = "engine in memory"
        case atLeastOnce = "engine at least once"
        case exactlyOnce = "engine exactly once"

        var shape: BenchShape {
            BenchShape("base") {
                $0.guarantee = self == .exactlyOnce ? .exactlyOnce : .atLeastOnce
                $0.keepsState = self != .memory
            }
        }
        var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }
}
