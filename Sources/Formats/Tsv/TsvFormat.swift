import Dataflow
import Records
import Topology

/// `format: tsv`: text/tab-separated-values with the escapes of databases, or without any.
package struct TsvFormat: DecodableFormat, Hashable {
    /// False: a backslash is a letter.
    package var hasEscapes = true
    package var columns = ColumnOptions()

    package init() {}

    package static let key = "tsv"
    package static let options = FormatOption.all + ["escape"] + ColumnOptions.keys

    package static let reference = #"""
        Fields with a tab between them, as databases export them (`COPY … TO` of PostgreSQL, `INTO OUTFILE` of
        MySQL, its `--batch` with `null: [NULL]`, `TabSeparated` of ClickHouse). There are no quotes: a quotation mark is a letter. `\N`
        alone is null; `\t` `\n` `\r` `\b` `\f` `\v` `\0` `\Z` (0x1A) `\\` `\'` and a backslash before a tab or a
        line end stand for that character; a backslash before anything else is refused. A field of nothing is the
        empty text in a `text`, and null in any other type. With `escape: none` a backslash is a letter (as IANA
        has it), and a field of nothing is null. What is exported with quotes is `{ type: csv, delimiter: tab }`.

        | option | default | |
        |---|---|---|
        | `escape` | `\` | or `none` |
        | `skip`, `header`, `names`, `footer`, `columns`, `short`, `long` | | as of CSV |
        """#

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> TsvFormat {
        var format = TsvFormat()
        guard let options else { return format }
        if let node = options["escape"] {
            format.hasEscapes = context.choice(node, "escape", ["none", "\\"]) != "none"
        }
        format.columns = ColumnOptions(options, context)
        return format
    }

    package func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {
        columns.check(declared, options, context)
    }

    // MARK: Records

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        TsvDecoder(columns, self, of: records)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout {
        FileLayout(
            format: Self.key,
            fields: columns.apply(
                to: FileLayout.Fields(
                    delimiter: TsvFields.tab, escape: hasEscapes ? TsvFields.backslash : nil,
                    skippedLines: columns.skippedLines,
                    columns: columns.layout(of: records) { TsvFields.names($0, hasEscapes: hasEscapes) })))
    }

    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        columns.texts(values, of: records).map { text in
            guard hasEscapes else { return text ?? "" }
            guard let text else { return "\\N" }
            return text.replacing("\\", with: "\\\\").replacing("\t", with: "\\t").replacing(
                "\n", with: "\\n"
            )
            .replacing("\r", with: "\\r")
        }.joined(separator: "\t")
    }
}
