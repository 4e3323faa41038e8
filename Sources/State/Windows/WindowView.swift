import Base
import Records

/// Windows of one key at any anchor that is not closed, added up from their panes; totals are kept of two
/// windows of a key only. For what is rare: records that come out of order or run ahead, and what time alone
/// brings about.
package struct WindowView {
    let store: WindowStore

    /// The key's newest pane; `none`: it has none.
    package func newest(of id: UInt32) -> Int64 {
        store.ahead.newest(of: id) ?? store.rings.block(of: id)[PaneLayout.newest]
    }

    /// The first anchor whose window is open for a key, and the one of its newest window, as far as event
    /// time and its records have come.
    package func openAnchors(of id: UInt32) -> (first: Int64, newest: Int64) {
        (store.open, max(store.open, newest(of: id)))
    }

    /// The anchors of the windows that cover the pane at `time`.
    package func anchors(covering time: Int64) -> (first: Int64, last: Int64) {
        let pane = store.clock.pane(of: time)
        return (store.layout.excludesCurrent ? pane + 1 : pane, store.layout.lastAnchor(covering: pane))
    }

    /// The anchor of the window that is current at `time`.
    package func currentAnchor(at time: Int64) -> Int64 { store.clock.pane(of: time) }

    /// When the window at `anchor` becomes the current one.
    package func beginsAt(_ anchor: Int64) -> Int64 { store.clock.startOfPane(anchor) }

    // MARK: Values

    /// The value of an aggregate of the window at `anchor`.
    func read(_ index: Int, of id: UInt32, at anchor: Int64, arena: Arena) -> (value: Int64, valid: UInt8) {
        var panes = KeyPanes(store, id)
        add(&panes, at: anchor)
        return read(index, &panes, at: anchor, arena: arena)
    }

    /// Writes the values of the windows at `anchors`, which ascend, to rows 0... of `columns`: one for each
    /// aggregate of `indices`.
    package func gather(
        _ id: UInt32, anchors: UnsafeBufferPointer<Int64>, _ indices: [Int], into columns: [Column],
        arena: Arena
    ) {
        var panes = KeyPanes(store, id)
        for (row, anchor) in anchors.enumerated() {
            if row == 0 || anchor - anchors[row - 1] >= store.layout.span {
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
        let (low, high) = store.layout.panes(at: anchor)
        let (total, block) = (store.viewTotal, panes.block)
        let (layout, aggregates) = (store.layout, store.rings.aggregates)
        aggregates.clear(total)
        layout.forEachOccupied(block, max(low, block[PaneLayout.oldest]), min(high, block[PaneLayout.newest]))
        { slot in
            aggregates.merge(layout.words(block, slot: slot), into: total)
        }
        panes.forEachAhead(low, high) { _, words in
            aggregates.merge(words, into: total)
            return true
        }
    }

    private func move(_ panes: inout KeyPanes, from: Int64, to anchor: Int64) {
        let aggregates = store.rings.aggregates
        var left: UInt64 = 0
        for step in from..<anchor {
            if let words = panes.words(store.layout.panes(at: step).low) {
                left |= aggregates.subtract(words, outOf: store.viewTotal)
            }
            if let words = panes.words(store.layout.panes(at: step + 1).high) {
                aggregates.merge(words, into: store.viewTotal)
            }
        }
        if left != 0 { add(&panes, at: anchor) }
    }

    /// Reads `viewTotal`, or, where a total does not tell it, the panes of the window.
    private func read(_ index: Int, _ panes: inout KeyPanes, at anchor: Int64, arena: Arena) -> (
        value: Int64, valid: UInt8
    ) {
        let (low, high) = store.layout.panes(at: anchor)
        let aggregate = store.rings.aggregates.all[index]
        switch aggregate {
        case .distinct, .quantile:
            if !panes.hasPanesAhead || high <= store.reach {
                return store.totals(.running).sketch(
                    index, panes.block, anchor, oldest: panes.block[PaneLayout.oldest])
            }
            return readSketches(index, &panes, low, high)
        case .windowStart: return (store.clock.startOfPane(low), 1)
        case .windowEnd: return (store.clock.startOfPane(high + 1), 1)
        case .days(let perPane):
            var days: (value: Int64, valid: UInt8) = (0, 0)
            panes.forEach(low, high) { pane, words in
                guard words[store.rings.aggregates.offsets[index]] != 0 else { return true }
                days = ((high + 1 - pane) * Int64(perPane), 1)
                return false
            }
            return days
        default:
            return aggregate.read(
                store.viewTotal + store.rings.aggregates.offsets[index], isFilled: store.viewTotal[0] > 0,
                arena: arena)
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
        if case .distinct(_, let most) = store.rings.aggregates.all[index] { exactMax = most }
        let distinct = DistinctSet(slots: max(held.count, 1), exactMax: exactMax)
        let quantiles = QuantileSketch(slots: max(held.count, 1))
        for (place, pane) in held.enumerated() {
            bytes.removeAll()
            write(index, panes, pane, to: bytes)
            var reader = BinaryReader(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
            if case .quantile = store.rings.aggregates.all[index] {
                quantiles.read(slot: place, &reader)
            } else {
                distinct.read(
                    pane: (pane > store.reach ? Int(pane & 7) : store.layout.slot(pane) & 7), into: place,
                    &reader)
            }
        }
        if case .quantile(let perMille) = store.rings.aggregates.all[index] {
            return quantiles.quantile(perMille: perMille, firstSlot: 0, count: held.count).map { ($0, 1) }
                ?? (0, 0)
        }
        return (distinct.estimate(firstSlot: 0, count: held.count), 1)
    }

    private func write(_ index: Int, _ panes: KeyPanes, _ pane: Int64, to bytes: Arena) {
        let sketches = store.rings.sketches
        if pane > store.reach {
            let page = store.ahead.page(panes.id, holding: pane)
            let place = sketches.place(index)
            page?.distinct[place]?.write(pane: Int(pane & 7), to: bytes)
            page?.quantiles[place]?.write(slot: Int(pane & 7), to: bytes)
        } else {
            let (sketch, slot) = (sketches.index(panes.block, index), store.layout.slot(pane))
            sketches.distinct[sketch]?.write(pane: slot, to: bytes)
            sketches.quantiles[sketch]?.write(slot: slot, to: bytes)
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
        var (leaving, entering) = (KeyPanes(store, id), KeyPanes(store, id))
        for anchor in low + 1...high
        where leaving.words(store.layout.panes(at: anchor - 1).low) != nil
            || entering.words(store.layout.panes(at: anchor).high) != nil
        {
            list.append(anchor)
        }
    }

    /// The anchor after the key's newest window, as far as event time has come too, whose window holds
    /// something else unless a record comes; `each`: the next anchor, as long as there are records. `.max`:
    /// there is none.
    package func nextAnchor(of id: UInt32, each: Bool) -> Int64 {
        let newest = openAnchors(of: id).newest
        let (low, high) = store.layout.panes(at: newest)
        var keyPanes = KeyPanes(store, id)
        var next = Int64.max
        keyPanes.forEach(low, high) { pane, _ in
            next = store.layout.lastAnchor(covering: pane) + 1
            return false
        }
        // Only `until: previous` windows take in panes that are there already.
        if store.layout.excludesCurrent, keyPanes.words(newest) != nil { next = newest + 1 }
        return each && next != .max ? newest + 1 : next
    }
}
