import State

/// The batch under way, of which every row of a stream comes in the end: which of its rows brings something
/// about.
final class RootRows {
    /// By source: what a stream's event time follows.
    struct Feed {
        var inputs: [Int] = []
        /// Windows that close a slide after their end: the stream is as far as the slide under way has begun.
        var slides: PaneClock?
    }

    /// By source.
    var feeds: [Feed] = [] { didSet { sortFeeds() } }
    /// Sources, each behind those that it is made of.
    private var order: [Int] = []
    /// By source: its event time is behind that of what it is made of.
    private var isDelayed: [Bool] = []
    /// By source: where its event time has to come to.
    private var needs: [Int64] = []

    private func sortFeeds() {
        (order, isDelayed) = ([], feeds.map { $0.slides != nil })
        needs = feeds.map { _ in .min }
        var isSeen = feeds.map { _ in false }
        func visit(_ source: Int) {
            if isSeen[source] { return }
            isSeen[source] = true
            for input in feeds[source].inputs {
                visit(input)
                if isDelayed[input] { isDelayed[source] = true }
            }
            order.append(source)
        }
        for source in feeds.indices { visit(source) }
    }

    /// nil: event time goes on without records.
    private var plan: SourcePlan?

    func begin(_ plan: SourcePlan) { self.plan = plan }
    func end() { plan = nil }

    func isRoot(_ plan: SourcePlan) -> Bool { plan === self.plan }

    /// The first row after which event time of a source, or of a stream that is made of the batch, has
    /// reached `watermark`.
    func first(reaching watermark: Int64, in source: Int) -> Int32 {
        guard let plan, watermark != .min else { return 0 }
        let watermark = isDelayed[source] ? time(at: watermark, in: source, of: plan.index) : watermark
        var (low, high) = (0, plan.batch.count)
        while low < high {
            let middle = (low + high) / 2
            if plan.watermarks[middle] >= watermark { high = middle } else { low = middle + 1 }
        }
        return Int32(low)
    }

    /// Where `root` has to come to for a stream to come to `time`; `.min`: it is not made of that.
    private func time(at time: Int64, in source: Int, of root: Int) -> Int64 {
        for place in needs.indices { needs[place] = place == source ? time : .min }
        for place in order.reversed() where place != root && needs[place] != .min {
            var needed = needs[place]
            if var slides = feeds[place].slides, needed < .max {
                // The stream has come to just before the beginning of the slide under way, where its next
                // window ends.
                let pane = slides.pane(of: needed + 1)
                let start = slides.startOfPane(pane)
                needed = start == needed + 1 ? start : slides.startOfPane(pane + 1)
            }
            for input in feeds[place].inputs { needs[input] = max(needs[input], needed) }
        }
        return needs[root]
    }
}
