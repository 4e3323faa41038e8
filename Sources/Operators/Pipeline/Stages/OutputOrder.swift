import Base
import Dataflow
import State

/// The order of outputs, which is that of rows going through one by one, however the input was cut into
/// batches: first the row of the batch that brought an output about; of one row the source's own outputs,
/// then those of each stream; of one stream its closes and rows as they come.
final class OutputOrder {
    private let topology: CompiledTopology
    private let roots: RootRows
    /// Rows that outputs begin with go through one by one.
    private(set) var isRowWise = false
    /// Closes and rows of streams that went through since outputs began.
    private var ticks = 0
    /// Where in the outbox the outputs begin that are not in their order yet.
    private var firstOutput = 0
    /// One row of the batch is under way by itself, or none: what comes now comes of that.
    var isAlone = true
    /// Takes outputs before the end of a batch where they are many, and empties the outbox.
    var spill: ((inout Outbox) -> Void)?

    init(_ topology: CompiledTopology) {
        self.topology = topology
        roots = topology.roots
    }

    /// Outputs that come of one source, or of time going on there, begin.
    func begin(of source: Int, _ outbox: borrowing Outbox) {
        isRowWise = topology.flows[source].isRowWise
        ticks = 0
        firstOutput = outbox.records.count
    }

    func end(_ task: TaskState, _ outbox: inout Outbox) {
        outbox.order = 0
        task.lateCount = outbox.settle(from: firstOutput, late: task.lateCount)
    }

    // MARK: Very many outputs

    /// Hands outputs on before the end of the batch, once they are many: those of its rows so far are all
    /// there.
    func spillOver(_ task: TaskState, _ outbox: inout Outbox) {
        guard outbox.bytes.count > topology.options.outboxBytesMax, let spill else { return }
        end(task, &outbox)
        spill(&outbox)
        firstOutput = 0
    }

    /// The same in the middle of what comes of one row, for results whose sink takes nothing else: they come
    /// in their order. What comes of rows before that one is all there.
    func spillResults(_ outbox: inout Outbox) {
        guard isAlone, outbox.bytes.count > topology.options.outboxBytesMax, let spill else { return }
        var (results, others) = (Outbox(), Outbox())
        for (index, record) in outbox.records.enumerated() {
            var isReady = index < firstOutput
            if case .sink(let sink) = record.destination, topology.isOfOneStage[sink] { isReady = true }
            if isReady { results.add(record, of: outbox) } else { others.add(record, of: outbox) }
        }
        guard !results.isEmpty else { return }
        spill(&results)
        outbox.removeAll()
        outbox.add(others)
        firstOutput = 0
    }

    // MARK: Order

    /// `Outbox.Record.order` of what comes of a row.
    @inline(__always)
    func order(of row: Int, _ plan: SourcePlan) -> UInt64 {
        order(plan.stream?.roots[row] ?? Int32(row), plan, tick: plan.firstTick + row)
    }

    /// The same for what comes of event time having reached `watermark` in a source; the next such is after
    /// it.
    func nextOrder(reaching watermark: Int64, _ plan: SourcePlan) -> UInt64 {
        ticks += 1
        return order(roots.first(reaching: watermark, in: plan.index), plan, tick: ticks)
    }

    @inline(__always)
    private func order(_ root: Int32, _ plan: SourcePlan, tick: Int) -> UInt64 {
        // Where all goes row by row, things happen in their order.
        let stage = isRowWise ? 0 : UInt64(plan.index)
        return UInt64(root) << 48 | stage << 36 | 1 << 35 | UInt64(tick)
    }

    /// The same for dead letters of an operator, before all else that comes of its stream for that row.
    /// `number`: of the operator's letters.
    static func order(ofLetter number: Int, root: Int32, stage: Int) -> UInt64 {
        UInt64(root) << 48 | UInt64(stage) << 36 | UInt64(number) & (1 << 35 - 1)
    }

    /// The rows of a stretch get places after all that was there before.
    func beginTicks(_ plan: SourcePlan, from start: Int, to end: Int) {
        plan.firstTick = ticks + 1 - start
        ticks += end - start
    }
}
