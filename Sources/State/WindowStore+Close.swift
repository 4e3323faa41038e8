import Base
import Records

extension WindowStore {
    /// The watermark at which the next window closes; `.min`: the first watermark decides.
    package var nextClose: Int64 { closedAnchor == Self.none ? .min : clock.startOfPane(closedAnchor + 2) }

    /// The last instant in the window that closes next: `until: previous` windows close a slide after it.
    package var nextEnd: Int64 { closedAnchor == Self.none ? .max : bounds(at: closedAnchor + 1).end - 1 }

    /// When the first window closes at `time` or after it.
    package func firstClose(at time: Int64) -> Int64 {
        if time <= nextClose { return nextClose }
        let pane = clock.pane(of: time)
        let start = clock.startOfPane(pane)
        return start == time ? start : clock.startOfPane(pane + 1)
    }

    /// True while keys have records that a close takes in or has taken in.
    package var holdsClosed: Bool { options.keepsClosed && !(live.isEmpty && ahead.isEmpty) }

    /// To be called when the watermark is first known: closes begin with the oldest record, of those that
    /// came before.
    package func begin(at watermark: Int64) {
        guard closedAnchor == Self.none else { return }
        closedAnchor = min(watermarkClock.pane(of: watermark), ahead.first ?? .max) - 1
        takeIn()
    }

    /// When the next window closes whose closing makes a difference, if no record comes before: for the keys
    /// whose closed window is another one then or, if `each`, for all that have records in it. `.max`: there
    /// is none.
    package func nextChange(each: Bool) -> Int64 {
        guard options.keepsClosed, closedAnchor != Self.none else { return .max }
        if !changed.isEmpty || (each && newestClosed >= panes(at: closedAnchor + 1).low) { return nextClose }
        let (low, high) = panes(at: closedAnchor)
        var next = Int64.max
        if let pane = firstTouched(low, high) { next = lastAnchor(covering: pane) + 1 }
        if let pane = firstTouched(high + 1, reach) ?? ahead.first {
            next = min(next, options.excludesCurrent ? pane + 1 : pane)
        }
        return next == .max ? .max : clock.startOfPane(next + 1)
    }

