import Base
import Connectors
import Formats
import Topology

/// A topology that reads a container of Avro, by the schema that is in it.
struct AvroGuess {
    let yaml: String

    /// nil: the file is no such container, or has no record.
    init?(path: String, name: String, zone: String?) {
        let layout = AvroFormat().fileLayout(of: RecordShape(fields: []))
        guard let source = try? FileSource(paths: [path], layout: layout),
            let header = try? source.next()?.header,
            let schema = try? AvroSchemaReader.read(header.names.map { Array($0.utf8) })
        else { return nil }
        var fields = Fields(schema: schema)
        fields.add(schema.root, [], isOptional: false, depth: 0)
        var lines = [
            "# Guessed from the schema in \(path.split(separator: "/").last ?? "").", "topology: \(name)",
        ]
        if let zone {
            lines.append("zone: \(zone)")
        } else if fields.needsZone {
            lines.append(
                "zone: UTC    # unsure: times in the file have no zone; say whose clocks they are of (Asia/Shanghai)"
            )
        }
        lines += ["sources:", "  \(name):", "    kafka: { topic: \(name) }", "    format: { type: avro }"]
        lines.append("    # records of a topic need registry: { url: … }, or schema_file: …")
        if let time = fields.times.first {
            lines.append("    time: { field: \(GuessedColumn.quoted(time)) }")
            if fields.times.count > 1 {
                lines.append(
                    "    # unsure: the event time could be \(fields.times.dropFirst().joined(separator: ", ")) as well"
                )
            }
        } else {
            lines += [
                "    time: { of: 1970-01-01T00:00:00Z }",
                "    # unsure: no field was seen to be a time, so all records have this one",
            ]
        }
        lines += ["    schema:"] + fields.lines
        lines += ["steps:", "  rows: { from: \(name) }", "sinks:", "  out: { stdout: {}, from: rows }"]
        yaml = lines.joined(separator: "\n") + "\n"
    }

    private struct Fields {
        let schema: AvroSchema
        var lines: [String] = []
        /// Those that every record has.
        var times: [String] = []
        var needsZone = false

        init(schema: AvroSchema) { self.schema = schema }

        mutating func add(_ type: Int, _ path: [String], isOptional: Bool, depth: Int) {
            let own = schema.types[type]
            let name = path.joined(separator: ".")
            switch own.kind {
            case .record(let fields) where depth < 4:
                for field in fields {
                    add(field.type, path + [field.name], isOptional: isOptional, depth: depth + 1)
                }
                return
            case .union(let branches):
                let others = branches.filter { if case .null = schema.types[$0].kind { false } else { true } }
                if others.count == 1 {
                    return add(
                        others[0], path, isOptional: isOptional || others.count < branches.count, depth: depth
                    )
                }
            default: break
            }
            guard !path.isEmpty, let (text, doubt) = column(own) else {
                lines.append("      # left out: \(name) (\(own.shown))")
                return
            }
            if text == "timestamp", !isOptional { times.append(name) }
            if case .localTimestamp? = own.logical { needsZone = true }
            let options =
                doubt == nil
                ? text + (isOptional ? "?" : "") : "{ type: \(text)\(isOptional ? "?" : ""), round: true }"
            lines.append("      \(GuessedColumn.quoted(name)): \(options)")
            if let doubt { lines.append("      # unsure: \(doubt)") }
        }

        /// The type, and what is not sure about it.
        private func column(_ type: AvroType) -> (String, doubt: String?)? {
            switch (type.kind, type.logical) {
            case (_, .decimal(_, 0)): ("int", nil)
            case (_, .decimal(_, let scale)) where scale <= Limits.decimalScaleMax: ("decimal(\(scale))", nil)
            case (_, .decimal(_, let scale)):
                (
                    "decimal(\(Limits.decimalScaleMax))",
                    "of \(scale) places at most \(Limits.decimalScaleMax) are kept"
                )
            case (_, .timestamp), (_, .localTimestamp), (_, .date): ("timestamp", nil)
            case (_, .timeMillis), (_, .timeMicros): ("duration", nil)
            case (_, .duration), (_, .bigDecimal): nil
            case (.string, _), (.enumeration, _), (.fixed, .uuid): ("text", nil)
            case (.int, _), (.long, _): ("int", nil)
            case (.float, _), (.double, _): ("decimal(6)", "binary fractions; say how many places count")
            case (.boolean, _): ("bool", nil)
            default: nil
            }
        }
    }
}
