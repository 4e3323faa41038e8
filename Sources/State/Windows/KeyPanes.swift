import Base

/// A key's panes in ring and pages, with the page that was looked at last.
struct KeyPanes {
    let store: WindowStore
    let id: UInt32
    let block: Block
    let hasPanesAhead: Bool
    private var number = Int64.min
    private var page: AheadPanes.Page?

    init(_ store: WindowStore, _ id: UInt32) {
        (self.store, self.id) = (store, id)
        block = store.rings.block(of: id)
        hasPanesAhead = store.ahead.holds(id)
    }

    /// The words of a pane; nil: it holds no records.
    mutating func words(_ pane: Int64) -> Accumulator? {
        if pane <= store.reach || !hasPanesAhead {
            guard pane >= block[PaneLayout.oldest], pane <= block[PaneLayout.newest] else { return nil }
            let slot = store.layout.slot(pane)
            return store.layout.isOccupied(block, slot) ? store.layout.words(block, slot: slot) : nil
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
        let reached = min(high, block[PaneLayout.newest])
        var pane = max(low, block[PaneLayout.oldest])
        while pane <= reached {
            if let words = words(pane), !body(pane, words) { return }
            pane += 1
        }
        forEachAhead(low, high, body)
    }

    /// Of these, those that the ring does not reach.
    func forEachAhead(_ low: Int64, _ high: Int64, _ body: (_ pane: Int64, _ words: Accumulator) -> Bool) {
        guard hasPanesAhead, let newest = store.ahead.newest(of: id), high > store.reach else { return }
        var pane = store.reach == PaneLayout.none ? low : max(low, store.reach + 1)
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
