import Base
import Records

/// Records that lie further ahead of the watermark than a ring reaches: they go into `AheadPanes`, and from
/// there into their keys' rings as windows close.
extension WindowStore {
    /// The last pane that the rings reach; `none`: nothing is known of the watermark, and they reach nothing.
    @inline(__always)
    var reach: Int64 { closedAnchor == Self.none ? Self.none : closedAnchor + 1 + lead }

    /// True if there are panes that the rings do not reach yet.
    package var hasPanesAhead: Bool { !ahead.isEmpty }

    /// Event time from which on records run ahead, as long as no window closes.
    package var aheadFrom: Int64 {
        if !options.mayRunAhead { return .max }
        return closedAnchor == Self.none ? .min : clock.startOfPane(reach + 1)
    }

    /// Takes a row that runs ahead. `calls`: of each aggregate, its index, its argument and its condition.
    /// False: there is no room for its pane, and nothing has changed.
    package func addAhead(
        _ id: UInt32, row: Int, time: Int64, calls: [(index: Int, argument: Column?, condition: Column?)],
        arena: Arena
    ) -> Bool {
        let pane = clock.pane(of: time)
        let isNew = block(of: id) == emptyBlock && !ahead.holds(id)
        guard let page = ahead.open(id, pane) else { return false }
        if isNew { arrivals.append(id) }
        greatest = max(greatest, pane)
        let words = ahead.words(page, pane)
        words[0] += 1
        for call in calls where call.index > 0 {
            if let condition = call.condition, condition.valid[row] != 1 || condition.values[row] == 0 {
                continue
            }
            if let argument = call.argument, argument.valid[row] != 1 {
                if case .sum(isCounted: true) = aggregates[call.index] { words[offsets[call.index] + 3] += 1 }
                continue
            }
            let value = call.argument?.values[row] ?? 0
            add(value, time, call.index, words + offsets[call.index], page, Int(pane & 7), arena)
        }
        ahead.noteSketches(of: page)
        return true
    }

    private func add(
        _ value: Int64, _ time: Int64, _ index: Int, _ words: Accumulator, _ page: AheadPanes.Page,
        _ slot: Int,
        _ arena: Arena
    ) {
        switch aggregates[index] {
        case .distinct(let isText, _):
            let hash =
                isText ? DistinctSet.hash(TextReference(packed: value), arena) : DistinctSet.hash(value)
            page.distinct[sketchPlace(index)]?.add(hash, slot: slot)
        case .quantile: page.quantiles[sketchPlace(index)]?.add(value, slot: slot)
        default: aggregates[index].addAny(value, time, to: words, arena: arena)
        }
    }

    /// Position of a sketch aggregate among those of a key.
    func sketchPlace(_ index: Int) -> Int { aggregates[..<index].reduce(0) { $0 + ($1.isSketch ? 1 : 0) } }

    // MARK: Into the rings

    /// Moves what the rings reach by now into them, in the order of panes, of each in the order in which keys
    /// came.
    func takeIn() {
        guard let first = ahead.first, first <= reach else { return }
        let bytes = Arena(capacity: sketchesPerKey > 0 ? 1 << 12 : 1)
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
        var block = block(of: page.id)
        if block == emptyBlock { block = makeBlock(of: page.id) }
        if block[Self.newest] == Self.none {
            block[Self.newest] = pane
            block[Self.oldest] = pane
        } else if pane > block[Self.newest] {
            moveOn(block, to: pane)
        } else if pane < block[Self.oldest] {
            if block[Self.sketch] != 0 { vacate(block, pane, block[Self.oldest] - 1) }
            block[Self.oldest] = pane
        }
        let slot = slot(pane)
        occupy(block, slot)
        let words = ahead.words(page, pane)
        (block + ring + slot * paneWords).update(from: words, count: paneWords)
        if sketchesPerKey > 0 { takeInSketches(page, pane, block, slot, bytes) }
        if options.keepsRunning {
            let (low, high) = panes(at: block[Self.newest])
            if pane >= low, pane <= high { merge(words, into: block + running) }
        }
        if options.keepsClosed { touched[slot].append(page.id) }
        if options.tracksChanges { noteDirty(block, page.id, slot) }
    }

    /// As bytes, since that is how a sketch of one ring becomes that of another.
    private func takeInSketches(
        _ page: AheadPanes.Page, _ pane: Int64, _ block: UnsafeMutablePointer<Int64>, _ slot: Int,
        _ bytes: Arena
    ) {
        for index in aggregates.indices where aggregates[index].isSketch {
            bytes.removeAll()
            let (place, sketch) = (sketchPlace(index), sketchIndex(block, index))
            page.distinct[place]?.write(pane: Int(pane & 7), to: bytes)
            page.quantiles[place]?.write(slot: Int(pane & 7), to: bytes)
            var reader = BinaryReader(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
            sketches[sketch]?.read(pane: Int(pane & 7), into: slot, &reader)
            quantiles[sketch]?.read(slot: slot, &reader)
        }
    }

    // MARK: Changes

    /// Appends every page of panes ahead that changed since the last call to `bytes` and calls `body` with
    /// its key, its number and where its bytes begin.
    package func drainAhead(into bytes: Arena, _ body: (_ id: UInt32, _ page: Int64, _ start: Int) -> Void) {
        guard ahead.hasChanges else { return }
        for page in ahead.takeChanges() {
            let start = bytes.count
            write(page, to: bytes)
            body(page.id, page.number, start)
        }
    }

    /// Pages that were drained and are gone since the last call, whose keys are still there.
    package func takeGoneAhead() -> [(id: UInt32, number: Int64)] { ahead.takeGone() }

    /// A bit for each pane that holds records, and those panes.
    func write(_ page: AheadPanes.Page, to bytes: Arena) {
        bytes.appendByte(page.mask)
        for slot in 0..<AheadPanes.panesPerPage where page.mask & 1 << UInt8(slot) != 0 {
            let words = page.words + slot * paneWords
            for word in 0..<paneWords { bytes.appendZigzag(words[word]) }
            for place in page.distinct.indices {
                page.distinct[place]?.write(pane: slot, to: bytes)
                page.quantiles[place]?.write(slot: slot, to: bytes)
            }
        }
    }

    /// Puts a page back that `write` wrote. False if the bytes are not of this store.
    package func restoreAhead(_ id: UInt32, _ number: Int64, _ reader: inout BinaryReader) -> Bool {
        let mask = reader.byte()
        guard reader.isValid, mask != 0, number >= Int64.min >> 3, number <= Int64.max >> 3 else {
            return false
        }
        if block(of: id) == emptyBlock, !ahead.holds(id) { arrivals.append(id) }
        let page = ahead.restore(id, number: number, mask: mask)
        for slot in 0..<AheadPanes.panesPerPage where mask & 1 << UInt8(slot) != 0 {
            let words = page.words + slot * paneWords
            for word in 0..<paneWords { words[word] = reader.zigzag() }
            for place in page.distinct.indices {
                page.distinct[place]?.read(pane: slot, into: slot, &reader)
                page.quantiles[place]?.read(slot: slot, &reader)
            }
        }
        ahead.noteSketches(of: page)
        return reader.isValid
    }

    /// A page was taken back; true if that was the last that the key had.
    package func restoreAheadRemoval(_ id: UInt32, _ number: Int64) -> Bool {
        guard ahead.holds(id) else { return false }
        ahead.forget(id, number: number)
        return block(of: id) == emptyBlock && !ahead.holds(id)
    }
}
