/// The batch under way, of which every row of a stream comes in the end: which of its rows brings something about.
final class RootRows {
    /// nil: event time goes on without records.
    private var plan: Pipeline.SourcePlan?

    /// The row that is under way, as far as rows go through one by one.
    var row = 0

    func begin(_ plan: Pipeline.SourcePlan) {
        self.plan = plan
        row = 0
    }
    func end() { plan = nil }

    /// The watermark after the row that is under way, where its batch is that of this source: the task's own is that of the
    /// batch's last row already.
    func watermark(of plan: Pipeline.SourcePlan) -> Int64? {
        isRoot(plan) && row < plan.batch.count ? plan.watermarks[row] : nil
    }

    func isRoot(_ plan: Pipeline.SourcePlan) -> Bool { plan === self.plan }

    /// The first row after which event time has reached `watermark`.
    func first(reaching watermark: Int64) -> Int32 {
        guard let plan, watermark != .min else { return 0 }
        var (low, high) = (0, plan.batch.count)
        while low < high {
            let middle = (low + high) / 2
            if plan.watermarks[middle] >= watermark { high = middle } else { low = middle + 1 }
        }
        return Int32(low)
    }
}
