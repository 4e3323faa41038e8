import Base
import Records

/// Room for records that lie further ahead of the watermark than the out-of-order bound says.
///
/// A source's own records lead its watermark by that bound at most, and the ring is made for it. Behind a
/// repartition topic the watermark is that of the slowest partition upstream, and the records of a faster one
/// can be ahead of it by hours, when all of them catch up. Their panes are kept until the watermark comes: the
/// ring grows, within `Limits.ringBytesMax` and `Limits.ringPanesMax`, and stays as large.
extension WindowStore {
    /// Makes room for the panes of the selected rows, over which the watermark does not pass the end of a pane
    /// (`watermark`: at the first of them, `.min` for none). Returns the event times, inclusive, that there is room
    /// for: a row outside of them must not be given to `prepare`, one inside of them may.
    package func makeRoom(_ rows: Selection, times: UnsafePointer<Int64>, watermark: Int64)
        -> ClosedRange<Int64>
    {
        guard rows.count > 0 else { return Int64.min...Int64.max }
        var earliest = Int64.max
        var latest = Int64.min
        for index in 0..<rows.count {
            earliest = min(earliest, times[rows[index]])
            latest = max(latest, times[rows[index]])
        }
        findReach()
        var low = closedAnchor
        var first = Int64.min
        if closedAnchor == Self.none {
            // Nothing is closed, so the windows begin with the oldest record, which may be still to come.
            var oldest = clock.pane(of: earliest)
            if highestPane != .min { oldest = max(oldest, highestPane - Int64(ringMax - options.span) + 3) }
            if watermark != .min {
                // What is older is late.
                oldest = max(oldest, oldestNeeded(watermarkClock.pane(of: watermark) - 1))
            }
            lowestPane = min(lowestPane, oldest)
            if watermark == .min { first = clock.startOfPane(lowestPane) }
            low = lowestPane - 1
        }
        low = oldestNeeded(low)
        let high = max(highestPane, clock.pane(of: latest))
        let highMax = low + Int64(ringMax) - 1
        let needed = min(high, highMax) - low + 1
        if needed > Int64(ringCount) { growRing(to: min(ringMax, max(Int(needed), ringCount + ringCount / 2))) }
        highestPane = max(highestPane, min(high, highMax))
        return first...max(first, clock.startOfPane(highMax + 1) - 1)
    }

    /// The oldest pane that the close after `anchor` still looks at.
    private func oldestNeeded(_ anchor: Int64) -> Int64 {
        anchor + 1 - Int64(options.span) - (options.excludesCurrent ? 1 : 0)
    }

    /// After a restart the keys know it.
    private func findReach() {
        guard highestPane == .min else { return }
        for id in live {
            let block = block(of: id)
            guard block[Self.newest] != Self.none else { continue }
            highestPane = max(highestPane, block[Self.newest])
            lowestPane = min(lowestPane, block[Self.oldest])
        }
    }

    /// Panes that the ring may grow to with the keys that there are.
    private var ringMax: Int {
        max(ringCount, min(Limits.ringPanesMax, Limits.ringBytesMax / (8 * paneWords * max(live.count, 1))))
    }

    /// Records came before the first watermark: which window closes first is not known yet.
    package var isWaiting: Bool { closedAnchor == Self.none && lowestPane != .max }

    /// Lets the closes begin with the oldest record where there were records before the first watermark, as
    /// soon as the watermark passes its pane: until then an older one may come.
    package func beginClosing(at watermark: Int64) {
        guard closedAnchor == Self.none, !live.isEmpty else { return }
        findReach()
        if clock.startOfPane(lowestPane + 1) <= watermark { closedAnchor = lowestPane - 1 }
    }

    /// Lays every key's panes out in a ring of at least `count`.
    package func growRing(to count: Int) {
        guard count > ringCount else { return }
        let old = Layout(self)
        let oldBlocks = blocks
        findReach()
        ringCount = count
        layOut()
        // In the larger ring every pane belongs to another segment: all are written anew.
        dirty.removeAll()
        for id in live {
            if let block = oldBlocks[id] { move(id, from: block, old) }
        }
        oldBlocks.deallocate()
        moveTouched(from: old.ringCount)
    }

    private struct Layout {
        let ringCount, masks, maskWords, running, ring: Int

        init(_ store: WindowStore) {
            ringCount = store.ringCount
            masks = store.masks
            maskWords = store.maskWords
            running = store.running
            ring = store.ring
        }
    }

    private func move(_ id: UInt32, from old: UnsafeMutablePointer<Int64>, _ layout: Layout) {
        let new = rawBlock(of: id)
        new.update(from: old, count: Self.occupied)
        for word in Self.occupied..<running { new[word] = 0 }
        (new + running).update(from: old + layout.running, count: ring - running)
        // Segments that a changelog holds are there under the numbers that they had.
        for word in 0..<layout.maskWords {
            new[masks + word] = old[layout.masks + layout.maskWords + word] | old[layout.masks + word]
        }
        if options.tracksChanges {
            new[listed] = 1
            dirty.append(id)
        }
        guard old[Self.newest] != Self.none else { return }
        let (oldest, newest) = (old[Self.oldest], old[Self.newest])
        for pane in oldest...newest {
            let (oldSlot, newSlot) = (Self.slot(pane, layout.ringCount), slot(pane))
            if options.tracksChanges { noteDirty(new, id, newSlot) }
            guard isOccupied(old, oldSlot) else { continue }
            occupy(new, newSlot)
            paneWords(new, pane).update(from: old + layout.ring + oldSlot * paneWords, count: paneWords)
        }
        guard old[Self.sketch] != 0 else { return }
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = sketchIndex(new, index)
            sketches[sketch]?.grow(to: ringCount, oldest: oldest, newest: newest)
            quantiles[sketch]?.grow(to: ringCount, oldest: oldest, newest: newest)
        }
    }

    /// The lists keep the order in which their keys came.
    private func moveTouched(from oldCount: Int) {
        guard !touched.isEmpty else { return }
        let old = touched
        touched = .allocate(capacity: ringCount)
        touched.initialize(repeating: IdList())
        defer { old.deallocate() }
        guard highestPane != .min else { return old.forEach { $0.deallocate() } }
        for pane in highestPane - Int64(oldCount) + 1...highestPane {
            touched[slot(pane)] = old[Self.slot(pane, oldCount)]
        }
    }

    /// The place of a pane in a ring of `count`.
    @inline(__always)
    static func slot(_ pane: Int64, _ count: Int) -> Int {
        let slot = Int(pane % Int64(count))
        return slot < 0 ? slot + count : slot
    }
}
