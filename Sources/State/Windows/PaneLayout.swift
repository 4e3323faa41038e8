/// The words of a key: header, a bit for every pane of the ring that holds records, running total, closed
/// total, ring.
typealias Block = UnsafeMutablePointer<Int64>

/// Where things stand in a `Block`, and which panes a window covers.
///
/// A window of `span` panes is named by its anchor, the last pane that it covers (`until: previous`: the pane
/// after the last). A pane has its place in the ring by its number.
struct PaneLayout {
    /// Panes of a window.
    let span: Int64
    let excludesCurrent: Bool
    /// How many panes after the current one the ring has room for.
    let lead: Int64
    /// Panes of the ring: those of a window, those before that the next close looks at, and those that
    /// records may lead the current one by.
    let ringCount: Int
    /// Words of one pane, or of a total.
    let paneWords: Int
    let occupiedWords: Int
    /// Words of a mask with a bit for every segment of the ring; 0 where changes are not tracked.
    let maskWords: Int
    /// First words of the totals and of the ring.
    let running: Int
    let closed: Int
    let ring: Int

    // Header words.
    static let newest = 0
    static let oldest = 1
    /// Position in `PaneRings.live`, -1 for none.
    static let position = 2
    /// Index + 1 of the key's first sketch, 0 for none.
    static let sketch = 3
    /// The last pass in which rows of the key were.
    static let pass = 4
    /// The round in which the key came into `WindowStore.changed`.
    static let changedIn = 5
    /// The bits of panes that hold records, by slot; set only for panes from the oldest to the newest.
    static let occupied = 6

    /// No pane yet.
    static let none = Int64.min
    /// Slots whose changes are kept together.
    static let slotsPerSegment = 8

    init(_ options: WindowOptions, paneMilliseconds: Int64, paneWords: Int) {
        self.paneWords = paneWords
        span = Int64(options.span)
        excludesCurrent = options.excludesCurrent
        let lead = Int((options.outOfOrder + paneMilliseconds - 1) / paneMilliseconds) + 1
        self.lead = Int64(lead)
        ringCount = options.span + lead + (options.excludesCurrent ? 2 : 1)
        occupiedWords = (ringCount + 63) / 64
        let segments = (ringCount + Self.slotsPerSegment - 1) / Self.slotsPerSegment
        maskWords = options.tracksChanges ? (segments + 63) / 64 : 0
        let listed = Self.occupied + occupiedWords
        running = options.tracksChanges ? listed + 1 + 2 * maskWords : listed
        closed = running + paneWords
        ring = options.keepsClosed ? closed + paneWords : closed
    }

    /// Where changes are tracked: 1 while the key is in `PaneRings.dirty`; then the masks of segments that
    /// changed and of those that were drained.
    var listed: Int { Self.occupied + occupiedWords }
    var masks: Int { listed + 1 }
    var blockWords: Int { ring + paneWords * ringCount }
    var segmentCount: Int { (ringCount + Self.slotsPerSegment - 1) / Self.slotsPerSegment }

    // MARK: Windows

    /// The panes that the window at `anchor` covers.
    @inline(__always)
    func panes(at anchor: Int64) -> (low: Int64, high: Int64) {
        excludesCurrent ? (anchor - span, anchor - 1) : (anchor - span + 1, anchor)
    }

    /// The last anchor whose window covers `pane`.
    @inline(__always)
    func lastAnchor(covering pane: Int64) -> Int64 { excludesCurrent ? pane + span : pane + span - 1 }

    // MARK: Slots

    @inline(__always)
    func slot(_ pane: Int64) -> Int { Self.slot(pane, ringCount) }

    /// The place of a pane in a ring of `count`.
    @inline(__always)
    static func slot(_ pane: Int64, _ count: Int) -> Int {
        let slot = Int(pane % Int64(count))
        return slot < 0 ? slot + count : slot
    }

    /// The pane that a slot holds while `newest` is the newest one.
    func pane(at slot: Int, newest: Int64) -> Int64 {
        let behind = self.slot(newest) - slot
        return newest - Int64(behind < 0 ? behind + ringCount : behind)
    }

    func slots(of segment: Int) -> Range<Int> {
        let first = segment * Self.slotsPerSegment
        return first..<max(first, min(first + Self.slotsPerSegment, ringCount))
    }

    @inline(__always)
    func words(_ block: Block, slot: Int) -> Accumulator { block + ring + slot * paneWords }

    @inline(__always)
    func isOccupied(_ block: Block, _ slot: Int) -> Bool {
        block[Self.occupied + slot >> 6] & Int64(bitPattern: 1 << UInt64(slot & 63)) != 0
    }

    /// True if a slot of the ring holds records of this pane.
    func holds(_ block: Block, _ pane: Int64, at slot: Int) -> Bool {
        pane >= block[Self.oldest] && pane <= block[Self.newest] && isOccupied(block, slot)
    }

    /// Calls `body` with the slot of every pane from `low` to `high`, ring's length at most, that holds
    /// records, in the panes' order.
    @inline(__always)
    func forEachOccupied(_ block: Block, _ low: Int64, _ high: Int64, _ body: (_ slot: Int) -> Void) {
        forEachRun(low, high) { slot, bit, run in
            var bits = UInt64(bitPattern: block[Self.occupied + slot >> 6]) >> UInt64(bit)
            bits &= ~0 >> UInt64(64 - run)
            while bits != 0 {
                body(slot + bits.trailingZeroBitCount)
                bits &= bits &- 1
            }
        }
    }

    /// Calls `body` with the slots of the panes from `low` to `high`, ring's length at most, in runs of one
    /// word of bits: the first slot, its bit, and how many.
    @inline(__always)
    func forEachRun(_ low: Int64, _ high: Int64, _ body: (_ slot: Int, _ bit: Int, _ run: Int) -> Void) {
        if low > high { return }
        var slot = slot(low)
        var left = Int(high - low) + 1
        while left > 0 {
            let bit = slot & 63
            let run = min(left, 64 - bit, ringCount - slot)
            body(slot, bit, run)
            slot += run
            left -= run
            if slot == ringCount { slot = 0 }
        }
    }
}
