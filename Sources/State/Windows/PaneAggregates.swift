import Base

/// What the words of a pane, or of a total, mean: the aggregates of a step, and how two of them are added.
struct PaneAggregates {
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

    /// Of `records` first, then the step's.
    let all: [Aggregate]
    /// The first word of each.
    let offsets: [Int]
    /// Words of one pane.
    let words: Int
    /// Those that are words of a pane.
    let slices: UnsafeMutableBufferPointer<Slice>
    /// The words of a pane, or of a total, without records.
    let neutral: UnsafeMutablePointer<Int64>

    init(_ aggregates: [Aggregate]) {
        all = [.records] + aggregates
        var words = 0
        var offsets: [Int] = []
        for aggregate in all {
            offsets.append(words)
            words += aggregate.words
        }
        (self.offsets, self.words) = (offsets, words)
        let kept = zip(all, offsets).flatMap { Slice.all($0, at: $1) }
        slices = .allocate(capacity: kept.count)
        _ = slices.initialize(from: kept)
        neutral = .allocate(capacity: words)
        neutral.initialize(repeating: 0, count: words)
        for slice in slices { slice.aggregate.clear(neutral + slice.offset) }
    }

    /// To be called once, at the end.
    func deallocate() {
        slices.deallocate()
        neutral.deallocate()
    }

    @inline(__always)
    func clear(_ total: Accumulator) { total.update(from: neutral, count: words) }

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
}
