import Base
import Connectors
import Dataflow
import Records

/// Makes what a turn decided durable, all of it or nothing: messages, results, letters, state and positions
/// in one transaction. A topology has one at a time: whoever opens the next one ends what this one had not
/// committed.
final class NotifyJournal {
    private let sink: KafkaSink
    private var outbox = Outbox()
    private var changes = Outbox()

    private enum Place { static let outbox = 0, deliveries = 1, undelivered = 2 }

    init(_ settings: KafkaSettings, _ topics: NotifyTopics, clock: any Clock) throws(Fault) {
        var settings = settings
        settings.transactionalId = "\(topics.topology)-notify"
        sink = try KafkaSink(
            settings,
            topics: KafkaSink.Topics(
                sinks: [topics.outbox, topics.deliveries, topics.undelivered], changelog: topics.state),
            clock: clock)
    }

    func close() { sink.close() }

    func commit(_ outputs: NotifyOutputs, positions: [String: Int64], now: Int64) throws(Fault) {
        outbox.removeAll()
        changes.removeAll()
        for message in outputs.messages {
            add(.sink(Place.outbox), message.key, message.json, now, to: &outbox)
        }
        for (id, json) in outputs.deliveries { add(.sink(Place.deliveries), id, json, now, to: &outbox) }
        for (id, json) in outputs.letters { add(.sink(Place.undelivered), id, json, now, to: &outbox) }
        for (key, json) in outputs.changes.sorted(by: { $0.key < $1.key }) {
            add(.changelog, key, json, now, to: &changes)
        }
        for (key, position) in positions.sorted(by: { $0.key < $1.key }) {
            add(.changelog, key, "\(position)", now, to: &changes)
        }
        if outbox.isEmpty, changes.isEmpty { return }
        try sink.send(outbox)
        try sink.commit(changes, [:])
    }

    private func add(
        _ destination: Destination, _ key: String, _ value: String?, _ now: Int64, to outbox: inout Outbox
    ) {
        var record = outbox.begin(destination, partition: destination == .changelog ? 0 : -1, timestamp: now)
        let key = Array(key.utf8)
        key.withUnsafeBufferPointer { outbox.setKey($0.baseAddress, $0.count, of: &record) }
        if let value {
            let value = Array(value.utf8)
            value.withUnsafeBufferPointer { outbox.setValue($0.baseAddress, $0.count, of: &record) }
        }
        outbox.end(record)
    }
}
