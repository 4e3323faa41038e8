import Base
import Records

/// Windows of one key at any anchor that is not closed, added up from their panes; totals are kept of two
/// windows of a key only. For what is rare: records that come out of order or run ahead, and what time alone
/// brings about.
extension WindowStore {
    /// The key's newest pane; `none`: it has none.
    package func newest(of id: UInt32) -> Int64 { ahead.newest(of: id) ?? block(of: id)[Self.newest] }

    /// The first anchor whose window is open for a key, and the one of its newest window, as far as event
    /// time and its records have come.
    package func openAnchors(of id: UInt32) -> (first: Int64, newest: Int64) {
        (open, max(open, newest(of: id)))
    }

    /// The anchors of the windows that cover the pane at `time`.
    package func anchors(covering time: Int64) -> (first: Int64, last: Int64) {
        let pane = clock.pane(of: time)
        return (options.excludesCurrent ? pane + 1 : pane, lastAnchor(covering: pane))
    }

    /// The anchor of the window that is current at `time`.
    package func currentAnchor(at time: Int64) -> Int64 { clock.pane(of: time) }

    /// When the window at `anchor` becomes the current one.
    package func beginsAt(_ anchor: Int64) -> Int64 { clock.startOfPane(anchor) }

    // MARK: Panes of a key

    /// A key's panes in ring and pages, with the page that was looked at last.
    struct KeyPanes {
        let store: WindowStore
        let id: UInt32
        let block: UnsafeMutablePointer<Int64>
        let hasPanesAhead: Bool
        private var number = Int64.min
        private var page: AheadPanes.Page?

        init(_ store: WindowStore, _ id: UInt32) {
            (self.store, self.id) = (store, id)
            block = store.block(of: id)
            hasPanesAhead = store.ahead.holds(id)
        }

        /// The words of a pane; nil: it holds no records.
        mutating func words(_ pane: Int64) -> Accumulator? {
            if pane <= store.reach || !hasPanesAhead {
                guard pane >= block[WindowStore.oldest], pane <= block[WindowStore.newest] else { return nil }
                let slot = store.slot(pane)
                return store.isOccupied(block, slot) ? block + store.ring + slot * store.paneWords : nil
            }
            if pane >> 3 != number || number == .min {
                number = pane >> 3
                page = store.ahead.page(id, holding: pane)
            }
            guard let page, page.holds(pane) else { return nil }
            return store.ahead.words(page, pane)
        }

        /// Calls `body` with the panes from `low` to `high`, a window's at most, that hold records, in their
        /// order, until it returns false.
        mutating func forEach(
            _ low: Int64, _ high: Int64, _ body: (_ pane: Int64, _ words: Accumulator) -> Bool
        ) {
            let reached = min(high, block[WindowStore.newest])
            var pane = max(low, block[WindowStore.oldest])
            while pane <= reached {
                if let words = words(pane), !body(pane, words) { return }
                pane += 1
            }
            forEachAhead(low, high, body)
        }

        /// Of these, those that the ring does not reach.
        func forEachAhead(_ low: Int64, _ high: Int64, _ body: (_ pane: Int64, _ words: Accumulator) -> Bool)
        {
            guard hasPanesAhead, let newest = store.ahead.newest(of: id), high > store.reach else { return }
            var pane = store.reach == WindowStore.none ? low : max(low, store.reach + 1)
            while pane <= min(high, newest) {
                guard let page = store.ahead.page(id, holding: pane) else {
                    pane = (pane >> 3 + 1) << 3
                    continue
                }
                let end = min(high, pane | 7)
                while pane <= end {
                    if page.holds(pane), !body(pane, store.ahead.words(page, pane)) { return }
                    pane += 1
                }
            }
        }
    }

    // MARK: Values

    /// The value of an aggregate of the window at `anchor`.
    func read(_ index: Int, of id: UInt32, at anchor: Int64, arena: Arena) -> (value: Int64, valid: UInt8) {
        var panes = KeyPanes(self, id)
        add(&panes, at: anchor)
        return read(index, &panes, at: anchor, arena: arena)
    }

    /// Writes the values of the windows at `anchors`, which ascend, to rows 0... of `columns`: one for each
    /// aggregate of `indices`.
    package func gather(
        _ id: UInt32, anchors: UnsafeBufferPointer<Int64>, _ indices: [Int], into columns: [Column],
        arena: Arena
    ) {
        var panes = KeyPanes(self, id)
        for (row, anchor) in anchors.enumerated() {
            if row == 0 || anchor - anchors[row - 1] >= Int64(options.span) {
                add(&panes, at: anchor)
            } else {
                move(&panes, from: anchors[row - 1], to: anchor)
            }
            for (column, index) in zip(columns, indices) {
                (column.values[row], column.valid[row]) = read(index, &panes, at: anchor, arena: arena)
            }
        }
    }

    /// Makes `viewTotal` the total of the window at `anchor`.
    private func add(_ panes: inout KeyPanes, at anchor: Int64) {
        let (low, high) = self.panes(at: anchor)
        let (total, block) = (viewTotal, panes.block)
        total.update(from: neutral, count: paneWords)
        forEachOccupied(block, max(low, block[Self.oldest]), min(high, block[Self.newest])) { slot in
            merge(block + ring + slot * paneWords, into: total)
        }
        panes.forEachAhead(low, high) { _, words in
            merge(words, into: total)
            return true
        }
    }

