import Base
import Connectors
import Models
import Records

/// Reads what a notifier wrote down, for commands and the console.
package enum DeliveryLog {
    package struct Entry: Sendable {
        /// Of the topic's record.
        package var json: String
        package var id: String
        package var at: String
        package var status: String
        package var recipient: String
        package var alerts: [String]
        package var text: String
        package var tries: Int
        package var code: Int
        package var milliseconds: Int
    }

    package struct Letter: Sendable {
        package var id: String
        package var json: String
        package var at: String
        package var error: String
        /// nil: a record that was no alert.
        package var message: NotifyMessage?
    }

    /// Every try, oldest first; `alert`: of those that told of it.
    package static func tries(_ kafka: KafkaSettings, topology: String, alert: String? = nil) throws(Fault)
        -> [Entry]
    {
        let topic = NotifyTopics(topology: topology).deliveries
        var entries: [Entry] = []
        try NotifyState.readAll(try KafkaReader(kafka, topic: topic), topic, kafka.stop) { record in
            guard let value = record.value, let entry = try? entry(Array(value)) else { return }
            if alert.map(entry.alerts.contains) ?? true { entries.append(entry) }
        }
        return entries.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(
            \.element)
    }

    private static func entry(_ bytes: [UInt8]) throws(Fault) -> Entry {
        let node = DocumentNode(try JsonDocument.read(bytes))
        return Entry(
            json: String(decoding: bytes, as: UTF8.self), id: try node["id"].text, at: try node["at"].text,
            status: try node["status"].text,
            recipient: try node["recipient"].text, alerts: try node["alerts"].texts,
            text: try node.optional("text")?.text ?? "",
            tries: try node["try"].integer, code: try node["code"].integer,
            milliseconds: try node["ms"].integer)
    }

    /// What was given up and not delivered since, oldest first.
    package static func letters(_ kafka: KafkaSettings, topology: String) throws(Fault) -> [Letter] {
        let topic = NotifyTopics(topology: topology).undelivered
        var found: [String: Letter] = [:]
        try NotifyState.readAll(try KafkaReader(kafka, topic: topic), topic, kafka.stop) { record in
            guard let key = record.keyText else { return }
            found[key] = nil
            guard let value = record.value, let letter = try? letter(Array(value)) else { return }
            found[key] = letter
        }
        return found.values.sorted { ($0.at, $0.id) < ($1.at, $1.id) }
    }

    private static func letter(_ bytes: [UInt8]) throws(Fault) -> Letter {
        let node = DocumentNode(try JsonDocument.read(bytes))
        return Letter(
            id: try node["id"].text, json: String(decoding: bytes, as: UTF8.self), at: try node["at"].text,
            error: try node["error"].text,
            message: try node.optional("message").map { (node) throws(Fault) in try NotifyMessage(node) })
    }

    /// Asks the notifier to send letters again, under their ids.
    package static func resend(
        _ letters: [Letter], _ kafka: KafkaSettings, topology: String, by: String, now: Int64
    ) throws(Fault) {
        let feeder = try KafkaFeeder(kafka)
        let topic = try feeder.topic(NotifyTopics(topology: topology).undelivered)
        for letter in letters {
            var json = JsonWriter()
            json.beginObject()
            json.member("resend_by", by)
            json.name("resend_at")
            json.timestamp(now)
            json.endObject()
            // The last one of a name counts, so what is asked for goes behind what was there.
            let value = String(letter.json.dropLast()) + "," + json.string.dropFirst()
            try feeder.send(to: topic, key: letter.id, value: value)
        }
        try feeder.flush()
    }
}
