import Base
import Records
import State
import Testing

/// Goal: what one key may take is bounded, and what is told of it puts it back. Method: each limit is gone
/// beyond.
@Suite struct LevelStateTests {
    private static func rules(expire: Int64 = 1000, group: Int64 = 0, items: Int = Limits.levelItemsDefault)
        -> LevelRules
    {
        LevelRules(
            levels: [LevelRules.Level(at: 10, below: 5, hold: 100, many: nil)], expire: expire, group: group,
            items: items)
    }

    @discardableResult
    private func take(
        _ state: LevelState, _ name: String, isActive: Bool = true, weight: Int64 = 1, time: Int64,
        key: String = "k"
    ) -> LevelTaken {
        let (name, key) = (Array(name.utf8), Array(key.utf8))
        return name.withUnsafeBufferPointer { name in
            key.withUnsafeBufferPointer { key in
                let id = state.id(of: key)
                defer { state.settle(id) }
                return state.take(name, isActive: isActive, weight: weight, time: time, of: id)
            }
        }
    }

    private func level(_ state: LevelState) -> Int {
        let key = Array("k".utf8)
        return state.level(of: key.withUnsafeBufferPointer { state.id(of: $0) })
    }

    private func pass(_ state: LevelState, to time: Int64) {
        while let fired = state.fire(before: time) { state.settle(fired.id) }
    }

    private func names(_ state: LevelState) -> [String] {
        let key = Array("k".utf8)
        return state.items(of: key.withUnsafeBufferPointer { state.id(of: $0) }).map {
            String(decoding: $0.name, as: UTF8.self)
        }
    }

    /// A key that has as many items as it may, and is put back from its changes.
    private func full(_ rules: LevelRules) -> LevelState {
        let state = LevelState(rules, tracksChanges: true)
        for number in 0..<rules.items { take(state, "b\(number)", weight: 6, time: 5) }
        return state
    }

    private func restored(_ state: LevelState, _ rules: LevelRules) -> LevelState {
        var log = StateLog()
        log.drain(state)
        let fresh = LevelState(rules, tracksChanges: true)
        log.restore(fresh, twice: true)
        return fresh
    }

    @Test("One item too many is refused, and the key comes down only once that item would have expired")
    func items() {
        let rules = Self.rules(items: 2)
        for isRestored in [false, true] {
            var state = full(rules)
            #expect(level(state) == 1 && take(state, "a", weight: 6, time: 20) == .tooMany)
            #expect(names(state) == ["b0", "b1"])
            if isRestored { state = restored(state, rules) }
            // Those that there are may change and go.
            #expect(take(state, "b1", weight: 7, time: 30) == .changed)
            for name in ["b0", "b1"] { #expect(take(state, name, isActive: false, time: 40) == .changed) }
            pass(state, to: 1020)
            #expect(names(state).isEmpty && level(state) == 1)
            // 1000 after the item that was refused, when that instant is over.
            pass(state, to: 1021)
            #expect(level(state) == 0)
            var log = StateLog()
            log.drain(state)
            #expect(log.entries.isEmpty && state.keyCount == 0)
        }
        // Without a refusal it comes down as it should.
        let state = full(rules)
        for name in ["b0", "b1"] { take(state, name, isActive: false, time: 40) }
        pass(state, to: 106)
        #expect(level(state) == 0)
    }

    @Test("A name that is too long is refused: cut, it might be another's")
    func longNames() throws {
        let state = LevelState(Self.rules(), tracksChanges: false)
        let long = String(repeating: "x", count: Limits.levelItemBytesMax)
        #expect(take(state, long, time: 1) == .changed && take(state, long + "1", time: 2) == .nameTooLong)
        #expect(
            take(state, long + "2", isActive: false, time: 3) == .nameTooLong
                && take(state, "", time: 3) == .changed)
        #expect(names(state) == ["", long])
        let id = Array("k".utf8).withUnsafeBufferPointer { state.id(of: $0) }
        let name = Array((long + "1").utf8)
        #expect(throws: LevelRefusal.nameTooLong) {
            try name.withUnsafeBufferPointer {
                try state.take(.suppress(item: $0, until: nil), time: 4, of: id)
            }
        }
    }

    @Test(
        "Less than `group` after the row that counts a further one changes nothing, nor when the item expires"
    )
    func groupEnds() {
        for (distance, isGrouped) in [(Int64(299), true), (300, false), (301, false)] {
            let state = LevelState(Self.rules(group: 300), tracksChanges: false)
            take(state, "a", weight: 10, time: 0)
            #expect(take(state, "a", weight: 10, time: distance) == (isGrouped ? .nothing : .changed))
            // A heavier one is never grouped.
            #expect(
                take(state, "b", weight: 1, time: 0) == .changed
                    && take(state, "b", weight: 2, time: 1) == .changed)
            let key = Array("k".utf8).withUnsafeBufferPointer { state.id(of: $0) }
            #expect(state.repeats(of: key) == (isGrouped ? 1 : 0))
            pass(state, to: 1000)
            #expect(names(state) == ["a", "b"])
            // The item is over 1000 after the row that counts, once that instant is.
            pass(state, to: isGrouped ? 1001 : 1000 + distance + 1)
            #expect(!names(state).contains("a"))
            if !isGrouped {
                let other = LevelState(Self.rules(group: 300), tracksChanges: false)
                take(other, "a", weight: 10, time: 0)
                take(other, "a", weight: 10, time: distance)
                pass(other, to: 1000 + distance)
                #expect(names(other) == ["a"])
            }
        }
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
            try name.withUnsafeBufferPointer {
                try state.take(.suppress(item: $0, until: nil), time: 1, of: id)
            }
        }
        for number in 0..<Limits.levelItemsDefault { try suppress("r\(number)") }
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
            let isRead = key.withUnsafeBufferPointer { key in
                damaged.withUnsafeBufferPointer { other.restore(key: key, value: $0) }
            }
            if round % 2 == 0 { #expect(!isRead) }
        }
    }
}
