import Base
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
        for value in Int64(-1000)...1000 { #expect(QuantileSketch.bucket(of: value) <= QuantileSketch.bucket(of: value + 1)) }
    }

    /// Goal: distinct is exact while there are few values, for any range of panes, and within 5 % (three
    /// standard errors) beyond. Method: sets of each pane.
    @Test(arguments: [(30, 10), (30, 63), (100, 40), (30, 5000)])
    func distinctAgreesWithSets(slots: Int, values: Int) {
        var random = SplitMix64(seed: UInt64(slots * values))
        print("seed \(slots * values)")
        let set = DistinctSet(slots: slots)
        var oracle = [Set<UInt64>](repeating: [], count: slots)
        for _ in 0..<20_000 {
            let slot = Int(random.next() % UInt64(slots))
            if random.next() % 500 == 0 {
                set.clear(slot: slot)
                oracle[slot] = []
            }
            var mix = SplitMix64(seed: random.next() % UInt64(values))
            let hash = mix.next()
            set.add(hash, slot: slot)
            oracle[slot].insert(hash)
            if random.next() % 50 == 0 {
                let first = Int(random.next() % UInt64(slots))
                let count = 1 + Int(random.next() % UInt64(slots))
                let expected = (0..<count).reduce(into: Set<UInt64>()) { $0.formUnion(oracle[(first + $1) % slots]) }.count
                let found = Int(set.estimate(firstSlot: first, count: count))
                if values <= 64 {
                    #expect(found == expected)
                } else {
                    #expect(abs(found - expected) <= max(3, expected / 20), "\(expected) estimated as \(found)")
                }
            }
        }
    }
}
