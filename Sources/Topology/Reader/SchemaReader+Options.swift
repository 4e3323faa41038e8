import Base
import Records

/// How the text of a field is read.
extension SchemaReader {
    func readOptions(_ mapping: MappingReader, _ zone: String?, _ field: inout FieldDraft) {
        if let node = mapping["round"] {
            field.isRounded = context.choice(node, "round", ["true", "false"]) == "true"
            if let type = field.type?.type, !type.isNumber {
                context.error(
                    mapping.keyPosition("round"),
                    "round is for numbers, and '\(field.name)' is \(type)"
                )
            }
        }
        if let node = mapping["zone"] {
            field.zone = context.zone(node)
            checkOption("zone", mapping, field, is: "timestamps") { $0 == .timestamp }
        }
        for key in ["unit", "since", "format"] where mapping[key] != nil {
            checkOption(key, mapping, field, is: "timestamps") { $0 == .timestamp }
        }
        field.reading.take(TimeStyle.read(mapping, origin: "since", zone: field.zone ?? zone, context))
        if let node = mapping["encoding"] {
            field.reading.isBase64 = context.choice(node, "encoding", ["base64"]) != nil
            checkOption("encoding", mapping, field, is: "numbers") { $0.isNumber }
        }
        if let node = mapping["numbers"] {
            field.reading.takesNumbers = context.choice(node, "numbers", ["true", "false"]) == "true"
            checkOption("numbers", mapping, field, is: "texts") { $0 == .text }
        }
        readStyle(mapping, &field)
        if let node = mapping["null"] {
            field.reading.nulls = context.nulls(node)
            checkOption("null", mapping, field, is: "fields") { _ in true }
        }
    }

    private func readStyle(_ mapping: MappingReader, _ field: inout FieldDraft) {
        for key in ["decimal", "thousands", "negative", "percent"] where mapping[key] != nil {
            checkOption(key, mapping, field, is: "numbers") { $0.isNumber || $0 == .duration }
        }
        for key in ["true", "false"] where mapping[key] != nil {
            checkOption(key, mapping, field, is: "booleans") { $0 == .bool }
        }
        if mapping["strip"] != nil {
            checkOption("strip", mapping, field, is: "texts and numbers") {
                $0 == .text || $0.isNumber || $0 == .duration
            }
        }
        let style = ValueStyle.read(mapping, context)
        (field.reading.trues, field.reading.falses) = (style.trues, style.falses)
        if field.type?.type == .text {
            field.reading.strips = style.numerals?.strips ?? []
        } else {
            field.reading.numerals = style.numerals
        }
    }

    /// An option of how a field's text is read needs a text, of the right type.
    private func checkOption(
        _ key: String, _ mapping: MappingReader, _ field: FieldDraft, is kind: String,
        _ isRight: (ValueType) -> Bool
    ) {
        if field.path == nil {
            context.error(
                mapping.keyPosition(key), "\(key) is for \(kind) in the record; '\(field.name)' is computed")
        } else if let type = field.type?.type, !isRight(type) {
            context.error(mapping.keyPosition(key), "\(key) is for \(kind), and '\(field.name)' is \(type)")
        }
    }
}

extension ReadingContext {
    /// A text or a list of them, which may be empty texts and what YAML itself takes as null.
    func nulls(_ node: YamlNode) -> [String] {
        (node.sequence ?? [node]).compactMap { node in
            guard case .scalar(let scalar) = node.content else {
                error(
                    node.position, "null needs texts, not \(node.kind); write null: [\"NULL\", \"-\"]")
                return nil
            }
            return interpolate(scalar, at: node.position)?.text
        }
    }
}
