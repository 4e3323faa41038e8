import Base
import Records

/// Records that lie further ahead of the watermark than a ring reaches: they go into `AheadPanes`, and from
/// there into their keys' rings as windows close.
extension WindowStore {
    /// The last pane that the rings reach; `none`: nothing is known of the watermark, and they reach nothing.
    @inline(__always)
    var reach: Int64 { closedAnchor == PaneLayout.none ? PaneLayout.none : closedAnchor + 1 + layout.lead }

    /// Event time from which on records run ahead, as long as no window closes.
    package var aheadFrom: Int64 {
        if !options.mayRunAhead { return .max }
        return closedAnchor == PaneLayout.none ? .min : clock.startOfPane(reach + 1)
    }

    /// Takes a row that runs ahead. `calls`: of each aggregate, its index, its argument and its condition.
    /// False: there is no room for its pane, and nothing has changed.
    package func addAhead(
        _ id: UInt32, row: Int, time: Int64, calls: [(index: Int, argument: Column?, condition: Column?)],
        arena: Arena
    ) -> Bool {
        let pane = clock.pane(of: time)
        let isNew = !hasKey(id)
        guard let page = ahead.open(id, pane) else { return false }
        if isNew { noteArrival(id) }
        greatest = max(greatest, pane)
        ahead.add(row, time: time, calls, to: page, pane, arena)
        return true
    }

    // MARK: Into the rings

    /// Moves what the rings reach by now into them, in the order of panes, of each in the order in which keys
    /// came.
    func takeIn() {
        guard let first = ahead.first, first <= reach else { return }
        let bytes = Arena(capacity: rings.sketches.perKey > 0 ? 1 << 12 : 1)
        while let first = ahead.first, first <= reach {
            let pages = ahead.oldest
            let start = first & ~7
            for pane in first...min(start + 7, reach) {
                for page in pages where page.holds(pane) { takeIn(page, pane, bytes) }
            }
            ahead.removeOldest(through: min(start + 7, reach))
        }
    }

    private func takeIn(_ page: AheadPanes.Page, _ pane: Int64, _ bytes: Arena) {
        var block = rings.block(of: page.id)
        if block == rings.emptyBlock { block = makeBlock(of: page.id) }
        if block[PaneLayout.newest] == PaneLayout.none {
            block[PaneLayout.newest] = pane
            block[PaneLayout.oldest] = pane
        } else if pane > block[PaneLayout.newest] {
            rings.moveOn(block, to: pane)
        } else if pane < block[PaneLayout.oldest] {
            if block[PaneLayout.sketch] != 0 { rings.vacate(block, pane, block[PaneLayout.oldest] - 1) }
            block[PaneLayout.oldest] = pane
        }
        let slot = layout.slot(pane)
        rings.occupy(block, slot)
        let words = ahead.words(page, pane)
        layout.words(block, slot: slot).update(from: words, count: layout.paneWords)
        if rings.sketches.perKey > 0 { takeInSketches(page, pane, block, slot, bytes) }
        if options.keepsRunning {
            let (low, high) = layout.panes(at: block[PaneLayout.newest])
            if pane >= low, pane <= high { rings.aggregates.merge(words, into: block + layout.running) }
        }
        if options.keepsClosed { touched[slot].append(page.id) }
        if options.tracksChanges { rings.noteDirty(block, page.id, slot) }
    }

    /// As bytes, since that is how a sketch of one ring becomes that of another.
    private func takeInSketches(
        _ page: AheadPanes.Page, _ pane: Int64, _ block: Block, _ slot: Int,
        _ bytes: Arena
    ) {
        let (aggregates, sketches) = (rings.aggregates.all, rings.sketches)
        for index in aggregates.indices where aggregates[index].isSketch {
            bytes.removeAll()
            let (place, sketch) = (sketches.place(index), sketches.index(block, index))
            page.distinct[place]?.write(pane: Int(pane & 7), to: bytes)
            page.quantiles[place]?.write(slot: Int(pane & 7), to: bytes)
            var reader = BinaryReader(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
            sketches.distinct[sketch]?.read(pane: Int(pane & 7), into: slot, &reader)
            sketches.quantiles[sketch]?.read(slot: slot, &reader)
        }
    }
}
