import Base
import Records
import State
import Testing

/// Goal: what one key may take is bounded, and what is told of it puts it back. Method: each limit is gone beyond.
@Suite struct LevelStateTests {
    private static func rules(expire: Int64 = 1000) -> LevelRules {
        LevelRules(levels: [LevelRules.Level(at: 10, below: 5, hold: 100, many: nil)], expire: expire, group: 0)
    }

    private func take(_ state: LevelState, _ name: String, weight: Int64 = 1, time: Int64, key: String = "k") {
        let (name, key) = (Array(name.utf8), Array(key.utf8))
        name.withUnsafeBufferPointer { name in
            key.withUnsafeBufferPointer { key in
                let id = state.id(of: key)
                _ = state.take(name, isActive: true, weight: weight, time: time, of: id)
                state.settle(id)
            }
        }
    }

    private func names(_ state: LevelState) -> [String] {
        let key = Array("k".utf8)
        return state.items(of: key.withUnsafeBufferPointer { state.id(of: $0) }).map { String(decoding: $0.name, as: UTF8.self) }
    }

    @Test("One item too many pushes out the oldest, by time and then by name")
    func items() {
        let state = LevelState(Self.rules(), tracksChanges: false)
        for number in 0..<Limits.levelItemsMax { take(state, "b\(1000 + number)", time: number < 2 ? 5 : 10) }
        #expect(names(state).count == Limits.levelItemsMax)
        take(state, "a", time: 20)
        #expect(names(state).count == Limits.levelItemsMax)
        #expect(names(state).prefix(2) == ["a", "b1001"])
    }

    @Test("Long names are cut at a scalar")
    func longNames() {
        let state = LevelState(Self.rules(), tracksChanges: false)
        take(state, String(repeating: "x", count: 255) + "é" + "1", time: 1)
        take(state, String(repeating: "x", count: 255) + "é" + "2", time: 2)
        take(state, "", time: 3)
        #expect(names(state) == ["", String(repeating: "x", count: 255)])
    }

    @Test("A score that 64 bits do not hold is the greatest that they do")
    func score() {
        let state = LevelState(Self.rules(), tracksChanges: false)
        take(state, "a", weight: .max, time: 1)
        take(state, "b", weight: .max, time: 1)
        let key = Array("k".utf8)
        let id = key.withUnsafeBufferPointer { state.id(of: $0) }
        #expect(state.score(of: id) == .max)
        #expect(state.level(of: id) == 1)
        take(state, "a", weight: .min, time: 2)
        take(state, "b", weight: .min, time: 2)
        #expect(state.score(of: id) == .min)
    }

    @Test("One suppressed item too many is refused")
    func suppressions() throws {
        let state = LevelState(Self.rules(), tracksChanges: false)
        let key = Array("k".utf8)
        let id = key.withUnsafeBufferPointer { state.id(of: $0) }
        func suppress(_ name: String) throws {
            let name = Array(name.utf8)
            try name.withUnsafeBufferPointer { try state.take(.suppress(item: $0, until: nil), time: 1, of: id) }
        }
        for number in 0..<Limits.levelItemsMax { try suppress("r\(number)") }
        #expect(throws: LevelRefusal.tooMany) { try suppress("another") }
        try suppress("r0")
        #expect(state.lastDue == .min)
    }

    @Test("Timers do not pile up, and keys without anything are forgotten")
    func forgets() {
        let state = LevelState(Self.rules(), tracksChanges: false)
        for number in Int64(0)..<10_000 {
            take(state, "a", weight: 20, time: number, key: "k\(number % 10)")
            while let fired = state.fire(before: number) { state.settle(fired.id) }
        }
        #expect(state.keyCount == 10)
        #expect(state.memoryBytes < 1 << 17)
        #expect(state.lastDue == 9999 + 1000 + 100)
        var fired = 0
        while let due = state.fire(before: 20_000) {
            fired += 1
            #expect(state.changes == [LevelChange(level: 0, previous: 1)])
            state.settle(due.id)
        }
        #expect(fired == 10)
        #expect(state.keyCount == 0)
        #expect(state.lastDue == .min)
    }

    @Test("Bytes that are cut or changed are refused, or are another state, and nothing stops")
    func damagedBytes() {
        let state = LevelState(Self.rules(), tracksChanges: true)
        for name in ["a", "b", "c"] { take(state, name, weight: 4, time: 10) }
        let bytes = Arena(capacity: 64)
        var (key, value): ([UInt8], [UInt8]) = ([], [])
        state.drainChanges(into: bytes) { keyRange, valueRange in
            let all = UnsafeBufferPointer(start: bytes.base, count: bytes.count)
            key = Array(all[keyRange])
            if let valueRange { value = Array(all[valueRange]) }
        }
        #expect(key == Array("k".utf8) && !value.isEmpty)
        var random = SplitMix64(seed: 3)
        for round in 0..<2000 {
            var damaged = value
            if round % 2 == 0 {
                damaged.removeLast(1 + Int(random.next() % UInt64(damaged.count)))
            } else {
                damaged[Int(random.next() % UInt64(damaged.count))] ^= 1 << UInt8(random.next() % 8)
            }
            let other = LevelState(Self.rules(), tracksChanges: true)
            let isRead = key.withUnsafeBufferPointer { key in damaged.withUnsafeBufferPointer { other.restore(key: key, value: $0) } }
            if round % 2 == 0 { #expect(!isRead) }
        }
    }
}