    private func move(_ panes: inout KeyPanes, from: Int64, to anchor: Int64) {
        var left: UInt64 = 0
        for step in from..<anchor {
            if let words = panes.words(self.panes(at: step).low) { left |= subtract(words, outOf: viewTotal) }
            if let words = panes.words(self.panes(at: step + 1).high) { merge(words, into: viewTotal) }
        }
        if left != 0 { add(&panes, at: anchor) }
    }

    /// Reads `viewTotal`, or, where a total does not tell it, the panes of the window.
    private func read(_ index: Int, _ panes: inout KeyPanes, at anchor: Int64, arena: Arena) -> (
        value: Int64, valid: UInt8
    ) {
        let (low, high) = self.panes(at: anchor)
        let aggregate = aggregates[index]
        switch aggregate {
        case .distinct, .quantile:
            if !panes.hasPanesAhead || high <= reach {
                return readSketch(index, panes.block, anchor, oldest: panes.block[Self.oldest])
            }
            return readSketches(index, &panes, low, high)
        case .windowStart: return (clock.startOfPane(low), 1)
        case .windowEnd: return (clock.startOfPane(high + 1), 1)
        case .days(let perPane):
            var days: (value: Int64, valid: UInt8) = (0, 0)
            panes.forEach(low, high) { pane, words in
                guard words[offsets[index]] != 0 else { return true }
                days = ((high + 1 - pane) * Int64(perPane), 1)
                return false
            }
            return days
        default: return aggregate.read(viewTotal + offsets[index], isFilled: viewTotal[0] > 0, arena: arena)
        }
    }

    /// A sketch over ring and pages: both are put into one, pane by pane, as bytes.
    private func readSketches(_ index: Int, _ panes: inout KeyPanes, _ low: Int64, _ high: Int64) -> (
        value: Int64, valid: UInt8
    ) {
        var held: [Int64] = []
        panes.forEach(low, high) { pane, _ in
            held.append(pane)
            return true
        }
        let bytes = Arena(capacity: 1 << 12)
        var exactMax = Limits.distinctExactMax
        if case .distinct(_, let most) = aggregates[index] { exactMax = most }
        let distinct = DistinctSet(slots: max(held.count, 1), exactMax: exactMax)
        let quantiles = QuantileSketch(slots: max(held.count, 1))
        for (place, pane) in held.enumerated() {
            bytes.removeAll()
            write(index, panes, pane, to: bytes)
            var reader = BinaryReader(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
            if case .quantile = aggregates[index] {
                quantiles.read(slot: place, &reader)
            } else {
                distinct.read(pane: (pane > reach ? Int(pane & 7) : slot(pane) & 7), into: place, &reader)
            }
        }
        if case .quantile(let perMille) = aggregates[index] {
            return quantiles.quantile(perMille: perMille, firstSlot: 0, count: held.count).map { ($0, 1) }
                ?? (0, 0)
        }
        return (distinct.estimate(firstSlot: 0, count: held.count), 1)
    }

    private func write(_ index: Int, _ panes: KeyPanes, _ pane: Int64, to bytes: Arena) {
        if pane > reach {
            let page = ahead.page(panes.id, holding: pane)
            let place = sketchPlace(index)
            page?.distinct[place]?.write(pane: Int(pane & 7), to: bytes)
            page?.quantiles[place]?.write(slot: Int(pane & 7), to: bytes)
        } else {
            let sketch = sketchIndex(panes.block, index)
            sketches[sketch]?.write(pane: slot(pane), to: bytes)
            quantiles[sketch]?.write(slot: slot(pane), to: bytes)
        }
    }

    // MARK: Changes of what a window holds

    /// The anchors from `low` to `high` whose windows hold other panes than the one before, `low` first;
    /// `each`: all of them.
    package func appendAnchors(of id: UInt32, _ low: Int64, _ high: Int64, each: Bool, to list: inout [Int64])
    {
        guard low <= high else { return }
        list.append(low)
        if low == high { return }
        if each { return list.append(contentsOf: low + 1...high) }
        // Two places to look at, each with a page of its own.
        var (leaving, entering) = (KeyPanes(self, id), KeyPanes(self, id))
        for anchor in low + 1...high
        where leaving.words(panes(at: anchor - 1).low) != nil || entering.words(panes(at: anchor).high) != nil
        {
            list.append(anchor)
        }
    }

    /// The anchor after the key's newest window, as far as event time has come too, whose window holds
    /// something else unless a record comes; `each`: the next anchor, as long as there are records. `.max`:
    /// there is none.
    package func nextAnchor(of id: UInt32, each: Bool) -> Int64 {
        let newest = openAnchors(of: id).newest
        let (low, high) = panes(at: newest)
        var keyPanes = KeyPanes(self, id)
        var next = Int64.max
        keyPanes.forEach(low, high) { pane, _ in
            next = lastAnchor(covering: pane) + 1
            return false
        }
        // Only `until: previous` windows take in panes that are there already.
        if options.excludesCurrent, keyPanes.words(newest) != nil { next = newest + 1 }
        return each && next != .max ? newest + 1 : next
    }
}
