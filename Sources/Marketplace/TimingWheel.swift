import Base

/// Entries that wait for their slot of time, in lists over one flat pool. Bounded: when the pool is full,
/// entries are counted and dropped.
struct TimingWheel {
    private let origin: Int64
    private let slotLength: Int64
    /// First entry of each slot's list, -1: none.
    private var heads: [Int32]
    private var pool: [MarketplaceEntry] = []
    /// The next entry of the list that the pool's entry is in.
    private var next: [Int32] = []
    private var free: Int32 = -1
    private(set) var dropped = 0

    /// Slots begin at `origin`; takes entries at most `horizon` milliseconds ahead.
    init(origin: Int64, slotLength: Int64, horizon: Int64) {
        self.origin = origin
        self.slotLength = slotLength
        heads = Array(repeating: -1, count: Int(horizon / slotLength) + 2)
    }

    mutating func add(_ entry: MarketplaceEntry) {
        let index: Int32
        if free >= 0 {
            index = free
            free = next[Int(index)]
            pool[Int(index)] = entry
        } else if pool.count < Limits.marketplacePendingMax {
            index = Int32(pool.count)
            pool.append(entry)
            next.append(-1)
        } else {
            dropped += 1
            return
        }
        let head = headIndex(of: entry.due)
        next[Int(index)] = heads[head]
        heads[head] = index
    }

    /// Moves what waits for the slot that begins at `slotStart` to `entries`.
    mutating func take(slotStart: Int64, into entries: inout [MarketplaceEntry]) {
        let head = headIndex(of: slotStart)
        var index = heads[head]
        heads[head] = -1
        while index >= 0 {
            entries.append(pool[Int(index)])
            let following = next[Int(index)]
            next[Int(index)] = free
            free = index
            index = following
        }
    }

    @inline(__always)
    private func headIndex(of time: Int64) -> Int { Int((time - origin) / slotLength % Int64(heads.count)) }
}
