import Base
import Records

/// Fields that stand beside a record's value: `record: key`, and event times that do.
struct RecordPartReader {
    let context: ReadingContext

    /// `record: key`
    func readPart(_ node: YamlNode, _ mapping: MappingReader, _ field: inout SchemaReader.FieldDraft) {
        field.path = ["record", field.name]
        if mapping["from"] != nil {
            context.error(
                mapping.keyPosition("from"),
                "'\(field.name)' is of the record or from a field of it, not both")
        }
        guard let text = context.scalar(node, "record", example: "record: key") else { return }
        guard let part = RecordPart(text.text == "time" ? "timestamp" : text.text) else {
            let names = ReadingContext.list(RecordPart.names, "or")
            return context.error(text.position, "record must be \(names), not '\(text.shown)'")
        }
        field.part = part
        field.path = ["record", part.text]
        let known = mapping["type"]?.scalar.flatMap { TypeText.parse($0.text) }?.type
        switch (part, known) {
        case (.partition, let type?) where type != .int, (.offset, let type?) where type != .int:
            context.error(text.position, "the \(part.text) is an int, and '\(field.name)' is \(type)")
        case (.timestamp, let type?) where type != .timestamp:
            context.error(text.position, "the record's time is a timestamp, and '\(field.name)' is \(type)")
        case (.topic, let type?) where type != .text:
            context.error(text.position, "the topic is a text, and '\(field.name)' is \(type)")
        default: break
        }
    }

    /// The event time that no field of the schema is.
    func addTime(
        _ of: SourceTime.Moment, _ mapping: MappingReader, _ declared: Set<String>,
        _ fields: inout [SchemaReader.FieldDraft]
    ) {
        let name = of.fieldName
        let place = mapping.keyPosition("time")
        guard !declared.contains(name) else {
            return context.error(
                place,
                "the event time becomes the field '\(name)', which the schema has already; give that another name"
            )
        }
        var field = SchemaReader.FieldDraft(name: name, position: place)
        field.type = (.timestamp, false)
        switch of {
        case .record:
            field.part = .timestamp
            field.path = ["record", RecordPart.timestamp.text]
        case .constant(let time): field.constant = time
        }
        fields.append(field)
    }

    /// The parts of the record that fields are read from are a topic's.
    func checkParts(_ mapping: MappingReader, _ schema: SchemaReader.SchemaDraft) {
        guard !mapping.isGiven("kafka"), let field = schema.wire.first(where: { $0.part != nil }),
            let part = field.part
        else { return }
        context.error(
            mapping.keyPosition("schema"),
            "'\(field.field.name)' is the \(part.text) of a Kafka record, and \(mapping.what) reads no topic")
    }
}

extension FieldReading {
    /// How times are written, where that is not said yet.
    mutating func take(_ style: TimeStyle) {
        guard unit == nil, patterns.isEmpty else { return }
        unit = style.unit
        origin = style.origin
        patterns = style.patterns
    }
}
