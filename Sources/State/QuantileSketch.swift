import Base
import Records

/// Quantiles of one key over the panes of its ring: DDSketch (Masson, Rim, Lee 2019) with the linearly
/// interpolated mapping, on integers: buckets are 1/64 of a power of two wide, so the middle of a bucket is
/// within 0.8 % of every value in it, and values below 128 are exact. No floating point, the same everywhere.
final class QuantileSketch {
    private var panes: [Bins]
    private var slots: Int

    init(slots: Int) {
        self.slots = slots
        panes = Array(repeating: Bins(), count: slots)
    }

    var memoryBytes: Int { panes.reduce(0) { $0 + 48 + $1.buckets.capacity * 2 + $1.counts.capacity * 4 } }

    func clear(slot: Int) { panes[slot].removeAll() }

    func add(_ value: Int64, slot: Int) { panes[slot].add(Self.bucket(of: value), 1) }

    /// The value at rank ceil(q x n), nil when there is none.
    func quantile(perMille: Int, firstSlot: Int, count: Int) -> Int64? {
        var merged = Bins()
        for step in 0..<count {
            let pane = panes[(firstSlot + step) % slots]
            for (bucket, number) in zip(pane.buckets, pane.counts) { merged.add(bucket, number) }
        }
        let total = merged.counts.reduce(Int64(0)) { $0 + Int64($1) }
        guard total > 0 else { return nil }
        let rank = max(1, (total * Int64(perMille) + 999) / 1000)
        var seen: Int64 = 0
        for (bucket, number) in zip(merged.buckets, merged.counts) {
            seen += Int64(number)
            if seen >= rank { return Self.middle(of: bucket) }
        }
        return nil
    }

    /// Appends one slot's buckets.
    func write(slot: Int, to bytes: Arena) {
        let bins = panes[slot]
        bytes.appendVarint(UInt64(bins.buckets.count))
        for (bucket, count) in zip(bins.buckets, bins.counts) {
            bytes.appendZigzag(Int64(bucket))
            bytes.appendVarint(UInt64(count))
        }
    }

    /// Replaces what one slot holds by what `write` appended.
    func read(slot: Int, _ reader: inout BinaryReader) {
        panes[slot].removeAll()
        for _ in 0..<reader.count(below: 1 << 16) {
            panes[slot].add(
                Int16(truncatingIfNeeded: reader.zigzag()), UInt32(truncatingIfNeeded: reader.varint()))
        }
    }

    /// Buckets ascend with the value; negative values have negative buckets.
    static func bucket(of value: Int64) -> Int16 {
        let magnitude = value.magnitude
        let index: Int
        if magnitude < 128 {
            index = Int(magnitude)
        } else {
            let exponent = 63 - magnitude.leadingZeroBitCount
            index = 128 + (exponent - 7) * 64 + Int(magnitude >> UInt64(exponent - 6)) - 64
        }
        return Int16(value < 0 ? -index : index)
    }

    static func middle(of bucket: Int16) -> Int64 {
        let index = Int(bucket.magnitude)
        let magnitude: UInt64
        if index < 128 {
            magnitude = UInt64(index)
        } else {
            let exponent = 7 + (index - 128) / 64
            let low = UInt64(64 + (index - 128) % 64) << UInt64(exponent - 6)
            magnitude = low + (UInt64(1) << UInt64(exponent - 6)) / 2
        }
        let value = Int64(clamping: magnitude)
        return bucket < 0 ? -value : value
    }

    /// Buckets in ascending order with their counts.
    private struct Bins {
        var buckets: [Int16] = []
        var counts: [UInt32] = []

        mutating func removeAll() {
            buckets.removeAll(keepingCapacity: true)
            counts.removeAll(keepingCapacity: true)
        }

        mutating func add(_ bucket: Int16, _ number: UInt32) {
            var low = 0
            var high = buckets.count
            while low < high {
                let middle = (low + high) / 2
                if buckets[middle] < bucket { low = middle + 1 } else { high = middle }
            }
            if low < buckets.count, buckets[low] == bucket {
                counts[low] &+= number
            } else {
                buckets.insert(bucket, at: low)
                counts.insert(number, at: low)
            }
        }
    }
}
