import Base
import Records

/// The windows of one step and one task: for every key a block of words, in it a ring of panes and the
/// totals of the current window, kept up to date by adding what enters and taking out what leaves.
///
/// A window of `span` panes is named by its anchor, the last pane that it covers (`until: previous`: the pane
/// after the last). Block: header, a bit for every pane of the ring that holds records, running total, closed
/// total, ring. Panes without their bit hold no particular words: none is emptied before a record comes for
/// it, and a key that moves on by many panes touches only those that held something.
///
/// - The running total is the window anchored at the key's newest pane: what a record sees.
/// - The closed total is the window anchored at `closedAnchor`, which follows the watermark; kept only for
///   steps whose closed windows somebody reads.
///
/// Extremes that leave with their pane are found again by a scan of the ring: panes of one key lie side
/// by side, and a scan is due once in `span` panes on average, which in all costs less than two stacks
/// of panes, and needs no second copy of the ring.
package final class WindowStore {
    package struct Options {
        package var length: PaneClock.Length
        /// Panes of a window.
        package var span: Int
        package var excludesCurrent: Bool
        /// How far event time may run ahead of the watermark, milliseconds.
        package var outOfOrder: Int64
        /// True where records may lie further ahead than that: those of a stream or a repartition topic.
        package var mayRunAhead: Bool
        package var keepsClosed: Bool
        /// False where nobody reads the window before it closes: the running totals are then left out.
        package var keepsRunning: Bool
        /// True where changed panes are asked for, to be kept elsewhere as well.
        package var tracksChanges: Bool
        /// Of panes that lie ahead of what the rings reach.
        package var aheadBytesMax = Limits.aheadBytesMax
        package var aggregates: [Aggregate]

        package init(
            length: PaneClock.Length, span: Int, excludesCurrent: Bool, outOfOrder: Int64,
            mayRunAhead: Bool = false,
            keepsClosed: Bool, keepsRunning: Bool = true, tracksChanges: Bool = false, aggregates: [Aggregate]
        ) {
            self.length = length
            self.span = span
            self.excludesCurrent = excludesCurrent
            self.outOfOrder = outOfOrder
            self.mayRunAhead = mayRunAhead
            self.keepsClosed = keepsClosed
            self.keepsRunning = keepsRunning
            self.tracksChanges = tracksChanges
            self.aggregates = aggregates
        }
    }

    package let options: Options
    /// Of `records` first, then the options' aggregates.
    package let aggregates: [Aggregate]
    let offsets: [Int]
    /// Those that are words of a pane.
    let slices: UnsafeMutableBufferPointer<Slice>
    /// The words of a pane, or of a total, without records.
    let neutral: UnsafeMutablePointer<Int64>
    /// Words of one pane.
    let paneWords: Int
    /// Panes of the ring: those of a window, those before that the next close looks at, and those that
    /// records may lead the current one by.
    let ringCount: Int
    /// How many panes after the current one the ring has room for.
    package let lead: Int64
    var blocks: BlockMemory
    /// Stands for every key that has no block; its totals are empty and never written.
    let emptyBlock: UnsafeMutablePointer<Int64>
    var clock: PaneClock
    var watermarkClock: PaneClock
    var sketches: [DistinctSet?] = []
    var quantiles: [QuantileSketch?] = []
    /// Keys with a block, in no particular order but the same one in every run.
    package private(set) var live: [UInt32] = []
    /// Keys that had neither block nor panes ahead before; until they are taken.
    var arrivals: [UInt32] = []
    /// Panes that the ring does not reach yet.
    let ahead: AheadPanes
    /// The newest pane that any key ever had.
    var greatest = Int64.min
    /// Of panes that closed windows have covered, the newest that held records.
    var newestClosed = Int64.min
    /// Keys with records in each pane, by pane slot: a close visits just those whose window changes.
    var touched: UnsafeMutableBufferPointer<IdList>
    /// Keys whose closed window is not what it was at the close before, each once.
    package var changed: UnsafeBufferPointer<UInt32> { changes.pointee.ids }
    private let changes: UnsafeMutablePointer<IdList>
    /// Counts how often `changed` was emptied; what a block says of itself counts only in the same round.
    private(set) var changeRound: Int64 = 1
    /// Keys that had records in the pane that the last close took out.
    var left = IdList()
    /// Windows up to this anchor are closed.
    package internal(set) var closedAnchor = Int64.min
    /// Keys with panes that changed since they were last drained, each once.
    var dirty: [UInt32] = []
    /// Words of a mask with a bit for every segment of the ring; 0 where changes are not tracked.
    let maskWords: Int
    /// Anchor at which keys without records are looked for again.
    var sweepDue = Int64.min
    /// For `findOutOfOrder`, by key.
    var marks = UnsafeMutableBufferPointer<OrderMark>.allocate(capacity: 0)
    var markCall: Int64 = 0
    /// Of a window that is added up by itself.
    let viewTotal: UnsafeMutablePointer<Int64>

    // Header words.
    static let newest = 0
    static let oldest = 1
    /// Position in `live`, -1 for none.
    static let position = 2
    /// Index + 1 of the key's first sketch, 0 for none.
    static let sketch = 3
    /// The last pass in which rows of the key were.
    static let pass = 4
    /// The round in which the key came into `changed`.
    static let changedIn = 5
    /// The bits of panes that hold records, by slot; set only for panes from the oldest to the newest.
    static let occupied = 6
    let occupiedWords: Int
    /// Where changes are tracked: 1 while the key is in `dirty`; then the masks of segments that changed and
    /// of those that were drained.
    var listed: Int { Self.occupied + occupiedWords }
    var masks: Int { listed + 1 }
    let running: Int
    var closed: Int { running + paneWords }
    var ring: Int { options.keepsClosed ? closed + paneWords : closed }
    /// Counts calls of `prepare`.
    var passes: Int64 = 0

    /// One aggregate, or a part of it, and its first word in a pane.
    struct Slice {
        /// The usual ones, which loops over keys take without a call.
        enum Kind: UInt8 { case count, sum, minimum, maximum, other }

        let aggregate: Aggregate
        let offset: Int
        let kind: Kind

        init(_ aggregate: Aggregate, offset: Int) {
            self.aggregate = aggregate
            self.offset = offset
            kind =
                switch aggregate {
                case .records, .count: .count
                case .sum: .sum
                case .minimum: .minimum
                case .maximum: .maximum
                default: .other
                }
        }

        /// What counts its values is a slice without, and a count behind it.
        static func all(_ aggregate: Aggregate, at offset: Int) -> [Slice] {
            switch aggregate {
            case .sum(isCounted: true):
                [
                    Slice(.sum(isCounted: false), offset: offset), Slice(.count, offset: offset + 2),
                    Slice(.count, offset: offset + 3),
                ]
            case .minimum(isCounted: true):
                [Slice(.minimum(isCounted: false), offset: offset), Slice(.count, offset: offset + 1)]
            case .maximum(isCounted: true):
                [Slice(.maximum(isCounted: false), offset: offset), Slice(.count, offset: offset + 1)]
            default: aggregate.words > 0 ? [Slice(aggregate, offset: offset)] : []
            }
        }
    }

    /// No pane yet.
    static let none = Int64.min

    package init(_ options: Options) {
        self.options = options
        aggregates = [.records] + options.aggregates
        var words = 0
        var offsets: [Int] = []
        for aggregate in aggregates {
            offsets.append(words)
            words += aggregate.words
        }
        self.offsets = offsets
        paneWords = words
        let kept = zip(aggregates, offsets).flatMap { Slice.all($0, at: $1) }
        slices = .allocate(capacity: kept.count)
        _ = slices.initialize(from: kept)
        neutral = .allocate(capacity: words)
        neutral.initialize(repeating: 0, count: words)
        for slice in slices { slice.aggregate.clear(neutral + slice.offset) }
        clock = PaneClock(options.length)
        watermarkClock = clock
        let paneMilliseconds = clock.paneMilliseconds
        let lead = Int((options.outOfOrder + paneMilliseconds - 1) / paneMilliseconds) + 1
        self.lead = Int64(lead)
        ringCount = options.span + lead + (options.excludesCurrent ? 2 : 1)
        let segments = (ringCount + Self.slotsPerSegment - 1) / Self.slotsPerSegment
        occupiedWords = (ringCount + 63) / 64
        maskWords = options.tracksChanges ? (segments + 63) / 64 : 0
        let listed = Self.occupied + occupiedWords
        running = options.tracksChanges ? listed + 1 + 2 * maskWords : listed
        let ring = running + words * (options.keepsClosed ? 2 : 1)
        blocks = BlockMemory(blockWords: ring + words * ringCount)
        touched = .allocate(capacity: options.keepsClosed ? ringCount : 0)
        touched.initialize(repeating: IdList())
        changes = .allocate(capacity: 1)
        changes.initialize(to: IdList())
        ahead = AheadPanes(
            paneWords: words, neutral: neutral, aggregates: aggregates, bytesMax: options.aheadBytesMax,
            tracksChanges: options.tracksChanges)
        viewTotal = .allocate(capacity: words)
        viewTotal.initialize(repeating: 0, count: words)
        // It has no panes.
        emptyBlock = .allocate(capacity: ring)
        emptyBlock.initialize(repeating: 0, count: ring)
        clearTotals(emptyBlock)
        emptyBlock[Self.newest] = Self.none
        emptyBlock[Self.position] = -1
    }

    deinit {
        blocks.deallocate()
        emptyBlock.deallocate()
        viewTotal.deallocate()
        marks.deallocate()
        slices.deallocate()
        neutral.deallocate()
        for list in touched { list.deallocate() }
        touched.deallocate()
        changes.pointee.deallocate()
        changes.deallocate()
        left.deallocate()
    }

    /// Panes that each key has room for.
    package var panesPerKey: Int { ringCount }

    /// Bytes of all blocks, panes ahead and sketches.
    package var memoryBytes: Int {
        blocks.memoryBytes + ahead.memoryBytes + marks.count * MemoryLayout<OrderMark>.stride
            + sketches.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
            + quantiles.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
    }

    // MARK: Blocks

    /// The key's block, or `emptyBlock`.
    @inline(__always)
    func block(of id: UInt32) -> UnsafeMutablePointer<Int64> {
        guard let block = blocks[id], block[Self.position] >= 0 else { return emptyBlock }
        return block
    }

    /// The same for loops, which hold on to the memory and what is empty.
    @inline(__always)
    static func block(
        of id: UInt32, _ blocks: BlockMemory, _ emptyBlock: UnsafeMutablePointer<Int64>
    ) -> UnsafeMutablePointer<Int64> {
        guard let block = blocks[id], block[position] >= 0 else { return emptyBlock }
        return block
    }

    /// Where the block of a key stands or will stand.
    func rawBlock(of id: UInt32) -> UnsafeMutablePointer<Int64> { blocks.make(id, mark: Self.position) }

    /// The key's block, made if there is none. The caller sets its first pane.
    @inline(never)
    func makeBlock(of id: UInt32) -> UnsafeMutablePointer<Int64> {
        let block = rawBlock(of: id)
        block[Self.newest] = Self.none
        block[Self.oldest] = Self.none
        block[Self.sketch] = 0
        for word in Self.pass..<running { block[word] = 0 }
        block[Self.position] = Int64(live.count)
        live.append(id)
        if !options.mayRunAhead || !ahead.holds(id) { arrivals.append(id) }
        clearTotals(block)
        return block
    }

    /// Forgets the key's block.
    package func remove(_ id: UInt32) {
        let block = block(of: id)
        guard block != emptyBlock else { return }
        let position = Int(block[Self.position])
        let moved = live.removeLast()
        if moved != id {
            live[position] = moved
            self.block(of: moved)[Self.position] = Int64(position)
        }
        releaseSketches(block)
        block[Self.position] = -1
    }

    private func clearTotals(_ block: UnsafeMutablePointer<Int64>) {
        (block + running).update(from: neutral, count: paneWords)
        if options.keepsClosed { (block + closed).update(from: neutral, count: paneWords) }
    }

    /// Keys with a block or panes ahead.
    package var heldIds: [UInt32] {
        ahead.isEmpty ? live : live + ahead.ids.filter { block(of: $0) == emptyBlock }
    }

    /// Keys that came since the last call.
    package func takeArrivals() -> [UInt32] {
        defer { arrivals.removeAll(keepingCapacity: true) }
        return arrivals
    }

    // MARK: Panes

    @inline(__always)
    func slot(_ pane: Int64) -> Int { Self.slot(pane, ringCount) }

    /// The place of a pane in a ring of `count`.
    @inline(__always)
    static func slot(_ pane: Int64, _ count: Int) -> Int {
        let slot = Int(pane % Int64(count))
        return slot < 0 ? slot + count : slot
    }

    @inline(__always)
    func paneWords(_ block: UnsafeMutablePointer<Int64>, _ pane: Int64) -> UnsafeMutablePointer<Int64> {
        block + ring + slot(pane) * paneWords
    }

    /// The panes that the window at `anchor` covers.
    @inline(__always)
    func panes(at anchor: Int64) -> (low: Int64, high: Int64) {
        options.excludesCurrent
            ? (anchor - Int64(options.span), anchor - 1) : (anchor - Int64(options.span) + 1, anchor)
    }

    /// The last anchor whose window covers `pane`.
    @inline(__always)
    func lastAnchor(covering pane: Int64) -> Int64 {
        options.excludesCurrent ? pane + Int64(options.span) : pane + Int64(options.span) - 1
    }

    /// The anchor that is current at `time`.
    package func anchor(at time: Int64) -> Int64 { watermarkClock.pane(of: time) }

    /// Start and end of the window at `anchor`, milliseconds.
    package func bounds(at anchor: Int64) -> (start: Int64, end: Int64) {
        let (low, high) = panes(at: anchor)
        return (clock.startOfPane(low), clock.startOfPane(high + 1))
    }

    /// When the window at `anchor` can no longer change: the end of its last slide.
    package func closesAt(_ anchor: Int64) -> Int64 { clock.startOfPane(anchor + 1) }

    /// The anchor of the first window that is not closed; `none` before the first watermark.
    @inline(__always)
    var open: Int64 { closedAnchor == Self.none ? Self.none : closedAnchor + 1 }

    @inline(__always)
    func isOccupied(_ block: UnsafeMutablePointer<Int64>, _ slot: Int) -> Bool {
        block[Self.occupied + slot >> 6] & Int64(bitPattern: 1 << UInt64(slot & 63)) != 0
    }

    /// Says that a pane holds records; its words are then neutral if they were of no use before.
    func occupy(_ block: UnsafeMutablePointer<Int64>, _ slot: Int) {
        let word = Self.occupied + slot >> 6
        let bit = Int64(bitPattern: 1 << UInt64(slot & 63))
        if block[word] & bit != 0 { return }
        block[word] |= bit
        (block + ring + slot * paneWords).update(from: neutral, count: paneWords)
    }

    /// Calls `body` with the slot of every pane from `low` to `high`, ring's length at most, that holds
    /// records, in the panes' order.
    @inline(__always)
    func forEachOccupied(
        _ block: UnsafeMutablePointer<Int64>, _ low: Int64, _ high: Int64, _ body: (_ slot: Int) -> Void
    ) {
        if low > high { return }
        var slot = slot(low)
        var left = Int(high - low) + 1
        while left > 0 {
            let bit = slot & 63
            let run = min(left, 64 - bit, ringCount - slot)
            var bits =
                UInt64(bitPattern: block[Self.occupied + slot >> 6]) >> UInt64(bit) & (~0 >> UInt64(64 - run))
            while bits != 0 {
                body(slot + bits.trailingZeroBitCount)
                bits &= bits &- 1
            }
            slot += run
            left -= run
            if slot == ringCount { slot = 0 }
        }
    }

    /// Takes the records of the panes from `low` to `high` away, ring's length at most; from totals they are
    /// taken by others.
    func vacate(_ block: UnsafeMutablePointer<Int64>, _ low: Int64, _ high: Int64) {
        if low > high { return }
        var slot = slot(low)
        var left = Int(high - low) + 1
        while left > 0 {
            let bit = slot & 63
            let run = min(left, 64 - bit, ringCount - slot)
            block[Self.occupied + slot >> 6] &= ~Int64(bitPattern: (~0 >> UInt64(64 - run)) << UInt64(bit))
            slot += run
            left -= run
            if slot == ringCount { slot = 0 }
        }
        if block[Self.sketch] != 0 { clearSketches(block, low, high) }
    }

    // MARK: Changes

    @inline(__always)
    func noteChange(of id: UInt32, _ block: UnsafeMutablePointer<Int64>, _ round: Int64) {
        if block[Self.changedIn] == round { return }
        block[Self.changedIn] = round
        changes.pointee.append(id)
    }

    func forgetChanges() {
        changeRound += 1
        changes.pointee.removeAll()
    }

    // MARK: Sketches

    var sketchesPerKey: Int { aggregates.reduce(0) { $0 + ($1.isSketch ? 1 : 0) } }

    /// Position of a sketch aggregate among the sketches of a key.
    func sketchIndex(_ block: UnsafeMutablePointer<Int64>, _ aggregate: Int) -> Int {
        let before = aggregates[..<aggregate].reduce(0) { $0 + ($1.isSketch ? 1 : 0) }
        if block[Self.sketch] == 0 { allocateSketches(block) }
        return Int(block[Self.sketch]) - 1 + before
    }

    private func allocateSketches(_ block: UnsafeMutablePointer<Int64>) {
        let base = freeSketches.popLast() ?? sketches.count
        if base == sketches.count {
            sketches.append(contentsOf: repeatElement(nil, count: sketchesPerKey))
            quantiles.append(contentsOf: repeatElement(nil, count: sketchesPerKey))
        }
        var index = base
        for aggregate in aggregates where aggregate.isSketch {
            switch aggregate {
            case .distinct(_, let exactMax):
                sketches[index] = DistinctSet(slots: ringCount, exactMax: exactMax)
            default: quantiles[index] = QuantileSketch(slots: ringCount)
            }
            index += 1
        }
        block[Self.sketch] = Int64(base + 1)
    }

    private func clearSketches(_ block: UnsafeMutablePointer<Int64>, _ low: Int64, _ high: Int64) {
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = sketchIndex(block, index)
            sketches[sketch]?.clear(firstSlot: slot(low), count: Int(high - low) + 1)
            if let quantile = quantiles[sketch] {
                for pane in low...high { quantile.clear(slot: slot(pane)) }
            }
        }
    }

    private var freeSketches: [Int] = []

    private func releaseSketches(_ block: UnsafeMutablePointer<Int64>) {
        guard block[Self.sketch] != 0 else { return }
        let base = Int(block[Self.sketch]) - 1
        for index in base..<base + sketchesPerKey {
            sketches[index] = nil
            quantiles[index] = nil
        }
        freeSketches.append(base)
        block[Self.sketch] = 0
    }
}
