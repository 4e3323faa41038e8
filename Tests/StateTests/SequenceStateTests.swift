import Base
import Foundation
import Records
import State
import Testing

/// Goal: what operators on sequences remember is bounded, and comes back from its changes and from a
/// snapshot. Method: random steps against plain dictionaries, with a restore now and then.
@Suite struct SequenceStateTests {
    static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3]

    @Test(
        "Runs: the last `times` records that hold in a row and lie within `within`",
        arguments: [2, 3, 5, 200])
    func runs(times: Int) {
        struct Run {
            var times: [Int64] = []
            var last: Int64 = 0
            var isDone = false
        }
        // Long enough for runs of 200 to be found, and to stand in chunks.
        let (within, gap, ends): (Int64, Int64, UInt64) = times > 100 ? (700, 60, 900) : (40, 15, 4)
        for seed in Self.seeds {
            print("seed \(seed), \(times) times")
            var random = SplitMix64(seed: seed)
            var state = RunState(times: times, within: within, gap: gap, tracksChanges: true)
            var log = StateLog()
            var plain: [String: Run] = [:]
            var (time, found): (Int64, Int) = (1000, 0)
            for _ in 0..<20_000 {
                time += Int64(random.next() % 3)
                state.advance(to: time)
                plain = plain.filter { $0.value.last + gap >= time }
                let key = random.next() % 30 == 0 ? "" : "k\(random.next() % (times > 100 ? 3 : 12))"
                if random.next() % ends == 0 {
                    Array(key.utf8).withUnsafeBufferPointer { state.end($0) }
                    plain[key] = nil
                } else {
                    let start = Array(key.utf8).withUnsafeBufferPointer { state.extend($0, at: time) }
                    var run = plain[key] ?? Run()
                    run.times.append(time)
                    run.last = time
                    let newest = run.times.suffix(times)
                    let isComplete =
                        !run.isDone && newest.count == times && time - (newest.first ?? 0) <= within
                    #expect(start == (isComplete ? newest.first : nil))
                    if isComplete { (run.isDone, found) = (true, found + 1) }
                    plain[key] = run
                }
                #expect(state.keyCount == plain.count)
                if random.next() % 5 == 0 { log.drain(state) }
                guard random.next() % 200 == 0 else { continue }
                log.drain(state)
                if times < 100 {
                    #expect(log.entries.count == plain.count && StateLog.snapshot(of: state) == log)
                }
                let fresh = RunState(times: times, within: within, gap: gap, tracksChanges: true)
                (random.next() % 2 == 0 ? log : .snapshot(of: state)).restore(
                    fresh, twice: random.next() % 2 == 0)
                state = fresh
            }
            #expect(found > 5, "\(found)")
            #expect(state.memoryBytes < 100_000, "\(state.memoryBytes)")
        }
    }

    @Test("A task has no more sessions open than it may; the record that would begin another changes nothing")
    func sessions() {
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            func make() -> SessionState {
                SessionState(
                    gap: 30, max: 100,
                    aggregates: [.sum(isCounted: true), .distinct(isText: false, exactMax: 64), .lastText],
                    sessionsMax: 8,
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
            var log = StateLog()
            var plain: [String: Plain] = [:]
            var (time, refused): (Int64, Int) = (1000, 0)
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
                #expect(
                    last.valid == 1
                        && arena.string(TextReference(packed: last.value)) == "v\(session.values.last ?? 0)")
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
                let isRefused = plain[key] == nil && plain.count == 8
                let added = Array(key.utf8).withUnsafeBufferPointer { state.add($0, at: time) }
                #expect((added == nil) == isRefused)
                guard let id = added else {
                    refused += 1
                    #expect(state.keyCount == 8)
                    continue
                }
                let value = Int64(random.next() % 30)
                let text = arena.append("v\(value)")
                for index in 1...2 { state.add(value, to: index, of: id, at: time, arena: arena) }
                state.add(text.packed, to: 3, of: id, at: time, arena: arena)
                var own = plain[key] ?? Plain(start: time, last: time, touched: step, values: [])
                (own.last, own.touched) = (time, step)
                own.values.append(value)
                plain[key] = own
                #expect(state.keyCount == plain.count && state.keyCount <= 8)
                #expect(state.lastDue == plain.values.map { $0.end - 1 }.max() ?? .min)
                arena.removeAll()
                if random.next() % 5 == 0 { log.drain(state) }
                // Of one instant, records come by key here as little as in the order of any list.
                guard random.next() % 100 == 0, Set(plain.values.map(\.last)).count == plain.count else {
                    continue
                }
                log.drain(state)
                #expect(log.entries.count == plain.count)
                let fresh = make()
                (random.next() % 2 == 0 ? log : .snapshot(of: state)).restore(
                    fresh, twice: random.next() % 2 == 0)
                state = fresh
            }
            #expect(refused > 100)
        }
    }

    @Test("A run that began and ended between two commits costs the changelog nothing")
    func shortRuns() {
        let state = RunState(times: 3, within: 40, tracksChanges: true)
        var log = StateLog()
        for time in Int64(0)..<100 {
            [UInt8]("k".utf8).withUnsafeBufferPointer {
                _ = state.extend($0, at: time)
                state.end($0)
            }
        }
        log.drain(state)
        #expect(log.entries.isEmpty && log.tombstones == 0)
    }
}
