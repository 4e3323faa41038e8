import Base
import Records

/// `sources.<name>.format`: `csv`, or `{ type: csv, delimiter: ";", encoding: gb18030, null: ["-"] }`.
extension SourceReader {
    package struct FormatDraft {
        var isCsv = false
        var dialect = Dialect()
        /// Texts that are null in every field.
        var nulls: [String] = []
        /// Where `columns` stands.
        var columnsPosition: Position?
    }

    private static let formats = ["json", "csv"]
    private static let csvKeys = ["delimiter", "quote", "escape", "trim", "skip", "header", "columns"]
    private static let formatExample = "format: { type: csv, delimiter: \";\" }"

    package func readFormat(_ mapping: MappingReader) -> FormatDraft {
        var draft = FormatDraft()
        guard let node = mapping["format"] else { return draft }
        guard case .mapping = node.content else {
            draft.isCsv = context.choice(node, "format", Self.formats) == "csv"
            return draft
        }
        guard
            let reader = MappingReader(
                node, "format", keys: ["type", "encoding", "null"] + Self.csvKeys,
                at: mapping.keyPosition("format"), context, example: Self.formatExample),
            let type = reader.required("type", example: Self.formatExample)
        else { return draft }
        let name = context.choice(type, "type", Self.formats)
        draft.isCsv = name == "csv"
        if let node = reader["encoding"] { draft.dialect.encoding = readEncoding(node) }
        if let node = reader["null"] { draft.nulls = readNulls(node) }
        if name == "json" {
            for key in Self.csvKeys where reader[key] != nil {
                context.error(reader.keyPosition(key), "\(key) is for CSV, and the format is json")
            }
        } else {
            readCsv(reader, &draft)
        }
        return draft
    }

    private func readCsv(_ reader: MappingReader, _ draft: inout FormatDraft) {
        if let node = reader["delimiter"], let byte = readCharacter(node, "delimiter", example: "\";\"") {
            draft.dialect.delimiter = byte
        }
        if let node = reader["quote"] {
            if node.scalar?.text == "none" {
                draft.dialect.quote = nil
            } else if let byte = readCharacter(node, "quote", example: "\"'\", or none") {
                draft.dialect.quote = byte
            }
        }
        if let node = reader["escape"] {
            draft.dialect.escape = readCharacter(node, "escape", example: "\"\\\\\"")
        }
        let (delimiter, quote, escape) = (draft.dialect.delimiter, draft.dialect.quote, draft.dialect.escape)
        for (key, byte) in [("quote", quote), ("escape", escape)] where byte == delimiter {
            context.error(reader.keyPosition(key), "\(key) and the delimiter cannot be one character")
        }
        if let escape, escape == quote ?? escape {
            let why = quote == nil ? "there are no quotes" : "a doubled quote stands for one by itself"
            context.error(
                reader.keyPosition("escape"), "escape is for what stands in quotes, and \(why); take it out")
        }
        func isTrue(_ key: String) -> Bool? {
            reader[key].flatMap { context.choice($0, key, ["true", "false"]) }.map { $0 == "true" }
        }
        draft.dialect.isTrimmed = isTrue("trim") ?? false
        draft.dialect.hasHeader = isTrue("header") ?? true
        if let node = reader["skip"] {
            draft.dialect.skippedLines = context.integer(node, "skip", 0...1000, example: "skip: 3") ?? 0
        }
        guard let node = reader["columns"] else { return }
        draft.columnsPosition = reader.keyPosition("columns")
        draft.dialect.columns = context.names(node, "columns", example: "columns: [shop, amount]")?.map(\.text)
        if reader["header"] != nil, draft.dialect.hasHeader {
            context.error(
                reader.keyPosition("columns"),
                "columns names what has no header; with one, say skip: 1 and take header out")
        }
        draft.dialect.hasHeader = false
    }

    /// Records without a header must have what the schema takes from them.
    package func check(_ format: FormatDraft, _ declared: [WireField]) {
        guard let columns = format.dialect.columns, let position = format.columnsPosition else { return }
        for field in declared where !columns.contains(field.name) {
            let hint = NearestName.hint(field.name, among: columns)
            context.error(position, "columns has no '\(field.name)' of the schema\(hint)")
        }
    }

    private func readCharacter(_ node: YamlNode, _ key: String, example: String) -> UInt8? {
        guard let text = context.scalar(node, key, example: "\(key): \(example)") else { return nil }
        let meant = text.text == "tab" || text.text == "\\t" ? "\t" : text.text
        let bytes = Array(meant.utf8)
        if bytes.count == 1, !ReadingContext.isLetter(bytes[0]), !ReadingContext.isDigit(bytes[0]),
            bytes[0] < 0x7F, bytes[0] >= 0x20 || bytes[0] == 0x09 || bytes[0] == 0x01
        {
            return bytes[0]
        }
        context.error(
            text.position,
            "\(key) must be one ASCII character that is no letter and no digit, not '\(text.shown)'; "
                + "write \(key): \(example)")
        return nil
    }

    private func readEncoding(_ node: YamlNode) -> TextEncoding? {
        guard let text = context.scalar(node, "encoding", example: "encoding: gb18030") else { return nil }
        if let known = TextEncoding.named(text.text) { return known }
        let hint = NearestName.hint(text.text, among: TextEncoding.known)
        context.error(text.position, "no encoding '\(text.shown)'\(hint)")
        return nil
    }

    package func readUnit(_ node: YamlNode) -> EpochTime.Unit? {
        context.choice(node, "unit", EpochTime.Unit.allCases.map(\.rawValue)).flatMap(EpochTime.Unit.init)
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
    package func readOptions(_ mapping: MappingReader, _ field: inout FieldDraft) {
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
        if let node = mapping["unit"] {
            field.reading.unit = readUnit(node)
            checkOption("unit", mapping, field, is: "timestamps") { $0 == .timestamp }
        }
        if let node = mapping["encoding"] {
            field.reading.isBase64 = context.choice(node, "encoding", ["base64"]) != nil
            checkOption("encoding", mapping, field, is: "numbers") { $0.isNumber }
        }
        if let node = mapping["numbers"] {
            field.reading.takesNumbers = context.choice(node, "numbers", ["true", "false"]) == "true"
            checkOption("numbers", mapping, field, is: "texts") { $0 == .text }
        }
        if let node = mapping["null"] {
            field.reading.nulls = readNulls(node)
            checkOption("null", mapping, field, is: "fields") { _ in true }
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
