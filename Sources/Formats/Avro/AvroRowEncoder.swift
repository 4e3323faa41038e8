import Base
import Dataflow
import Records

/// Rows as records of Avro, by a schema that is made of them.
package final class AvroRowEncoder: RowEncoder {
    private let fixed: Arena
    /// What stands before each column's value, in `fixed`.
    private let before: [TextReference]
    private let after: TextReference

    /// `id`: of the schema, which stands before each record; nil: nothing does.
    package init(_ schema: AvroRowSchema, id: Int32?) {
        let fixed = Arena(capacity: 256)
        var before: [TextReference] = []
        var start = 0
        func cut() -> TextReference {
            defer { start = fixed.count }
            return TextReference(offset: start, count: fixed.count - start)
        }
        func write(_ members: [RowMember]) {
            for member in members {
                switch member {
                case .column: before.append(cut())
                case .constant(_, let text):
                    fixed.appendZigzag(Int64(text.utf8.count))
                    fixed.appendText(text)
                case .group(_, let members): write(members)
                }
            }
        }
        if let id { ConfluentFrame.append(id, to: fixed) }
        write(schema.members)
        after = cut()
        self.before = before
        self.fixed = fixed
    }

    package func encode(_ row: Int, of columns: [Column], arena: Arena, into bytes: Arena) {
        require(columns.count == before.count, "a row of other columns than its members")
        for (text, column) in zip(before, columns) {
            _ = bytes.append(fixed.base + text.offset, text.count)
            guard column.valid[row] == 1 else {
                // The first branch.
                bytes.appendByte(0)
                continue
            }
            bytes.appendByte(2)
            put(column.values[row], column.type, arena, bytes)
        }
        _ = bytes.append(fixed.base + after.offset, after.count)
    }

    private func put(_ value: Int64, _ type: ValueType, _ arena: Arena, _ bytes: Arena) {
        switch type {
        case .bool: bytes.appendByte(value == 0 ? 0 : 1)
        case .int, .duration, .timestamp: bytes.appendZigzag(value)
        case .text:
            let text = TextReference(packed: value)
            bytes.appendZigzag(Int64(text.count))
            _ = bytes.append(arena.base + text.offset, text.count)
        case .decimal:
            // As few bytes as hold its sign.
            let size = max(1, (65 - (value < 0 ? ~value : value).leadingZeroBitCount + 7) / 8)
            bytes.appendZigzag(Int64(size))
            for place in stride(from: size - 1, through: 0, by: -1) {
                bytes.appendByte(UInt8(truncatingIfNeeded: value >> Int64(8 * place)))
            }
        }
    }
}
