import Base
import Dataflow
import Formats
import Records

/// What the rows of a stream carry besides their columns. Stands where other sources have a decoder; a stream's rows
/// never were bytes.
package final class StreamRows: RecordDecoder {
    /// The record that a row comes from; offset -1: none, time made it.
    let origins: UnsafeMutablePointer<RepartitionOrigin>
    /// `Outbox.Record.order` of what comes of a row.
    let orders: UnsafeMutablePointer<Int32>
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
        origins = .allocate(capacity: capacity)
        origins.initialize(
            repeating: RepartitionOrigin(partition: 0, offset: -1, appended: -1, watermark: .min), count: capacity)
        orders = .allocate(capacity: capacity)
        orders.initialize(repeating: 0, count: capacity)
    }

    deinit {
        origins.deallocate()
        orders.deallocate()
    }

    package func decode(_ raw: RawRecords, into batch: Batch) { unreachable("a stream has no records to decode") }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) { text.appendText("a row of a stream") }
}

/// Writes rows of one stream, one at a time. Where the stream's batch is full, its rows are taken through the steps
/// that read it.
final class RowMaker {
    private unowned let pipeline: Pipeline
    private let stream: Int
    private let plan: Pipeline.SourcePlan
    private let rows: StreamRows
    private var row = 0
    /// Where the outputs of the steps that read the stream go; lent for the time of a call.
    var outbox = Outbox()

    init(_ pipeline: Pipeline, stream: Int) {
        self.pipeline = pipeline
        self.stream = stream
        plan = pipeline.sources[stream]
        guard let rows = plan.stream else { unreachable("source \(plan.spec.name) is no stream") }
        self.rows = rows
    }

    var columns: [Column] { plan.columns }

    /// Rows from now on come of event time having passed `time`.
    func setOrder(passing time: Int64) { outbox.order = pipeline.order(reaching: time + 1) }

    /// Begins a row, whose columns are null; event time does not go back below `watermark` after it.
    func begin(time: Int64, watermark: Int64, origin: RepartitionOrigin, _ task: TaskState) {
        if plan.batch.count == plan.batch.capacity { pipeline.drain(stream, task, &outbox) }
        row = plan.batch.count
        plan.batch.count += 1
        plan.batch.times[row] = time
        plan.watermarks[row] = watermark
        rows.origins[row] = origin
        rows.orders[row] = outbox.order
        for column in plan.columns { column.valid[row] = 0 }
    }

    /// Begins a row whose event time stands in the stream's time column, in time order.
    func begin(time: Int64, origin: RepartitionOrigin, _ task: TaskState) {
        begin(time: time, watermark: time, origin: origin, task)
        set(plan.spec.timeField, time)
    }

    @inline(__always)
    func set(_ column: Int, _ value: Int64) {
        plan.columns[column].values[row] = value
        plan.columns[column].valid[row] = 1
    }

    func set(_ column: Int, text: UnsafeBufferPointer<UInt8>) {
        let offset = plan.batch.arena.count
        if let start = text.baseAddress { _ = plan.batch.arena.append(start, text.count) }
        set(column, TextReference(offset: offset, count: text.count).packed)
    }

    func set(_ column: Int, text: String) {
        var text = text
        text.withUTF8 { set(column, text: $0) }
    }

    /// Copies a value, null or not; texts stand in `arena`.
    @inline(__always)
    func copy(_ from: Column, _ fromRow: Int, _ arena: Arena, to column: Int) {
        guard from.valid[fromRow] == 1 else { return }
        if from.type == .text {
            let text = TextReference(packed: from.values[fromRow])
            set(column, text: UnsafeBufferPointer(start: arena.base + text.offset, count: text.count))
        } else {
            set(column, from.values[fromRow])
        }
    }
}
