import Base

/// For every key of a step and task a block of words, in it a ring of panes and the totals of two windows:
/// the running one, anchored at the key's newest pane, and the closed one, which the store moves on.
///
/// Panes without their bit hold no particular words: none is emptied before a record comes for it, and a key
/// that moves on by many panes touches only those that held something.
///
/// Extremes that leave with their pane are found again by a scan of the ring: panes of one key lie side by
/// side, and a scan is due once in `span` panes on average, which in all costs less than two stacks of panes,
/// and needs no second copy of the ring.
final class PaneRings {
    let options: WindowOptions
    let layout: PaneLayout
    let aggregates: PaneAggregates
    let sketches: KeySketches
    private(set) var blocks: BlockMemory
    /// Stands for every key that has no block; its totals are empty and never written.
    let emptyBlock: Block
    /// Keys with a block, in no particular order but the same one in every run.
    private(set) var live: [UInt32] = []
    /// Keys with panes that changed since they were last drained, each once.
    private(set) var dirty: [UInt32] = []

    init(_ options: WindowOptions, paneMilliseconds: Int64) {
        self.options = options
        aggregates = PaneAggregates(options.aggregates)
        layout = PaneLayout(options, paneMilliseconds: paneMilliseconds, paneWords: aggregates.words)
        sketches = KeySketches(aggregates.all, slots: layout.ringCount)
        blocks = BlockMemory(blockWords: layout.blockWords)
        // It has no panes.
        emptyBlock = .allocate(capacity: layout.ring)
        emptyBlock.initialize(repeating: 0, count: layout.ring)
        clearTotals(emptyBlock)
        emptyBlock[PaneLayout.newest] = PaneLayout.none
        emptyBlock[PaneLayout.position] = -1
    }

    deinit {
        blocks.deallocate()
        emptyBlock.deallocate()
        aggregates.deallocate()
    }

    var memoryBytes: Int { blocks.memoryBytes + sketches.memoryBytes }

    // MARK: Blocks

    /// The key's block, or `emptyBlock`.
    @inline(__always)
    func block(of id: UInt32) -> Block { Self.block(of: id, blocks, emptyBlock) }

    /// The same for loops, which hold on to the memory and what is empty.
    @inline(__always)
    static func block(of id: UInt32, _ blocks: BlockMemory, _ emptyBlock: Block) -> Block {
        guard let block = blocks[id], block[PaneLayout.position] >= 0 else { return emptyBlock }
        return block
    }

    /// Where the block of a key stands or will stand.
    func rawBlock(of id: UInt32) -> Block { blocks.make(id, mark: PaneLayout.position) }

    /// The block of a key that has none. The caller sets its first pane.
    @inline(never)
    func makeBlock(of id: UInt32) -> Block {
        let block = rawBlock(of: id)
        block[PaneLayout.newest] = PaneLayout.none
        block[PaneLayout.oldest] = PaneLayout.none
        block[PaneLayout.sketch] = 0
        for word in PaneLayout.pass..<layout.running { block[word] = 0 }
        block[PaneLayout.position] = Int64(live.count)
        live.append(id)
        clearTotals(block)
        return block
    }

    /// Forgets the key's block.
    func remove(_ id: UInt32) {
        let block = block(of: id)
        guard block != emptyBlock else { return }
        let position = Int(block[PaneLayout.position])
        let moved = live.removeLast()
        if moved != id {
            live[position] = moved
            self.block(of: moved)[PaneLayout.position] = Int64(position)
        }
        sketches.release(block)
        block[PaneLayout.position] = -1
    }

    private func clearTotals(_ block: Block) {
        aggregates.clear(block + layout.running)
        if options.keepsClosed { aggregates.clear(block + layout.closed) }
    }

    // MARK: Panes

    /// Says that a pane holds records; its words are then neutral if they were of no use before.
    func occupy(_ block: Block, _ slot: Int) {
        let word = PaneLayout.occupied + slot >> 6
        let bit = Int64(bitPattern: 1 << UInt64(slot & 63))
        if block[word] & bit != 0 { return }
        block[word] |= bit
        aggregates.clear(layout.words(block, slot: slot))
    }

    /// Takes the records of the panes from `low` to `high` away, ring's length at most; from totals they are
    /// taken by others.
    func vacate(_ block: Block, _ low: Int64, _ high: Int64) {
        if low > high { return }
        layout.forEachRun(low, high) { slot, bit, run in
            block[PaneLayout.occupied + slot >> 6] &=
                ~Int64(bitPattern: (~0 >> UInt64(64 - run)) << UInt64(bit))
        }
        if block[PaneLayout.sketch] != 0 {
            sketches.clear(block, first: layout.slot(low), count: Int(high - low) + 1)
        }
    }

    // MARK: Totals

    /// Moves a key's running totals on to the window at `anchor`, if that is newer.
    func advance(_ block: Block, to anchor: Int64) {
        guard block != emptyBlock, anchor > block[PaneLayout.newest] else { return }
        moveOn(block, to: anchor)
        if options.tracksChanges {
            noteDirty(block, live[Int(block[PaneLayout.position])], layout.slot(anchor))
        }
    }

