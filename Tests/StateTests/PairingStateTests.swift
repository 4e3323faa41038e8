import Base
import Records
import State
import Testing

/// Goal: rows that wait for a partner come and go in their order, within their limits and no further, and
/// come back from their changes and from a snapshot, at a limit too. Method: random steps against plain
/// lists, with a restore now and then.
@Suite struct PairingStateTests {
    private struct Waiting: Equatable {
        var key: String
        var row: String
        var time: Int64
        var isMatched = false
        var cost: Int { WaitingRows.cost(key: key.utf8.count, row: row.utf8.count) }
    }

    private static func with<T>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
        Array(text.utf8).withUnsafeBufferPointer(body)
    }

    @Test(
        arguments: [
            RowLimits(rowsPerKey: 2, bytes: .max), RowLimits(bytes: 2500),
            RowLimits(rowsPerKey: 2, bytes: 2500),
        ], [1, 2])
    func againstPlainLists(limits: RowLimits, sideCount: Int) {
        let waits: [Int64] = Array([50, 20].prefix(sideCount))
        func make() -> PairingState { PairingState(waits: waits, limits: limits, tracksChanges: true) }
        for seed in SequenceStateTests.seeds {
            print("seed \(seed), \(limits), \(sideCount) sides")
            var random = SplitMix64(seed: seed)
            var state = make()
            var log = StateLog()
            var plain: [[Waiting]] = waits.map { _ in [] }
            var time: Int64 = 1000
            var refused: [RowLimit: Int] = [:]
            for step in 0..<6000 {
                time += Int64(random.next() % 3)
                while let (side, slot, due) = state.nextOver(before: time) {
                    let heads = plain.indices.compactMap { side in
                        plain[side].first.map { (due: $0.time + waits[side], side: side) }
                    }
                    #expect(
                        heads.min { ($0.due, $0.side) < ($1.due, $1.side) }.map {
                            $0.due == due && $0.side == side
                        } == true)
                    #expect(
                        plain[side].first.map { Array($0.row.utf8) == Array(state.sides[side].row(slot)) }
                            == true)
                    #expect(plain[side].first?.isMatched == state.sides[side].isMatched(slot))
                    plain[side].removeFirst()
                    state.sides[side].remove(slot)
                }
                for side in plain.indices {
                    #expect(plain[side].first.map { $0.time + waits[side] >= time } ?? true)
                }
                let key = random.next() % 30 == 0 ? "" : "k\(random.next() % 12)"
                let side = Int(random.next() % UInt64(sideCount))
                switch random.next() % 4 {
                case 0:
                    let oldest = Self.with(key) { state.sides[side].oldest(of: $0, before: time) }
                    let place = plain[side].firstIndex { $0.key == key && $0.time < time }
                    #expect((oldest == nil) == (place == nil))
                    if let oldest, let place {
                        #expect(Array(oldest.row) == Array(plain[side][place].row.utf8))
                        state.sides[side].remove(oldest.slot)
                        plain[side].remove(at: place)
                    }
                case 1:
                    var found: [String] = []
                    Self.with(key) { key in
                        state.sides[side].forEach(of: key) { slot in
                            found.append(String(decoding: state.sides[side].row(slot), as: UTF8.self))
                            state.sides[side].setMatched(slot)
                        }
                    }
                    #expect(found == plain[side].filter { $0.key == key }.map(\.row))
                    for place in plain[side].indices where plain[side][place].key == key {
                        plain[side][place].isMatched = true
                    }
                default:
                    let row = "row \(step)" + String(repeating: "x", count: Int(random.next() % 200))
                    let new = Waiting(key: key, row: row, time: time, isMatched: random.next() % 2 == 0)
                    let used = plain.joined().reduce(0) { $0 + $1.cost }
                    let expected: RowLimit? =
                        used + new.cost > limits.bytes
                        ? .memory
                        : plain[side].count { $0.key == key } >= limits.rowsPerKey ? .rowsPerKey : nil
                    let limit = Self.with(key) { key in
                        Self.with(row) { state.add(key, $0, side: side, isMatched: new.isMatched, at: time) }
                    }
                    #expect(limit == expected)
                    if let limit { refused[limit, default: 0] += 1 } else { plain[side].append(new) }
                }
                for side in plain.indices {
                    #expect(state.sides[side].rowCount == plain[side].count)
                    #expect(state.sides[side].keyCount == Set(plain[side].map(\.key)).count)
                    #expect(state.sides[side].usedBytes == plain[side].reduce(0) { $0 + $1.cost })
                }
                #expect(
                    state.lastDue == plain.indices.compactMap { side in
                        plain[side].last.map { $0.time + waits[side] }
                    }.max() ?? .min)
                if random.next() % 5 == 0 { log.drain(state) }
                guard random.next() % 100 == 0 else { continue }
                log.drain(state)
                #expect(log.entries.count == plain.joined().count && StateLog.snapshot(of: state) == log)
                let fresh = make()
                log.restore(fresh, twice: random.next() % 2 == 0)
                state = fresh
            }
            #expect(
                (refused[.rowsPerKey] ?? 0 > 20) == (limits.rowsPerKey < .max)
                    && (refused[.memory] ?? 0 > 20) == (limits.bytes < .max))
            // All that is kept is gone with its time, and the room is used again.
            #expect(state.memoryBytes < 800_000, "\(state.memoryBytes)")
        }
    }

    @Test("Tens of thousands of rows of one key and instant come and go one by one")
    func oneKey() {
        let state = PairingState(waits: [10, 10], limits: RowLimits(), tracksChanges: true)
        for instant in Int64(0)..<4 {
            for number in 0..<50_000 {
                let limit = Self.with("k") { key in
                    Self.with("\(number)") { state.add(key, $0, side: number % 2, at: instant) }
                }
                #expect(limit == nil)
            }
        }
        #expect(state.sides[0].rowsOfKeyMost == 100_000)
        var (left, last): (Int, Int64) = (0, 0)
        while let (side, slot, due) = state.nextOver(before: 100) {
            #expect(due >= last)
            (left, last) = (left + 1, due)
            state.sides[side].remove(slot)
        }
        #expect(
            left == 200_000 && state.keyCount == 0 && state.sides[0].usedBytes == 0
                && state.sides[0].rowsOfKeyMost == 0)
    }

    @Test("Keys of which a record was refused are known exactly, or else as some")
    func lostKeys() {
        for seed in SequenceStateTests.seeds {
            var random = SplitMix64(seed: seed)
            func make() -> LostKeys { LostKeys(span: 40, keysMax: 8, tag: 7, tracksChanges: true) }
            var state = make()
            var entries: [[UInt8]: [UInt8]] = [:]
            var latest: [String: Int64] = [:]
            var (now, greatest): (Int64, Int64) = (1000, .min)
            var inexact = 0
            for _ in 0..<5000 {
                now += Int64(random.next() % 8)
                let key = random.next() % 20 == 0 ? "" : "k\(random.next() % 14)"
                if random.next() % 3 == 0 {
                    // Not in order of time: a row may be refused before event time has come to it.
                    let time = now + Int64(random.next() % 20)
                    Self.with(key) { state.note($0, at: time, now: now) }
                    latest[key] = max(latest[key] ?? .min, time)
                    greatest = max(greatest, time)
                }
                let known = Self.with(key) { state.latest($0) }
                // Whoever asks does so for a record of the last 40.
                if let time = latest[key], time >= now - 40 { #expect(known >= time) }
                #expect(known <= greatest)
                if known >= now - 40, known != latest[key] { inexact += 1 }
                let bytes = Arena(capacity: 64)
                func copy(_ range: Range<Int>) -> [UInt8] {
                    Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)[range])
                }
                if random.next() % 5 == 0 {
                    state.drainChanges(into: bytes) { entries[copy($0)] = $1.map(copy) }
                }
                guard random.next() % 50 == 0 else { continue }
                bytes.removeAll()
                state.drainChanges(into: bytes) { entries[copy($0)] = $1.map(copy) }
                bytes.removeAll()
                var snapshot: [[UInt8]: [UInt8]] = [:]
                state.forEach(into: bytes) { snapshot[copy($0)] = copy($1) }
                #expect(snapshot == entries)
                let fresh = make()
                for (key, value) in entries {
                    #expect(key.first == 7)
                    key.dropFirst().withUnsafeBufferPointer { key in
                        value.withUnsafeBufferPointer { #expect(fresh.restore(key: key, value: $0)) }
                    }
                }
                state = fresh
            }
            #expect(inexact > 0)
        }
    }
}
