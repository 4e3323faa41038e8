import Dataflow
import Records
import Topology

/// Which columns records of fields have, and what stands before them in a file: options that such formats
/// share.
package struct ColumnOptions: Hashable, Sendable {
    /// Lines of a file before its header, or before its first record.
    package var skippedLines = 0
    /// The line before a file's first record names its columns. Records of a topic never have one.
    package var hasHeader = true
    /// The columns of a file without a header, and of a topic, in order; nil: the fields of the schema.
    package var names: [String]?

    static let keys = ["skip", "header", "columns"]

    package init() {}

    init(_ options: MappingReader, _ context: ReadingContext) {
        if let node = options["header"] {
            hasHeader = context.choice(node, "header", ["true", "false"]) != "false"
        }
        if let node = options["skip"] {
            skippedLines = context.integer(node, "skip", 0...1000, example: "skip: 3") ?? 0
        }
        guard let node = options["columns"] else { return }
        names = context.names(node, "columns", example: "columns: [shop, amount]")?.map(\.text)
        if options["header"] != nil, hasHeader {
            context.error(
                options.keyPosition("columns"),
                "columns names what has no header; with one, say skip: 1 and take header out")
        }
        hasHeader = false
    }

    /// Records without a header must have what the schema takes from them.
    func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {
        guard let names else { return }
        for field in declared where !names.contains(field.name) {
            let hint = NearestName.hint(field.name, among: names)
            context.error(
                options.keyPosition("columns"), "columns has no '\(field.name)' of the schema\(hint)")
        }
    }

    /// The columns of records that do not name them.
    func names(of records: RecordShape) -> [String] { names ?? records.fields }

    /// `header`: reads the names in a line of a file; nil: it is not UTF-8.
    func layout(
        of records: RecordShape, header: @escaping @Sendable (UnsafeBufferPointer<UInt8>) -> [String]?
    ) -> FileLayout.Columns {
        hasHeader ? .header(header) : .count(names(of: records).count)
    }

    /// The texts of all columns of a record with these values; nil: null, or not given.
    func texts(_ values: [GivenValue], of records: RecordShape) -> [String?] {
        var columns = names(of: records)
        if let spare = records.optionalField, !columns.contains(spare),
            values.contains(where: { $0.path == spare })
        {
            columns.append(spare)
        }
        return columns.map { column in
            let json = values.first { $0.path == column }?.json
            guard let json, json != "null" else { return nil }
            return json.hasPrefix("\"") ? YamlText.read(json)?.scalar?.text ?? "" : json
        }
    }
}
