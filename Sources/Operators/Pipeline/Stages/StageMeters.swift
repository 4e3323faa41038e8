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
