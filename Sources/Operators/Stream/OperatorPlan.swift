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
    /// By source: those of its inputs whose rows come of it.
    let inputsOfSource: [[OperatorInput]]
    let rows: RowBuffer
    /// What it computes of the rows of its inputs and may not fit in 64 bits.
    let bounded: [(step: StepPlan, field: String, program: Program)]
    /// Windows that it looks at; nil: none.
    let views: WindowViews?
    /// Bytes of a row in the buffer, at most, without its texts.
    let rowBytesMost: Int
    private let operation: any StreamOperator
    /// What is taken at a time, as (input, row), and, of rows as they come, what they bring along.
    var taken: [(input: Int, row: Int)] = []
    var roots: [(row: Int32, watermark: Int64)] = []
    /// Rows that have come out of the buffer are taken; they stand where they stood in it.
    var isReleasing = false

    init(
        _ step: StepPlan, _ spec: OperatorSpec, sources: [SourcePlan], steps: [StepPlan], roots: RootRows,
        capacity: Int,
        stream: Int, zones: ZoneTables
    ) {
        (self.step, self.spec, self.stream) = (step, spec, stream)
        let intakes = spec.inputs.map { steps[$0] }
        self.intakes = intakes
        rowBytesMost = 128 + 12 * (intakes.map(\.spec.schema.fields.count).max() ?? 0)
        rows = RowBuffer(
            sources[stream], roots: roots, step: step.authorName, topics: sources.map(\.topic))
        guard let part = spec.part as? any RunnableOperator else {
            unreachable(
                "operator '\(spec.part.name)' was read by another catalogue than that of what runs it")
        }
        bounded = part.computed.compactMap { input, field, expression in
            let program = Program(expression, capacity: capacity, zones: zones)
            return program.mayOverflow ? (intakes[input], field, program) : nil
        }
        let order = part.order
        self.order = order
        inputs = intakes.enumerated().map { index, step in
            OperatorInput(
                step, index: index, of: order == .eventTime ? nil : sources[step.source].batch,
                capacity: capacity)
        }
        views = spec.views.isEmpty ? nil : WindowViews(spec.views.map { steps[$0] }, zones: zones)
        let inputs = self.inputs
        inputsOfSource = sources.map { source in inputs.filter { $0.step.source == source.index } }
        operation = part.makeOperator(
            OperatorContext(
                inputs: intakes.map { OperatorContext.Input(schema: $0.spec.schema, key: $0.spec.key) },
                result: spec.schema,
                limits: spec.limits, capacity: capacity, zones: zones, views: views))
    }

    /// `id`: under which its state is kept; nil: it remembers nothing.
    func makeTask(id: UInt32?, partition: Int32, tracksChanges: Bool) -> OperatorTask {
        func make<Operator: StreamOperator>(_ operation: Operator) -> OperatorTask {
            TaskOf(operation, self, id: id ?? 0, partition: partition, tracksChanges: tracksChanges)
        }
        return make(operation)
    }
}
