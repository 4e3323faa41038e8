import Base
import Dataflow
import Records

/// Rows as JSON objects on one line, decimals as texts. What stands between the values is written once.
package final class JsonRowEncoder: RowEncoder {
    private let fixed: Arena
    /// What stands before each column's value, in `fixed`.
    private let before: [TextReference]
    private let after: TextReference

    package init(_ members: [RowMember]) {
        var json = JsonWriter()
        var before: [TextReference] = []
        var start = 0
        func cut() -> TextReference {
            defer { start = json.bytes.count }
            return TextReference(offset: start, count: json.bytes.count - start)
        }
        func write(_ members: [RowMember]) {
            json.beginObject()
            for member in members {
                switch member {
                case .column(let name):
                    json.name(name)
                    before.append(cut())
                    // The value.
                    json.raw("")
                case .constant(let name, let text): json.member(name, text)
                case .group(let name, let members):
                    json.name(name)
                    write(members)
                }
            }
            json.endObject()
        }
        write(members)
        after = cut()
        self.before = before
        fixed = json.bytes
    }

    package func encode(_ row: Int, of columns: [Column], arena: Arena, into bytes: Arena) {
        require(columns.count == before.count, "a row of other columns than its members")
        var json = JsonWriter(into: bytes)
        for (text, column) in zip(before, columns) {
            _ = bytes.append(fixed.base + text.offset, text.count)
            json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: arena, exactly: true)
        }
        _ = bytes.append(fixed.base + after.offset, after.count)
    }
}
