import Base
import Connectors
import Records
import Security

/// Writes a bundle as lines of JSON: a head, a line for each text, activation, acknowledgement, log and
/// record, and an end with the hash of all bytes before it. Whoever sees a file sees customers' records, so
/// it is its owner's alone.
package struct BundleWriter {
    private let file: FileWriter
    private let digest = Digest()
    private var lines: Int64 = 0
    private var json = JsonWriter()

    package init(_ file: FileWriter) { self.file = file }

    package mutating func write(_ bundle: Bundle) throws(Fault) {
        try line { Self.head(bundle, &$0) }
        for (ruleset, text) in bundle.texts.sorted(by: { $0.key < $1.key }) {
            try line { json in
                json.member("line", "text")
                json.member("ruleset", ruleset)
                json.name("value")
                json.written(text.json)
            }
        }
        for (epoch, ruleset) in bundle.rulesets.sorted(by: { $0.key < $1.key }) {
            try line { json in
                json.member("line", "epoch")
                json.member("epoch", epoch)
                json.member("ruleset", ruleset)
                guard let activation = bundle.activations[epoch] else { return }
                json.name("activation")
                json.written(activation.json)
            }
        }
        for (task, values) in bundle.acknowledgements.sorted(by: { $0.key < $1.key }) {
            for value in values {
                try line { json in
                    json.member("line", "acknowledgement")
                    json.member("task", Int64(task))
                    json.member("value", value)
                }
            }
        }
        for (place, log) in bundle.logs.enumerated() { try write(log, place) }
        json.removeAll()
        json.beginObject()
        json.member("line", "end")
        json.member("lines", lines)
        json.member("sha256", digest.hex())
        json.endObject()
        try file.write(json.string + "\n")
    }

    private static func head(_ bundle: Bundle, _ json: inout JsonWriter) {
        json.member("line", "millrace-bundle")
        json.member("version", Int64(Bundle.version))
        json.member("program", bundle.program)
        json.name("made")
        json.timestamp(bundle.madeAt)
        json.member("topology", bundle.topology)
        json.member("group", bundle.group)
        json.member("partitions", Int64(bundle.partitions))
        guard let subject = bundle.subject else { return }
        json.name("alert")
        json.beginObject()
        json.member("alert_id", subject.id)
        json.member("task", Int64(subject.task))
        json.member("late_before", Int64(subject.lateBefore))
        // As texts: their very bytes count.
        json.name("published")
        json.list(subject.published) { $0.text($1) }
        json.endObject()
    }

    private mutating func write(_ log: Bundle.Log, _ place: Int) throws(Fault) {
        try line { json in
            json.member("line", "log")
            json.member("topic", log.topic)
            json.member("partition", Int64(log.partition))
            json.member("earliest", log.earliest)
            json.member("from", log.from)
            json.member("records", Int64(log.records.count))
        }
        for record in log.records {
            try line { json in
                json.member("offset", record.offset)
                if record.timestamp >= 0 { json.member("timestamp", record.timestamp) }
                Self.put(record.key, "key", &json)
                Self.put(record.value, "value", &json)
            }
        }
    }

    /// Bytes that are no text are base64; null is left out.
    private static func put(_ bytes: [UInt8]?, _ name: String, _ json: inout JsonWriter) {
        guard let bytes else { return }
        if let text = String(validating: bytes, as: UTF8.self) {
            json.member(name, text)
        } else {
            json.member("\(name)_base64", Base64Text.encode(bytes))
        }
    }

    private mutating func line(_ members: (inout JsonWriter) -> Void) throws(Fault) {
        json.removeAll()
        json.beginObject()
        members(&json)
        json.endObject()
        json.bytes.appendByte(0x0A)
        let bytes = UnsafeBufferPointer(start: UnsafePointer(json.bytes.base), count: json.bytes.count)
        digest.add(bytes)
        lines += 1
        try file.write(bytes)
    }
}
