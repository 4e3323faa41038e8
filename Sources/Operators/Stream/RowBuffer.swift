import Base
import Dataflow
import Formats
import Records

/// Writes rows of one stream, one at a time, and hands them over as finished batches: nothing goes through
/// the steps that read the stream while somebody writes. The first batch is the stream's own; what does not
/// fit in it waits in others.
package final class RowBuffer {
    /// A batch that is being filled, or waits.
    private struct Block {
        let batch: Batch
        let rows: StreamRows
        /// Of the batch's columns: pointers, since a column would be counted for every value.
        let values: [UnsafeMutablePointer<Int64>]
        let valid: [UnsafeMutablePointer<UInt8>]

        init(batch: Batch, rows: StreamRows) {
            (self.batch, self.rows) = (batch, rows)
            values = batch.columns.map { $0.values }
            valid = batch.columns.map { $0.valid }
        }
    }

    /// The step, as its author calls it; names of the sources that rows may come from; the stream's place
    /// among them.
    let step: String
    let topics: [String]
    let stage: Int
    /// Dead letters so far, and what is to be counted of them.
    var letterCount = 0
    var letters: [Letter] = []
    private let schema: Schema
    private let timeField: Int
    private let roots: RootRows
    /// The first is the stream's own batch.
    private var blocks: [Block]
    /// The block that is being filled; those before it are full.
    private var last = 0
    private var block: Block
    private var row = 0
    private var isHandedOver = false
    /// The row of the batch under way that brings about what is written from now on.
    var root: Int32 = 0
    /// Event time does not go back below this after the rows that are written from now on; nil: below their
    /// own times.
    var watermark: Int64?
    /// The task at work.
    var partition: Int32 = 0
    /// Results that are null since they do not fit in 64 bits.
    private(set) var overflows: Int64 = 0
    /// Records for other tasks, and dead letters, that an operator writes along with its rows.
    var outbox = Outbox()

    init(_ plan: SourcePlan, roots: RootRows, step: String, topics: [String]) {
        (self.step, self.topics, stage) = (step, topics, plan.index)
        guard let rows = plan.stream else { unreachable("source \(plan.spec.name) is no stream") }
        schema = plan.spec.schema
        timeField = plan.spec.timeField
        self.roots = roots
        block = Block(batch: plan.batch, rows: rows)
        blocks = [block]
        use(block)
    }

    // MARK: Writing

    /// The stream's own batch has no room for more rows; those that come wait until it has been taken
    /// through.
    var isFull: Bool { last > 0 || block.batch.count == block.batch.capacity }

    /// Rows from now on come of event time of a source, or of this stream, having reached `watermark`.
    func setRoot(reaching watermark: Int64, in source: Int? = nil) {
        root = roots.first(reaching: watermark, in: source ?? stage)
    }

    /// Rows from now on come of event time having passed `time`.
    func setOrder(passing time: Int64) { setRoot(reaching: time + 1) }

    /// Begins a row with its event time; the other columns are null. `origin`: of the record that it comes
    /// from.
    func begin(time: Int64, origin: RepartitionOrigin) {
        require(!isHandedOver, "a row is written while those before it go through the steps")
        if block.batch.count == block.batch.capacity { beginBlock() }
        row = block.batch.count
        block.batch.count += 1
        block.batch.times[row] = time
        block.rows.watermarks[row] = watermark ?? time
        block.rows.origins[row] = origin
        block.rows.roots[row] = root
        for column in block.valid { column[row] = 0 }
        set(timeField, time)
    }

    /// Begins a row that comes of no record: its time has come.
    func begin(time: Int64) { begin(time: time, origin: .time(of: partition)) }

    /// A result of the row under way is null since it does not fit in 64 bits.
    func noteOverflow() { overflows += 1 }

    @inline(__always)
    func set(_ column: Int, _ value: Int64) {
        block.values[column][row] = value
        block.valid[column][row] = 1
    }

    func set(_ column: Int, text: UnsafeBufferPointer<UInt8>) {
        let arena = block.batch.arena
        let offset = arena.count
        if let start = text.baseAddress { _ = arena.append(start, text.count) }
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

    /// Copies a row's values to the columns from `start` on.
    func copy(_ from: [Column], _ row: Int, _ arena: Arena, to start: Int) {
        for (index, column) in from.enumerated() { copy(column, row, arena, to: start + index) }
    }

    private func beginBlock() {
        last += 1
        if last == blocks.count {
            let capacity = blocks[0].batch.capacity
            blocks.append(
                Block(batch: Batch(schema: schema, capacity: capacity), rows: StreamRows(capacity: capacity)))
        }
        use(blocks[last])
    }

    /// Begins to fill a block.
    private func use(_ block: Block) {
        self.block = block
        block.batch.count = 0
        block.batch.arena.removeAll()
    }

    // MARK: Handing over

    /// Calls `body` with the stream's batch filled, again and again until there are no rows left.
    func handOver(_ body: () -> Void) {
        guard blocks[0].batch.count > 0 else { return }
        require(!isHandedOver, "a stream's rows go through the steps twice")
        isHandedOver = true
        body()
        for next in 0..<last {
            load(blocks[next + 1])
            body()
        }
        // One that waits is kept; more are made again where they are needed.
        if blocks.count > 2 { blocks.removeLast(blocks.count - 2) }
        last = 0
        use(blocks[0])
        isHandedOver = false
    }

    /// Puts rows that waited into the stream's batch.
    private func load(_ waiting: Block) {
        let (batch, count) = (blocks[0].batch, waiting.batch.count)
        batch.count = count
        batch.times.update(from: waiting.batch.times, count: count)
        blocks[0].rows.copy(waiting.rows, count: count)
        for (to, from) in zip(batch.columns, waiting.batch.columns) {
            to.values.update(from: from.values, count: count)
            to.valid.update(from: from.valid, count: count)
        }
        // Texts keep their places.
        batch.arena.removeAll()
        _ = batch.arena.append(waiting.batch.arena.base, waiting.batch.arena.count)
    }
}
