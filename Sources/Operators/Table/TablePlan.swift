import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A table compiled for one lane: how its records become rows of a `VersionedTable`.
final class TablePlan {
    let spec: TableSpec
    let key: KeyPlan
    /// The columns that are kept.
    let values: [Column]
    let deleted: Column
    let row: TableRow
    /// Set if every lane has all of it; otherwise each task has its own.
    private(set) var shared: Shared?

    /// The table of a lane that needs all of it.
    final class Shared {
        let state = VersionedTable(tracksChanges: false)
        var time = Int64.min
        var watermark = Int64.min
    }

    init(_ spec: TableSpec, _ schema: Schema, columns: [Column], capacity: Int) {
        self.spec = spec
        key = KeyPlan(spec.key.map { columns[$0] }, group: -1, capacity: capacity)
        values = spec.values(of: schema).map { columns[$0] }
        deleted = columns[spec.deleted]
        row = TableRow(width: values.count)
        shared = spec.isBroadcast ? Shared() : nil
    }

    /// Goes on with what the lane has of the same table.
    func adopt(_ former: TablePlan) { shared = former.shared }

    /// Event time up to which only the newest version of a key is kept.
    func bound(_ watermark: Int64) -> Int64 { watermark == .min ? .min : watermark - spec.versions }
}

/// A row of a table as bytes: a byte for each value that says whether there is one, then 8 bytes for each
/// value, then the texts, which a value names by where they stand in the row.
final class TableRow {
    private let width: Int
    private let bytes = Arena(capacity: 256)

    init(width: Int) { self.width = width }

    /// Valid until the next call.
    func encode(_ columns: [Column], _ row: Int, _ arena: Arena) -> UnsafeBufferPointer<UInt8> {
        bytes.removeAll()
        bytes.reserve(width * 9)
        bytes.count = width * 9
        for (place, column) in columns.enumerated() {
            let isValid = column.valid[row] == 1
            var value = isValid ? column.values[row] : 0
            if isValid, column.type == .text {
                let text = TextReference(packed: value)
                value = bytes.append(arena.base + text.offset, text.count).packed
            }
            bytes.base[place] = isValid ? 1 : 0
            UnsafeMutableRawPointer(bytes.base).storeBytes(
                of: value.littleEndian, toByteOffset: width + 8 * place, as: Int64.self)
        }
        return UnsafeBufferPointer(start: bytes.base, count: bytes.count)
    }

    /// Reads value `place` of the rows that stand at `base + places[row]` into a column; none where that is
    /// negative.
    static func read(
        _ place: Int, width: Int, _ base: UnsafePointer<UInt8>, places: UnsafePointer<Int>, rows: Selection,
        into column: Column, arena: Arena
    ) {
        let (values, valid) = (column.values, column.valid)
        let isText = column.type == .text
        for index in 0..<rows.count {
            let row = rows[index]
            guard places[row] >= 0 else {
                valid[row] = 0
                continue
            }
            let start = base + places[row]
            valid[row] = start[place]
            let value = Int64(
                littleEndian: UnsafeRawPointer(start).loadUnaligned(
                    fromByteOffset: width + 8 * place, as: Int64.self))
            if isText, start[place] == 1 {
                let text = TextReference(packed: value)
                values[row] = arena.append(start + text.offset, text.count).packed
            } else {
                values[row] = value
            }
        }
    }
}

/// The join of a step with a table, compiled for one lane.
final class TableJoinPlan {
    let spec: TableJoinSpec
    /// The values of the `on` columns as the table's key.
    let key: KeyPlan
    /// What the join adds to the input's columns.
    let columns: [Column]
    /// Of each of `columns` but `found`, its place in the table's rows.
    let places: [Int]
    let width: Int
    /// Where each row's partner stands, -1: it has none.
    let partners: UnsafeMutablePointer<Int>
    /// Rows that found a partner.
    var foundCount: Int64 = 0
    /// Rows that the join lets pass.
    let passed: SelectionBuffer

    init(_ spec: TableJoinSpec, _ source: SourceSpec, input: [Column], capacity: Int) {
        self.spec = spec
        key = KeyPlan(spec.on.map { input[$0] }, group: -1, capacity: capacity)
        let values = source.table?.values(of: source.schema) ?? []
        width = values.count
        places = spec.columns.map { column in
            guard let place = values.firstIndex(of: column) else {
                unreachable("a column that \(source.name) does not keep")
            }
            return place
        }
        var columns = spec.columns.map { Column(source.schema.fields[$0].type, capacity: capacity) }
        if spec.isLeft { columns.append(Column(.bool, capacity: capacity)) }
        self.columns = columns
        partners = .allocate(capacity: capacity)
        partners.initialize(repeating: -1, count: capacity)
        passed = SelectionBuffer(capacity: capacity)
    }

    deinit { partners.deallocate() }
}
