import Base
import Records

extension WindowStore {
    /// The watermark at which the next window closes; `.min`: the first watermark decides.
    package var nextClose: Int64 {
        closedAnchor == PaneLayout.none ? .min : clock.startOfPane(closedAnchor + 2)
    }

    /// The last instant in the window that closes next: `until: previous` windows close a slide after it.
    package var nextEnd: Int64 {
        closedAnchor == PaneLayout.none ? .max : bounds(at: closedAnchor + 1).end - 1
    }

    /// When the first window closes at `time` or after it.
    package func firstClose(at time: Int64) -> Int64 {
        if time <= nextClose { return nextClose }
        let pane = clock.pane(of: time)
        let start = clock.startOfPane(pane)
        return start == time ? start : clock.startOfPane(pane + 1)
    }

    /// True while keys have records that a close takes in or has taken in.
    package var holdsClosed: Bool { options.keepsClosed && !(rings.live.isEmpty && ahead.isEmpty) }

    /// To be called when the watermark is first known: closes begin with the oldest record, of those that
    /// came before.
    package func begin(at watermark: Int64) {
        guard closedAnchor == PaneLayout.none else { return }
        closedAnchor = min(watermarkClock.pane(of: watermark), ahead.first ?? .max) - 1
        takeIn()
    }

    /// When the next window closes whose closing makes a difference, if no record comes before: for the keys
    /// whose closed window is another one then or, if `each`, for all that have records in it. `.max`: there
    /// is none.
    package func nextChange(each: Bool) -> Int64 {
        guard options.keepsClosed, closedAnchor != PaneLayout.none else { return .max }
        if !changed.isEmpty || (each && newestClosed >= layout.panes(at: closedAnchor + 1).low) {
            return nextClose
        }
        let (low, high) = layout.panes(at: closedAnchor)
        var next = Int64.max
        if let pane = firstTouched(low, high) { next = layout.lastAnchor(covering: pane) + 1 }
        if let pane = firstTouched(high + 1, reach) ?? ahead.first {
            next = min(next, layout.excludesCurrent ? pane + 1 : pane)
        }
        return next == .max ? .max : clock.startOfPane(next + 1)
    }

    /// The first pane of these, ring's length at most, in which a key had records; nil: there is none.
    private func firstTouched(_ low: Int64, _ high: Int64) -> Int64? {
        if low > high { return nil }
        var slot = layout.slot(low)
        for pane in low...high {
            if !touched[slot].isEmpty { return pane }
            slot += 1
            if slot == layout.ringCount { slot = 0 }
        }
        return nil
    }

    /// Closes windows up to event time `end`, which is not after `nextChange`: totals can then be read, and
    /// `changed` holds the keys for which they are not what they were. True if a window closes at `end`
    /// itself.
    package func close(to end: Int64, each: Bool) -> Bool {
        guard nextClose <= end else { return false }
        let change = nextChange(each: each)
        var anchor = watermarkClock.pane(of: end) - 1
        if change <= end {
            // Days may begin at one instant, where a zone has left one out: one after the other.
            while clock.startOfPane(anchor) >= change { anchor -= 1 }
            closedAnchor = max(closedAnchor, anchor - 1)
            takeIn()
            closeNext()
        } else {
            closedAnchor = anchor
        }
        takeIn()
        return clock.startOfPane(closedAnchor + 1) == end
    }

    /// Closes the next window. Visits only keys with records in the pane that enters or in the one that
    /// leaves.
    private func closeNext() {
        closedAnchor += 1
        guard options.keepsClosed else { return }
        let (low, high) = layout.panes(at: closedAnchor)
        let (rings, layout) = (rings, layout)
        let (blocks, emptyBlock, round) = (rings.blocks, rings.emptyBlock, changeRound)
        let closed = layout.closed
        let entering = layout.slot(high)
        if !touched[entering].isEmpty { newestClosed = max(newestClosed, high) }
        forEachTouched(entering) { id in
            let block = PaneRings.block(of: id, blocks, emptyBlock)
            guard layout.holds(block, high, at: entering) else { return }
            rings.aggregates.merge(layout.words(block, slot: entering), into: block + closed)
            noteChange(of: id, block, round)
        }
        let leaving = layout.slot(low - 1)
        forEachTouched(leaving) { id in
            let block = PaneRings.block(of: id, blocks, emptyBlock)
            guard layout.holds(block, low - 1, at: leaving) else { return }
            let left = rings.aggregates.subtract(
                layout.words(block, slot: leaving), outOf: block + closed)
            if left != 0 { rings.rescanExtremes(left, block, block + closed, low, high) }
            noteChange(of: id, block, round)
        }
        left.removeAll()
        swap(&left, &touched[leaving])
    }

    /// Calls `body` with the keys that have records in a pane, whose blocks are asked for ahead of their
    /// turn.
    @inline(__always)
    private func forEachTouched(_ slot: Int, _ body: (_ id: UInt32) -> Void) {
        let (blocks, ring, paneWords) = (rings.blocks, layout.ring, layout.paneWords)
        let pane = ring + slot * paneWords
        let ids = touched[slot].ids
        for index in ids.indices {
            if index + BlockMemory.prefetchDistance < ids.count {
                blocks.prefetch(
                    ids[index + BlockMemory.prefetchDistance], words: ring, offset: pane, count: paneWords)
            }
            body(ids[index])
        }
    }

    /// Takes every window up to `watermark` as closed; `nextChange` lies after it.
    package func skip(to watermark: Int64) {
        let anchor = watermarkClock.pane(of: watermark) - 1
        guard anchor > closedAnchor else { return }
        closedAnchor = anchor
        takeIn()
    }

    /// Forgets the keys whose records have all left the windows, and hands them to `onForgotten`: those that
    /// the last close emptied, and, at every multiple of the span, whatever else is empty: so that the order
    /// of keys does not depend on where event time was told to stop in between.
    package func forget(_ onForgotten: (_ id: UInt32) -> Void) {
        forgetChanges()
        for id in left.ids { forgetIfEmpty(id, onForgotten) }
        left.removeAll()
        if closedAnchor < sweepDue { return }
        let span = layout.span
        sweepDue = (floorDivide(closedAnchor, span) + 1) * span
        for position in stride(from: rings.live.count - 1, through: 0, by: -1) {
            forgetIfEmpty(rings.live[position], onForgotten)
        }
    }

    private func forgetIfEmpty(_ id: UInt32, _ onForgotten: (UInt32) -> Void) {
        let block = rings.block(of: id)
        guard block != rings.emptyBlock, layout.lastAnchor(covering: block[PaneLayout.newest]) <= closedAnchor
        else { return }
        if options.mayRunAhead, ahead.holds(id) { return }
        remove(id)
        onForgotten(id)
    }
}
