import Base
import Dataflow
import Records
import Topology

/// What the stages of one lane count, and where its time goes.
final class StageMeters {
    var counters: PipelineCounters
    /// For a profile.
    var clock: StageClock?

    init(_ topology: CompiledTopology) {
        counters = PipelineCounters()
        counters.reads = Array(repeating: ReadCounts(), count: topology.sources.count)
        counters.unmatched = Array(repeating: 0, count: topology.steps.count)
        counters.resultOverflows = counters.unmatched
        counters.ruleOverflows = Array(repeating: 0, count: topology.rules.count)
        counters.rules = Array(repeating: RuleCounts(), count: topology.rules.count)
        counters.stepRows = Array(repeating: StepCounts(), count: topology.steps.count)
    }

    private var batches = 0
    /// This batch's rules are timed.
    private(set) var isTimed = false

    func beginBatch() {
        batches &+= 1
        isTimed = batches % RuleCounts.timedBatches == 1
    }

    /// Runs a rule, and times it where this batch's rules are.
    @inline(__always)
    func time(_ rule: Int, _ body: () -> Void) {
        if !isTimed { return body() }
        let start = monotonicNanoseconds()
        body()
        counters.rules[rule].nanoseconds +=
            (monotonicNanoseconds() - start) * Int64(RuleCounts.timedBatches)
    }

    @inline(__always)
    func lap(_ stage: StageClock.Stage) { clock?.lap(stage) }

    /// Counts a limit that kept a row out of a source or step. Those of operators are counted where they are
    /// hit.
    func noteLimit(_ status: UInt8, _ name: String) {
        let limit: LimitName
        switch RowStatus(rawValue: status) {
        case .oversized: limit = .recordBytes
        case .textTooLong: limit = .textBytes
        case .futureTime: limit = .ahead
        case .aheadOfOthers: limit = .windowAhead
        case .versionForgotten: limit = .tableVersions
        default: return
        }
        counters.limits.note(limit, name)
    }

    /// Counts a record that its source refused, by reason.
    func noteUnread(_ plan: SourcePlan, _ row: Int) {
        let status = plan.batch.status[row]
        counters.dead[Int(status)] += 1
        counters.reads[plan.index].refuse(status: status, field: plan.batch.statusField[row]) {
            plan.reason(row)
        }
        noteLimit(status, plan.spec.name)
    }
}
