import Base
import Records

/// `sources.<name>.format`: `csv`, or `{ type: csv, delimiter: ";", encoding: gb18030, null: ["-"] }`.
extension SourceReader {
    package struct FormatDraft {
        /// nil: a mistake in its name was reported.
        var part: (any FormatPart)?
        var encoding: TextEncoding?
        /// Texts that are null in every field.
        var nulls: [String] = []
        var style = ValueStyle()
        /// What stands beside the name.
        var options: MappingReader?
    }

    package func readFormat(_ mapping: MappingReader) -> FormatDraft {
        let formats = context.catalogue.formats
        require(!formats.isEmpty, "the catalogue has no format")
        let keys = formats.map { $0.key }
        func named(_ node: YamlNode, _ what: String) -> (any FormatPart.Type)? {
            context.choice(node, what, keys).flatMap { name in formats.first { $0.key == name } }
        }
        guard let node = mapping["format"] else { return FormatDraft(part: formats[0].read(nil, context)) }
        guard case .mapping = node.content else {
            return FormatDraft(part: named(node, "format")?.read(nil, context))
        }
        var known: [String] = []
        for option in formats.flatMap({ $0.options }) where !known.contains(option) { known.append(option) }
        let example = "format: { type: \(keys[0]) }"
        guard
            let options = MappingReader(
                node, "format", keys: ["type"] + known, at: mapping.keyPosition("format"), context,
                example: example),
            let type = options.required("type", example: example)
        else { return FormatDraft() }
        var draft = FormatDraft(options: options)
        if let node = options[FormatOption.encoding] { draft.encoding = readEncoding(node) }
        if let node = options[FormatOption.null] { draft.nulls = readNulls(node) }
        draft.style = ValueStyle.read(options, context)
        guard let format = named(type, "type") else { return draft }
        for option in known where options[option] != nil && !format.options.contains(option) {
            let others = formats.filter { $0.options.contains(option) }.map { $0.key }
            context.error(
                options.keyPosition(option),
                "\(option) is for \(ReadingContext.list(others, "and")), and the format is \(format.key)")
        }
        draft.part = format.read(options, context)
        return draft
    }

    private func readEncoding(_ node: YamlNode) -> TextEncoding? {
        guard let text = context.scalar(node, "encoding", example: "encoding: gb18030") else { return nil }
        if let known = TextEncoding.named(text.text) { return known }
        let hint = NearestName.hint(text.text, among: TextEncoding.known)
        context.error(text.position, "no encoding '\(text.shown)'\(hint)")
        return nil
    }

    /// A text or a list of them, which may be empty texts and what YAML itself takes as null.
    package func readNulls(_ node: YamlNode) -> [String] {
        (node.sequence ?? [node]).compactMap { node in
            guard case .scalar(let scalar) = node.content else {
                context.error(
                    node.position, "null needs texts, not \(node.kind); write null: [\"NULL\", \"-\"]")
                return nil
            }
            return context.interpolate(scalar, at: node.position)?.text
        }
    }

    // MARK: Fields

    /// How the text of a field is read.
    package func readOptions(_ mapping: MappingReader, _ zone: String?, _ field: inout FieldDraft) {
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
            field.reading.nulls = readNulls(node)
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
