import Base
import Records

/// The sketches of keys: distinct values and quantiles, which are no words of a pane. A key has one for each
/// of the step's aggregates that is a sketch, once the first value comes; its block holds where they begin.
final class KeySketches {
    private let aggregates: [Aggregate]
    /// How many aggregates before each are sketches.
    private let places: [Int]
    let perKey: Int
    private let slots: Int
    private(set) var distinct: [DistinctSet?] = []
    private(set) var quantiles: [QuantileSketch?] = []
    private var free: [Int] = []

    /// `slots`: of a ring.
    init(_ aggregates: [Aggregate], slots: Int) {
        (self.aggregates, self.slots) = (aggregates, slots)
        var places: [Int] = []
        var count = 0
        for aggregate in aggregates {
            places.append(count)
            if aggregate.isSketch { count += 1 }
        }
        (self.places, perKey) = (places, count)
    }

    var memoryBytes: Int {
        distinct.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
            + quantiles.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
    }

    /// Position of a sketch aggregate among the sketches of a key.
    func place(_ aggregate: Int) -> Int { places[aggregate] }

    /// Position of a sketch aggregate of a key among all sketches, made if there is none.
    func index(_ block: Block, _ aggregate: Int) -> Int {
        if block[PaneLayout.sketch] == 0 { allocate(block) }
        return Int(block[PaneLayout.sketch]) - 1 + places[aggregate]
    }

    private func allocate(_ block: Block) {
        let base = free.popLast() ?? distinct.count
        if base == distinct.count {
            distinct.append(contentsOf: repeatElement(nil, count: perKey))
            quantiles.append(contentsOf: repeatElement(nil, count: perKey))
        }
        var index = base
        for aggregate in aggregates where aggregate.isSketch {
            switch aggregate {
            case .distinct(_, let exactMax):
                distinct[index] = DistinctSet(slots: slots, exactMax: exactMax)
            default: quantiles[index] = QuantileSketch(slots: slots)
            }
            index += 1
        }
        block[PaneLayout.sketch] = Int64(base + 1)
    }

    /// Empties `count` slots from `first` on, around the ring.
    func clear(_ block: Block, first: Int, count: Int) {
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = self.index(block, index)
            distinct[sketch]?.clear(firstSlot: first, count: count)
            guard let quantile = quantiles[sketch] else { continue }
            for slot in first..<first + count { quantile.clear(slot: slot < slots ? slot : slot - slots) }
        }
    }

    func release(_ block: Block) {
        guard block[PaneLayout.sketch] != 0 else { return }
        let base = Int(block[PaneLayout.sketch]) - 1
        for index in base..<base + perKey {
            distinct[index] = nil
            quantiles[index] = nil
        }
        free.append(base)
        block[PaneLayout.sketch] = 0
    }

    // MARK: Bytes

    /// What the sketches hold of those slots of a segment that `mask` says.
    func write(_ block: Block, slots: Range<Int>, _ mask: UInt8, to bytes: Arena) {
        // A key that has no sketches yet has empty ones.
        let isThere = block[PaneLayout.sketch] != 0 && mask != 0
        bytes.appendByte(isThere ? 1 : 0)
        guard isThere else { return }
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = self.index(block, index)
            distinct[sketch]?.write(slots: slots, mask, to: bytes)
            guard let quantile = quantiles[sketch] else { continue }
            for slot in slots where mask & 1 << UInt8(slot & 7) != 0 { quantile.write(slot: slot, to: bytes) }
        }
    }

    /// `places`: the slots that `write` wrote, each where it is now; nil for those that it did not write.
    func read(_ block: Block, _ places: [Int?], _ reader: inout BinaryReader) {
        guard reader.byte() != 0 else { return }
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = self.index(block, index)
            distinct[sketch]?.read(into: places, &reader)
            guard let quantile = quantiles[sketch] else { continue }
            for case let slot? in places { quantile.read(slot: slot, &reader) }
        }
    }
}
