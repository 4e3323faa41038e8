import Base
import Records

extension WindowStore {
    /// Finds the block and pane of every selected row and moves the keys' newest panes on.
    ///
    /// `updates[row]` 1: the row belongs to the step; 0: another step's row, for which the window is only
    /// read. `watermarks[row]`: the watermark of the row's source after the row. Sets `late[row]` where every
    /// window of the row is closed; such a row changes nothing and reads what is current.
    package func prepare(
        _ rows: Selection,
        ids: UnsafePointer<UInt32>,
        times: UnsafePointer<Int64>,
        watermarks: UnsafePointer<Int64>,
        updates: UnsafePointer<UInt8>,
        late: UnsafeMutablePointer<UInt8>,
        scratch: WindowScratch
    ) {
        let (span, excludes, emptyBlock) = (Int64(options.span), options.excludesCurrent, emptyBlock)
        let (keepsRunning, tracksChanges) = (options.keepsRunning, options.tracksChanges)
        let (ringCount, keysPerChunk, blockWords) = (ringCount, keysPerChunk, blockWords)
        let lead = Int64(ringCount) - span - (excludes ? 2 : 1)
        let closedRange =
            options.keepsClosed && closedAnchor != Self.none ? panes(at: closedAnchor) : (low: 0, high: -1)
        var clock = self.clock
        var watermarkClock = self.watermarkClock
        for index in 0..<rows.count {
            let row = rows[index]
            var pane = clock.pane(of: times[row])
            // Without a watermark no pane is too old.
            let current = watermarks[row] == .min ? Int64.min / 2 : watermarkClock.pane(of: watermarks[row])
            var isUpdate = updates[row] != 0
            var block = block(of: ids[row], keysPerChunk, blockWords)
            scratch.blocks[index] = block
            scratch.ids[index] = ids[row]
            scratch.actions[index] = 0
            scratch.newest[index] = pane
            if isUpdate, (excludes ? pane + span : pane + span - 1) < current {
                late[row] = 1
                isUpdate = false
            }
            if isUpdate {
                if block == emptyBlock { block = makeBlock(of: ids[row]) }
                scratch.blocks[index] = block
            } else {
                if block == emptyBlock { continue }
                // A reader of another source must not drive the ring past what the watermark still needs.
                pane = min(pane, max(current + lead, block[Self.newest]))
            }
            let newest = block[Self.newest]
            let oldest = block[Self.oldest]
            var action = isUpdate ? WindowScratch.Action.adds : 0
            scratch.newestBefore[index] = newest
            scratch.oldestBefore[index] = oldest
            scratch.pane[index] = pane
            if newest == Self.none {
                block[Self.newest] = pane
                block[Self.oldest] = pane
                action |= WindowScratch.Action.first
            } else if pane > newest {
                block[Self.newest] = pane
                block[Self.oldest] = max(oldest, pane - Int64(ringCount) + 1)
                action |= WindowScratch.Action.advance
            } else if pane < oldest, isUpdate {
                // Cannot be while event time leads the watermark by the out-of-order bound at most.
                require(pane > newest - Int64(ringCount), "a pane behind the ring")
                block[Self.oldest] = pane
                action |= WindowScratch.Action.extend
            }
            let anchor = block[Self.newest]
            scratch.newest[index] = anchor
            scratch.oldest[index] = block[Self.oldest]
            let slot = Self.slot(pane, ringCount)
            scratch.slots[index] = Int32(truncatingIfNeeded: slot)
            scratch.panes[index] = block + ring + slot * paneWords
            if tracksChanges, action != 0 { noteDirty(block, ids[row], slot) }
            let low = excludes ? anchor - span : anchor - span + 1
            let high = excludes ? anchor - 1 : anchor
            if keepsRunning, pane >= low, pane <= high { action |= WindowScratch.Action.inRunning }
            if pane >= closedRange.low && pane <= closedRange.high { action |= WindowScratch.Action.inClosed }
            scratch.actions[index] = action
        }
        self.clock = clock
        self.watermarkClock = watermarkClock
    }

