import Base
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
        let (span, excludes, emptyBlock) = (Int64(options.span), options.excludesCurrent, emptyBlock)
        let (keepsRunning, keepsClosed, tracksChanges) = (
            options.keepsRunning, options.keepsClosed, options.tracksChanges
        )
        let (ringCount, ring, paneWords, lead) = (ringCount, ring, paneWords, lead)
        let closedRange =
            keepsClosed && closedAnchor != Self.none ? panes(at: closedAnchor) : (low: 0, high: -1)
        passes += 1
        let (pass, round, touched) = (passes, changeRound, touched)
        var blocks = blocks
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
            if index + Self.ahead < rows.count {
                blocks.prefetch(
                    ids[rows[index + Self.ahead]], words: ring, offset: ring + lastSlot &* paneWords,
                    count: paneWords)
            }
            var pane = clock.pane(of: times[row])
            // Without a watermark no pane is too old.
            let current = watermarks[row] == .min ? Int64.min / 2 : watermarkClock.pane(of: watermarks[row])
            var isUpdate = updates[row] != 0
            var block = Self.block(of: ids[row], blocks, emptyBlock)
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
                    blocks = self.blocks
                }
                scratch.blocks[index] = block
            } else {
                if block == emptyBlock { continue }
                // A reader of another source must not drive the ring past what the watermark still needs.
                pane = min(pane, max(current + lead, block[Self.newest]))
            }
            if pane != lastPane { (lastPane, lastSlot) = (pane, Self.slot(pane, ringCount)) }
            let slot = lastSlot
            var hasChanged = isUpdate
            if pane > block[Self.newest] {
                if block[Self.newest] == Self.none {
                    block[Self.newest] = pane
                    block[Self.oldest] = pane
                } else {
                    if block[Self.pass] == pass { return index }
                    moveOn(block, to: pane)
                }
                greatest = max(greatest, pane)
                hasChanged = true
            } else if pane < block[Self.oldest], isUpdate {
                // A block is as far on as the watermark and `lead` at most, and what lies a ring's length
                // before that is late already. A row that did all the same would read what is current, as
                // other late ones do, and be told.
                assert(pane > block[Self.newest] - Int64(ringCount), "a row behind the ring that is not late")
                if pane <= block[Self.newest] - Int64(ringCount) {
                    late[row] = 1
                    block[Self.pass] = pass
                    (scratch.newest[index], scratch.oldest[index]) = (block[Self.newest], block[Self.oldest])
                    continue
                }
                if block[Self.sketch] != 0 { vacate(block, pane, block[Self.oldest] - 1) }
                block[Self.oldest] = pane
            }
            block[Self.pass] = pass
            if tracksChanges, hasChanged { noteDirty(block, ids[row], slot) }
            let anchor = block[Self.newest]
            scratch.newest[index] = anchor
            scratch.oldest[index] = block[Self.oldest]
            guard isUpdate else { continue }
            scratch.slots[index] = Int32(truncatingIfNeeded: slot)
            let words = block + ring + slot &* paneWords
            scratch.panes[index] = words
            let occupied = Self.occupied + slot >> 6
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

    /// True if `prepare`, or who called `setAdded`, took the row at this position of the selection into a
    /// window.
    package func isAdded(_ position: Int, _ scratch: WindowScratch) -> Bool {
        scratch.actions[position] & WindowScratch.Action.adds != 0
    }

    /// Adds the rows at `positions`, which `prepare` found, to the aggregate at `index`, and writes its value
    /// in the current window, as it is after each row, to `output`. The number of records, which is at 0,
    /// comes first.
    package func apply(
        _ index: Int,
        _ rows: Selection,
        _ positions: Range<Int>,
        times: UnsafePointer<Int64>,
        argument: Column?,
        condition: Column?,
        output: Column?,
        arena: Arena,
        scratch: WindowScratch
    ) {
        let argument = argument ?? scratch.always
        let condition = condition ?? scratch.always
        let aggregate = aggregates[index]
        switch aggregate {
        case .records: countRecords(rows, positions, output, scratch)
        case .count:
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, _, _ in words[0] &+= 1 }
            ) {
                words, _ in (words[0], 1)
            }
        case .sum(isCounted: false):
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in store128(load128(words) &+ Int128(value), words) }
            ) { words, _ in
                let sum = load128(words)
                let narrow = Int64(truncatingIfNeeded: sum)
                return (narrow, Int128(narrow) == sum ? 1 : 2)
            }
        case .sum:
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in
                    store128(load128(words) &+ Int128(value), words)
                    words[2] &+= 1
                },
                addNull: { words in words[3] &+= 1 }
            ) { words, _ in
                let sum = load128(words)
                let narrow = Int64(truncatingIfNeeded: sum)
                return (narrow, Int128(narrow) != sum ? 2 : words[2] == 0 && words[3] > 0 ? 0 : 1)
            }
        case .minimum(isCounted: false):
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in words[0] = min(words[0], value) }
            ) { words, position in (words[0], scratch.filled[position]) }
        case .minimum:
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in
                    words[0] = min(words[0], value)
                    words[1] &+= 1
                }
            ) { words, _ in (words[0], words[1] > 0 ? 1 : 0) }
        case .maximum(isCounted: false):
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in words[0] = max(words[0], value) }
            ) { words, position in (words[0], scratch.filled[position]) }
        case .maximum:
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, _ in
                    words[0] = max(words[0], value)
                    words[1] &+= 1
                }
            ) { words, _ in (words[0], words[1] > 0 ? 1 : 0) }
        case .distinct, .quantile:
            applySketch(index, rows, positions, argument, condition, output, arena, scratch)
        default:
            pass(
                index, rows, positions, argument, condition, output, scratch,
                { words, value, row in aggregate.add(value, times[row], to: words, arena: arena) }
            ) { words, position in
                switch aggregate {
                case .days, .windowStart, .windowEnd:
                    self.readWindow(
                        aggregate, index, scratch.blocks[position], scratch.newest[position],
                        oldest: scratch.oldest[position])
                default: aggregate.read(words, isFilled: true, arena: arena)
                }
            }
        }
    }

    /// Counts the rows, and notes for the other aggregates whether there are records in the window after each
    /// of them.
    private func countRecords(
        _ rows: Selection, _ positions: Range<Int>, _ output: Column?, _ scratch: WindowScratch
    ) {
        let (running, closed) = (self.running, self.closed)
        let (blocks, panes, actions, filled) = (
            scratch.blocks, scratch.panes, scratch.actions, scratch.filled
        )
        let (out, outValid) = (output?.values, output?.valid)
        for position in positions {
            let (action, block) = (actions[position], blocks[position])
            if action & WindowScratch.Action.adds != 0 {
                panes[position][0] &+= 1
                if action & WindowScratch.Action.inRunning != 0 { block[running] &+= 1 }
                if action & WindowScratch.Action.inClosed != 0 { block[closed] &+= 1 }
            }
            let count = block[running]
            filled[position] = count > 0 ? 1 : 0
            if let out, let outValid {
                out[rows[position]] = count
                outValid[rows[position]] = 1
            }
        }
    }

    /// The loop that every other aggregate shares. `addNull` gets the words where the condition holds and the
    /// argument is null; `add` gets the words, the argument and the row; `read` the running total's words and
    /// the position in the selection.
    @inline(__always)
    private func pass(
        _ index: Int,
        _ rows: Selection,
        _ positions: Range<Int>,
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ scratch: WindowScratch,
        _ add: (Accumulator, Int64, Int) -> Void,
        addNull: ((Accumulator) -> Void)? = nil,
        _ read: (Accumulator, Int) -> (Int64, UInt8)
    ) {
        let offset = offsets[index]
        let running = self.running + offset
        let closed = self.closed + offset
        let (values, valid) = (argument.values, argument.valid)
        let (conditions, conditionsValid) = (condition.values, condition.valid)
        let (blocks, panes, actions) = (scratch.blocks, scratch.panes, scratch.actions)
        let (out, outValid) = (output?.values, output?.valid)
        for position in positions {
            let action = actions[position]
            let block = blocks[position]
            let row = rows[position]
            if action & WindowScratch.Action.adds != 0, valid[row] == 1, conditionsValid[row] == 1,
                conditions[row] != 0
            {
                let value = values[row]
                add(panes[position] + offset, value, row)
                if action & WindowScratch.Action.inRunning != 0 { add(block + running, value, row) }
                if action & WindowScratch.Action.inClosed != 0 { add(block + closed, value, row) }
            } else if let addNull, action & WindowScratch.Action.adds != 0, valid[row] != 1,
                conditionsValid[row] == 1,
                conditions[row] != 0
            {
                addNull(panes[position] + offset)
                if action & WindowScratch.Action.inRunning != 0 { addNull(block + running) }
                if action & WindowScratch.Action.inClosed != 0 { addNull(block + closed) }
            }
            if let out, let outValid {
                let (value, state) = read(block + running, position)
                out[row] = value
                outValid[row] = state
            }
        }
    }

    private func applySketch(
        _ index: Int,
        _ rows: Selection,
        _ positions: Range<Int>,
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ arena: Arena,
        _ scratch: WindowScratch
    ) {
        var isText = false
        if case .distinct(let text, _) = aggregates[index] { isText = text }
        for position in positions {
            let action = scratch.actions[position]
            let block = scratch.blocks[position]
            let row = rows[position]
            if action & WindowScratch.Action.adds != 0, argument.valid[row] == 1, condition.valid[row] == 1,
                condition.values[row] != 0
            {
                let value = argument.values[row]
                let slot = Int(scratch.slots[position])
                let sketch = sketchIndex(block, index)
                if case .quantile = aggregates[index] {
                    quantiles[sketch]?.add(value, slot: slot)
                } else {
                    let hash =
                        isText
                        ? DistinctSet.hash(TextReference(packed: value), arena) : DistinctSet.hash(value)
                    let isEstimated = sketches[sketch]?.add(hash, slot: slot) ?? false
                    if isEstimated, options.tracksChanges { noteAllDirty(block) }
                }
            }
            if let output {
                let (value, state) = readSketch(
                    index, block, scratch.newest[position], oldest: scratch.oldest[position])
                output.values[row] = value
                output.valid[row] = state
            }
        }
    }

    // MARK: Moving on

    /// Moves a key's running totals on to the window at `anchor`, if that is newer.
    func advance(_ block: UnsafeMutablePointer<Int64>, to anchor: Int64) {
        guard block != emptyBlock, anchor > block[Self.newest] else { return }
        moveOn(block, to: anchor)
        if options.tracksChanges { noteDirty(block, live[Int(block[Self.position])], slot(anchor)) }
    }

    /// Takes the panes that the window at `anchor` does not cover any more out of the running totals, and
    /// makes room for those that it does. The anchor is newer than the key's.
    @inline(never)
    func moveOn(_ block: UnsafeMutablePointer<Int64>, to anchor: Int64) {
        let (from, oldest) = (block[Self.newest], block[Self.oldest])
        let (old, new) = (panes(at: from), panes(at: anchor))
        let total = block + running
        var left: UInt64 = 0
        if options.keepsRunning {
            if new.low > old.high {
                total.update(from: neutral, count: paneWords)
            } else {
                forEachOccupied(block, max(old.low, oldest), new.low - 1) { slot in
                    left |= subtract(block + ring + slot * paneWords, outOf: total)
                }
            }
            // Only `until: previous` windows take in panes that already hold records.
            forEachOccupied(block, max(old.high + 1, new.low, oldest), min(new.high, from)) { slot in
                merge(block + ring + slot * paneWords, into: total)
            }
        }
        vacate(block, max(from + 1, anchor - Int64(ringCount) + 1), anchor)
        block[Self.newest] = anchor
        block[Self.oldest] = max(oldest, anchor - Int64(ringCount) + 1)
        if left != 0 { rescanExtremes(left, block, total, new.low, new.high) }
    }

    @inline(__always)
    func merge(_ pane: Accumulator, into total: Accumulator) {
        for slice in slices {
            let (from, to) = (pane + slice.offset, total + slice.offset)
            switch slice.kind {
            case .count: to[0] &+= from[0]
            case .sum: store128(load128(to) &+ load128(from), to)
            case .minimum: to[0] = min(to[0], from[0])
            case .maximum: to[0] = max(to[0], from[0])
            case .other: slice.aggregate.merge(from, into: to)
            }
        }
    }

    /// Returns the slices whose extreme left, a bit each; of more than 64, each stands for several.
    @inline(__always)
    func subtract(_ pane: Accumulator, outOf total: Accumulator) -> UInt64 {
        var left: UInt64 = 0
        for index in slices.indices {
            let slice = slices[index]
            let (from, to) = (pane + slice.offset, total + slice.offset)
            let bit: UInt64 = 1 << UInt64(index & 63)
            switch slice.kind {
            case .count: to[0] &-= from[0]
            case .sum: store128(load128(to) &- load128(from), to)
            // A pane without a value holds what is neutral, and that leaves nothing.
            case .minimum: if from[0] == to[0], from[0] != .max { left |= bit }
            case .maximum: if from[0] == to[0], from[0] != .min { left |= bit }
            case .other: if slice.aggregate.subtract(from, outOf: to) { left |= bit }
            }
        }
        return left
    }

    /// Finds the extremes of these slices again in the panes from `low` to `high`. A slice at a time: the
    /// panes are fetched by the first loop, and each loop does one thing.
    @inline(never)
    func rescanExtremes(
        _ left: UInt64, _ block: UnsafeMutablePointer<Int64>, _ total: Accumulator, _ low: Int64,
        _ high: Int64
    ) {
        let (first, last) = (max(low, block[Self.oldest]), min(high, block[Self.newest]))
        for index in slices.indices where left & 1 << UInt64(index & 63) != 0 {
            let slice = slices[index]
            guard slice.aggregate.isExtreme else { continue }
            let (panes, paneWords) = (block + ring + slice.offset, paneWords)
            switch slice.kind {
            case .minimum:
                var least = Int64.max
                forEachOccupied(block, first, last) { least = min(least, panes[$0 &* paneWords]) }
                total[slice.offset] = least
            case .maximum:
                var greatest = Int64.min
                forEachOccupied(block, first, last) { greatest = max(greatest, panes[$0 &* paneWords]) }
                total[slice.offset] = greatest
            default:
                slice.aggregate.clear(total + slice.offset)
                forEachOccupied(block, first, last) {
                    slice.aggregate.merge(panes + $0 &* paneWords, into: total + slice.offset)
                }
            }
        }
    }

    /// Makes a total what the panes from `low` to `high` add up to.
    func rescan(_ block: UnsafeMutablePointer<Int64>, _ total: Accumulator, _ low: Int64, _ high: Int64) {
        total.update(from: neutral, count: paneWords)
        forEachOccupied(block, max(low, block[Self.oldest]), min(high, block[Self.newest])) { slot in
            merge(block + ring + slot * paneWords, into: total)
        }
    }
}

