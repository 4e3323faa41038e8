import Base
import Records
import State
import Topology

/// A step's operator, compiled for one lane: its inputs and the stream of what it makes.
final class OperatorPlan {
    let step: StepPlan
    let spec: OperatorSpec
    let stream: Int
    /// The steps whose rows it takes.
    let intakes: [StepPlan]
    let order: RowOrder
    let inputs: [OperatorInput]
    let rows: RowBuffer
    /// What it computes of the rows of its inputs and may not fit in 64 bits.
    let bounded: [(step: StepPlan, field: String, program: Program)]
    /// Bytes of a row in the buffer, at most, without its texts.
    let rowBytesMost: Int
    private let operation: any StreamOperator
    /// What is taken at a time, as (input, row), and, of rows as they come, what they bring along.
    var taken: [(input: Int, row: Int)] = []
    var roots: [(row: Int32, watermark: Int64)] = []
    /// Rows that have come out of the buffer are taken; they stand where they stood in it.
    var isReleasing = false

    init(_ step: StepPlan, _ spec: OperatorSpec, pipeline: Pipeline, stream: Int, zones: ZoneTables) {
        (self.step, self.spec, self.stream) = (step, spec, stream)
        let intakes = spec.inputs.map { pipeline.steps[$0] }
        self.intakes = intakes
        rowBytesMost = 128 + 12 * (intakes.map(\.spec.schema.fields.count).max() ?? 0)
        rows = RowBuffer(
            pipeline.sources[stream], roots: pipeline.roots, step: pipeline.authorName(of: step.index),
            topics: pipeline.sources.map(\.topic))
        let capacity = pipeline.options.rowsMax
        guard let part = spec.part as? any RunnableOperator else {
            unreachable("operator '\(spec.part.name)' was read by another catalogue than that of what runs it")
        }
        bounded = part.computed.compactMap { input, field, expression in
            let program = Program(expression, capacity: capacity, zones: zones)
            return program.mayOverflow ? (intakes[input], field, program) : nil
        }
        let order = part.order
        self.order = order
        inputs = intakes.enumerated().map { index, step in
            OperatorInput(
                step, index: index, of: order == .eventTime ? nil : pipeline.sources[step.source].batch, capacity: capacity)
        }
        operation = part.makeOperator(
            OperatorContext(
                inputs: intakes.map { OperatorContext.Input(schema: $0.spec.schema, key: $0.spec.key) }, result: spec.schema,
                limits: spec.limits, capacity: capacity, zones: zones))
    }

    func makeTask(partition: Int32, tracksChanges: Bool) -> OperatorTask {
        func make<Operator: StreamOperator>(_ operation: Operator) -> OperatorTask {
            TaskOf(operation, partition: partition, tracksChanges: tracksChanges)
        }
        return make(operation)
    }
}

/// What one task keeps for an operator, and the operator at work on it. Which operator it is, is known in `TaskOf` alone, which
/// is called for many rows at a time.
class OperatorTask {
    let partition: Int32
    /// Rows that wait until event time has passed them.
    let buffer: OrderedBuffer
    let state: any OperatorState

    init(_ state: any OperatorState, partition: Int32, tracksChanges: Bool) {
        self.partition = partition
        self.state = state
        buffer = OrderedBuffer(tracksChanges: tracksChanges)
    }

    /// Takes the rows that event time has passed, with what is due in between, and what is due before `watermark` after
    /// them. `drain`: takes rows that were made through the steps that read them.
    func release(_ plan: OperatorPlan, before watermark: Int64, rowsMax: Int, drain: () -> Void) {
        unreachable("the operator is not known")
    }

    /// Takes the rows in `plan.taken`, which a source has now, as they come.
    func pass(_ plan: OperatorPlan, of source: Int) { unreachable("the operator is not known") }

    func lose(_ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64) {
        unreachable("the operator is not known")
    }

    var proof: StateProof? { unreachable("the operator is not known") }
}

private final class TaskOf<Operator: StreamOperator>: OperatorTask {
    private let operation: Operator
    private let own: Operator.State

    init(_ operation: Operator, partition: Int32, tracksChanges: Bool) {
        self.operation = operation
        own = operation.makeState(tracksChanges: tracksChanges)
        super.init(own, partition: partition, tracksChanges: tracksChanges)
    }

    override func release(_ plan: OperatorPlan, before watermark: Int64, rowsMax: Int, drain: () -> Void) {
        let out = plan.rows
        out.partition = partition
        while buffer.count > 0 {
            for input in plan.inputs { input.removeAll() }
            plan.taken.removeAll(keepingCapacity: true)
            var bytes = 0
            while plan.taken.count < rowsMax, bytes < Limits.releasedBytesMax,
                let entry = buffer.removeFirst(before: watermark)
            {
                bytes += Int(entry.count)
                plan.taken.append((Int(entry.input), plan.inputs[Int(entry.input)].add(entry, of: buffer)))
            }
            if plan.taken.isEmpty { break }
            for input in plan.inputs where input.rows.count > 0 {
                input.decode()
                operation.prepare(input)
            }
            for (number, row) in plan.taken {
                let input = plan.inputs[number]
                let time = input.times[row]
                advance(to: time, out, drain)
                out.setRoot(reaching: time + 1)
                operation.take(input, row: row, own, into: out)
                if out.isFull { drain() }
            }
        }
        advance(to: watermark, out, drain)
    }

    /// Does what is due before `time`; its rows go on whenever a batch of them is full.
    private func advance(to time: Int64, _ out: RowBuffer, _ drain: () -> Void) {
        while true {
            operation.advance(to: time, own, into: out)
            guard out.isFull else { return }
            drain()
        }
    }

    override func pass(_ plan: OperatorPlan, of source: Int) {
        let out = plan.rows
        out.partition = partition
        for input in plan.inputs where input.step.source == source && input.rows.count > 0 { operation.prepare(input) }
        for ((number, row), root) in zip(plan.taken, plan.roots) {
            (out.root, out.watermark) = (root.row, root.watermark)
            operation.take(plan.inputs[number], row: row, own, into: out)
        }
        out.watermark = nil
    }

    override func lose(_ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64) {
        operation.lose(input, key, at: time, now: now, own)
    }

    override var proof: StateProof? { operation.proof(own) }
}
