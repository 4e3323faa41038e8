import Base
import Connectors
import Glibc

/// What the last commit left: the machine's state, positions, and whose it is.
struct NotifyState {
    var machine: [String: [UInt8]] = [:]
    /// By `positionKey`.
    var positions: [String: Int64] = [:]
    /// The process that wrote it last.
    var owner: String?

    static let ownerKey = "owner"

    static func positionKey(_ topic: String, _ partition: Int32) -> String {
        "position\u{1F}\(topic)\u{1F}\(partition)"
    }

    func positions(of topic: String) -> [Int32: Int64] {
        let prefix = "position\u{1F}\(topic)\u{1F}"
        var found: [Int32: Int64] = [:]
        for (key, position) in positions where key.hasPrefix(prefix) {
            if let partition = Int32(key.dropFirst(prefix.count)) { found[partition] = position }
        }
        return found
    }

    private static let silenceMilliseconds: Int64 = 60_000

    /// Reads it, however long it is; throws where nothing comes for a minute.
    static func read(_ settings: KafkaSettings, _ topics: NotifyTopics) throws(Fault) -> NotifyState {
        let reader = try KafkaReader(settings, topic: topics.state)
        var state = NotifyState()
        try readAll(reader, topics.state, settings.stop) { record in
            guard let key = record.keyText else { return }
            if key == ownerKey {
                state.owner = record.valueText
            } else if key.hasPrefix("position\u{1F}") {
                state.positions[key] = record.valueText.flatMap { Int64($0) }
            } else {
                state.machine[key] = record.value.map(Array.init)
            }
        }
        return state
    }

    static func readAll(
        _ reader: KafkaReader, _ topic: String, _ stop: StopSignal?, _ body: (KafkaReader.Record) -> Void
    ) throws(Fault) {
        var last = monotonicNanoseconds()
        while !reader.isAtEnd {
            if stop?.isSet == true { throw .stopped }
            if try reader.poll(timeoutMilliseconds: 50, body) > 0 { last = monotonicNanoseconds() }
            if monotonicNanoseconds() - last > silenceMilliseconds * 1_000_000 {
                throw Fault(.external, "topic '\(topic)' cannot be read to its end", retry: .withBackoff)
            }
        }
    }
}
