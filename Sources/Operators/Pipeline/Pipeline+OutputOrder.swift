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
    func beginOutputs(of source: Int, _ outbox: borrowing Outbox) -> Int {
        isRowWise = rowWise[source]
        ticks = 0
        return outbox.records.count
    }

    func endOutputs(from first: Int, _ task: TaskState, _ outbox: inout Outbox) {
        outbox.order = 0
        task.lateCount = outbox.settle(from: first, late: task.lateCount)
    }

    /// `Outbox.Record.order` of what comes of a row.
    @inline(__always)
    func order(of row: Int, _ plan: SourcePlan) -> UInt64 {
        order(plan.stream?.roots[row] ?? Int32(row), plan, tick: plan.firstTick + row)
    }

    /// The same for what comes of event time having reached `watermark` in a source; the next such is after it.
    func nextOrder(reaching watermark: Int64, _ plan: SourcePlan) -> UInt64 {
        ticks += 1
        return order(roots.first(reaching: watermark), plan, tick: ticks)
    }

    @inline(__always)
    private func order(_ root: Int32, _ plan: SourcePlan, tick: Int) -> UInt64 {
        // Where all goes row by row, things happen in their order.
        let stage = isRowWise ? 0 : UInt64(plan.index)
        return UInt64(root) << 48 | stage << 36 | UInt64(tick)
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
                let inputs = spec.steps[step].maker?.inputs ?? [step]
                if inputs.contains(where: { reached.contains(steps[$0].source) }) { reached.insert(source) }
            }
            func meets(_ met: [Int]) -> Bool { Set(met.map { steps[$0].source }).intersection(reached).count > 1 }
            return spec.rules.contains { meets($0.on) }
                || spec.steps.contains { step in step.maker.map { $0.kind is UnionSpec && meets($0.inputs) } ?? false }
        }
    }
}
