import Base
import Testing

@testable import Connectors

@Suite struct RedisPendingTests {
    @Test func keepsTheNewestOfEachFieldWhateverFails() {
        // Goal: puts, takes and put-backs in any order end in the newest value of each field.
        // Method: random operations against a plain table; a failed batch is put back, others are "written".
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix64(seed: seed)
        var pending = RedisPending(bytesMax: 64 << 20)
        var newest: [String: [String: String]] = [:]
        var written: [String: [String: String]] = [:]
        func write(_ entries: [RedisPending.Entry]) {
            for entry in entries {
                for field in entry.fields { written[entry.key, default: [:]][field.name] = field.value }
            }
        }
        for step in 0..<20_000 {
            if random.next() % 10 < 8 {
                let key = "k\(random.next() % 300)"
                var fields: [(name: String, value: String)] = []
                for name in ["a", "b", "c"] where random.next() % 2 == 0 { fields.append((name, "\(step)")) }
                for field in fields { newest[key, default: [:]][field.name] = field.value }
                pending.put(RedisPending.Entry(key: key, fields: fields, ttlMilliseconds: 1))
                continue
            }
            let taken = pending.take(Int(random.next() % 100))
            if random.next() % 2 == 0 {
                // New values come while the batch is under way.
                let key = taken.first?.key ?? "k0"
                newest[key, default: [:]]["a"] = "\(step)"
                pending.put(RedisPending.Entry(key: key, fields: [("a", "\(step)")], ttlMilliseconds: 1))
                pending.putBack(taken)
            } else {
                write(taken)
            }
        }
        while pending.keys > 0 { write(pending.take(37)) }
        #expect(written.mapValues { $0 } == newest.filter { !$0.value.isEmpty }, "seed \(seed)")
        #expect(pending.bytes == 0, "seed \(seed)")
        #expect(pending.dropped == 0)
    }

    @Test func givesUpTheLongestWaitingKeysBeyondTheLimit() {
        // Goal: memory stays bounded, the newest keys survive, and what was given up is counted.
        let limit = 1 << 20
        var pending = RedisPending(bytesMax: limit)
        for key in 0..<100_000 {
            pending.put(RedisPending.Entry(key: "key\(key)", fields: [("v", "\(key)")], ttlMilliseconds: 1))
        }
        #expect(pending.bytes <= limit)
        #expect(pending.keys + pending.dropped == 100_000)
        let kept = Set(pending.take(Int.max).map(\.key))
        #expect((99_900..<100_000).allSatisfy { kept.contains("key\($0)") })
        #expect(!kept.contains("key0"))
        #expect(pending.keys == 0)
    }
}

@Suite struct RedisAddressTests {
    @Test func reads() throws {
        let address = try RedisAddress("redis://:p%40ss:w@cache.example:7000/3")
        #expect(address.place == .network(host: "cache.example", port: 7000))
        #expect(address.password == "p@ss:w")
        #expect(address.user == nil)
        #expect(address.database == 3)
        #expect("\(address)" == "cache.example:7000")
        #expect(try RedisAddress("redis://ann:x@[::1]").place == .network(host: "::1", port: 6379))
        #expect(try RedisAddress("redis://ann:x@[::1]").user == "ann")
        #expect(try RedisAddress("unix:/tmp/r.sock").place == .socket(path: "/tmp/r.sock"))
    }

    @Test(arguments: [
        "", "localhost", "http://h", "redis://", "redis://h:0", "redis://h:99999", "redis://h/x",
        "redis://h/-1",
        "redis://secret@h", "unix:relative", "redis://:%zz@h", "rediss://h?cert=/c", "rediss://h?what=1",
        "redis://[::1",
    ])
    func refuses(url: String) {
        let fault = #expect(throws: Fault.self) { try RedisAddress(url) }
        #expect(fault?.detail.contains("secret") != true)
    }
}
