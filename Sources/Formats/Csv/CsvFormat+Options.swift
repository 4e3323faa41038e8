import Records
import Topology

extension CsvFormat {
    package static let reference = """
        RFC 4180, in any characters: `format: { type: csv, delimiter: ";", quote: "'", null: [NULL, "-"] }`. A field
        of nothing is null; `""` is the empty text in a `text`, and null in any other type. A quoted field may hold
        line ends. A quote that is not closed within 16 MiB or by the end of the file is told with its line; that
        line is refused by itself, and reading goes on behind it.

        | option | default | |
        |---|---|---|
        | `delimiter` | `,` | one ASCII character that is no letter and no digit, or `tab` |
        | `quote` | `"` | the same, or `none` |
        | `escape` | none | within quotes the character behind it stands for itself; a doubled quote does so always |
        | `trim` | `false` | blanks and tabs around fields and column names go, but not within quotes |
        | `skip` | 0 | lines of a file before its header |
        | `header` | `true` | `false` for files without; the columns are then those of the schema, in order. Any other text: the header is the first line that has it |
        | `names` | `exact` | `loose`: names of a header may be written in other case and with blanks around |
        | `footer` | none | a text or a list: where a line begins with one of them, the records of the file are over |
        | `short` | `refuse` | `fill`: in a record with too few fields those that are missing are null |
        | `long` | `refuse` | `cut`: in a record with too many fields the last ones are passed over |
        | `columns` | the schema's | of what has no header: all columns in order, also those that the schema leaves out |
        """

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> CsvFormat {
        var format = CsvFormat()
        guard let options else { return format }
        if let node = options["delimiter"],
            let byte = character(node, "delimiter", example: "\";\"", context)
        {
            format.delimiter = byte
        }
        if let node = options["quote"] {
            if node.scalar?.text == "none" {
                format.quote = nil
            } else if let byte = character(node, "quote", example: "\"'\", or none", context) {
                format.quote = byte
            }
        }
        if let node = options["escape"] {
            format.escape = character(node, "escape", example: "\"\\\\\"", context)
        }
        let (delimiter, quote, escape) = (format.delimiter, format.quote, format.escape)
        for (key, byte) in [("quote", quote), ("escape", escape)] where byte == delimiter {
            context.error(options.keyPosition(key), "\(key) and the delimiter cannot be one character")
        }
        if let escape, escape == quote ?? escape {
            let why = quote == nil ? "there are no quotes" : "a doubled quote stands for one by itself"
            context.error(
                options.keyPosition("escape"), "escape is for what stands in quotes, and \(why); take it out")
        }
        if let node = options["trim"] {
            format.isTrimmed = context.choice(node, "trim", ["true", "false"]) == "true"
        }
        format.columns = ColumnOptions(options, context)
        return format
    }

    package func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {
        columns.check(declared, options, context)
    }

    private static func character(
        _ node: YamlNode, _ key: String, example: String, _ context: ReadingContext
    ) -> UInt8? {
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
}
