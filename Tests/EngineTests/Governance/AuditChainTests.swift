import Base
import Testing

@testable import Engine

/// Goal: nothing is changed in, or taken out of, an audit without being named. Method: a chain of records
/// from a seed, with one byte changed or one record gone, at every place.
@Suite struct AuditChainTests {
    private func chain(_ count: Int, seed: UInt64) -> [[UInt8]] {
        var random = SplitMix64(seed: seed)
        var chain = AuditChain()
        var records: [[UInt8]] = []
        for _ in 0..<count {
            let record = chain.next(
                by: "p\(random.next() % 5)",
                action: ["propose", "approve", "activate"][Int(random.next() % 3)],
                details: [("epoch", "\(random.next() % 100)"), ("reason", "因为 \"\(random.next())\"\n")],
                at: "2026-01-01T00:00:00Z")
            records.append(Array(record.json.utf8))
            #expect(chain.take(records.last ?? []) == nil)
        }
        return records
    }

    private func mistakes(_ records: [[UInt8]]) -> [String] {
        var chain = AuditChain()
        return records.compactMap { chain.take($0) }
    }

    @Test func aWholeChainIsGood() {
        let records = chain(50, seed: 1)
        #expect(mistakes(records).isEmpty)
        var again = AuditChain()
        for record in records { _ = again.take(record) }
        #expect(again.count == 50 && again.head == Sha256.hex(records[49]))
        #expect(mistakes([]).isEmpty)
    }

    @Test func oneByteIsNamed() throws {
        let records = chain(20, seed: 2)
        var random = SplitMix64(seed: 3)
        for place in 0..<19 {
            for _ in 0..<20 {
                var changed = records
                let byte = Int(random.next() % UInt64(records[place].count))
                changed[place][byte] ^= UInt8(1 + random.next() % 255)
                let first = try #require(mistakes(changed).first, "record \(place + 1), byte \(byte)")
                // Its number may be what was changed, which takes others for missing.
                let named = ["record \(place + 1) ", "record \(place) or", "missing", "comes again"].contains
                { first.contains($0) }
                #expect(named, "record \(place + 1), byte \(byte): \(first)")
            }
        }
    }

    @Test func aRecordThatIsGoneIsNamed() {
        let records = chain(20, seed: 4)
        for place in 0..<19 {
            var fewer = records
            fewer.remove(at: place)
            #expect(mistakes(fewer).first == "record \(place + 1) is missing")
        }
        #expect(mistakes(Array(records.dropFirst(5))).first == "records 1 to 5 are missing")
        // Twice, or in another order.
        #expect(mistakes(records + [records[19]]).first == "record 20 comes again behind 20")
        var swapped = records
        swapped.swapAt(4, 5)
        #expect(mistakes(swapped).first == "record 5 is missing")
    }
}
