import Base
import Connectors

/// Follows the committed alerts while a run goes on: how far the workers came, seen from outside.
final class CrashProgress {
    private let settings: KafkaSettings
    private let topic: String
    private var reader: KafkaReader?
    /// Of each partition of the orders, the offset after the last order that caused an alert.
    private var reached: [String: Int] = [:]
    /// Merchants with an alert, by the record's key.
    private(set) var merchants: Set<String> = []

    init(_ settings: KafkaSettings, alerts topic: String) {
        self.settings = settings
        self.topic = topic
    }

    /// Orders that were processed at least.
    var orders: Int { reached.values.reduce(0, +) }

    /// Waits so long for further alerts.
    func watch(milliseconds: Int) throws {
        do {
            let reader = try reader ?? KafkaReader(settings, topic: topic)
            self.reader = reader
            try reader.poll(timeoutMilliseconds: milliseconds) { record in
                if let key = record.keyText { merchants.insert(key) }
                guard let value = record.valueText, let cause = CrashComparison.cause(ofAlert: value) else {
                    return
                }
                let parts = cause.split(separator: "/")
                reached[String(parts[0])] = max(reached[String(parts[0])] ?? 0, (Int(parts[1]) ?? 0) + 1)
            }
        } catch {
            // A broker went away, or has just come and knows of no topics yet: from the beginning again.
            self.reader = nil
        }
    }
}
