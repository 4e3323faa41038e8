import Base
import Testing

@testable import Connectors

@Suite struct RedisSlotsTests {
    @Test(arguments: [
        // Of the specification and of `CLUSTER KEYSLOT`.
        ("123456789", 0x31C3), ("", 0), ("foo", 12_182), ("merchant:{M100}", 13_694),
        ("{user1000}.following", 3443),
        ("{user1000}.followers", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015),
        ("foo{bar}{zap}", 5061), ("bar", 5061),
    ])
    func keysHaveTheirSlots(_ key: String, _ slot: Int) {
        // Goal: the slot is that of Redis, by the first braces that hold something.
        if key == "123456789" {
            let bytes = Array(key.utf8)
            #expect(bytes.withUnsafeBufferPointer { RedisSlots.crc($0) } == UInt16(slot))
        } else if key != "merchant:{M100}" {
            #expect(RedisSlots.slot(of: key) == slot)
        } else {
            #expect(RedisSlots.slot(of: key) == RedisSlots.slot(of: "M100"))
        }
    }

    @Test func redirectionsAreReadAndAnythingElseIsNone() {
        let asked = RedisAddress.Place.network(host: "asked", port: 1)
        let moved = RedisRedirection("MOVED 3999 127.0.0.1:6381", asked: asked)
        #expect(
            moved?.isAsk == false && moved?.slot == 3999
                && moved?.place == .network(host: "127.0.0.1", port: 6381))
        let ask = RedisRedirection("ASK 16383 ::1:7000", asked: asked)
        #expect(ask?.isAsk == true && ask?.slot == 16_383 && ask?.place == .network(host: "::1", port: 7000))
        #expect(RedisRedirection("MOVED 0 :7000", asked: asked)?.place == .network(host: "asked", port: 7000))
        for text in [
            "MOVED", "MOVED 16384 h:1", "MOVED -1 h:1", "ASK 1 h", "ASK 1 h:0", "ASK 1 h:70000", "ERR no",
            "MOVED 1 h:1 x", "",
        ] {
            #expect(RedisRedirection(text, asked: asked) == nil, "\(text)")
        }
    }

    @Test func slotsAreReadAndMoved() throws {
        let asked = RedisAddress.Place.network(host: "asked", port: 1)
        func range(_ first: Int64, _ last: Int64, _ host: String, _ port: Int64) -> RedisValue {
            .array([.integer(first), .integer(last), .array([.text(host), .integer(port), .text("id")])])
        }
        var slots = try #require(
            RedisSlots(.array([range(0, 5460, "a", 1), range(5461, 16_000, "", 2)]), asked: asked))
        #expect(slots.place(ofSlot: 5460) == .network(host: "a", port: 1))
        #expect(slots.place(ofSlot: 5461) == .network(host: "asked", port: 2))
        #expect(slots.place(ofSlot: 16_001) == nil)
        slots.move(try #require(RedisRedirection("MOVED 5460 c:3", asked: asked)))
        #expect(slots.place(ofSlot: 5460) == .network(host: "c", port: 3))
        #expect(slots.place(ofSlot: 5459) == .network(host: "a", port: 1))
        for answer in [
            RedisValue.null, .array([.null]), .array([range(5, 1, "a", 1)]),
            .array([range(0, 16_384, "a", 1)]),
        ] {
            #expect(RedisSlots(answer, asked: asked) == nil)
        }
    }
}
