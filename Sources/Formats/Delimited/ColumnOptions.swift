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
    /// A file's header is the first line that has this text; nil: its first line that is not empty.
    package var headerText: String?
    /// A file is over where a line begins with one of these.
    package var footers: [String] = []
    /// Names of a header agree with those of the schema also in other case and with blanks around.
    package var isLoose = false
    /// Of a record with fewer fields than columns the rest is null; of one with more the rest is passed over.
    package var takesShort = false
    package var takesLong = false

    static let keys = ["skip", "header", "columns", "names", "footer", "short", "long"]

    package init() {}

    init(_ options: MappingReader, _ context: ReadingContext) {
        if let node = options["header"] {
            let text = context.scalar(node, "header", example: "header: \"order_id,amount\"")?.text ?? "true"
            hasHeader = text != "false"
            if hasHeader, text != "true" { headerText = text }
        }
        if let node = options["names"] {
            isLoose = context.choice(node, "names", ["loose", "exact"]) == "loose"
        }
        if let node = options["short"] {
            takesShort = context.choice(node, "short", ["fill", "refuse"]) == "fill"
        }
        if let node = options["long"] {
            takesLong = context.choice(node, "long", ["cut", "refuse"]) == "cut"
        }
        if let node = options["footer"] {
            footers = (node.sequence ?? [node]).compactMap {
                context.scalar($0, "footer", example: "footer: Total")?.text
            }
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
        guard hasHeader else { return .count(names(of: records).count) }
        guard isLoose else { return .header(header) }
        let declared = records.fields
        return .header { line in header(line).map { names in names.map { Self.meant($0, declared) } } }
    }

    /// The declared name that a name of a header is, or the name itself.
    private static func meant(_ name: String, _ declared: [String]) -> String {
        if declared.contains(name) { return name }
        func loose(_ name: String) -> String {
            let blanks: Set<Character> = [" ", "\t", "\u{A0}", "\u{3000}", "\u{FEFF}"]
            let head = name.drop { blanks.contains($0) }
            return String(head.reversed().drop { blanks.contains($0) }.reversed()).lowercased()
        }
        return declared.first { loose($0) == loose(name) } ?? name
    }

    /// What a file's layout has of these options.
    func apply(to fields: FileLayout.Fields) -> FileLayout.Fields {
        var fields = fields
        fields.headerText = headerText.map { Array($0.utf8) }
        fields.footers = footers.map { Array($0.utf8) }
        return fields
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
