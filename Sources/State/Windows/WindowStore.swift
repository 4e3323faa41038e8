import Base
import Records

/// The windows of one step and one task: their keys' rings and totals, kept up to date by adding what enters
/// and taking out what leaves.
///
/// - The running total of a key is the window anchored at its newest pane: what a record sees.
/// - The closed total is the window anchored at `closedAnchor`, which follows the watermark; kept only for
///   steps whose closed windows somebody reads.
///
/// Rows go in by `prepare` and `WindowScratch.apply`; `totals(_:)` and `view` read, `codec` keeps and
/// restores, and `order` tells which rows need a closer look.
package final class WindowStore {
    package let options: WindowOptions
    let rings: PaneRings
    let layout: PaneLayout
    var clock: PaneClock
    var watermarkClock: PaneClock
    /// Keys that had neither block nor panes ahead before; until they are taken.
    private var arrivals: [UInt32] = []
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
    package internal(set) var closedAnchor = PaneLayout.none
    /// Anchor at which keys without records are looked for again.
    var sweepDue = Int64.min
    let marks = OrderMarks()
    /// Of a window that is added up by itself.
    let viewTotal: UnsafeMutablePointer<Int64>
    /// Counts calls of `prepare`.
    var passes: Int64 = 0

    package init(_ options: WindowOptions) {
        self.options = options
        clock = PaneClock(options.length)
        watermarkClock = clock
        rings = PaneRings(options, paneMilliseconds: clock.paneMilliseconds)
        layout = rings.layout
        touched = .allocate(capacity: options.keepsClosed ? layout.ringCount : 0)
        touched.initialize(repeating: IdList())
        changes = .allocate(capacity: 1)
        changes.initialize(to: IdList())
        ahead = AheadPanes(
            rings.aggregates, bytesMax: options.aheadBytesMax, tracksChanges: options.tracksChanges)
        viewTotal = .allocate(capacity: layout.paneWords)
        viewTotal.initialize(repeating: 0, count: layout.paneWords)
    }

    deinit {
        viewTotal.deallocate()
        for list in touched { list.deallocate() }
        touched.deallocate()
        changes.pointee.deallocate()
        changes.deallocate()
        left.deallocate()
    }

    package func totals(_ kind: WindowTotals.Kind) -> WindowTotals { WindowTotals(self, kind) }
    package var view: WindowView { WindowView(store: self) }
    package var codec: WindowCodec { WindowCodec(self) }
    package var order: OutOfOrderFinder { OutOfOrderFinder(store: self) }

    /// Panes that each key has room for.
    package var panesPerKey: Int { layout.ringCount }

    /// How many panes after the current one the ring has room for.
    package var lead: Int64 { layout.lead }

    /// Bytes of all blocks, panes ahead and sketches.
    package var memoryBytes: Int { rings.memoryBytes + ahead.memoryBytes + marks.memoryBytes }

    // MARK: Keys

    /// The block of a key that has none. The caller sets its first pane.
    func makeBlock(of id: UInt32) -> Block {
        if !options.mayRunAhead || !ahead.holds(id) { arrivals.append(id) }
        return rings.makeBlock(of: id)
    }

    func noteArrival(_ id: UInt32) { arrivals.append(id) }

    /// Forgets the key's block.
    package func remove(_ id: UInt32) { rings.remove(id) }

    /// Keys with a block, in no particular order but the same one in every run.
    package var live: [UInt32] { rings.live }

    /// Keys with a block or panes ahead.
    package var heldIds: [UInt32] {
        if ahead.isEmpty { return rings.live }
        return rings.live + ahead.ids.filter { rings.block(of: $0) == rings.emptyBlock }
    }

    /// Keys that came since the last call.
    package func takeArrivals() -> [UInt32] {
        defer { arrivals.removeAll(keepingCapacity: true) }
        return arrivals
    }

    /// True if the key has a block: records in a window that is not closed, or in one that was not forgotten
    /// yet.
    package func hasKey(_ id: UInt32) -> Bool {
        rings.block(of: id) != rings.emptyBlock || ahead.holds(id)
    }

    // MARK: Windows

    /// The anchor that is current at `time`.
    package func anchor(at time: Int64) -> Int64 { watermarkClock.pane(of: time) }

    /// Start and end of the window at `anchor`, milliseconds.
    package func bounds(at anchor: Int64) -> (start: Int64, end: Int64) {
        let (low, high) = layout.panes(at: anchor)
        return (clock.startOfPane(low), clock.startOfPane(high + 1))
    }

    /// When the window at `anchor` can no longer change: the end of its last slide.
    package func closesAt(_ anchor: Int64) -> Int64 { clock.startOfPane(anchor + 1) }

    /// The anchor of the first window that is not closed; `none` before the first watermark.
    @inline(__always)
    var open: Int64 { closedAnchor == PaneLayout.none ? PaneLayout.none : closedAnchor + 1 }

    /// The keys' current windows move on to the one that is current at `time`.
    package func advance(_ ids: UnsafePointer<UInt32>, count: Int, to time: Int64) {
        let anchor = watermarkClock.pane(of: time)
        for index in 0..<count { rings.advance(rings.block(of: ids[index]), to: anchor) }
    }

    // MARK: Changes of closed windows

    @inline(__always)
    func noteChange(of id: UInt32, _ block: Block, _ round: Int64) {
        if block[PaneLayout.changedIn] == round { return }
        block[PaneLayout.changedIn] = round
        changes.pointee.append(id)
    }

    func forgetChanges() {
        changeRound += 1
        changes.pointee.removeAll()
    }

    // MARK: Restoring

    /// How far windows were closed, and when keys without records are looked for again.
    package var closing: (closed: Int64, sweepDue: Int64) {
        get { (closedAnchor, sweepDue) }
        set { (closedAnchor, sweepDue) = newValue }
    }

    /// Makes totals and lists agree with the panes, after the last of them and after `closing` was set.
    package func finishRestore() {
        for slot in touched.indices { touched[slot].removeAll() }
        ahead.finishRestore()
        (greatest, newestClosed) = (.min, .min)
        for id in ahead.ids { greatest = max(greatest, ahead.newest(of: id) ?? .min) }
        let closedPanes = closedAnchor == PaneLayout.none ? nil : layout.panes(at: closedAnchor)
        for id in rings.live {
            let block = rings.block(of: id)
            let (newest, oldest) = (block[PaneLayout.newest], block[PaneLayout.oldest])
            greatest = max(greatest, newest)
            let (low, high) = layout.panes(at: newest)
            if options.keepsRunning { rings.rescan(block, block + layout.running, low, high) }
            guard options.keepsClosed else { continue }
            rings.rescan(block, block + layout.closed, closedPanes?.low ?? 0, closedPanes?.high ?? -1)
            // Which windows changed since the last close is not known any more: look at them all once.
            noteChange(of: id, block, changeRound)
            layout.forEachOccupied(block, max(oldest, closedPanes?.low ?? oldest), newest) {
                touched[$0].append(id)
            }
        }
        if let (low, high) = closedPanes, options.keepsClosed {
            for pane in low...high where !touched[layout.slot(pane)].isEmpty { newestClosed = pane }
        }
    }
}
