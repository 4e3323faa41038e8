import Base
import Records
import State
import Testing

@Suite struct KeyTableTests {
    /// Goal: the table is a dictionary with dense ids. Method: random inserts and removals against one.
    @Test(arguments: [UInt64(1), 2, 3])
    func agreesWithADictionary(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let table = KeyTable()
        var oracle: [String: UInt32] = [:]
        for _ in 0..<60_000 {
            let number = random.next() % 3000
            let key = String(repeating: "k", count: Int(number % 20)) + "\(number)"
            var text = key
            let id = text.withUTF8 { bytes in bytes.baseAddress.flatMap { table.find($0, bytes.count) } }
            #expect(id == oracle[key])
            if random.next() % 3 == 0, let known = oracle[key] {
                table.remove(known)
                oracle[key] = nil
                #expect(!table.hasKey(known))
            } else {
                let id = text.withUTF8 { table.intern($0.baseAddress!, $0.count) }
                if let known = oracle[key] {
                    #expect(id == known)
                } else {
                    #expect(!oracle.values.contains(id), "an id that is in use was given away")
                    oracle[key] = id
                }
            }
            #expect(table.count == oracle.count)
        }
        for (key, id) in oracle {
            #expect(table.hasKey(id))
            #expect(String(decoding: table.key(of: id), as: UTF8.self) == key)
        }
        #expect(!table.hasKey(UInt32(table.idLimit)))
        #expect(table.idLimit <= 3000)
    }
}