    /// Takes the panes that the window at `anchor` does not cover any more out of the running totals, and
    /// makes room for those that it does. The anchor is newer than the key's.
    @inline(never)
    func moveOn(_ block: Block, to anchor: Int64) {
        let (from, oldest) = (block[PaneLayout.newest], block[PaneLayout.oldest])
        let (old, new) = (layout.panes(at: from), layout.panes(at: anchor))
        let total = block + layout.running
        let (ring, paneWords) = (layout.ring, layout.paneWords)
        var left: UInt64 = 0
        if options.keepsRunning {
            if new.low > old.high {
                aggregates.clear(total)
            } else {
                layout.forEachOccupied(block, max(old.low, oldest), new.low - 1) { slot in
                    left |= aggregates.subtract(block + ring + slot * paneWords, outOf: total)
                }
            }
            // Only `until: previous` windows take in panes that already hold records.
            layout.forEachOccupied(block, max(old.high + 1, new.low, oldest), min(new.high, from)) { slot in
                aggregates.merge(block + ring + slot * paneWords, into: total)
            }
        }
        let oldestLeft = anchor - Int64(layout.ringCount) + 1
        vacate(block, max(from + 1, oldestLeft), anchor)
        block[PaneLayout.newest] = anchor
        block[PaneLayout.oldest] = max(oldest, oldestLeft)
        if left != 0 { rescanExtremes(left, block, total, new.low, new.high) }
    }

    /// Finds the extremes of these slices again in the panes from `low` to `high`. A slice at a time: the
    /// panes are fetched by the first loop, and each loop does one thing.
    @inline(never)
    func rescanExtremes(_ left: UInt64, _ block: Block, _ total: Accumulator, _ low: Int64, _ high: Int64) {
        let (first, last) = (max(low, block[PaneLayout.oldest]), min(high, block[PaneLayout.newest]))
        let slices = aggregates.slices
        for index in slices.indices where left & 1 << UInt64(index & 63) != 0 {
            let slice = slices[index]
            guard slice.aggregate.isExtreme else { continue }
            let (panes, paneWords) = (block + layout.ring + slice.offset, layout.paneWords)
            switch slice.kind {
            case .minimum:
                var least = Int64.max
                layout.forEachOccupied(block, first, last) { least = min(least, panes[$0 &* paneWords]) }
                total[slice.offset] = least
            case .maximum:
                var greatest = Int64.min
                layout.forEachOccupied(block, first, last) {
                    greatest = max(greatest, panes[$0 &* paneWords])
                }
                total[slice.offset] = greatest
            default:
                slice.aggregate.clear(total + slice.offset)
                layout.forEachOccupied(block, first, last) {
                    slice.aggregate.merge(panes + $0 &* paneWords, into: total + slice.offset)
                }
            }
        }
    }

    /// Makes a total what the panes of the ring from `low` to `high` add up to.
    func rescan(_ block: Block, _ total: Accumulator, _ low: Int64, _ high: Int64) {
        aggregates.clear(total)
        let (first, last) = (max(low, block[PaneLayout.oldest]), min(high, block[PaneLayout.newest]))
        layout.forEachOccupied(block, first, last) { slot in
            aggregates.merge(layout.words(block, slot: slot), into: total)
        }
    }

    // MARK: Changes

    /// Says that a segment of the ring is not what was last drained.
    @inline(__always)
    func noteDirty(_ block: Block, _ id: UInt32, _ slot: Int) {
        let segment = slot >> 3
        block[layout.masks + segment >> 6] |= Int64(bitPattern: 1 << UInt64(segment & 63))
        if block[layout.listed] == 0 {
            block[layout.listed] = 1
            dirty.append(id)
        }
    }

    /// The sketches of a key are kept in another way than before, also for panes that no record came for.
    func noteAllDirty(_ block: Block) {
        let id = live[Int(block[PaneLayout.position])]
        layout.forEachOccupied(block, block[PaneLayout.oldest], block[PaneLayout.newest]) {
            noteDirty(block, id, $0)
        }
    }

    /// Calls `body` with each segment that changed since the last call, which counts as drained from now on.
    func takeDirty(_ body: (_ id: UInt32, _ block: Block, _ segment: Int) -> Void) {
        let (masks, maskWords) = (layout.masks, layout.maskWords)
        for id in dirty {
            let block = block(of: id)
            guard block != emptyBlock else { continue }
            block[layout.listed] = 0
            for word in 0..<maskWords {
                var bits = UInt64(bitPattern: block[masks + word])
                block[masks + word] = 0
                block[masks + maskWords + word] |= Int64(bitPattern: bits)
                while bits != 0 {
                    body(id, block, word << 6 + bits.trailingZeroBitCount)
                    bits &= bits &- 1
                }
            }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Calls `body` with the segments that were drained for a key, which is gone since and whose id has not
    /// been given away yet.
    func forgetDrained(_ id: UInt32, _ body: (_ segment: Int) -> Void) {
        let block = rawBlock(of: id)
        let drained = layout.masks + layout.maskWords
        for word in 0..<layout.maskWords {
            var bits = UInt64(bitPattern: block[drained + word])
            block[drained + word] = 0
            while bits != 0 {
                body(word << 6 + bits.trailingZeroBitCount)
                bits &= bits &- 1
            }
        }
    }

    func setDrained(_ block: Block, _ segment: Int, _ isDrained: Bool) {
        guard layout.maskWords > 0 else { return }
        let word = layout.masks + layout.maskWords + segment >> 6
        let bit = Int64(bitPattern: 1 << UInt64(segment & 63))
        block[word] = isDrained ? block[word] | bit : block[word] & ~bit
    }

    /// True if a changelog has a segment of the key.
    func isDrained(_ block: Block) -> Bool {
        let drained = layout.masks + layout.maskWords
        return !(0..<layout.maskWords).allSatisfy { block[drained + $0] == 0 }
    }
}
