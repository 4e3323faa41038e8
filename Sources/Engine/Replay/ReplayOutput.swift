import Base
import Connectors
import Dataflow
import Records

/// Writes the outputs of a replay: `DIR/<sink>.jsonl`, `DIR/dead-letter.jsonl` and `DIR/late.jsonl`, or, without
/// a folder, alerts to standard output.
package final class ReplayOutput {
    private let folder: String?
    private let names: [String]
    private let takesAlerts: [Bool]
    private var writers: [String: FileWriter] = [:]
    private var json = JsonWriter()

    package init(folder: String?, names: [String], takesAlerts: [Bool]) throws(Fault) {
        self.folder = folder
        self.names = names
        self.takesAlerts = takesAlerts
        if let folder { try FileWriter.makeFolder(folder) }
    }

    package func write(_ outbox: borrowing Outbox) throws(Fault) {
        for record in outbox.records {
            switch record.destination {
            case .sink(let sink):
                guard folder != nil || takesAlerts[sink], let value = outbox.value(of: record) else { continue }
                try writer(names[sink]).writeLine(value)
            case .deadLetter: try writeRefused("dead-letter", record, outbox)
            case .late: try writeRefused("late", record, outbox)
            // A replay has one task, which nothing has to survive.
            case .changelog, .repartition: break
            }
        }
    }

    package func close() throws(Fault) { for writer in writers.values { try writer.flush() } }

    private func writer(_ name: String) throws(Fault) -> FileWriter {
        let path = folder.map { "\($0)/\(name).jsonl" } ?? "-"
        if let writer = writers[path] { return writer }
        let writer = folder == nil ? FileWriter.standardOutput() : try FileWriter(path: path)
        writers[path] = writer
        return writer
    }

    /// A refused record as JSON: its bytes as text, and the headers that it would carry in Kafka.
    private func writeRefused(_ name: String, _ record: Outbox.Record, _ outbox: borrowing Outbox) throws(Fault) {
        guard folder != nil else { return }
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
        try writer(name).writeLine(UnsafeBufferPointer(start: json.bytes.base, count: json.bytes.count))
    }
}
