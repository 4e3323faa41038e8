import Base
import Records
import State
import Testing

/// Goal: of a key with too many versions the oldest go, and who asks for them is told that nobody knows; that
/// comes back from its changes and from a snapshot. Method: random puts against a plain list.
@Suite struct VersionedTableTests {
    private static func lookUp(_ table: VersionedTable, _ key: String, _ time: Int64, bound: Int64) -> String
    {
        let arena = Arena(capacity: 64)
        let column = Column(.text, capacity: 1)
        (column.values[0], column.valid[0]) = (arena.append(key).packed, 1)
        let rows = SelectionBuffer(capacity: 1)
        (rows.rows[0], rows.count) = (0, 1)
        var (time, place) = (time, 0)
        let unknown = table.find(
            column, in: arena, rows: rows.selection, times: &time, bound: bound, places: &place)
        #expect((unknown == 1) == (place == VersionedTable.unknown))
        if place < 0 { return place == VersionedTable.unknown ? "unknown" : "none" }
        return "\(table.rowBytes[place])"
    }

    @Test func tooManyVersionsOfAKey() {
        struct Version {
            var time: Int64
            var value: UInt8?
        }
        for seed in SequenceStateTests.seeds {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            func make() -> VersionedTable { VersionedTable(tracksChanges: true, versionsPerKey: 4) }
            var table = make()
            var log = StateLog()
            var plain: [String: [Version]] = [:]
            var cut: Set<String> = []
            var (time, seen, displaced): (Int64, [String: Int], Int64) = (1000, [:], 0)
            for step in 0..<4000 {
                time += Int64(random.next() % 4)
                let bound = time - 200
                let key = "k\(random.next() % 6)"
                let version = Version(
                    time: time - Int64(random.next() % 30),
                    value: random.next() % 5 == 0 ? nil : UInt8(step % 250))
                func prune() {
                    var list = plain[key] ?? []
                    while list.count > 1, list[1].time <= bound {
                        if list[0].value != nil { cut.insert(key) }
                        list.removeFirst()
                    }
                    if let first = list.first, first.value == nil, first.time <= bound,
                        list.count == 1 || !cut.contains(key)
                    {
                        list.removeFirst()
                    }
                    if list.isEmpty { cut.remove(key) }
                    plain[key] = list
                }
                prune()
                plain[key]?.removeAll { $0.time == version.time }
                plain[key, default: []].append(version)
                plain[key]?.sort { $0.time < $1.time }
                prune()
                if let list = plain[key], list.count > 4 {
                    if list[0].value != nil { cut.insert(key) }
                    plain[key]?.removeFirst()
                    displaced += 1
                }
                Array(key.utf8).withUnsafeBufferPointer { name in
                    guard let start = name.baseAddress else { return }
                    guard let value = version.value else {
                        return table.put(start, name.count, time: version.time, row: nil, bound: bound)
                    }
                    [value].withUnsafeBufferPointer {
                        table.put(start, name.count, time: version.time, row: $0, bound: bound)
                    }
                }
                let asked = time - Int64(random.next() % 60)
                let list = plain[key] ?? []
                let expected: String
                if let found = list.last(where: { $0.time <= asked }) {
                    expected = found.value.map { "\($0)" } ?? "none"
                } else {
                    expected = cut.contains(key) && !list.isEmpty ? "unknown" : "none"
                }
                let found = Self.lookUp(table, key, asked, bound: bound)
                #expect(found == expected, "seed \(seed), step \(step)")
                seen[found == "unknown" || found == "none" ? found : "found", default: 0] += 1
                if random.next() % 5 == 0 { log.drain(table) }
                guard random.next() % 100 == 0 else { continue }
                log.drain(table)
                #expect(StateLog.snapshot(of: table) == log && log.entries.count == table.entryCount)
                #expect(table.displaced == displaced)
                let fresh = make()
                log.restore(fresh, twice: random.next() % 2 == 0)
                (table, displaced) = (fresh, 0)
            }
            #expect(seen["unknown"] ?? 0 > 20 && seen["none"] ?? 0 > 20 && seen["found"] ?? 0 > 1000)
        }
    }
}
