import Records
import State

/// Where values are computed by key instead of by record, a chunk of keys at a time. Whoever has it has the
/// columns of windows and rules too, which are filled for that chunk; it is lent to one at a time, or to a
/// stretch of rows.
final class Workbench {
    /// Text of values that are gathered from windows.
    let arena = Arena(capacity: 1 << 16)
    /// For descriptions of state.
    var json = JsonWriter()
    private let numbers: SelectionBuffer
    private var keys: [Column] = []

    init(capacity: Int) {
        numbers = SelectionBuffer(capacity: capacity)
        for row in 0..<capacity { numbers.rows[row] = Int32(row) }
    }

    /// Rows 0 to `count` - 1.
    func first(_ count: Int) -> Selection { Selection(numbers.rows, count: count) }

    /// One row of key columns, for a key that comes from the key table.
    func keys(like columns: [Column]) -> [Column] {
        if keys.count != columns.count || !zip(keys, columns).allSatisfy({ $0.type == $1.type }) {
            keys = columns.map { Column($0.type, capacity: 1) }
        }
        return keys
    }

    // MARK: JSON

    /// The fields of a key, which stand in row 0, as JSON and as text.
    func keyTexts(_ fields: [(name: String, column: Column)]) -> (json: String, text: String) {
        json.removeAll()
        json.beginObject()
        for (name, column) in fields {
            json.name(name)
            json.value(column.values[0], valid: true, column.type, arena: arena, exactly: true)
        }
        json.endObject()
        let texts = fields.map { ValueText.string($0.column.values[0], $0.column.type, arena: arena) }
        return (json.string, texts.joined(separator: ","))
    }

    /// The members `window` and `values` of a row of the window's outputs.
    func writeValues(_ window: WindowPlan, _ bounds: (start: Int64, end: Int64), row: Int) {
        json.name("window")
        json.beginObject()
        json.name("start")
        json.timestamp(bounds.start)
        json.name("end")
        json.timestamp(bounds.end)
        json.endObject()
        json.name("values")
        json.beginObject()
        for (field, column) in zip(window.outputFields, window.outputColumns) {
            json.name(field.name)
            json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: arena, exactly: true)
        }
        json.endObject()
    }
}