extension Aggregate {
    /// Adds one record, to whatever needs no sketch; `records` are counted by whoever keeps them.
    func addAny(_ value: Int64, _ time: Int64, to words: Accumulator, arena: Arena) {
        switch self {
        case .count: words[0] += 1
        case .sum(let isCounted):
            store128(load128(words) &+ Int128(value), words)
            if isCounted { words[2] += 1 }
        case .minimum(let isCounted):
            words[0] = min(words[0], value)
            if isCounted { words[1] += 1 }
        case .maximum(let isCounted):
            words[0] = max(words[0], value)
            if isCounted { words[1] += 1 }
        default: add(value, time, to: words, arena: arena)
        }
    }

    /// Adds one record. For the aggregates that have no loop of their own.
    @inline(__always)
    func add(_ value: Int64, _ time: Int64, to words: Accumulator, arena: Arena) {
        switch self {
        case .average:
            store128(load128(words) &+ Int128(value), words)
            words[2] += 1
        case .deviation: Deviation.add(value, to: words)
        case .first:
            if time < words[0] {
                words[0] = time
                words[1] = value
            }
        case .last:
            if time >= words[0] {
                words[0] = time
                words[1] = value
            }
        case .firstText, .lastText:
            let isWanted = self == .firstText ? time < words[0] : time >= words[0]
            guard isWanted else { return }
            let text = TextReference(packed: value)
            words[0] = time
            Aggregate.storeText(arena.base + text.offset, text.count, at: words + 1)
        case .leastText, .greatestText:
            let text = TextReference(packed: value)
            addExtreme(arena.base + text.offset, text.count, to: words)
        case .days: words[0] = 1
        default: break
        }
    }
}
