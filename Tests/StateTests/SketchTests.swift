import Base
import Records
import Testing

@testable import State

@Suite struct SketchTests {
    /// Goal: a bucket's middle is within 1 % of every value in it, over the whole range, and buckets ascend.
    @Test func quantileBucketsAreNarrowAndOrdered() {
        var random = SplitMix64(seed: 5)
        print("seed 5")
        for _ in 0..<200_000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 64)
            if value == .min { continue }
            let middle = QuantileSketch.middle(of: QuantileSketch.bucket(of: value))
            let error = abs(Double(middle) - Double(value))
            #expect(error <= 0.01 * abs(Double(value)) + 0.5, "\(value) became \(middle)")
        }
        for value in Int64(-1000)...1000 {
            #expect(QuantileSketch.bucket(of: value) <= QuantileSketch.bucket(of: value + 1))
        }
    }

    /// Goal: distinct is exact, for any range of panes, while at most as many different values as are asked
    /// for are in the panes, again after a crowd has gone, and within five standard errors beyond; also as
    /// bytes. Method: sets of each pane; panes come and go as in a window that slides, and now and then all
    /// of it is written and read.
    @Test(arguments: [
        (30, 10, 64), (30, 64, 64), (100, 40, 64), (30, 5000, 64), (3, 900, 1000), (70, 1000, 1000),
        (2, 3, 1), (9, 5000, 1200),
    ])
    func distinctAgreesWithSets(slots: Int, values: Int, exactMax: Int) {
        var random = SplitMix64(seed: UInt64(slots * values))
        print("seed \(slots * values)")
        var set = DistinctSet(slots: slots, exactMax: exactMax)
        var oracle = [Set<UInt64>](repeating: [], count: slots)
        /// Slots whose values have gone into registers.
        var isEstimated = Set<Int>()
        var (exact, estimated) = (0, 0)
        var crowd = UInt64(values)
        for _ in 0..<20_000 {
            let slot = Int(random.next() % UInt64(slots))
            // So seldom that as many values as are exact are in the panes at a time.
            if random.next() % UInt64(max(200, exactMax)) == 0 {
                let count = random.next() % 4 == 0 ? slots : 1 + Int(random.next() % UInt64(min(slots, 3)))
                set.clear(firstSlot: slot, count: count)
                for step in 0..<count {
                    oracle[(slot + step) % slots] = []
                    isEstimated.remove((slot + step) % slots)
                }
                if count == slots {
                    crowd = random.next() % 2 == 0 ? UInt64(values) : UInt64(max(1, values / 4))
                }
            }
            var mix = SplitMix64(seed: random.next() % crowd)
            let hash = mix.next()
            let all = oracle.indices.filter { !isEstimated.contains($0) }.reduce(into: Set<UInt64>()) {
                $0.formUnion(oracle[$1])
            }
            let isFull = !isEstimated.contains(slot) && !all.contains(hash) && all.count == exactMax
            if isFull { isEstimated = Set(oracle.indices.filter { !oracle[$0].isEmpty }) }
            #expect(set.add(hash, slot: slot) == isFull)
            oracle[slot].insert(hash)
            if random.next() % 500 == 0 { set = Self.copy(set, slots, exactMax) }
            if random.next() % 50 == 0 {
                let first = Int(random.next() % UInt64(slots))
                let count = 1 + Int(random.next() % UInt64(slots))
                let range = (0..<count).map { (first + $0) % slots }
                let expected = range.reduce(into: Set<UInt64>()) { $0.formUnion(oracle[$1]) }.count
                let found = Int(set.estimate(firstSlot: first, count: count))
                if range.allSatisfy({ !isEstimated.contains($0) }) {
                    exact += 1
                    #expect(found == expected)
                } else {
                    estimated += 1
                    #expect(
                        abs(found - expected) <= max(2, expected / 12), "\(expected) estimated as \(found)")
                }
            }
        }
        #expect(exact > 20 && (values <= exactMax) == (estimated == 0))
    }

    /// Written a segment at a time, and read.
    private static func copy(_ set: DistinctSet, _ slots: Int, _ exactMax: Int) -> DistinctSet {
        let bytes = Arena(capacity: 64)
        let segments = stride(from: 0, to: slots, by: 8).map { $0..<min($0 + 8, slots) }
        for segment in segments { set.write(slots: segment, .max, to: bytes) }
        let copy = DistinctSet(slots: slots, exactMax: exactMax)
        var reader = BinaryReader(UnsafeBufferPointer(start: UnsafePointer(bytes.base), count: bytes.count))
        for segment in segments { copy.read(into: segment.map { $0 }, &reader) }
        #expect(reader.isValid && reader.isAtEnd)
        return copy
    }

    /// Goal: a few values take a few bytes, and as many as are counted exactly no more than the bound says.
    @Test(arguments: [1, 64, 1000, 20_000]) func distinctTakesRoomForWhatItHas(exactMax: Int) {
        let set = DistinctSet(slots: 33, exactMax: exactMax)
        set.add(1, slot: 0)
        #expect(set.memoryBytes < 300)
        var random = SplitMix64(seed: 3)
        for value in 0..<exactMax * 3 {
            // Panes come and go, so that values do as well.
            if value % max(1, exactMax / 40) == 0 {
                set.clear(firstSlot: value / max(1, exactMax / 40) % 33, count: 1)
            }
            set.add(random.next(), slot: value / max(1, exactMax / 40) % 33)
        }
        let values = exactMax + exactMax / 4 + 1
        // A little is rounded up by the allocator.
        #expect(set.memoryBytes <= values * 16 + max(32, values * 4 / 3 * 2) * 4 + 34 * 4200 + 1000)
    }
}
