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
            return FormatDraft(part: context.bare(named(node, "format"), at: node.position))
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
        if let node = options[FormatOption.null] { draft.nulls = context.nulls(node) }
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
}

extension ReadingContext {
    /// A format whose name stands alone.
    fileprivate func bare(_ format: (any FormatPart.Type)?, at position: Position) -> (any FormatPart)? {
        if let format, let needs = format.needs {
            error(position, "\(format.key) needs its options; write \(needs)")
        }
        return format?.read(nil, self)
    }
}
