import Base
import Foundation
import Records
import State
import Testing

/// Goal: what operators on sequences remember is bounded, and comes back from its changes and from a snapshot. Method:
/// random steps against plain dictionaries, with a restore now and then.
@Suite struct SequenceStateTests {
    static let seeds: [UInt64] = ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3]

    /// A changelog: newest value of each key.
    private struct Changelog {
        var entries: [[UInt8]: [UInt8]] = [:]
        var tombstones = 0

        mutating func drain(_ state: any OperatorState) {
            let bytes = Arena(capacity: 64)
            state.drainChanges(into: bytes) { key, value in
                let name = Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)[key])
                if value == nil { tombstones += 1 }
                entries[name] = value.map { Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)[$0]) }
            }
        }

        /// A value that is taken back before another is put in its place, as a changelog that was not compacted has it.
        func restore(_ state: any OperatorState, twice: Bool) {
            for (key, value) in entries.sorted(by: { $0.value.count < $1.value.count }) {
                key.withUnsafeBufferPointer { key in
                    value.withUnsafeBufferPointer { value in
                        if twice {
                            #expect(state.restore(key: key, value: value))
                            #expect(state.restore(key: key, value: nil))
                        }
                        #expect(state.restore(key: key, value: value))
                    }
                }
            }
            state.finishRestore()
        }

        static func snapshot(of state: any OperatorState) -> Changelog {
            var log = Changelog()
            let bytes = Arena(capacity: 64)
            state.forEach(into: bytes) { key, value in
                let all = UnsafeBufferPointer(start: bytes.base, count: bytes.count)
                log.entries[Array(all[key])] = Array(all[value])
            }
            return log
        }
    }

    private struct Waiting: Equatable {
        var key: String
        var row: String
        var time: Int64
    }

    @Test func rowsThatWait() {
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            var state = WaitingRows(within: 50, rowsPerKey: 4, tracksChanges: true)
            var log = Changelog()
            var plain: [Waiting] = []
            var (time, displaced): (Int64, Int) = (1000, 0)
            for step in 0..<6000 {
                time += Int64(random.next() % 3)
                let key = random.next() % 30 == 0 ? "" : "k\(random.next() % 12)"
                while let over = state.nextOver(before: time) {
                    #expect(plain.first?.time == over.due - 50 && plain.first.map { Array($0.row.utf8) } == Array(over.row))
                    plain.removeFirst()
                    state.remove(over.slot)
                }
                #expect(plain.first.map { $0.time + 50 >= time } ?? true)
                if random.next() % 3 == 0 {
                    let oldest = Array(key.utf8).withUnsafeBufferPointer { state.oldest(of: $0, before: time) }
                    let place = plain.firstIndex { $0.key == key && $0.time < time }
                    #expect((oldest == nil) == (place == nil))
                    if let oldest, let place {
                        #expect(Array(oldest.row) == Array(plain[place].row.utf8))
                        state.remove(oldest.slot)
                        plain.remove(at: place)
                    }
                } else {
                    let row = "row \(step)" + String(repeating: "x", count: Int(random.next() % 200))
                    plain.append(Waiting(key: key, row: row, time: time))
                    let hasTooMany = Array(key.utf8).withUnsafeBufferPointer { key in
                        Array(row.utf8).withUnsafeBufferPointer { state.add(key, $0, at: time) }
                    }
                    #expect(hasTooMany == (plain.count { $0.key == key } > 4))
                    if hasTooMany, let oldest = Array(key.utf8).withUnsafeBufferPointer({ state.oldest(of: $0, before: .max) }) {
                        state.displace(oldest.slot)
                        displaced += 1
                        if let place = plain.firstIndex(where: { $0.key == key }) { plain.remove(at: place) }
                    }
                    #expect(state.displaced == displaced)
                }
                #expect(state.rowCount == plain.count && state.keyCount == Set(plain.map(\.key)).count)
                #expect(state.lastDue == plain.last.map { $0.time + 50 } ?? .min)
                if random.next() % 5 == 0 { log.drain(state) }
                guard random.next() % 100 == 0 else { continue }
                log.drain(state)
                #expect(log.entries.count == plain.count)
                let fresh = WaitingRows(within: 50, rowsPerKey: 4, tracksChanges: true)
                (random.next() % 2 == 0 ? log : .snapshot(of: state)).restore(fresh, twice: random.next() % 2 == 0)
                state = fresh
                displaced = 0
            }
            // All that is kept is gone with its time, and the room is used again.
            #expect(state.memoryBytes < 400_000, "\(state.memoryBytes)")
        }
    }

    @Test func runs() {
        struct Run {
            var count: Int64
            var start: Int64
            var last: Int64
            var isDone: Bool
        }
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            var state = RunState(within: 40, gap: 15, tracksChanges: true)
            var log = Changelog()
            var plain: [String: Run] = [:]
            var time: Int64 = 1000
            for _ in 0..<20_000 {
                time += Int64(random.next() % 3)
                state.advance(to: time)
                plain = plain.filter { $0.value.last + 15 >= time }
                let key = random.next() % 30 == 0 ? "" : "k\(random.next() % 12)"
                if random.next() % 4 == 0 {
                    Array(key.utf8).withUnsafeBufferPointer { state.end($0) }
                    plain[key] = nil
                } else {
                    let (run, isComplete) = Array(key.utf8).withUnsafeBufferPointer { state.extend($0, at: time, times: 3) }
                    var old = plain[key] ?? Run(count: 0, start: time, last: time, isDone: false)
                    if time > (old.isDone ? old.last : old.start) + 40 {
                        old = Run(count: 0, start: time, last: time, isDone: false)
                    }
                    old.count += 1
                    old.last = time
                    #expect(isComplete == (old.count == 3 && !old.isDone))
                    if old.count == 3 { old.isDone = true }
                    plain[key] = old
                    #expect(run.count == old.count && run.start == old.start && run.isDone == old.isDone)
                }
                #expect(state.keyCount == plain.count)
                if random.next() % 5 == 0 { log.drain(state) }
                guard random.next() % 200 == 0 else { continue }
                log.drain(state)
                #expect(log.entries.count == plain.count)
                let fresh = RunState(within: 40, gap: 15, tracksChanges: true)
                (random.next() % 2 == 0 ? log : .snapshot(of: state)).restore(fresh, twice: random.next() % 2 == 0)
                state = fresh
            }
            #expect(state.memoryBytes < 100_000, "\(state.memoryBytes)")
        }
    }

    @Test("A task has no more sessions open than it may; the one that was quiet for longest leaves")
    func sessions() {
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            func make() -> SessionState {
                SessionState(
                    gap: 30, max: 100, aggregates: [.sum(isCounted: true), .distinct(isText: false, exactMax: 64), .lastText], sessionsMax: 8,
                    tracksChanges: true)
            }
            struct Plain {
                var start: Int64
                var last: Int64
                var touched: Int
                var values: [Int64]
                var end: Int64 { min(last + 30, start + 100) }
            }
            var state = make()
            var log = Changelog()
            var plain: [String: Plain] = [:]
            var (time, displaced): (Int64, Int) = (1000, 0)
            let arena = Arena(capacity: 64)
            func check(_ id: UInt32) {
                let key = String(decoding: state.key(of: id), as: UTF8.self)
                guard let session = plain.removeValue(forKey: key) else {
                    Issue.record("no session of '\(key)'")
                    return
                }
                #expect(state.session(id).start == session.start && state.end(of: id) == session.end)
                #expect(state.read(0, of: id, arena: arena).value == Int64(session.values.count))
                #expect(state.read(1, of: id, arena: arena).value == session.values.reduce(0, +))
                #expect(state.read(2, of: id, arena: arena).value == Int64(Set(session.values).count))
                let last = state.read(3, of: id, arena: arena)
                #expect(last.valid == 1 && arena.string(TextReference(packed: last.value)) == "v\(session.values.last ?? 0)")
                state.close(id)
            }
            for step in 0..<8000 {
                time += Int64(random.next() % 4)
                while let id = state.nextOver(before: time) {
                    #expect(plain.values.allSatisfy { $0.end >= state.end(of: id) })
                    check(id)
                }
                #expect(plain.values.allSatisfy { $0.end > time })
                let key = random.next() % 20 == 0 ? "" : "k\(random.next() % 11)"
                let id = Array(key.utf8).withUnsafeBufferPointer { state.add($0, at: time) }
                let value = Int64(random.next() % 30)
                let text = arena.append("v\(value)")
                for index in 1...2 { state.add(value, to: index, of: id, at: time, arena: arena) }
                state.add(text.packed, to: 3, of: id, at: time, arena: arena)
                var own = plain[key] ?? Plain(start: time, last: time, touched: step, values: [])
                (own.last, own.touched) = (time, step)
                own.values.append(value)
                plain[key] = own
                if let id = state.nextDisplaced {
                    displaced += 1
                    let quiet = plain.min { $0.value.touched < $1.value.touched }?.key
                    #expect(String(decoding: state.key(of: id), as: UTF8.self) == quiet)
                    check(id)
                }
                #expect(state.keyCount == plain.count && state.keyCount <= 8 && state.displaced == displaced)
                #expect(state.lastDue == plain.values.map { $0.end - 1 }.max() ?? .min)
                arena.removeAll()
                if random.next() % 5 == 0 { log.drain(state) }
                // Of one instant, records come by key here as little as in the order of any list.
                guard random.next() % 100 == 0, Set(plain.values.map(\.last)).count == plain.count else { continue }
                log.drain(state)
                #expect(log.entries.count == plain.count)
                let fresh = make()
                (random.next() % 2 == 0 ? log : .snapshot(of: state)).restore(fresh, twice: random.next() % 2 == 0)
                state = fresh
                displaced = 0
            }
        }
    }

    @Test("A run that began and ended between two commits costs the changelog nothing")
    func shortRuns() {
        let state = RunState(within: 40, tracksChanges: true)
        var log = Changelog()
        for time in Int64(0)..<100 {
            [UInt8]("k".utf8).withUnsafeBufferPointer {
                _ = state.extend($0, at: time, times: 3)
                state.end($0)
            }
        }
        log.drain(state)
        #expect(log.entries.isEmpty && log.tombstones == 0)
    }
}
