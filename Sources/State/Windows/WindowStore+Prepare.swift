import Records

extension WindowStore {
    /// Finds the block and pane of the selected rows from position `first` on and moves the keys' windows on.
    /// Ends before a row that would move a key's window of which an earlier row has still to be aggregated;
    /// returns the position after the last row that was prepared, which `apply` must see before the next
    /// call.
    ///
    /// `updates[row]` 1: the row belongs to the step; 0: another step's row, for which the window is only
    /// read. `watermarks[row]`: the watermark of the row's source after the row. Sets `late[row]` where every
    /// window of the row is closed; such a row changes nothing and reads what is current. No row runs ahead
    /// (`runsAhead`).
    package func prepare(
        _ rows: Selection,
        from first: Int,
        ids: UnsafePointer<UInt32>,
        times: UnsafePointer<Int64>,
        watermarks: UnsafePointer<Int64>,
        updates: UnsafePointer<UInt8>,
        late: UnsafeMutablePointer<UInt8>,
        scratch: WindowScratch
    ) -> Int {
        let (rings, layout) = (rings, layout)
        let (span, excludes, emptyBlock) = (layout.span, layout.excludesCurrent, rings.emptyBlock)
        let neutral = rings.aggregates.neutral
        let (keepsRunning, keepsClosed, tracksChanges) = (
            options.keepsRunning, options.keepsClosed, options.tracksChanges
        )
        let (ringCount, ring, paneWords) = (layout.ringCount, layout.ring, layout.paneWords)
        let closedRange =
            keepsClosed && closedAnchor != PaneLayout.none
            ? layout.panes(at: closedAnchor) : (low: 0, high: -1)
        passes += 1
        let (pass, round, touched) = (passes, changeRound, touched)
        var blocks = rings.blocks
        var clock = self.clock
        var watermarkClock = self.watermarkClock
        // Most rows lie in the pane of the row before: a division a row less.
        var (lastPane, lastSlot) = (Int64.min, 0)
        var (greatest, newestClosed) = (greatest, newestClosed)
        defer {
            self.clock = clock
            self.watermarkClock = watermarkClock
            (self.greatest, self.newestClosed) = (greatest, newestClosed)
        }
        for index in first..<rows.count {
            let row = rows[index]
            // Most likely its pane is that of this row.
            if index + BlockMemory.prefetchDistance < rows.count {
                blocks.prefetch(
                    ids[rows[index + BlockMemory.prefetchDistance]], words: ring,
                    offset: ring + lastSlot &* paneWords,
                    count: paneWords)
            }
            var pane = clock.pane(of: times[row])
            // Without a watermark no pane is too old.
            let current = watermarks[row] == .min ? Int64.min / 2 : watermarkClock.pane(of: watermarks[row])
            var isUpdate = updates[row] != 0
            var block = PaneRings.block(of: ids[row], blocks, emptyBlock)
            scratch.blocks[index] = block
            scratch.actions[index] = 0
            scratch.newest[index] = pane
            if isUpdate, (excludes ? pane + span : pane + span - 1) < current {
                late[row] = 1
                isUpdate = false
            }
            if isUpdate {
                if block == emptyBlock {
                    block = makeBlock(of: ids[row])
                    blocks = rings.blocks
                }
                scratch.blocks[index] = block
            } else {
                if block == emptyBlock { continue }
                // A reader of another source must not drive the ring past what the watermark still needs.
                pane = min(pane, max(current + layout.lead, block[PaneLayout.newest]))
            }
            if pane != lastPane { (lastPane, lastSlot) = (pane, PaneLayout.slot(pane, ringCount)) }
            let slot = lastSlot
            var hasChanged = isUpdate
            if pane > block[PaneLayout.newest] {
                if block[PaneLayout.newest] == PaneLayout.none {
                    block[PaneLayout.newest] = pane
                    block[PaneLayout.oldest] = pane
                } else {
                    if block[PaneLayout.pass] == pass { return index }
                    rings.moveOn(block, to: pane)
                }
                greatest = max(greatest, pane)
                hasChanged = true
            } else if pane < block[PaneLayout.oldest], isUpdate {
                // A block is as far on as the watermark and `lead` at most, and what lies a ring's length
                // before that is late already. A row that did all the same would read what is current, as
                // other late ones do, and be told.
                assert(
                    pane > block[PaneLayout.newest] - Int64(ringCount),
                    "a row behind the ring that is not late")
                if pane <= block[PaneLayout.newest] - Int64(ringCount) {
                    late[row] = 1
                    block[PaneLayout.pass] = pass
                    (scratch.newest[index], scratch.oldest[index]) = (
                        block[PaneLayout.newest], block[PaneLayout.oldest]
                    )
                    continue
                }
                if block[PaneLayout.sketch] != 0 { rings.vacate(block, pane, block[PaneLayout.oldest] - 1) }
                block[PaneLayout.oldest] = pane
            }
            block[PaneLayout.pass] = pass
            if tracksChanges, hasChanged { rings.noteDirty(block, ids[row], slot) }
            let anchor = block[PaneLayout.newest]
            scratch.newest[index] = anchor
            scratch.oldest[index] = block[PaneLayout.oldest]
            guard isUpdate else { continue }
            scratch.slots[index] = Int32(truncatingIfNeeded: slot)
            let words = block + ring + slot &* paneWords
            scratch.panes[index] = words
            let occupied = PaneLayout.occupied + slot >> 6
            let bit = Int64(bitPattern: 1 << UInt64(slot & 63))
            if block[occupied] & bit == 0 {
                block[occupied] |= bit
                words.update(from: neutral, count: paneWords)
                if keepsClosed { touched[slot].append(ids[row]) }
            }
            var action = WindowScratch.Action.adds
            let low = excludes ? anchor - span : anchor - span + 1
            let high = excludes ? anchor - 1 : anchor
            if keepsRunning, pane >= low, pane <= high { action |= WindowScratch.Action.inRunning }
            if pane >= closedRange.low && pane <= closedRange.high {
                action |= WindowScratch.Action.inClosed
                newestClosed = max(newestClosed, pane)
                noteChange(of: ids[row], block, round)
            }
            scratch.actions[index] = action
        }
        return rows.count
    }

    /// How many keys before its turn a key's block is asked for: about as long as memory takes.
    static let ahead = 8
}
