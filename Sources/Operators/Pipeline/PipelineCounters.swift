import Base
import Dataflow
import Records
import State

/// What happened since the process started; a lane publishes them once a poll.
package struct PipelineCounters {
    package var records: Int64 = 0
    package var late: Int64 = 0
    /// By source.
    package var reads: [ReadCounts] = []
    /// By `RowStatus`.
    package var dead = InlineArray<32, Int64>(repeating: 0)
    package var alerts: Int64 = 0
    package var results: Int64 = 0
    /// Records without a value that their source says to pass over.
    package var tombstones: Int64 = 0
    /// By step: rows that were dropped since they have no partner in a table.
    package var unmatched: [Int64] = []
    /// By step, results, and by rule, conditions and parts of messages, that are null since a number in them
    /// does not fit in 64 bits.
    package var resultOverflows: [Int64] = []
    package var ruleOverflows: [Int64] = []
    /// By rule.
    package var rules: [RuleCounts] = []
    /// By name of a rule that is gone: raised alerts of it that were cleared.
    package var clearedOfGone: [String: Int64] = [:]
    /// By step; those that an operator brings along have places of their own.
    package var stepRows: [StepCounts] = []
    package var limits = LimitHits()

    package init() {}

    package var overflowTotal: Int64 { resultOverflows.reduce(0, +) + ruleOverflows.reduce(0, +) }

    package var deadTotal: Int64 {
        var total: Int64 = 0
        for index in dead.indices { total += dead[index] }
        return total
    }
}

/// An alert found in a stretch of rows; written when the stretch ends, in row order.
struct PendingAlert {
    var row: Int
    var rule: Int
    var id: UInt32
    var edge: AlertEdge
}
