import Base
import Connectors
import Models
import Records

/// What the notifier reads: alerts, what people decided about them, letters that are to be sent again.
final class NotifyInputs {
    private let topics: NotifyTopics
    private let stop: StopSignal
    private var alerts: [(topic: String, reader: KafkaReader)] = []
    private let dispositions: KafkaReader
    private let letters: KafkaReader
    private var positions: [String: Int64] = [:]

    private static let recordCharacters = 2000

    init(_ settings: KafkaSettings, _ options: Notifier.Options, _ topics: NotifyTopics, _ state: NotifyState)
        throws(Fault)
    {
        self.topics = topics
        stop = options.stop
        func reader(_ topic: String, startsAtEnd: Bool) throws(Fault) -> KafkaReader {
            let known = state.positions(of: topic)
            let reader = try KafkaReader(
                settings, topic: topic, from: known.isEmpty && startsAtEnd ? .end : .at(known))
            for move in reader.moved {
                Log.error(
                    "notify: topic '\(topic)', partition \(move.partition): the position \(move.from) is not there any more; going on at "
                        + "\(move.to). "
                        + (move.to > move.from
                            ? "\(move.to - move.from) records were deleted before they were read: nobody was told of them"
                            : "The topic was made anew"))
            }
            return reader
        }
        for topic in options.alertTopics {
            alerts.append((topic, try reader(topic, startsAtEnd: options.startsAtEnd)))
        }
        dispositions = try KafkaReader(settings, topic: topics.dispositions)
        letters = try reader(topics.undelivered, startsAtEnd: false)
    }

    /// The next offsets of what was read since the last call.
    func takePositions() -> [String: Int64] {
        defer { positions = [:] }
        return positions
    }

    func readDispositions(into machine: inout NotifyMachine) throws(Fault) {
        var found: [(String, AlertDisposition?)] = []
        try NotifyState.readAll(dispositions, topics.dispositions, stop) { record in
            if let entry = Self.disposition(record) { found.append(entry) }
        }
        for (alert, disposition) in found { machine.take(disposition, of: alert) }
    }

    func poll(_ milliseconds: Int, into machine: inout NotifyMachine, _ clock: any Clock) throws(Fault) {
        try dispositions.poll(timeoutMilliseconds: 0) { record in
            if let (alert, disposition) = Self.disposition(record) { machine.take(disposition, of: alert) }
        }
        try letters.poll(timeoutMilliseconds: 0) { record in
            positions[NotifyState.positionKey(topics.undelivered, record.partition)] = record.offset + 1
            if let message = Self.resent(record) { machine.resend(message, clock.nowMilliseconds) }
        }
        for (index, input) in alerts.enumerated() {
            try input.reader.poll(timeoutMilliseconds: index == 0 ? milliseconds : 0) { record in
                positions[NotifyState.positionKey(input.topic, record.partition)] = record.offset + 1
                take(record, of: input.topic, into: &machine, clock.nowMilliseconds)
            }
        }
    }

    private func take(
        _ record: KafkaReader.Record, of topic: String, into machine: inout NotifyMachine, _ now: Int64
    ) {
        guard let value = record.value else { return }
        do throws(Fault) {
            let node = DocumentNode(try JsonDocument.read(Array(value)))
            let alert = try AlertBrief(node, key: record.keyText)
            let detected = try node.optional("detected_at")?.text
            machine.take(alert, at: detected.flatMap { CivilTime.parse($0)?.milliseconds } ?? now, now)
        } catch {
            let text = String((record.valueText ?? "").prefix(Self.recordCharacters))
            machine.takeUnreadable(topic, record.partition, record.offset, text, error.detail, now)
        }
    }

    /// `{"alert_id","status","by","at"}`, `until` with snoozed ones; null takes it back. nil: it is none of
    /// these.
    private static func disposition(_ record: KafkaReader.Record) -> (String, AlertDisposition?)? {
        guard let value = record.value else { return record.keyText.map { ($0, nil) } }
        do throws(Fault) {
            let node = DocumentNode(try JsonDocument.read(Array(value)))
            let alert = try node["alert_id"].text
            guard let status = AlertDisposition.Status(rawValue: try node["status"].text) else {
                throw node.mistake("a status")
            }
            let until = try node.optional("until")?.text
            return (
                alert, AlertDisposition(status, until: until.flatMap { CivilTime.parse($0)?.milliseconds })
            )
        } catch {
            Log.warning(
                "notify: a disposition, partition \(record.partition), offset \(record.offset): \(error.detail)"
            )
            return nil
        }
    }

    /// The message of a letter that somebody wants to have sent again.
    private static func resent(_ record: KafkaReader.Record) -> NotifyMessage? {
        guard let value = record.value else { return nil }
        do throws(Fault) {
            let node = DocumentNode(try JsonDocument.read(Array(value)))
            guard node.optional("resend_at") != nil else { return nil }
            return try NotifyMessage(try node["message"])
        } catch {
            Log.warning("notify: a letter, offset \(record.offset): \(error.detail)")
            return nil
        }
    }
}
