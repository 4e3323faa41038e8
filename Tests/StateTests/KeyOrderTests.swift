import Base
import Records
import Testing

@testable import State

/// Goal: ids come into the order of their keys' bytes. Method: random keys of every kind, among them such
/// that only zeros or only the length tells apart, against a sort of arrays; few and many, since these go
/// different ways.
@Suite struct KeyOrderTests {
    static func keys(_ random: inout SplitMix64, _ kind: Int, _ count: Int) -> [[UInt8]] {
        var keys: Set<[UInt8]> = []
        for number in 0..<count {
            switch kind {
            case 0:
                keys.insert(Array("M\(String(repeating: "0", count: 6 - "\(number)".count))\(number)".utf8))
            case 1:
                keys.insert(
                    Array("urn:example:bank:merchants:\(random.next() % 5):\(random.next() % 100_000)".utf8))
            case 2: keys.insert((0..<random.next() % 12).map { _ in UInt8(random.next() % 3) })
            case 3:
                keys.insert(
                    [UInt8](repeating: 0, count: Int(random.next() % 400))
                        + (random.next() % 2 == 0 ? [] : [1]))
            case 4: keys.insert((0..<8).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            default:
                keys.insert(
                    [7, 7]
                        + (0..<random.next() % 40).map { _ in
                            UInt8(truncatingIfNeeded: random.next() % 2 * 255)
                        })
            }
        }
        return keys.shuffled(using: &random)
    }

    @Test(arguments: 0..<6, [1, 2, 20, 24, 25, 300, 5000]) func idsAreInTheOrderOfTheirKeys(
        kind: Int, count: Int
    ) {
        var random = SplitMix64(seed: UInt64(10 * count + kind))
        let order = KeyOrder()
        // What an earlier sort left must not matter.
        for _ in 0..<3 {
            let keys = Self.keys(&random, kind, count)
            let table = KeyTable()
            // A key's id is its place.
            let all = keys.map { key in
                key.withUnsafeBufferPointer {
                    table.intern($0.baseAddress ?? UnsafePointer(bitPattern: 8)!, $0.count)
                }
            }
            var ids = all.filter { _ in random.next() % 4 != 0 }
            let wanted = ids.sorted { keys[Int($0)].lexicographicallyPrecedes(keys[Int($1)]) }
            order.sort(&ids, of: table)
            #expect(ids == wanted, "kind \(kind), \(count)")
            // Backwards, by what is written for a key.
            order.sort(&ids, of: table) { key, arena in for byte in key { arena.appendByte(255 - byte) } }
            let inverted = ids.map { keys[Int($0)].map { 255 - $0 } }
            #expect(zip(inverted, inverted.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
        }
    }
}
