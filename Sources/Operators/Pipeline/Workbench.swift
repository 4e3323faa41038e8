import Records
import State

/// What a lane computes in, for one stretch of rows or one chunk of keys at a time. Whoever has it has the columns of
/// sources, steps, windows and rules too, which are filled for that stretch or chunk; `Pipeline.bench` lends it to one at
/// a time.
final class Workbench {
    let scratch: WindowScratch
    /// Rows of keys whose alert is raised, while a rule is evaluated.
    let watched: SelectionBuffer
    /// Text of values that are gathered from windows, by key instead of by record.
    let arena = Arena(capacity: 1 << 16)
    var json = JsonWriter()
    /// The value of a record under way, as an encoder writes it.
    let value = Arena(capacity: 1024)
    /// Alerts of a stretch, written when its rules are through.
    var pending: [PendingAlert] = []
    /// The same for windows that a row out of order changes.
    let apart = ApartScratch()
    private let numbers: SelectionBuffer
    private let single = SelectionBuffer(capacity: 1)
    private var keys: [Column] = []

    init(capacity: Int) {
        scratch = WindowScratch(capacity: capacity)
        watched = SelectionBuffer(capacity: capacity)
        numbers = SelectionBuffer(capacity: capacity)
        for row in 0..<capacity { numbers.rows[row] = Int32(row) }
    }

    /// Rows 0 to `count` - 1.
    func first(_ count: Int) -> Selection { Selection(numbers.rows, count: count) }

    /// One row.
    func only(_ row: Int) -> Selection {
        single.rows[0] = Int32(row)
        return Selection(single.rows, count: 1)
    }

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
