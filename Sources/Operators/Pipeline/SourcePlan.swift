import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A source, compiled for one lane, and its batch: what the stages hand on to one another is this, with the
/// rows of it that are under way, and what each step has selected of them.
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
    /// Where each row was first read, if that was not here.
    let origins: UnsafeMutablePointer<RepartitionOrigin>?
    let batch: Batch
    /// Of `spec.schema`.
    let columns: [Column]
    let derived: [(program: Program, field: DerivedField)]
    /// Writes `columns`.
    let encoder: any RowEncoder
    /// The watermark of the source after each row.
    let watermarks: UnsafeMutablePointer<Int64>
    /// 1 for rows that came too late for some step.
    let late: UnsafeMutablePointer<UInt8>
    /// False if a row of the batch is before one that came earlier, or before the watermark, or leaps.
    var isInOrder = true
    /// True if a row of the batch may lie further ahead of event time than `outOfOrder`.
    var runsAhead: Bool
    /// What steps refused of the stretch under way.
    var refusals: [Refusal] = []
    /// The place of row 0 among all that goes through, as far as the stretch under way goes.
    var firstTick = 0
    /// What writes its rows, if it is a stream.
    var buffer: RowBuffer?
    /// The row of `batch` that goes through the steps, the last of its stretch; nil: none does.
    var rowUnderWay: Int?
    /// The rows of the stretch, or of the part of it, that is under way.
    let rows: SelectionBuffer

    init(_ spec: SourceSpec, index: Int, decoder: any RecordDecoder, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.index = index
        runsAhead = spec.mayRunAhead
        topic = spec.recordTopic
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
        encoder = RowLayout(spec.schema.fields).encoder
        table = spec.table.map { TablePlan($0, spec.schema, columns: columns, capacity: capacity) }
        rows = SelectionBuffer(capacity: capacity)
        watermarks = .allocate(capacity: capacity)
        watermarks.initialize(repeating: 0, count: capacity)
        late = .allocate(capacity: capacity)
        late.initialize(repeating: 0, count: capacity)
    }

    deinit {
        watermarks.deallocate()
        late.deallocate()
    }
}
