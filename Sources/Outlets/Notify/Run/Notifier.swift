import Base
import Connectors
import Glibc
import Models
import Records
import Topology

/// `millrace notify`: reads alerts that were committed, decides, and sends what was decided once that is
/// durable.
///
/// What goes out is decided exactly once, and sent at least once under an id that stays: a try is written
/// down before it is made, its result behind it, and what was under way when the process ended is tried
/// again.
package final class Notifier {
    package struct Options: Sendable {
        package var kafka: KafkaSettings
        package var topology: String
        package var alertTopics: [String]
        /// Where alerts begin that nothing is known of yet.
        package var startsAtEnd = false
        package var stop = StopSignal()
        package var status = NotifyStatus()

        package init(kafka: KafkaSettings, topology: String, alertTopics: [String]) {
            (self.kafka, self.topology, self.alertTopics) = (kafka, topology, alertTopics)
        }
    }

    private let config: NotifyConfig
    private let options: Options
    private let topics: NotifyTopics
    private let clock: any Clock
    private let owner: String
    private var hasOwned = false

    private static let pollMilliseconds = 10
    /// Requests end by themselves within their timeout.
    private static let drainMilliseconds: Int64 = 12_000

    package init(_ config: NotifyConfig, _ options: Options, clock: any Clock = SystemClock()) {
        (self.config, self.options, self.clock) = (config, options, clock)
        topics = NotifyTopics(topology: options.topology)
        owner = "\(getpid())-\(clock.nowMilliseconds)-\(UInt32.random(in: 0...UInt32.max))"
    }

    /// Runs until it is asked to stop. After any doubt about Kafka it begins again with what was committed.
    package func run() throws(Fault) {
        var failures = 0
        while !options.stop.isSet {
            let begin = monotonicNanoseconds()
            do throws(Fault) {
                try runOnce()
            } catch {
                if options.stop.isSet { return }
                guard error.retry == .withBackoff else { throw error }
                if monotonicNanoseconds() - begin > 60_000_000_000 { failures = 0 }
                failures += 1
                Log.warning("notify: \(error.detail); beginning again")
                options.status.isNotReady(error.detail)
                let wait = min(10_000, 100 << min(failures, 7))
                for _ in 0..<(wait / 50) where !options.stop.isSet { usleep(50_000) }
            }
        }
    }

    private func makeTopics(_ settings: KafkaSettings) throws(Fault) {
        let admin = try KafkaAdmin(settings)
        var partitions = 1
        for topic in options.alertTopics {
            guard let count = try admin.partitionCount(of: topic) else {
                throw Fault(.external, "topic '\(topic)' does not exist yet", retry: .withBackoff)
            }
            partitions = max(partitions, count)
        }
        try admin.create(topics.plans(partitions: partitions))
    }

    private func runOnce() throws(Fault) {
        var settings = options.kafka
        settings.stop = options.stop
        try makeTopics(settings)
        if hasOwned {
            let last = try NotifyState.read(settings, topics).owner
            guard last == owner else {
                throw Fault(
                    .user,
                    "another notifier of topology '\(options.topology)' has taken over (\(last ?? "unknown")); there is one at a time"
                )
            }
        }
        let journal = try NotifyJournal(settings, topics, clock: clock)
        defer { journal.close() }
        let state = try NotifyState.read(settings, topics)
        var turn = NotifyOutputs()
        turn.changes[NotifyState.ownerKey] = .some(owner)
        try journal.commit(turn, positions: [:], now: clock.nowMilliseconds)
        hasOwned = true
        var machine = NotifyMachine(config, topology: options.topology)
        try machine.restore(state.machine, clock.nowMilliseconds)
        let inputs = try NotifyInputs(settings, options, topics, state)
        // What people decided is known before anybody is told.
        try inputs.readDispositions(into: &machine)
        Log.info(
            "notify: topology '\(options.topology)', alerts of \(options.alertTopics.joined(separator: ", ")); \(machine.sends.count) "
                + "messages to send, \(machine.gatheredCount) alerts gathered, \(machine.heldCount) held")
        let pool = SenderPool(config, clock: clock)
        defer { pool.close() }
        try loop(&machine, inputs, journal, pool)
    }

    private func loop(
        _ machine: inout NotifyMachine, _ inputs: NotifyInputs, _ journal: NotifyJournal, _ pool: SenderPool
    ) throws(Fault) {
        var report = NotifyReport(clock.nowMilliseconds)
        var shownAt: Int64?
        var drainBegan: Int64?
        while true {
            if options.stop.isSet {
                // What is under way would be sent once more; nothing new is begun.
                let began = drainBegan ?? monotonicNanoseconds()
                if drainBegan == nil { pool.closeQueues() }
                drainBegan = began
                if pool.underWay == 0 || monotonicNanoseconds() - began > Self.drainMilliseconds * 1_000_000 {
                    return
                }
                usleep(5_000)
            } else {
                try inputs.poll(Self.pollMilliseconds, into: &machine, clock)
            }
            let results = pool.takeResults()
            let now = clock.nowMilliseconds
            for result in results {
                machine.take(result.outcome, of: result.id, finishedAt: result.finishedAt, now)
            }
            if drainBegan == nil { machine.advance(to: now) }
            let outputs = machine.takeOutputs()
            let positions = inputs.takePositions()
            if !outputs.isEmpty || !positions.isEmpty {
                try journal.commit(outputs, positions: positions, now: now)
            }
            // Only now: what is sent is known to whoever comes next.
            if drainBegan == nil { pool.add(outputs.tries.map(\.message)) }
            report.say(machine, clock.nowMilliseconds)
            if shownAt.map({ now - $0 >= 1000 || now < $0 }) ?? true {
                shownAt = now
                options.status.show(NotifyStatus.text(machine, now))
            }
        }
    }
}

/// A line a minute of what happened.
private struct NotifyReport {
    private static let milliseconds: Int64 = 60_000
    private var last: Int64
    private var counts = NotifyCounts()

    init(_ now: Int64) { last = now }

    mutating func say(_ machine: borrowing NotifyMachine, _ now: Int64) {
        guard now - last >= Self.milliseconds else { return }
        last = now
        guard machine.counts != counts else { return }
        counts = machine.counts
        Log.info(
            "notify: \(counts.alerts) alerts (\(counts.repeated) repeated), \(counts.messages) messages, \(counts.delivered) delivered, "
                + "\(counts.undelivered) given up, \(machine.sends.count) to send, \(machine.gatheredCount) alerts gathered, \(machine.heldCount) held"
                + (counts.unreadable > 0 ? ", \(counts.unreadable) records were no alerts" : ""))
    }
}
