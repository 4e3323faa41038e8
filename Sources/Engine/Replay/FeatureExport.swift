import Base
import Connectors
import Dataflow
import Models
import Records
import Topology

/// `replay --features STEP`: the rows that a step makes as a CSV, to train on: the very rows that a model
/// gets when it serves.
package final class FeatureExport {
    package let step: Int
    private let fields: [Field]
    /// Places in `fields` of the key and the event time.
    private let key: [Int]
    private let time: Int
    private var labels: FeatureLabels?
    private let writer: FileWriter
    private let text = Arena(capacity: 1 << 12)
    private var count = 0
    private let labelsPath: String

    /// `folder`: the file is `<step>.csv` in it, beside `<step>.json`, which says what it holds; nil:
    /// standard output.
    package init(_ spec: TopologySpec, step name: String, labels path: String?, folder: String?) throws(Fault)
    {
        let names = spec.steps.map(\.name)
        guard let step = spec.steps.lastIndex(where: { $0.name == name }) else {
            throw Fault(
                .user,
                "--features \(name): no such step\(NearestName.hint(name, among: Array(Set(names)).sorted()))"
            )
        }
        let own = spec.steps[step]
        guard own.window == nil, case .source(let source) = own.input, spec.sources[source].origin.isStream
        else {
            throw Fault(
                .user,
                "--features \(name): a step with features, score, sequence_of or another operator is expected; its rows are told"
            )
        }
        self.step = step
        fields = own.schema.fields
        key = own.key
        let timeName = spec.sources[source].schema.fields[spec.sources[source].timeField].name
        guard let time = own.schema.index(of: timeName) else {
            throw Fault(
                .user,
                "--features \(name): the step leaves its event time out, '\(timeName)'; name it in only")
        }
        self.time = time
        labelsPath = path ?? ""
        if let path {
            guard !key.isEmpty else {
                throw Fault(.user, "--at: step \(name) has no key, by which labels would find its rows")
            }
            let (fields, keys) = (own.schema.fields, own.key)
            labels = try FeatureLabels(path, key: keys.map { fields[$0].name })
            let others = Set(
                fields.indices.filter { !keys.contains($0) && $0 != time }.map { fields[$0].name })
            if let twice = labels?.rows.names.first(where: { others.contains($0) }) {
                throw Fault(
                    .user,
                    "\(path):1: the column '\(twice)' is a field of \(name) as well; give it another name")
            }
        }
        if let folder {
            try FileWriter.makeFolder(folder)
            writer = try FileWriter(path: "\(folder)/\(name).csv")
            try writeDescription(spec, name, folder)
        } else {
            writer = .standardOutput()
        }
        if let labels {
            writeFields(labels.rows.names.map { .text($0) })
            text.appendByte(0x2C)
            writeFields(others.map { .text(fields[$0].name) } + [.text("features_at")])
        } else {
            writeFields(fields.map { .text($0.name) })
        }
        try flush()
    }

    /// What labels do not have themselves.
    private var others: [Int] { fields.indices.filter { !key.contains($0) && $0 != time } }

    /// A row of the step as its sink has it.
    package func write(_ record: UnsafeBufferPointer<UInt8>) throws(Fault) {
        guard case .object(let members) = try JsonDocument.read(Array(record)), members.count == fields.count
        else {
            throw Fault(.defect, "a row of a step that is no object of its fields")
        }
        let values = members.map(\.value)
        count += 1
        guard labels != nil else {
            writeFields(values)
            return try flush()
        }
        guard case .text(let text) = values[time], let at = FeatureLabels.milliseconds(text) else {
            throw Fault(.defect, "a row of a step without its event time")
        }
        labels?.take(key.map { Self.text(values[$0]) }, at: at, values)
    }

    /// Ends the file; returns what is to be told.
    package func close() throws(Fault) -> [String] {
        var lines: [String] = []
        if let labels {
            for (row, found) in zip(labels.rows.rows, labels.found) {
                writeFields(row.map { $0.map { .text($0) } ?? .null })
                text.appendByte(0x2C)
                writeFields(others.map { found?.values[$0] ?? .null } + [found?.values[time] ?? .null])
                try flush()
            }
            lines.append(
                "\(labels.rows.rows.count) rows of \(labelsPath), found among \(count) rows of features")
            if labels.missing > 0 {
                lines.append(
                    "\(labels.missing) rows of \(labelsPath) have no features: no row of their keys came before their times"
                )
            }
        } else {
            lines.append("\(count) rows of features")
        }
        try writer.close()
        return lines
    }

    // MARK: CSV

    /// As a row of a step has it: a text, a number or a boolean; nothing for null.
    private static func text(_ value: DocumentValue) -> String {
        switch value {
        case .null: ""
        case .text(let text), .number(.numeral(let text)): text
        case .bool(let bool): bool ? "true" : "false"
        case .number, .object, .list, .numbers: unreachable("a row of a step that is not flat")
        }
    }

    private func writeFields(_ values: [DocumentValue]) {
        for (index, value) in values.enumerated() {
            if index > 0 { text.appendByte(0x2C) }
            let field = Self.text(value)
            // Nothing is null; a text of nothing stands in quotes, and so does what has a comma, a quote or a
            // line end.
            guard case .text = value,
                field.isEmpty || field.utf8.contains(where: { [0x22, 0x2C, 0x0A, 0x0D].contains($0) })
            else {
                text.appendText(field)
                continue
            }
            text.appendByte(0x22)
            text.appendText(field.replacing("\"", with: "\"\""))
            text.appendByte(0x22)
        }
    }

    private func flush() throws(Fault) {
        try writer.writeLine(UnsafeBufferPointer(start: UnsafePointer(text.base), count: text.count))
        text.removeAll()
    }

    /// Names, types and what computed them, for whoever trains.
    private func writeDescription(_ spec: TopologySpec, _ name: String, _ folder: String) throws(Fault) {
        let file = try FileWriter(path: "\(folder)/\(name).json")
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", spec.name)
        json.member("step", name)
        json.member("ruleset", spec.ruleset)
        json.member("logic", spec.logic)
        json.member("file", "\(name).csv")
        json.name("key")
        json.list(key) { $0.text(fields[$1].name) }
        json.member("time", fields[time].name)
        json.name("fields")
        json.list(fields) { json, field in
            json.beginObject()
            json.member("name", field.name)
            json.member("type", "\(field.type)")
            json.endObject()
        }
        json.endObject()
        try file.write(json.string + "\n")
        try file.close()
    }
}
