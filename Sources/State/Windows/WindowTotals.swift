import Base
import Records

/// Reads the totals that a store keeps of each key's windows.
package struct WindowTotals {
    /// Of a key's newest window, or of the window that closed last.
    package enum Kind { case running, closed }

    private let store: WindowStore
    private let kind: Kind
    /// Their first word in a block: the number of records.
    private let first: Int

    init(_ store: WindowStore, _ kind: Kind) {
        (self.store, self.kind) = (store, kind)
        first = kind == .running ? store.layout.running : store.layout.closed
    }

    private var aggregates: PaneAggregates { store.rings.aggregates }

    /// True if the key has records in the window.
    package func hasRecords(_ id: UInt32) -> Bool { store.rings.block(of: id)[first] > 0 }

    /// Those of the keys that have records in the window.
    package func filled(among ids: UnsafeBufferPointer<UInt32>) -> [UInt32] {
        let (blocks, emptyBlock, first) = (store.rings.blocks, store.rings.emptyBlock, first)
        return ids.filter { PaneRings.block(of: $0, blocks, emptyBlock)[first] > 0 }
    }

    package func filled(among ids: [UInt32]) -> [UInt32] { ids.withUnsafeBufferPointer { filled(among: $0) } }

    /// The anchor of the window that the key's totals describe; `otherwise` if it has none.
    package func anchor(of id: UInt32, otherwise: Int64) -> Int64 {
        if kind == .closed {
            return store.closedAnchor == PaneLayout.none ? otherwise : store.closedAnchor
        }
        if let newest = store.ahead.newest(of: id) { return newest }
        let block = store.rings.block(of: id)
        return block == store.rings.emptyBlock ? otherwise : block[PaneLayout.newest]
    }

    /// Writes the value of the aggregate at `index` for each key to rows 0..<count of `output`. What runs is
    /// the window of the key's newest pane, whether the ring has it or not.
    package func gather(
        _ index: Int,
        ids: UnsafePointer<UInt32>,
        count: Int,
        into output: Column,
        arena: Arena,
        anchorOtherwise: Int64
    ) {
        let aggregate = aggregates.all[index]
        let (blocks, emptyBlock) = (store.rings.blocks, store.rings.emptyBlock)
        let total = first
        let place = total + aggregates.offsets[index]
        let (values, valid) = (output.values, output.valid)
        for row in 0..<count {
            let block = PaneRings.block(of: ids[row], blocks, emptyBlock)
            let words = block + place
            let value: (value: Int64, valid: UInt8)
            switch aggregate {
            case .records, .count: value = (words[0], 1)
            case .minimum(isCounted: false), .maximum(isCounted: false):
                value = (words[0], block[total] > 0 ? 1 : 0)
            case .distinct, .quantile:
                let anchor = anchor(of: ids[row], otherwise: anchorOtherwise)
                value = sketch(index, block, anchor, oldest: block[PaneLayout.oldest])
            case .days, .windowStart, .windowEnd:
                let anchor = anchor(of: ids[row], otherwise: anchorOtherwise)
                value = window(aggregate, index, block, anchor, oldest: block[PaneLayout.oldest])
            default: value = aggregate.read(words, isFilled: block[total] > 0, arena: arena)
            }
            values[row] = value.value
            valid[row] = value.valid
        }
        guard kind == .running, !store.ahead.isEmpty else { return }
        for row in 0..<count {
            guard let newest = store.ahead.newest(of: ids[row]) else { continue }
            (values[row], valid[row]) = store.view.read(index, of: ids[row], at: newest, arena: arena)
        }
    }

    func sketch(_ index: Int, _ block: Block, _ anchor: Int64, oldest: Int64)
        -> (value: Int64, valid: UInt8)
    {
        let (rings, layout) = (store.rings, store.layout)
        let range = layout.panes(at: anchor)
        let low = max(range.low, oldest)
        let high = min(range.high, block[PaneLayout.newest])
        let isEmpty = block == rings.emptyBlock || block[PaneLayout.sketch] == 0 || low > high
        switch aggregates.all[index] {
        case .quantile(let perMille):
            if isEmpty { return (0, 0) }
            let value = rings.sketches.quantiles[rings.sketches.index(block, index)]?
                .quantile(perMille: perMille, firstSlot: layout.slot(low), count: Int(high - low + 1))
            return value.map { ($0, 1) } ?? (0, 0)
        default:
            if isEmpty { return (0, 1) }
            let value = rings.sketches.distinct[rings.sketches.index(block, index)]?
                .estimate(firstSlot: layout.slot(low), count: Int(high - low + 1))
            return (value ?? 0, 1)
        }
    }

    func window(
        _ aggregate: Aggregate,
        _ index: Int,
        _ block: Block,
        _ anchor: Int64,
        oldest: Int64
    ) -> (value: Int64, valid: UInt8) {
        let layout = store.layout
        let (low, high) = layout.panes(at: anchor)
        switch aggregate {
        case .windowStart: return (store.clock.startOfPane(low), 1)
        case .windowEnd: return (store.clock.startOfPane(high + 1), 1)
        case .days(let perPane):
            if block == store.rings.emptyBlock { return (0, 0) }
            var pane = max(low, oldest)
            while pane <= min(high, block[PaneLayout.newest]) {
                let slot = layout.slot(pane)
                if layout.isOccupied(block, slot),
                    layout.words(block, slot: slot)[aggregates.offsets[index]] != 0
                {
                    return ((high + 1 - pane) * Int64(perPane), 1)
                }
                pane += 1
            }
            return (0, 0)
        default: unreachable("not a property of the window")
        }
    }
}
