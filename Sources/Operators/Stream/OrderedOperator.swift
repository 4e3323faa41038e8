import Base
import Formats
import Records
import State
import Topology

/// An operator that takes the rows of its inputs in the order of their event times, one after the other, and makes
/// rows in that order. Compiled for one lane; what it remembers is in its task's state.
protocol OrderedOperator: AnyObject {
    func makeState(tracksChanges: Bool) -> any OperatorState
    /// Of one instant, the rows of an input come before those of the inputs after it; `steps`: those that the topology
    /// names, in its order.
    func makeInputs(_ steps: [StepPlan], capacity: Int) -> [OrderedInput]
    /// Some rows of every input are about to be taken; what can be computed for all of them at once is.
    func prepare(_ inputs: [OrderedInput])
    /// Takes row `row` of an input, whose event time is not before that of any row before it.
    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState)
    /// Does what is due before event time `time`, in the order of due times, until nothing is left or `maker` is full;
    /// then it is called again. Called before each row, with its time, and with the watermark after the last one.
    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState)
    /// A row of an input is refused and never comes: whoever would tell that there was none remembers that. `now`: how
    /// far event time has come.
    func lose(
        _ input: OrderedInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: any OperatorState)
}

extension OrderedOperator {
    func makeState(tracksChanges: Bool) -> any OperatorState { NoState() }
    func makeInputs(_ steps: [StepPlan], capacity: Int) -> [OrderedInput] {
        steps.enumerated().map { OrderedInput($1, index: $0, capacity: capacity) }
    }
    func prepare(_ inputs: [OrderedInput]) {}
    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {}
    func lose(
        _ input: OrderedInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: any OperatorState
    ) {}
}

/// Rows of one input that have come out of the buffer, in columns again.
final class OrderedInput {
    /// Position among the operator's inputs.
    let index: Int
    /// nil: the operator itself puts the rows into the buffer.
    let step: StepPlan?
    let fields: [Field]
    let batch: Batch
    let decoder: RepartitionDecoder
    let encoder: RepartitionEncoder
    private let storage: RawRecordStorage
    private(set) var count = 0
    private let rowNumbers: SelectionBuffer

    convenience init(_ step: StepPlan, index: Int, capacity: Int) {
        self.init(step.spec.schema.fields, step.columns, step, index: index, capacity: capacity)
    }

    /// `columns`: what rows are encoded from.
    init(_ fields: [Field], _ columns: [Column], _ step: StepPlan?, index: Int, capacity: Int) {
        self.index = index
        self.step = step
        self.fields = fields
        batch = Batch(schema: Schema(fields), capacity: capacity)
        decoder = RepartitionDecoder(fields, partitions: Int(Int32.max), capacity: capacity)
        encoder = RepartitionEncoder(fields, columns: columns)
        storage = RawRecordStorage(capacity: capacity)
        rowNumbers = SelectionBuffer(capacity: capacity)
        for row in 0..<capacity { rowNumbers.rows[row] = Int32(row) }
    }

    /// Columns of the step's schema.
    var columns: [Column] { batch.columns }
    var arena: Arena { batch.arena }
    /// All rows, for programs.
    var rows: Selection { Selection(rowNumbers.rows, count: count) }
    var times: UnsafeMutablePointer<Int64> { batch.times }

    /// The operator's key of a row, as its step encodes it.
    func key(of row: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: storage.keys[row], count: Int(storage.keyCounts[row]))
    }

    func origin(of row: Int) -> RepartitionOrigin { decoder.origins[row] }

    /// The row as it was in the buffer.
    func bytes(of row: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: storage.values[row], count: Int(storage.valueCounts[row]))
    }

    func removeAll() { count = 0 }

    func add(_ entry: OrderedBuffer.Entry, of buffer: OrderedBuffer) {
        let (key, row) = (buffer.key(of: entry), buffer.row(of: entry))
        storage.keys[count] = key.baseAddress
        storage.keyCounts[count] = Int32(key.count)
        storage.values[count] = row.baseAddress
        storage.valueCounts[count] = Int32(row.count)
        batch.times[count] = entry.time
        count += 1
    }

    func decode() {
        decoder.decode(RawRecords(at: storage, from: 0, count: count), into: batch)
        for row in 0..<count {
            verify(batch.status[row] == RowStatus.good.rawValue, "a row that was kept cannot be read: \(decoder.explain(row, of: batch))")
        }
    }
}

