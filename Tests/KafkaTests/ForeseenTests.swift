import Base
import Testing

@testable import Connectors

/// Goal: what a member gets when it joins is among what it foresaw, also where another worker joins at the
/// same time. Method: the range assignor over random names.
@Suite struct ForeseenTests {
    private static func assigned(_ own: String, _ names: [String], _ partitions: Int) -> Set<Int32> {
        let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var next = 0
        for (place, name) in sorted.enumerated() {
            let count = partitions / sorted.count + (place < partitions % sorted.count ? 1 : 0)
            if name == own { return Set((next..<next + count).map { Int32($0) }) }
            next += count
        }
        return []
    }

    @Test func whatComesWasForeseen() {
        var random = SplitMix64(seed: 5)
        for _ in 0..<500 {
            func worker() -> [String] {
                let name = String(random.next(), radix: 36)
                return (0..<1 + Int(random.next() % 3)).map { "worker-\(name)-\($0)-mark" }
            }
            let others = (0..<1 + Int(random.next() % 4)).flatMap { _ in worker() }
            let lanes = worker()
            let partitions = 1 + Int(random.next() % 40)
            for own in lanes {
                let foreseen = RangeAssignor.foreseen(own, lanes: lanes, others, partitions: partitions)
                let gets = Self.assigned(own, others + lanes, partitions)
                #expect(gets.isSubset(of: foreseen), "\(own) of \(others + lanes), \(partitions) partitions")
                #expect(foreseen.count <= 3 * max(1, gets.count + 1))
            }
        }
    }

    /// Nobody works on what a member comes back to, nor on what nobody has.
    @Test func nothingIsForeseenWhereNobodyWorks() {
        #expect(RangeAssignor.foreseen("a-0", lanes: ["a-0", "a-1"], [], partitions: 8).isEmpty)
        #expect(RangeAssignor.foreseen("a-0", lanes: ["a-0", "a-1"], ["a-1"], partitions: 8).isEmpty)
        #expect(RangeAssignor.foreseen("a-0", lanes: ["a-0", "a-1"], ["a-0", "b-0"], partitions: 8).isEmpty)
    }
}