    /// The first pane of these, ring's length at most, in which a key had records; nil: there is none.
    private func firstTouched(_ low: Int64, _ high: Int64) -> Int64? {
        if low > high { return nil }
        var slot = slot(low)
        for pane in low...high {
            if !touched[slot].isEmpty { return pane }
            slot += 1
            if slot == ringCount { slot = 0 }
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
        let (low, high) = panes(at: closedAnchor)
        let (blocks, emptyBlock, round) = (blocks, emptyBlock, changeRound)
        let (ring, closed, paneWords) = (ring, closed, paneWords)
        let entering = slot(high)
        if !touched[entering].isEmpty { newestClosed = max(newestClosed, high) }
        forEachTouched(entering) { id in
            let block = Self.block(of: id, blocks, emptyBlock)
            guard holds(block, high, at: entering) else { return }
            merge(block + ring + entering * paneWords, into: block + closed)
            noteChange(of: id, block, round)
        }
        let leaving = slot(low - 1)
        forEachTouched(leaving) { id in
            let block = Self.block(of: id, blocks, emptyBlock)
            guard holds(block, low - 1, at: leaving) else { return }
            let left = subtract(block + ring + leaving * paneWords, outOf: block + closed)
            if left != 0 { rescanExtremes(left, block, block + closed, low, high) }
            noteChange(of: id, block, round)
        }
        left.removeAll()
        swap(&left, &touched[leaving])
    }

    /// Calls `body` with the keys that have records in a pane, whose blocks are asked for ahead of their
    /// turn.
    @inline(__always)
    private func forEachTouched(_ slot: Int, _ body: (_ id: UInt32) -> Void) {
        let (blocks, ring, pane) = (blocks, ring, ring + slot * paneWords)
        let ids = touched[slot].ids
        for index in ids.indices {
            if index + Self.ahead < ids.count {
                blocks.prefetch(ids[index + Self.ahead], words: ring, offset: pane, count: paneWords)
            }
            body(ids[index])
        }
    }

    /// True if a slot of the key's ring holds records of this pane.
    private func holds(_ block: UnsafeMutablePointer<Int64>, _ pane: Int64, at slot: Int) -> Bool {
        pane >= block[Self.oldest] && pane <= block[Self.newest] && isOccupied(block, slot)
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
        let span = Int64(options.span)
        sweepDue = (floorDivide(closedAnchor, span) + 1) * span
        for position in stride(from: live.count - 1, through: 0, by: -1) {
            forgetIfEmpty(live[position], onForgotten)
        }
    }

    private func forgetIfEmpty(_ id: UInt32, _ onForgotten: (UInt32) -> Void) {
        let block = block(of: id)
        guard block != emptyBlock, lastAnchor(covering: block[Self.newest]) <= closedAnchor else { return }
        if options.mayRunAhead, ahead.holds(id) { return }
        remove(id)
        onForgotten(id)
    }

    // MARK: Reading

    /// Which totals of a key are read.
    package enum Totals { case running, closed }

    /// True if the key has records in the window.
    package func hasRecords(_ id: UInt32, _ totals: Totals) -> Bool {
        let block = block(of: id)
        return (totals == .running ? block + running : block + closed)[0] > 0
    }

    /// True if the key has a block: records in a window that is not closed, or in one that was not forgotten
    /// yet.
    package func hasKey(_ id: UInt32) -> Bool { block(of: id) != emptyBlock || ahead.holds(id) }

    /// Those of the keys, or of `changed` if they are nil, whose closed window has records.
    package func closedKeys(among ids: [UInt32]? = nil) -> [UInt32] {
        let (blocks, emptyBlock, closed) = (blocks, emptyBlock, closed)
        func hasRecords(_ id: UInt32) -> Bool { Self.block(of: id, blocks, emptyBlock)[closed] > 0 }
        return ids?.filter(hasRecords) ?? changed.filter(hasRecords)
    }

    /// Moves the keys' current windows on to the one that is current at `time`.
    package func advance(_ ids: UnsafePointer<UInt32>, count: Int, to time: Int64) {
        let anchor = watermarkClock.pane(of: time)
        for index in 0..<count { advance(block(of: ids[index]), to: anchor) }
    }

    /// The anchor of the window that the key's totals describe; `otherwise` if it has none.
    package func anchor(of id: UInt32, _ totals: Totals, otherwise: Int64) -> Int64 {
        if totals == .closed { return closedAnchor == Self.none ? otherwise : closedAnchor }
        if let newest = ahead.newest(of: id) { return newest }
        let block = block(of: id)
        return block == emptyBlock ? otherwise : block[Self.newest]
    }

    /// Writes the value of the aggregate at `index` for each key to rows 0..<count of `output`. What runs is
    /// the window of the key's newest pane, whether the ring has it or not.
    package func gather(
        _ index: Int,
        ids: UnsafePointer<UInt32>,
        count: Int,
        _ totals: Totals,
        into output: Column,
        arena: Arena,
        anchorOtherwise: Int64
    ) {
        let aggregate = aggregates[index]
        let (blocks, emptyBlock) = (blocks, emptyBlock)
        let total = totals == .running ? running : closed
        let place = total + offsets[index]
        let (values, valid) = (output.values, output.valid)
        for row in 0..<count {
            let block = Self.block(of: ids[row], blocks, emptyBlock)
            let words = block + place
            let value: (value: Int64, valid: UInt8)
            switch aggregate {
            case .records, .count: value = (words[0], 1)
            case .minimum(isCounted: false), .maximum(isCounted: false):
                value = (words[0], block[total] > 0 ? 1 : 0)
            case .distinct, .quantile:
                let anchor = anchor(of: ids[row], totals, otherwise: anchorOtherwise)
                value = readSketch(index, block, anchor, oldest: block[Self.oldest])
            case .days, .windowStart, .windowEnd:
                let anchor = anchor(of: ids[row], totals, otherwise: anchorOtherwise)
                value = readWindow(aggregate, index, block, anchor, oldest: block[Self.oldest])
            default: value = aggregate.read(words, isFilled: block[total] > 0, arena: arena)
            }
            values[row] = value.value
            valid[row] = value.valid
        }
        guard totals == .running, !ahead.isEmpty else { return }
        for row in 0..<count {
            guard let newest = ahead.newest(of: ids[row]) else { continue }
            (values[row], valid[row]) = read(index, of: ids[row], at: newest, arena: arena)
        }
    }

    func readSketch(_ index: Int, _ block: UnsafeMutablePointer<Int64>, _ anchor: Int64, oldest: Int64)
        -> (value: Int64, valid: UInt8)
    {
        let range = panes(at: anchor)
        let low = max(range.low, oldest)
        let high = min(range.high, block[Self.newest])
        let isEmpty = block == emptyBlock || block[Self.sketch] == 0 || low > high
        switch aggregates[index] {
        case .quantile(let perMille):
            if isEmpty { return (0, 0) }
            let value = quantiles[sketchIndex(block, index)]?
                .quantile(perMille: perMille, firstSlot: slot(low), count: Int(high - low + 1))
            return value.map { ($0, 1) } ?? (0, 0)
        default:
            if isEmpty { return (0, 1) }
            let value = sketches[sketchIndex(block, index)]?
                .estimate(firstSlot: slot(low), count: Int(high - low + 1))
            return (value ?? 0, 1)
        }
    }

    func readWindow(
        _ aggregate: Aggregate,
        _ index: Int,
        _ block: UnsafeMutablePointer<Int64>,
        _ anchor: Int64,
        oldest: Int64
    ) -> (value: Int64, valid: UInt8) {
        let (low, high) = panes(at: anchor)
        switch aggregate {
        case .windowStart: return (clock.startOfPane(low), 1)
        case .windowEnd: return (clock.startOfPane(high + 1), 1)
        case .days(let perPane):
            if block == emptyBlock { return (0, 0) }
            var pane = max(low, oldest)
            while pane <= min(high, block[Self.newest]) {
                if isOccupied(block, slot(pane)), paneWords(block, pane)[offsets[index]] != 0 {
                    return ((high + 1 - pane) * Int64(perPane), 1)
                }
                pane += 1
            }
            return (0, 0)
        default: unreachable("not a property of the window")
        }
    }
}
