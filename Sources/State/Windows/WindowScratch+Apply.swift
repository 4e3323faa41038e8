import Base
import Records

/// Rows that `WindowStore.prepare` has found a place for, on their way into the aggregates.
extension WindowScratch {
    /// Adds the rows at `positions`, which `prepare` found, to the aggregate at `index` of `store`, and
    /// writes its value in the current window, as it is after each row, to `output`. The number of records,
    /// which is at 0, comes first. `arena`: of the rows' texts.
    package func apply(
        _ index: Int,
        to store: WindowStore,
        _ rows: Selection,
        _ positions: Range<Int>,
        times: UnsafePointer<Int64>,
        argument: Column?,
        condition: Column?,
        output: Column?,
        arena: Arena
    ) {
        let argument = argument ?? always
        let condition = condition ?? always
        let aggregate = store.rings.aggregates.all[index]
        switch aggregate {
        case .records: countRecords(store, rows, positions, output)
        case .count:
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, _, _ in words[0] &+= 1 }
            ) {
                words, _ in (words[0], 1)
            }
        case .sum(isCounted: false):
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, value, _ in store128(load128(words) &+ Int128(value), words) }
            ) { words, _ in
                let sum = load128(words)
                let narrow = Int64(truncatingIfNeeded: sum)
                return (narrow, Int128(narrow) == sum ? 1 : 2)
            }
        case .sum:
            pass(
                index, store, rows, positions, argument, condition, output,
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
                index, store, rows, positions, argument, condition, output,
                { words, value, _ in words[0] = min(words[0], value) }
            ) { words, position in (words[0], filled[position]) }
        case .minimum:
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, value, _ in
                    words[0] = min(words[0], value)
                    words[1] &+= 1
                }
            ) { words, _ in (words[0], words[1] > 0 ? 1 : 0) }
        case .maximum(isCounted: false):
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, value, _ in words[0] = max(words[0], value) }
            ) { words, position in (words[0], filled[position]) }
        case .maximum:
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, value, _ in
                    words[0] = max(words[0], value)
                    words[1] &+= 1
                }
            ) { words, _ in (words[0], words[1] > 0 ? 1 : 0) }
        case .distinct, .quantile:
            applySketch(index, store, rows, positions, argument, condition, output, arena)
        default:
            pass(
                index, store, rows, positions, argument, condition, output,
                { words, value, row in aggregate.add(value, times[row], to: words, arena: arena) }
            ) { words, position in
                switch aggregate {
                case .days, .windowStart, .windowEnd:
                    store.totals(.running).window(
                        aggregate, index, blocks[position], newest[position],
                        oldest: oldest[position])
                default: aggregate.read(words, isFilled: true, arena: arena)
                }
            }
        }
    }

    /// Counts the rows, and notes for the other aggregates whether there are records in the window after each
    /// of them.
    private func countRecords(
        _ store: WindowStore, _ rows: Selection, _ positions: Range<Int>, _ output: Column?
    ) {
        let (running, closed) = (store.layout.running, store.layout.closed)
        let (blocks, panes, actions, filled) = (blocks, panes, actions, filled)
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
        _ store: WindowStore,
        _ rows: Selection,
        _ positions: Range<Int>,
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ add: (Accumulator, Int64, Int) -> Void,
        addNull: ((Accumulator) -> Void)? = nil,
        _ read: (Accumulator, Int) -> (Int64, UInt8)
    ) {
        let offset = store.rings.aggregates.offsets[index]
        let running = store.layout.running + offset
        let closed = store.layout.closed + offset
        let (values, valid) = (argument.values, argument.valid)
        let (conditions, conditionsValid) = (condition.values, condition.valid)
        let (blocks, panes, actions) = (blocks, panes, actions)
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
        _ store: WindowStore,
        _ rows: Selection,
        _ positions: Range<Int>,
        _ argument: Column,
        _ condition: Column,
        _ output: Column?,
        _ arena: Arena
    ) {
        let (rings, sketches) = (store.rings, store.rings.sketches)
        let totals = store.totals(.running)
        let aggregate = rings.aggregates.all[index]
        var isText = false
        if case .distinct(let text, _) = aggregate { isText = text }
        for position in positions {
            let action = actions[position]
            let block = blocks[position]
            let row = rows[position]
            if action & WindowScratch.Action.adds != 0, argument.valid[row] == 1, condition.valid[row] == 1,
                condition.values[row] != 0
            {
                let value = argument.values[row]
                let slot = Int(slots[position])
                let sketch = sketches.index(block, index)
                if case .quantile = aggregate {
                    sketches.quantiles[sketch]?.add(value, slot: slot)
                } else {
                    let hash =
                        isText
                        ? DistinctSet.hash(TextReference(packed: value), arena) : DistinctSet.hash(value)
                    let isEstimated = sketches.distinct[sketch]?.add(hash, slot: slot) ?? false
                    if isEstimated, rings.options.tracksChanges { rings.noteAllDirty(block) }
                }
            }
            if let output {
                let (value, state) = totals.sketch(
                    index, block, newest[position], oldest: oldest[position])
                output.values[row] = value
                output.valid[row] = state
            }
        }
    }
}
