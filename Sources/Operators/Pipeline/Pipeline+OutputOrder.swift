import Base
import Dataflow
import Records
import State
import Topology

/// The order of outputs, which is that of rows going through one by one, however the input was cut into batches: first
/// the row of the batch that brought an output about; of one row the source's own outputs, then those of each stream; of
/// one stream its closes and rows as they come.
extension Pipeline {
    /// Outputs that come of one source, or of time going on there, begin.
    func beginOutputs(of source: Int, _ outbox: borrowing Outbox) {
        isRowWise = rowWise[source]
        ticks = 0
        firstOutput = outbox.records.count
    }

    func endOutputs(_ task: TaskState, _ outbox: inout Outbox) {
        outbox.order = 0
        task.lateCount = outbox.settle(from: firstOutput, late: task.lateCount)
    }

    // MARK: Very many outputs

    /// Hands outputs on before the end of the batch, once they are many: those of its rows so far are all there.
    func spillOver(_ task: TaskState, _ outbox: inout Outbox) {
        guard outbox.bytes.count > options.outboxBytesMax, let spill else { return }
        endOutputs(task, &outbox)
        spill(&outbox)
        firstOutput = 0
    }

    /// The same in the middle of what comes of one row, for results whose sink takes nothing else: they come in their
    /// order. What comes of rows before that one is all there.
    func spillResults(_ outbox: inout Outbox) {
        guard outbox.bytes.count > options.outboxBytesMax, let spill else { return }
        var (results, others) = (Outbox(), Outbox())
        for (index, record) in outbox.records.enumerated() {
            var isReady = index < firstOutput
            if case .sink(let sink) = record.destination, isOfOneStage[sink] { isReady = true }
            if isReady { results.add(record, of: outbox) } else { others.add(record, of: outbox) }
        }
        guard !results.isEmpty else { return }
        spill(&results)
        outbox.removeAll()
        outbox.add(others)
        firstOutput = 0
    }

    static func isOfOneStage(_ spec: TopologySpec, _ steps: [StepPlan]) -> [Bool] {
        spec.sinks.map { sink in
            guard case .steps(let inputs) = sink.input else { return false }
            return Set(inputs.map { steps[$0].source }).count == 1
        }
    }

    // MARK: Order

    /// `Outbox.Record.order` of what comes of a row.
    @inline(__always)
    func order(of row: Int, _ plan: SourcePlan) -> UInt64 {
        order(plan.stream?.roots[row] ?? Int32(row), plan, tick: plan.firstTick + row)
    }

    /// The same for what comes of event time having reached `watermark` in a source; the next such is after it.
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

    /// The same for dead letters of an operator, before all else that comes of its stream for that row. `number`: of the
    /// operator's letters.
    static func order(ofLetter number: Int, root: Int32, stage: Int) -> UInt64 {
        UInt64(root) << 48 | UInt64(stage) << 36 | UInt64(number) & (1 << 35 - 1)
    }

    /// The rows of a stretch get places after all that was there before.
    func beginTicks(_ plan: SourcePlan, from start: Int, to end: Int) {
        plan.firstTick = ticks + 1 - start
        ticks += end - start
    }

    /// By source: whether its rows, and all that comes of them, must go through one by one: something brings them
    /// together with a stream that is made of them, so that it sees how far that stream is.
    static func rowWise(_ spec: TopologySpec, _ steps: [StepPlan]) -> [Bool] {
        spec.sources.indices.map { root in
            var reached: Set<Int> = [root]
            for (source, plan) in spec.sources.enumerated() {
                guard case .stream(let step) = plan.origin else { continue }
                let inputs = spec.steps[step].operation?.inputs ?? [step]
                if inputs.contains(where: { reached.contains(steps[$0].source) }) { reached.insert(source) }
            }
            func meets(_ met: [Int]) -> Bool { Set(met.map { steps[$0].source }).intersection(reached).count > 1 }
            return spec.rules.contains { meets($0.on) }
                || spec.steps.compactMap(\.operation).contains { $0.part.order == .asTheyCome && (meets($0.inputs) || $0.looks(reached, steps)) }
        }
    }
}