/// A step's operator, compiled for one lane: its inputs and the stream of what it makes.
final class MakerPlan {
    let step: StepPlan
    let spec: OperatorSpec
    let stream: Int
    let inputs: [StepPlan]
    /// nil: rows pass at once and unordered, as in a union.
    let ordered: (operation: any OrderedOperator, inputs: [OrderedInput])?
    let rows: RowMaker
    /// What it computes of the rows of its inputs and may not fit in 64 bits.
    let bounded: [(step: StepPlan, field: String, program: Program)]
    /// Bytes of a row in the buffer, at most, without its texts.
    let rowBytesMost: Int
    /// What comes out of the buffer at a time, as (input, row).
    var released: [(input: Int32, row: Int32)] = []
    /// Rows that have come out of the buffer are taken; they stand where they stood in it.
    var isReleasing = false

    init(_ step: StepPlan, _ spec: OperatorSpec, pipeline: Pipeline, stream: Int, zones: ZoneTables) {
        self.step = step
        self.spec = spec
        self.stream = stream
        let inputs = spec.inputs.map { pipeline.steps[$0] }
        self.inputs = inputs
        rowBytesMost = 128 + 12 * (inputs.map(\.spec.schema.fields.count).max() ?? 0)
        rows = RowMaker(
            pipeline.sources[stream], roots: pipeline.roots, step: pipeline.authorName(of: step.index),
            topics: pipeline.sources.map(\.topic))
        let capacity = pipeline.options.rowsMax
        bounded = spec.kind.computed.compactMap { input, field, expression in
            let program = Program(expression, capacity: capacity, zones: zones)
            return program.mayOverflow ? (inputs[input], field, program) : nil
        }
        ordered = Self.operation(step, spec, inputs, capacity: capacity, zones: zones).map { operation in
            (operation, operation.makeInputs(inputs, capacity: capacity))
        }
    }

    private static func operation(
        _ step: StepPlan, _ spec: OperatorSpec, _ inputs: [StepPlan], capacity: Int, zones: ZoneTables
    ) -> (any OrderedOperator)? {
        // One line for each kind that is ordered.
        switch spec.kind {
        case let kind as StreamJoinSpec:
            StreamJoinOperator(kind, inputs, spec.limits, resultCount: spec.schema.fields.count)
        case let kind as SequenceSpec: SequenceOperator(kind, step, spec.limits, capacity: capacity, zones: zones)
        case let kind as SessionSpec: SessionOperator(kind, step, spec.limits, capacity: capacity, zones: zones)
        case let kind as DeduplicateSpec: DeduplicateOperator(kind)
        case let kind as TopSpec: TopOperator(kind, step)
        case let kind as FundFlowSpec: FundFlowOperator(kind, step, capacity: capacity, zones: zones)
        case let kind as LevelsSpec: LevelsOperator(kind, step, spec.limits, capacity: capacity, zones: zones)
        default: nil
        }
    }
}

/// What one task keeps for an ordered operator.
final class MakerState {
    let buffer: OrderedBuffer
    let state: any OperatorState
    /// The state, where a row may make a row for each that waits.
    let pairs: PairingState?

    init(_ operation: any OrderedOperator, tracksChanges: Bool) {
        buffer = OrderedBuffer(tracksChanges: tracksChanges)
        state = operation.makeState(tracksChanges: tracksChanges)
        pairs = (state as? PairingState).flatMap { $0.sides.count > 1 ? $0 : nil }
    }
}
