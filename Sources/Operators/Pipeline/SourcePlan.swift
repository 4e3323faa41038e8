import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// What is computed from the rows of one source.
final class SourcePlan {
    let spec: SourceSpec
    let index: Int
    /// Where alerts and dead letters say that a record was read.
    let topic: String
    let decoder: any RecordDecoder
    /// What makes the rows of its records; nil: they are the records.
    let shaping: RecordShaping?
    /// The decoder, where the source is a repartition topic: what rows carry besides their fields.
    let carried: RepartitionDecoder?
    /// What rows carry, where the source is a stream.
    let stream: StreamRows?
    let table: TablePlan?
    /// Set if the table lies elsewhere.
    var lookup: LookupTable?
    /// Where each row was first read, if that was not here.
    let origins: UnsafeMutablePointer<RepartitionOrigin>?
    let batch: Batch
    /// Of `spec.schema`.
    let columns: [Column]
    let derived: [(program: Program, field: DerivedField)]
    /// Writes `columns`.
    let encoder: any RowEncoder
    let good: SelectionBuffer
    /// The watermark of the source after each row.
    let watermarks: UnsafeMutablePointer<Int64>
    /// The watermark of another source, for windows of it that rows of this one read.
    let foreignWatermarks: UnsafeMutablePointer<Int64>
    let late: UnsafeMutablePointer<UInt8>
    let updates: UnsafeMutablePointer<UInt8>
    /// 1 for rows that change or read other windows than the newest of their key; set and cleared in a stretch.
    let isApart: UnsafeMutablePointer<UInt8>
    /// False if a row of the batch is before one that came earlier, or before the watermark, or leaps.
    var isInOrder = true
    /// True if a row of the batch may lie further ahead of event time than `outOfOrder`.
    var runsAhead: Bool
    /// The rows of the stretch under way while `rows` are those of a part of it.
    lazy var stretch = SelectionBuffer(capacity: batch.capacity)
    /// What steps refused of the stretch under way.
    var refusals: [Refusal] = []
    /// The place of row 0 among all that goes through, as far as the stretch under way goes.
    var firstTick = 0
    /// What writes its rows, if it is a stream.
    var buffer: RowBuffer?
    /// The row of `batch` that goes through the steps, the last of its stretch; nil: none does.
    var rowUnderWay: Int?
    let rows: SelectionBuffer
    let ids: UnsafeMutablePointer<UInt32>

    init(_ spec: SourceSpec, index: Int, decoder: any RecordDecoder, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.index = index
        runsAhead = spec.mayRunAhead
        topic =
            switch spec.origin {
            case .kafka(let topic, _), .repartition(let topic): topic
            case .file, .generate, .stream, .redis: spec.name
            }
        self.decoder = decoder
        shaping = (decoder as? ShapedDecoder)?.shaping
        carried = decoder as? RepartitionDecoder
        stream = decoder as? StreamRows
        origins = carried?.origins ?? stream?.origins
        batch = Batch(schema: Schema(spec.wire.map(\.field)), capacity: capacity)
        var columns = batch.columns
        var derived: [(Program, DerivedField)] = []
        for field in spec.derived {
            let program = Program(field.expression, capacity: capacity, zones: zones)
            derived.append((program, field))
            columns.append(program.resultColumn(columns))
        }
        self.columns = columns
        self.derived = derived
        encoder = rowEncoder(RowMember.columns(spec.schema.fields))
        table = spec.table.map { TablePlan($0, spec.schema, columns: columns, capacity: capacity) }
        good = SelectionBuffer(capacity: capacity)
        rows = SelectionBuffer(capacity: capacity)
        watermarks = .allocate(capacity: capacity)
        watermarks.initialize(repeating: 0, count: capacity)
        foreignWatermarks = .allocate(capacity: capacity)
        foreignWatermarks.initialize(repeating: .min, count: capacity)
        late = .allocate(capacity: capacity)
        late.initialize(repeating: 0, count: capacity)
        updates = .allocate(capacity: capacity)
        updates.initialize(repeating: 1, count: capacity)
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
        isApart = .allocate(capacity: capacity)
        isApart.initialize(repeating: 0, count: capacity)
    }

    deinit {
        watermarks.deallocate()
        isApart.deallocate()
        foreignWatermarks.deallocate()
        late.deallocate()
        updates.deallocate()
        ids.deallocate()
    }
}
