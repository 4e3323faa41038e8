import Base
import Records
import Testing

@testable import State

/// Goal: a ring that grows keeps what its panes hold. Method: every range of panes before and after, exact and
/// in registers, with panes that wrap around the ring's end.
@Suite struct GrowTests {
    @Test(arguments: [3, 400])
    func sketchesKeepTheirPanes(valuesPerPane: Int) {
        let (small, large) = (7, 150)
        let panes = Int64(11)...17
        let distinct = DistinctSet(slots: small, exactMax: 64)
        let quantiles = QuantileSketch(slots: small)
        for pane in panes {
            for value in 0..<valuesPerPane {
                // Half of a pane's values are those of the pane before.
                let number = Int(pane) * valuesPerPane / 2 + value
                distinct.add(hashInteger(Int64(number)), slot: WindowStore.slot(pane, small))
                quantiles.add(Int64(number), slot: WindowStore.slot(pane, small))
            }
        }
        func read(_ slots: Int) -> [Int64?] {
            panes.flatMap { low in
                (low...panes.upperBound).flatMap { high -> [Int64?] in
                    let (first, count) = (WindowStore.slot(low, slots), Int(high - low + 1))
                    return [
                        distinct.estimate(firstSlot: first, count: count),
                        quantiles.quantile(perMille: 500, firstSlot: first, count: count),
                    ]
                }
            }
        }
        let before = read(small)
        distinct.grow(to: large, oldest: panes.lowerBound, newest: panes.upperBound)
        quantiles.grow(to: large, oldest: panes.lowerBound, newest: panes.upperBound)
        #expect(read(large) == before)
        #expect(before.compactMap { $0 }.min().map { $0 > 0 } == true)
        // The rest of the larger ring is empty.
        #expect(distinct.estimate(firstSlot: WindowStore.slot(18, large), count: large - panes.count) == 0)
        #expect(quantiles.quantile(perMille: 500, firstSlot: WindowStore.slot(18, large), count: large - panes.count) == nil)
    }
}
