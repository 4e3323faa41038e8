import Dataflow
import Records
import Topology

/// `format: json`, one object a record.
package struct JsonFormat: DecodableFormat {
    package static let key = "json"
    package static let options = FormatOption.all + ["explode", "parse", "layout", "framing"]
    /// Paths of arrays of which each element is a row.
    package var arrays: [[String]] = []
    /// Paths of texts that are JSON.
    package var texts: [[String]] = []
    /// A file has documents over several lines, or one array of them.
    package var hasDocuments = false
    /// A zero byte and a schema's id stand before each record of a topic.
    package var isFramed = false

    package static let reference = """
        One object a record, one record a line. A field's name with dots is a path through objects; a name that
        itself has dots is written ``from: "`order.amount`"``. Of several members of one name the last counts, at
        each level, with all that is in it. Below null there is null; a path that meets an array, a text, a number
        or a boolean is refused, optional or not. `from: "items[0].price"` leads into an element of an array, from 0;
        where there are fewer, there is null.

        | option | default | |
        |---|---|---|
        | `explode` | none | the path of an array, `explode: line_items`: each element is a row, with all else of the record, and stands in the array's place (`from: line_items.price`). No element, no row; a record without the array, or with something else there, is one row. Of a list the second is looked for in the rows of the first. A dead letter has its row |
        | `parse` | none | paths of texts that are JSON themselves (`parse: data`, then `from: data.amount`); before `explode` |
        | `framing` | `none` | `confluent`: before each record of a topic stand a zero byte and the 4 bytes of a schema's id, which is not asked for. Files and tests have none |
        | `layout` | `lines` | of a file: `documents` are objects over any number of lines, one behind the other or the elements of one array |
        """

    package init() {}

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> JsonFormat {
        var format = JsonFormat()
        guard let options else { return format }
        format.arrays = paths(options, "explode", context)
        format.texts = paths(options, "parse", context)
        if let node = options["layout"] {
            format.hasDocuments = context.choice(node, "layout", ["lines", "documents"]) == "documents"
        }
        format.isFramed = RegistryOptions.isFramed(options, context) ?? false
        if options[FormatOption.encoding] != nil,
            let key = ["explode", "parse", "framing"].first(where: { options[$0] != nil })
        {
            context.error(
                options.keyPosition(key), "\(key) reads records in UTF-8 only; take encoding out, or \(key)")
        }
        return format
    }

    /// A path or a list of them.
    private static func paths(_ options: MappingReader, _ key: String, _ context: ReadingContext)
        -> [[String]]
    {
        guard let node = options[key] else { return [] }
        let names = context.names(node, key, example: "\(key): line_items") ?? []
        return names.map { name in
            let path = name.text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            if path.contains("") {
                context.error(name.position, "'\(name.shown)' is no path; write \(key): order.line_items")
            }
            return path
        }
    }

    package var logic: String { arrays.isEmpty && texts.isEmpty ? "" : "explode \(arrays) parse \(texts)" }

    package func makeShaper() -> (any RecordShaper)? {
        guard isShaped else { return nil }
        let shaper = JsonShaper(texts: texts, arrays: arrays)
        return isFramed ? FramedShaper(shaper) : shaper
    }

    private var isShaped: Bool { !arrays.isEmpty || !texts.isEmpty }

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        let decoder = JsonDecoder(columns, encoding: records.encoding, capacity: records.capacity)
        return isFramed ? FramedDecoder(decoder, isShaped: isShaped, capacity: records.capacity) : decoder
    }

    package var given: any DecodableFormat { ofFiles }

    package var ofFiles: any DecodableFormat {
        var plain = self
        plain.isFramed = false
        return plain
    }

    package func fileLayout(of records: RecordShape) -> FileLayout {
        FileLayout(format: Self.key, hasDocuments: hasDocuments)
    }

    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        Self.object(values.map { ($0.path.split(separator: ".").map(String.init), $0.json) })
    }

    /// Members with paths as nested objects.
    private static func object(_ members: [(path: [String], json: String)]) -> String {
        var parts: [String] = []
        var seen: [String] = []
        for (path, json) in members where !seen.contains(path[0]) {
            if path.count == 1 {
                parts.append("\(quoted(path[0])):\(json)")
            } else {
                let inner = members.filter { $0.path[0] == path[0] && $0.path.count > 1 }
                let object = object(inner.map { (Array($0.path.dropFirst()), $0.json) })
                parts.append("\(quoted(path[0])):\(object)")
            }
            seen.append(path[0])
        }
        return "{\(parts.joined(separator: ","))}"
    }

    private static func quoted(_ text: String) -> String {
        var json = JsonWriter()
        json.text(text)
        return json.string
    }
}
