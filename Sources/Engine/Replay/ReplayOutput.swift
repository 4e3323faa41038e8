import Base
import Connectors
import Dataflow
import Records

/// Writes the outputs of a replay: `DIR/<sink>.jsonl`, `DIR/dead-letter.jsonl` and `DIR/late.jsonl`, or,
/// without a folder, alerts to standard output.
package final class ReplayOutput {
    private let folder: String?
    private let names: [String]
    /// Takes what comes for the sink behind those of `names`.
    private let features: FeatureExport?
    private let takesAlerts: [Bool]
    /// By sink. A file is made when its first record comes.
    private var sinks: [FileWriter?]
    private var deadLetters: FileWriter?
    private var late: FileWriter?
    /// Alerts of all sinks, in order, where there is no folder.
    private lazy var standardOutput = FileWriter.standardOutput()
    private var json = JsonWriter()

    /// Files of an earlier run, of this topology or another, are taken out of the folder. `inputs`: paths
    /// that the run reads, none of which may be written over.
    package init(
        folder: String?, names: [String], takesAlerts: [Bool], inputs: [String] = [],
        features: FeatureExport? = nil
    ) throws(Fault) {
        self.features = features
        self.folder = folder
        self.names = names
        self.takesAlerts = takesAlerts
        sinks = names.map { _ in nil }
        if let folder {
            try OutputFolder(folder).prepare(for: names + ["dead-letter", "late"], keeping: inputs)
        }
    }

    package func write(_ outbox: borrowing Outbox) throws(Fault) {
        for record in outbox.records {
            switch record.destination {
            case .sink(names.count):
                if let value = outbox.value(of: record) { try features?.write(value) }
            case .sink(let sink):
                // Rows of features have standard output for themselves.
                guard folder != nil || takesAlerts[sink] && features == nil,
                    let value = outbox.value(of: record)
                else { continue }
                try writeLine(value, &sinks[sink], name: names[sink])
            case .deadLetter:
                if folder != nil { try writeLine(refused(record, outbox), &deadLetters, name: "dead-letter") }
            case .late: if folder != nil { try writeLine(refused(record, outbox), &late, name: "late") }
            // A replay has one task, which nothing has to survive.
            case .changelog, .repartition, .acknowledgement: break
            }
        }
    }

    package func close() throws(Fault) {
        for writer in sinks + [deadLetters, late] { try writer?.close() }
    }

    private func writeLine(
        _ line: UnsafeBufferPointer<UInt8>, _ writer: inout FileWriter?, name: String
    ) throws(Fault) {
        if let writer { return try writer.writeLine(line) }
        let first =
            try folder.map { folder throws(Fault) in try FileWriter(path: "\(folder)/\(name).jsonl") }
            ?? standardOutput
        try first.writeLine(line)
        writer = first
    }

    /// A refused record as JSON: its bytes as text, and the headers that it would carry in Kafka.
    private func refused(_ record: Outbox.Record, _ outbox: borrowing Outbox) -> UnsafeBufferPointer<UInt8> {
        json.removeAll()
        json.beginObject()
        json.name("headers")
        json.beginObject()
        outbox.forEachHeader(of: record) { name, value in
            json.name(name)
            json.text(value)
        }
        json.endObject()
        json.name("value")
        if let value = outbox.value(of: record) { json.text(value) } else { json.null() }
        json.endObject()
        return UnsafeBufferPointer(start: json.bytes.base, count: json.bytes.count)
    }
}
