import Base
import Connectors
import Glibc
import Http
import Models

/// The console under what a bank may put on it: a long index, filters over it, clients that say nothing,
/// clients that say anything. The process is the real one, beside a real Kafka.
package enum BenchConsole {
    package struct Options: Sendable {
        package var alerts = 1_000_000
        /// Alerts over which filters are held to their bound.
        package var filtered = 100_000
        package var connections = 10_000
        /// How long the HTTP side is fuzzed.
        package var seconds = 60
        package var seed: UInt64 = 1

        package init() {}
    }

    package static let indexSecondsMax = 60.0
    package static let filterMillisecondsMax = 300.0

    /// `program`: path of this program. False: a bound was passed.
    package static func run(_ settings: KafkaSettings, _ options: Options, program: String) throws(Fault)
        -> (report: BenchReport, isWithin: Bool)
    {
        let rig = try ConsoleBenchRig(settings, program: program)
        defer { rig.remove() }
        var report = BenchReport(
            "console: \(options.alerts) alerts, \(options.connections) connections, seed \(options.seed)")
        var isWithin = true

        try rig.feed(0..<options.filtered)
        try rig.start()
        try rig.awaitIndex(of: options.filtered)
        let first = try rig.filters()
        report.add(
            "filter of \(options.filtered)", median(first),
            "ms, median of \(first.count) requests of 10 kinds")
        report.add("its slowest", first.max() ?? 0, "ms; at most \(Int(filterMillisecondsMax))")
        isWithin = isWithin && (first.max() ?? 0) <= filterMillisecondsMax

        // Here, since what a search costs grows with the alerts, and more is asked than can be answered.
        let statuses = try ConsoleFuzz.run(
            port: rig.port, key: ConsoleBenchRig.key, seed: options.seed, seconds: options.seconds
        ) { () throws(Fault) in
            if rig.hasEnded { throw Fault(.defect, "bench console: the console ended; seed \(options.seed)") }
        }
        report.add(
            "fuzzed requests", Double(statuses.values.reduce(0, +)),
            "in \(options.seconds) s; the console answers as before"
        )
        for (status, count) in statuses.sorted(by: { $0.key < $1.key }) {
            report.add(status == 0 ? "without an answer" : "answered \(status)", Double(count), "")
        }
        report.add("memory behind them", rig.residentMegabytes, "MB resident")
        let failures = statuses.filter { $0.key == 500 }.values.reduce(0, +)
        isWithin = isWithin && failures == 0
        let last = try rig.answers(count: 50)
        report.add("an answer at last", median(last), "ms")

        try rig.stop()
        rig.removeIndex()
        try rig.feed(options.filtered..<options.alerts)
        let begin = monotonicNanoseconds()
        try rig.start()
        try rig.awaitIndex(of: options.alerts)
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        report.add(
            "index of \(options.alerts)", seconds,
            "s from the start of the process until all are counted; at most \(Int(indexSecondsMax))")
        report.add("records a second", Double(options.alerts) / seconds, "")
        isWithin = isWithin && seconds <= indexSecondsMax
        let all = try rig.filters()
        report.add(
            "filter of \(options.alerts)", median(all),
            "ms, median; slowest \(Int((all.max() ?? 0).rounded()))")
        report.add("memory", rig.residentMegabytes, "MB resident")

        let crowd = try ConsoleCrowd(port: rig.port, connections: options.connections)
        let among = try rig.answers(count: 200)
        report.add(
            "among \(crowd.open) idle connections", among.max() ?? 0,
            "ms, the slowest of 200 answers; median \(median(among))")
        report.add(
            "connections that were refused", Double(options.connections - crowd.open),
            "of \(options.connections)")
        report.add("memory with them", rig.residentMegabytes, "MB resident")
        crowd.close()
        isWithin = isWithin && crowd.open == options.connections

        report.add(
            "checked",
            "all alerts are counted; no answer of 500; \(isWithin ? "within" : "BEYOND") all bounds")
        try rig.stop()
        return (report, isWithin)
    }
}
