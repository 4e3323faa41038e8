import Base
import Connectors
import Engine
import Records
import Topology

/// From the moment that a record was due to be sent to the moment that its alert is read: a record that is
/// sent late because the sender was held up counts from when it was due.
package enum BenchLatency {
    /// At one rate.
    package static func run(
        _ settings: KafkaSettings, rate: Int, seconds: Int, guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> BenchReport {
        let rig = try LatencyRig(settings, guarantee)
        defer { rig.close() }
        let run = try rig.measure(LatencyLoad(rate: rate, seconds: seconds))
        var report = BenchReport(
            "latency: \(rate) records/s for \(seconds) s, from the scheduled send to the alert read, "
                + guarantee.rawValue)
        add(run, to: &report, prefix: "")
        return report
    }

    /// At shares of the rate that can be sustained, in percent, which is looked for first.
    package static func run(
        _ settings: KafkaSettings, shares: [Int], seconds: Int, guarantee: TopologySpec.Guarantee
    ) throws(Fault) -> BenchReport {
        let rig = try LatencyRig(settings, guarantee)
        defer { rig.close() }
        var report = BenchReport(
            "latency: shares of the sustainable rate for \(seconds) s each, from the scheduled send to the alert read, "
                + guarantee.rawValue)
        let sustainable = try findSustainable(rig, &report)
        report.add("sustainable rate", Double(sustainable), "records/s, the sender on the same cores")
        for share in shares {
            let run = try rig.measure(
                LatencyLoad(rate: max(100, sustainable * share / 100), seconds: seconds))
            add(run, to: &report, prefix: "share \(share) ")
        }
        return report
    }

    private static let stepSeconds = 10
    /// A rate must hold for longer than a step before it counts as sustainable.
    private static let confirmSeconds = 30
    private static let acceptedP99 = 0.5

    /// Catching up a backlog, while it is still being sent, bounds the rate; then some steps by halves
    /// between a fifth of that and all of it.
    private static func findSustainable(_ rig: LatencyRig, _ report: inout BenchReport) throws(Fault) -> Int {
        // Twice: clients, topics and code are cold the first time.
        _ = try rig.measure(LatencyLoad(flatOut: 300_000))
        let flat = try rig.measure(LatencyLoad(flatOut: 2_000_000))
        let bound = Double(flat.sent) / max(flat.allSeconds, 0.001)
        report.add(
            "sender flat out", Double(flat.sent) / max(flat.sendSeconds, 0.001),
            "records/s, the engine reading")
        report.add("engine and sender flat out", bound, "records/s, until the last alert was read")
        func keepsUp(_ rate: Int, seconds: Int) throws(Fault) -> Bool {
            let run = try rig.measure(LatencyLoad(rate: rate, seconds: seconds))
            let p99 = run.latency.quantile(0.99)
            let isGood = p99 <= acceptedP99 && !run.isGrowing
            let end = "\(run.isGrowing ? ", growing" : ""), sender \(run.behindMilliseconds) ms behind"
            report.add(
                "step \(rate) for \(seconds) s",
                "p99 \(Int(p99 * 1000)) ms\(end): \(isGood ? "kept up" : "not kept up")")
            return isGood
        }
        var share = 0.6
        var best = 0
        for width in [0.2, 0.1, 0.05, 0] {
            let rate = max(1000, Int(bound * share) / 1000 * 1000)
            let isGood = try keepsUp(rate, seconds: stepSeconds)
            if isGood { best = max(best, rate) }
            share += isGood ? width : -width
        }
        for _ in 0..<5 where best > 0 {
            if try keepsUp(best, seconds: confirmSeconds) { return best }
            best = best * 85 / 100 / 1000 * 1000
        }
        throw Fault(
            .external,
            "bench latency: no rate was found that keeps within \(acceptedP99) s for \(confirmSeconds) s")
    }

    private static func add(_ run: LatencyRun, to report: inout BenchReport, prefix: String) {
        if !prefix.isEmpty { report.add("\(prefix)rate", Double(run.load.rate), "records/s") }
        report.add("\(prefix)p50", run.latency.quantile(0.5) * 1000, "ms")
        report.add("\(prefix)p99", run.latency.quantile(0.99) * 1000, "ms")
        report.add("\(prefix)p999", run.latency.quantile(0.999) * 1000, "ms")
        report.add("\(prefix)max", run.latency.greatest * 1000, "ms")
        report.add("\(prefix)alerts", Double(run.latency.count), "measured")
        report.add(
            "\(prefix)sender behind", Double(run.behindMilliseconds), "ms at most, in the figures above")
        for (index, spell) in run.spells.enumerated() { report.add("\(prefix)stall \(index + 1)", spell) }
        report.add("\(prefix)checked", "\(run.seen) alerts for \(run.marked) marked orders")
    }
}
