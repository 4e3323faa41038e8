import Dataflow
import Records
import Topology

/// A closed window of a key as the row that an encoder writes: its key, its bounds, its values.
final class ResultRow {
    private let encoder: any RowEncoder
    /// One row: the key's fields, the window's start and end, the outputs.
    private let columns: [Column]
    private let keyCount: Int

    /// `encoder`: nil: JSON.
    init(topology: String, step: StepSpec, _ outputs: [Field], encoder: (any RowEncoder)? = nil) {
        keyCount = step.key.count
        let layout = RowLayout(topology: topology, window: step, outputs)
        self.encoder = encoder ?? layout.encoder
        columns = layout.types.map { Column($0, capacity: 1) }
        for column in columns { column.valid[0] = 1 }
    }

    /// `key`: one row; `outputs`: row `row` of them. Texts lie in `arena`.
    func encode(
        _ key: [Column], _ bounds: (start: Int64, end: Int64), _ outputs: [Column], _ row: Int, arena: Arena,
        into bytes: Arena
    ) {
        for (place, column) in key.enumerated() { columns[place].values[0] = column.values[0] }
        columns[keyCount].values[0] = bounds.start
        columns[keyCount + 1].values[0] = bounds.end
        for (place, column) in outputs.enumerated() {
            let copy = columns[keyCount + 2 + place]
            copy.values[0] = column.values[row]
            copy.valid[0] = column.valid[row]
        }
        encoder.encode(0, of: columns, arena: arena, into: bytes)
    }
}
