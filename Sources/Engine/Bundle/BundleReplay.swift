import Base
import Dataflow
import Models
import Records
import Topology

/// Computes again what a bundle's records gave.
package struct BundleReplay {
    private let bundle: Bundle
    private let board: RuleSetBoard

    package init(_ bundle: Bundle) throws(Fault) {
        self.bundle = bundle
        board = try bundle.board()
    }

    /// One task's run: what it took, and the switches that it came to.
    struct Run {
        var taken: [String: Set<Int64>]
        /// The epochs at its beginning and end.
        var epochs: ClosedRange<Int64>
    }

    // MARK: All alerts

    /// Every task's alerts, task by task, in the order in which each gave them. Behind the last record
    /// event time goes on as far as it had in the workers when the records were read: where partitions were
    /// quiet.
    package func alerts(_ body: (UnsafeBufferPointer<UInt8>) throws(Fault) -> Void) throws(Fault) {
        for task in 0..<Int32(bundle.partitions) {
            let replay = try replay(task, late: 0, Self.start(bundle, task))
            func take(_ outbox: inout Outbox) throws(Fault) -> Bool {
                for record in outbox.records {
                    if let value = Self.alert(record, outbox, replay.spec) { try body(value) }
                }
                return true
            }
            try replay.run(records(of: task), switches(of: task), take)
            _ = try replay.goIdle(at: bundle.madeAt, lastRecords(of: task), take)
        }
    }

    /// What is missing before a task's first record, which may change its first alerts.
    package var gaps: [String] {
        bundle.logs.filter { $0.from > 0 }.map { log in
            "topic '\(log.topic)', partition \(log.partition): records before offset \(log.from) are gone; alerts that "
                + "depend on them may differ"
        }
    }

    // MARK: One alert

    /// Computes the subject's alerts again.
    package func subject() throws(Fault) -> [String] {
        guard let subject = bundle.subject else {
            throw Fault(.user, "it is of no alert: give it as --activations, which computes all alerts")
        }
        return try self.subject(subject, start: Self.start(bundle, subject.task)).alerts
    }

    func subject(_ subject: Bundle.Subject, start: Int64) throws(Fault) -> (alerts: [String], run: Run) {
        let replay = try replay(subject.task, late: subject.lateBefore, start)
        replay.taken = [:]
        let mark = "{\"alert_id\":\"\(subject.id)\","
        let wanted = subject.published.map(Self.state)
        var found: [String] = []
        func take(_ outbox: inout Outbox) throws(Fault) -> Bool {
            for record in outbox.records where found.count < wanted.count {
                guard let value = Self.alert(record, outbox, replay.spec) else { continue }
                guard value.starts(with: mark.utf8) else { continue }
                let alert = String(decoding: value, as: UTF8.self)
                // Of several sinks that take it, the first.
                if !found.contains(where: { Self.state($0) == Self.state(alert) }),
                    wanted.contains(Self.state(alert))
                {
                    found.append(alert)
                }
            }
            return found.count < wanted.count
        }
        var goesOn = try replay.run(records(of: subject.task), switches(of: subject.task), take)
        // A quiet partition: event time had gone on with the clock.
        if goesOn, let watermark = subject.published.last.flatMap(Self.watermark) {
            goesOn = try replay.advance(to: watermark, take)
        }
        if goesOn { goesOn = try replay.goIdle(at: bundle.madeAt, lastRecords(of: subject.task), take) }
        if goesOn { _ = try replay.advance(to: nil, take) }
        let end = replay.spec.epoch ?? 0
        return (found, Run(taken: replay.taken ?? [:], epochs: min(start, end)...max(start, end)))
    }

    private func replay(_ task: Int32, late: Int, _ epoch: Int64) throws(Fault) -> SwitchedReplay {
        var start = SwitchedReplay.Start()
        (start.epoch, start.late) = (epoch, late)
        return try SwitchedReplay(
            board, partition: task, partitions: bundle.partitions, start: start, clock: LogClock())
    }

    /// Those behind the epoch that the task begins with.
    private func switches(of task: Int32) throws(Fault) -> [RuleSetSwitch] {
        let start = try Self.start(bundle, task)
        return try bundle.switches(of: task).filter { $0.epoch > start }
    }

    /// The epoch that judged a task's first records: the newest that no record here is before.
    static func start(_ bundle: Bundle, _ task: Int32) throws(Fault) -> Int64 {
        let logs = bundle.logs.filter { $0.partition == task }
        let switches = try bundle.switches(of: task)
        let newest = switches.last { next in
            next.first.allSatisfy { topic, _ in
                guard let log = logs.first(where: { $0.topic == topic }) else { return true }
                return next.isBefore(topic, log.from)
            }
        }
        return newest?.epoch ?? switches.first?.former ?? bundle.rulesets.keys.min() ?? 0
    }

    /// By topic: the task's partition, and of tables that every lane has all of, each one.
    private func records(of task: Int32) -> [String: [LoggedRecord]] {
        let whole = Set(board.current.spec.sources.compactMap(\.topicOfAll))
        var records: [String: [LoggedRecord]] = [:]
        for log in bundle.logs where log.partition == task || whole.contains(log.topic) {
            records[log.topic, default: []] += log.records
        }
        return records
    }

    /// By topic, the time in Kafka of the task's last record.
    private func lastRecords(of task: Int32) -> [String: Int64] {
        var times: [String: Int64] = [:]
        for log in bundle.logs where log.partition == task { times[log.topic] = log.records.last?.timestamp }
        return times
    }

    // MARK: Alerts

    private static func alert(
        _ record: Outbox.Record, _ outbox: borrowing Outbox, _ spec: TopologySpec
    ) -> UnsafeBufferPointer<UInt8>? {
        guard case .sink(let sink) = record.destination, case .alerts = spec.sinks[sink].input else {
            return nil
        }
        return outbox.value(of: record)
    }

    /// Raised or cleared.
    static func state(_ alert: String) -> String {
        // Texts before it have a backslash before their quotation marks.
        guard let start = alert.firstRange(of: "\"state\":\"")?.upperBound else { return "" }
        return String(alert[start...].prefix { $0 != "\"" })
    }

    private static func watermark(_ alert: String) -> Int64? {
        guard let value = try? JsonDocument.read(Array(alert.utf8)),
            let text = try? DocumentNode(value).optional("completeness")?.optional("watermark")?.text
        else { return nil }
        return CivilTime.parse(text)?.milliseconds
    }
}
