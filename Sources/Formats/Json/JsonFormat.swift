import Dataflow
import Records
import Topology

/// `format: json`, one object a record.
package struct JsonFormat: DecodableFormat {
    package static let key = "json"
    package static let options = [FormatOption.encoding, FormatOption.null]

    package static let reference = """
        One object a record, one record a line. A field's name with dots is a path through objects; a name that
        itself has dots is written ``from: "`order.amount`"``. Of several members of one name the last counts, at
        each level, with all that is in it. Below null there is null; a path that meets an array, a text, a number
        or a boolean is refused, optional or not.
        """

    package init() {}

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> JsonFormat {
        JsonFormat()
    }

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        JsonDecoder(columns, encoding: records.encoding, capacity: records.capacity)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout { FileLayout(format: Self.key) }

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
