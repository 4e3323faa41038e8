import Base
import Connectors
import Engine

/// What is published so far, against what a replay publishes.
struct CatchUpResults {
    private let test: CatchUpCase
    private var readers: [(topic: String, reader: KafkaReader)] = []
    /// By topic and record: how often the replay has it, less how often it came.
    private var due: [String: [String: Int]] = [:]
    private var missing: Int
    private var strange: [String: [String: Int]] = [:]
    /// When the last one came.
    private(set) var movedAt = monotonicNanoseconds()

    init(_ settings: KafkaSettings, _ test: CatchUpCase) throws(Fault) {
        self.test = test
        missing = test.expected.values.reduce(0) { $0 + $1.count }
        for (topic, records) in test.expected {
            readers.append((topic, try KafkaReader(settings, topic: topic)))
            for record in records { due[topic, default: [:]][record, default: 0] += 1 }
        }
    }

    /// True if something came that is compared.
    mutating func poll() throws(Fault) -> Bool {
        var hasMoved = false
        for (topic, reader) in readers {
            var texts: [String] = []
            try reader.poll(timeoutMilliseconds: 5) { if let text = $0.valueText { texts.append(text) } }
            for text in texts where test.isWithin(text) {
                hasMoved = true
                movedAt = monotonicNanoseconds()
                let essence = CatchUpCase.essence(text)
                if let count = due[topic]?[essence], count > 0 {
                    due[topic]?[essence] = count - 1
                    missing -= 1
                } else {
                    strange[topic, default: [:]][essence, default: 0] += 1
                }
            }
        }
        return hasMoved
    }

    var isComplete: Bool { missing == 0 }

    var differences: (missing: [String], strange: [String], twice: Int) {
        var result: (missing: [String], strange: [String], twice: Int) = ([], [], 0)
        for (topic, records) in due {
            for (record, count) in records where count > 0 {
                result.missing += Array(repeating: "\(topic) \(record)", count: count)
            }
        }
        for (topic, records) in strange {
            for (record, count) in records {
                // It was due, and came once too often.
                if due[topic]?[record] != nil {
                    result.twice += count
                } else {
                    result.strange += Array(repeating: "\(topic) \(record)", count: count)
                }
            }
        }
        result.missing.sort()
        result.strange.sort()
        return result
    }
}