    /// True if `prepare` took the row at this position of the selection into a window.
    package func isAdded(_ position: Int, _ scratch: WindowScratch) -> Bool {
        scratch.actions[position] & WindowScratch.Action.adds != 0
    }

    /// Adds the rows that `prepare` found to the aggregate at `index`, and writes its value in the current
    /// window, as it is after each row, to `output`.
    package func apply(
        _ index: Int,
        _ rows: Selection,
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
        case .records where options.keepsClosed:
            countRecords(index, rows, output, scratch)
        case .records, .count:
            pass(index, rows, argument, condition, output, scratch, { words, _, _ in words[0] &+= 1 }) {
                words, _ in (words[0], 1)
            }
        case .sum:
            pass(
                index, rows, argument, condition, output, scratch,
                { words, value, _ in store128(load128(words) &+ Int128(value), words) }
            ) { words, _ in
                let sum = load128(words)
                let narrow = Int64(truncatingIfNeeded: sum)
                return (narrow, Int128(narrow) == sum ? 1 : 2)
            }
        case .minimum:
            pass(
                index, rows, argument, condition, output, scratch,
                { words, value, _ in words[0] = min(words[0], value) }
            ) { words, _ in (words[0], words[0] == .max ? 0 : 1) }
        case .maximum:
            pass(
                index, rows, argument, condition, output, scratch,
                { words, value, _ in words[0] = max(words[0], value) }
            ) { words, _ in (words[0], words[0] == .min ? 0 : 1) }
        case .distinct, .quantile:
            applySketch(index, rows, argument, condition, output, arena, scratch)
        default:
            pass(
                index, rows, argument, condition, output, scratch,
                { words, value, row in aggregate.add(value, times[row], to: words, arena: arena) }
            ) { words, position in
                switch aggregate {
                case .days, .windowStart, .windowEnd:
                    self.readWindow(
                        aggregate, index, scratch.blocks[position], scratch.newest[position],
                        oldest: scratch.oldest[position])
                default: aggregate.read(words, arena: arena)
                }
            }
        }
    }

    /// The pass for the records themselves, which also lists the keys that have their first record in a pane.
    private func countRecords(_ index: Int, _ rows: Selection, _ output: Column?, _ scratch: WindowScratch) {
        let (running, closed) = (self.running, self.closed)
        for position in 0..<rows.count {
            let action = scratch.actions[position]
            let block = scratch.blocks[position]
            if action & WindowScratch.Action.transition != 0 { transition(position, index, scratch) }
            if action & WindowScratch.Action.adds != 0 {
                let pane = scratch.panes[position]
                if pane[0] == 0 { touched[Int(scratch.slots[position])].append(scratch.ids[position]) }
                pane[0] &+= 1
                if action & WindowScratch.Action.inRunning != 0 { block[running] &+= 1 }
                if action & WindowScratch.Action.inClosed != 0 {
                    block[closed] &+= 1
                    noteChange(of: scratch.ids[position])
                }
            }
            output?.values[rows[position]] = block[running]
            output?.valid[rows[position]] = 1
        }
    }

    /// The loop that every aggregate shares. `add` gets the words, the argument and the row; `read` the
    /// running total's words and the position in the selection.
    @inline(__always)
    private func pass(
        _ index: Int,
        _ rows: Selection,
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ scratch: WindowScratch,
        _ add: (Accumulator, Int64, Int) -> Void,
        _ read: (Accumulator, Int) -> (Int64, UInt8)
    ) {
        let offset = offsets[index]
        let running = self.running + offset
        let closed = self.closed + offset
        let (values, valid) = (argument.values, argument.valid)
        let (conditions, conditionsValid) = (condition.values, condition.valid)
        let (blocks, panes, actions) = (scratch.blocks, scratch.panes, scratch.actions)
        let (out, outValid) = (output?.values, output?.valid)
        for position in 0..<rows.count {
            let action = actions[position]
            let block = blocks[position]
            if action & WindowScratch.Action.transition != 0 { transition(position, index, scratch) }
            let row = rows[position]
            if action & WindowScratch.Action.adds != 0, valid[row] == 1, conditionsValid[row] == 1,
                conditions[row] != 0
            {
                let value = values[row]
                add(panes[position] + offset, value, row)
                if action & WindowScratch.Action.inRunning != 0 { add(block + running, value, row) }
                if action & WindowScratch.Action.inClosed != 0 { add(block + closed, value, row) }
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
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ arena: Arena,
        _ scratch: WindowScratch
    ) {
        var isText = false
        if case .distinct(let text) = aggregates[index] { isText = text }
        for position in 0..<rows.count {
            let action = scratch.actions[position]
            let block = scratch.blocks[position]
            let row = rows[position]
            if action & WindowScratch.Action.transition != 0 { transition(position, index, scratch) }
            if action & WindowScratch.Action.adds != 0, argument.valid[row] == 1, condition.valid[row] == 1,
                condition.values[row] != 0
            {
                let value = argument.values[row]
                let slot = Int(scratch.slots[position])
                let sketch = sketchIndex(block, index)
                if case .quantile = aggregates[index] {
                    quantiles[sketch]?.add(value, slot: slot)
                } else if isText {
                    sketches[sketch]?.add(DistinctSet.hash(TextReference(packed: value), arena), slot: slot)
                } else {
                    sketches[sketch]?.add(DistinctSet.hash(value), slot: slot)
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

    /// A key's first pane, a newer pane or an older one: makes the panes that time has reached empty and
    /// moves the running total of one aggregate on.
    @inline(never)
    private func transition(_ position: Int, _ index: Int, _ scratch: WindowScratch) {
        let block = scratch.blocks[position]
        let action = scratch.actions[position]
        if action & WindowScratch.Action.first != 0 {
            clearPanes(index, block, scratch.pane[position], scratch.pane[position])
        } else if action & WindowScratch.Action.extend != 0 {
            clearPanes(index, block, scratch.pane[position], scratch.oldestBefore[position] - 1)
        } else {
            advance(
                index,
                block,
                from: scratch.newestBefore[position],
                to: scratch.newest[position],
                oldest: scratch.oldestBefore[position]
            )
        }
    }

    func clearPanes(_ index: Int, _ block: UnsafeMutablePointer<Int64>, _ low: Int64, _ high: Int64) {
        let aggregate = aggregates[index]
        if low > high { return }
        for pane in low...high {
            if aggregate.isSketch {
                guard block[Self.sketch] != 0 else { continue }
                let sketch = sketchIndex(block, index)
                sketches[sketch]?.clear(slot: slot(pane))
                quantiles[sketch]?.clear(slot: slot(pane))
            } else {
                aggregate.clear(paneWords(block, pane) + offsets[index])
            }
        }
    }

    /// Moves the running total of one aggregate from the window at `from` to the one at `to`. The common
    /// aggregates have their loops written out for them: at short slides a key moves many panes at a time.
    private func advance(
        _ index: Int,
        _ block: UnsafeMutablePointer<Int64>,
        from: Int64,
        to: Int64,
        oldest: Int64
    ) {
        let aggregate = aggregates[index]
        switch aggregate {
        case .records, .count:
            move(index, block, from, to, oldest, clear: { $0[0] = 0 }) { pane, total in
                total[0] &-= pane[0]
                return false
            }
        case .sum:
            move(index, block, from, to, oldest, clear: { store128(0, $0) }) { pane, total in
                store128(load128(total) &- load128(pane), total)
                return false
            }
        case .minimum:
            move(index, block, from, to, oldest, clear: { $0[0] = .max }) { pane, total in
                pane[0] == total[0] && pane[0] != .max
            }
        case .maximum:
            move(index, block, from, to, oldest, clear: { $0[0] = .min }) { pane, total in
                pane[0] == total[0] && pane[0] != .min
            }
        case .distinct, .quantile: clearPanes(index, block, max(from + 1, to - Int64(ringCount) + 1), to)
        default:
            move(index, block, from, to, oldest, clear: { aggregate.clear($0) }) { pane, total in
                aggregate.subtract(pane, outOf: total)
            }
        }
    }

    @inline(__always)
    private func move(
        _ index: Int,
        _ block: UnsafeMutablePointer<Int64>,
        _ from: Int64,
        _ to: Int64,
        _ oldest: Int64,
        clear: (Accumulator) -> Void,
        subtract: (Accumulator, Accumulator) -> Bool
    ) {
        let offset = offsets[index]
        let (old, new) = (panes(at: from), panes(at: to))
        let total = block + self.running + offset
        let first = block + ring + offset
        let (ringCount, paneWords) = (ringCount, paneWords)
        var mustRescan = false
        if !options.keepsRunning {
            // Only the panes move.
        } else if new.low > old.high {
            clear(total)
        } else {
            var pane = max(old.low, oldest)
            if pane < new.low {
                var slot = slot(pane)
                while pane < new.low {
                    if subtract(first + slot &* paneWords, total) { mustRescan = true }
                    slot = slot &+ 1 == ringCount ? 0 : slot &+ 1
                    pane &+= 1
                }
            }
        }
        // Only `until: previous` windows take in panes that already hold records.
        var entering = max(old.high + 1, max(new.low, oldest))
        while options.keepsRunning, entering <= min(new.high, from) {
            aggregates[index].merge(first + slot(entering) * paneWords, into: total)
            entering += 1
        }
        var pane = max(from + 1, to - Int64(ringCount) + 1)
        var slot = slot(pane)
        while pane <= to {
            clear(first + slot &* paneWords)
            slot = slot &+ 1 == ringCount ? 0 : slot &+ 1
            pane &+= 1
        }
        if mustRescan { rescan(index, block, total, max(new.low, oldest), new.high) }
    }

    func rescan(
        _ index: Int,
        _ block: UnsafeMutablePointer<Int64>,
        _ total: UnsafeMutablePointer<Int64>,
        _ low: Int64,
        _ high: Int64
    ) {
        let aggregate = aggregates[index]
        aggregate.clear(total)
        if low > high { return }
        for pane in low...high { aggregate.merge(paneWords(block, pane) + offsets[index], into: total) }
    }

    /// Moves a key's running totals on to the window at `anchor`, if that is newer.
    func advance(_ block: UnsafeMutablePointer<Int64>, to anchor: Int64) {
        let (newest, oldest) = (block[Self.newest], block[Self.oldest])
        guard block != emptyBlock, anchor > newest else { return }
        for index in aggregates.indices { advance(index, block, from: newest, to: anchor, oldest: oldest) }
        block[Self.newest] = anchor
        block[Self.oldest] = max(oldest, anchor - Int64(ringCount) + 1)
        if options.tracksChanges { noteDirty(block, live[Int(block[Self.position])], slot(anchor)) }
    }
}

extension Aggregate {
    /// Adds one record. For the aggregates that have no loop of their own.
    @inline(__always)
    func add(_ value: Int64, _ time: Int64, to words: Accumulator, arena: Arena) {
        switch self {
        case .average:
            store128(load128(words) &+ Int128(value), words)
            words[2] += 1
        case .deviation:
            store128(load128(words) &+ Int128(value), words)
            store128(load128(words + 2) &+ Int128(value) &* Int128(value), words + 2)
            words[4] += 1
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
        case .days: words[0] = 1
        default: break
        }
    }
}
