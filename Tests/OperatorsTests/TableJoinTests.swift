import Base
import Dataflow
import Foundation
import Records
import State
import Testing
import Topology

@testable import Operators

/// Goal: a joined row has the version of its key that the definition says. Method: random orders and
/// registries, out of order, against a list of versions that is searched from end to end.
@Suite struct TableJoinTests {
    typealias Event = TableHarness.Event

    static var seeds: [UInt64] {
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [
            1, 2, 3, 4, 5, 6,
        ]
    }

    /// The definition, word by word.
    struct Oracle {
        struct Version {
            var time: Int64
            var event: Event
        }

        var versions: [String: [Version]] = [:]
        /// Of which something before the oldest version was dropped.
        var cut: Set<String> = []
        var watermark = Int64.min
        let kept: Int64
        let outOfOrder: Int64

        var bound: Int64 { watermark == .min ? .min : watermark - kept }

        mutating func put(_ event: Event) {
            watermark = max(watermark, event.time - outOfOrder)
            prune()
            versions[event.merchant, default: []].removeAll { $0.time == event.time }
            versions[event.merchant, default: []].append(Version(time: event.time, event: event))
            versions[event.merchant]?.sort { $0.time < $1.time }
            prune()
        }

        mutating func prune() {
            for (merchant, list) in versions {
                var list = list.enumerated().filter { index, _ in
                    !list[(index + 1)...].contains { $0.time <= bound }
                }.map(\.element)
                let dropped = (versions[merchant] ?? []).filter { old in
                    !list.contains { $0.time == old.time }
                }
                if dropped.contains(where: { $0.event.city != nil }) { cut.insert(merchant) }
                if let first = list.first, first.event.city == nil, first.time <= bound,
                    list.count == 1 || !cut.contains(merchant)
                {
                    list.removeFirst()
                }
                if list.isEmpty { cut.remove(merchant) }
                versions[merchant] = list
            }
        }

        /// What a row asks for was dropped.
        func isUnknown(_ merchant: String, at time: Int64) -> Bool {
            cut.contains(merchant) && versions[merchant]?.first.map { $0.time > time } ?? false
        }

        func find(_ merchant: String, at time: Int64) -> Event? {
            let event = versions[merchant]?.last { $0.time <= time }?.event
            return event?.city == nil ? nil : event
        }
    }

    /// What the sinks `all` and `found` get; `unknown`: numbers of the rows that ask for what was dropped.
    static func expected(_ events: [Event], versions: Int64 = 100_000, unknown: inout [Int]) -> [String] {
        var oracle = Oracle(kept: versions, outOfOrder: 20_000)
        var lines: [String] = []
        for event in events {
            if event.isTable {
                oracle.put(event)
                continue
            }
            if oracle.isUnknown(event.merchant, at: event.time) {
                unknown.append(event.number)
                continue
            }
            let partner = oracle.find(event.merchant, at: event.time)
            let head =
                "{\"id\":\(event.number),\"merchant\":\"\(event.merchant)\",\"at\":\"\(CivilTime.string(event.time))\""
            let city = partner?.city.map { "\"\($0)\"" } ?? "null"
            let twice = partner?.grade.map { "\($0 * 2)" } ?? "null"
            lines.append(
                "0 \(head),\"registry.city\":\(city),\"registry.grade\":\(partner?.grade.map(String.init) ?? "null"),"
                    + "\"registry.since\":\(partner.map { "\"\(CivilTime.string($0.time))\"" } ?? "null"),"
                    + "\"registry.twice\":\(twice),\"registry.found\":\(partner != nil)}")
            if let partner, partner.grade.map({ $0 * 2 > 2 }) ?? true {
                lines.append("1 \(head),\"r.twice\":\(twice)}")
            }
        }
        return lines
    }

    static func records(_ lines: [String]) -> [String] {
        lines.filter { $0.hasPrefix("0") || $0.hasPrefix("1") }
    }

    @Test func joinedRowsAreThoseOfTheDefinition() throws {
        var (partners, strangers, unknowns) = (0, 0, 0)
        for seed in Self.seeds {
            print("seed \(seed)")
            for isBroadcast in [false, true] {
                var random = SplitMix64(seed: seed)
                let events = TableHarness.events(&random, count: 1500)
                var unknown: [Int] = []
                let expected = Self.expected(events, unknown: &unknown)
                unknowns += unknown.count
                partners += expected.count { $0.contains("found\":true") }
                strangers += expected.count { $0.contains("found\":false") }
                var first: [String]?
                for rowsMax in [1, 7, 100, 2048] {
                    let harness = TableHarness(
                        try TableHarness.spec(isBroadcast: isBroadcast), rowsMax: rowsMax)
                    harness.give(events)
                    harness.finish()
                    let difference = zip(Self.records(harness.outputs).sorted(), expected.sorted()).first {
                        $0 != $1
                    }
                    #expect(difference == nil, "seed \(seed), batches of \(rowsMax)")
                    #expect(Self.records(harness.outputs).count == expected.count)
                    // A row is one letter, whichever steps have joined the table.
                    #expect(harness.dead.count == unknown.count)
                    #expect(zip(harness.dead, unknown).allSatisfy { $0.contains("\"id\":\($1),") })
                    let hits = harness.pipeline.counters.limits.counts.filter {
                        $0.place.limit == .tableVersions
                    }
                    #expect(Set(hits.map(\.place.step)) == ["all", "found", "cities"])
                    #expect(hits.allSatisfy { $0.count == unknown.count })
                    let inner = expected.count { $0.hasPrefix("0") && $0.contains("found\":false") }
                    #expect(harness.pipeline.counters.unmatched == [0, Int64(inner), Int64(inner), 0])
                    // Byte by byte, of all outputs, in each sink's order.
                    let sequences = (0..<4).flatMap { sink in
                        harness.outputs.filter { $0.hasPrefix("\(sink)") }
                    }
                    if let first { #expect(sequences == first, "seed \(seed), batches of \(rowsMax)") }
                    first = first ?? sequences
                    #expect(sequences.contains { $0.hasPrefix("2") && $0.contains("registry.city") })
                    #expect(sequences.contains { $0.hasPrefix("3") && $0.contains("graded") })
                }
            }
        }
        #expect(partners > 500 && strangers > 500 && unknowns > 500)
    }

    /// Goal: a table survives with its task.
    @Test func aRestoredTableGoesOnAsIfNothingHadHappened() throws {
        for seed in Self.seeds {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let events = TableHarness.events(&random, count: 1200)
            let spec = try TableHarness.spec()
            let whole = TableHarness(spec, rowsMax: 64)
            whole.give(events)
            whole.finish()
            let harness = TableHarness(spec, rowsMax: 64, tracksChanges: true)
            var (next, committed, crashes) = (0, 0, 0)
            var (kept, saved): ([String], ChangelogTests.Saved?) = ([], nil)
            while next < events.count {
                let end = min(events.count, next + 1 + Int(random.next() % 30))
                harness.give(Array(events[next..<end]))
                next = end
                switch random.next() % 6 {
                case 0 where committed > 0:
                    crashes += 1
                    try harness.crash(&random, saved: saved, outputs: kept)
                    next = committed
                case 1, 2:
                    harness.commit()
                    (committed, kept) = (next, harness.outputs)
                    if random.next() % 4 == 0 { saved = harness.snapshot() }
                default: break
                }
            }
            harness.finish()
            #expect(crashes > 5)
            // Keys that end together come in no particular order after a restore.
            #expect(harness.outputs.sorted() == whole.outputs.sorted(), "seed \(seed)")
            // Nothing but what is there lies in the changelog.
            harness.commit()
            harness.log.compactAll()
            // Keys of which something was dropped have an entry more.
            let rows = harness.log.records.count {
                $0.key[0] == ChangeKind.operatorState && $0.value != nil && $0.value != [2]
            }
            #expect(rows == harness.tasks[0].tables[1]?.versionCount)
        }
    }

    /// Goal: what rows find does not depend on the number of partitions.
    @Test(arguments: [false, true]) func eightPartitionsFindWhatOneFinds(isBroadcast: Bool) throws {
        for seed in Self.seeds {
            print("seed \(seed), broadcast \(isBroadcast)")
            var random = SplitMix64(seed: seed)
            let events = TableHarness.events(&random, count: 1200, nulls: false)
            // Each partition has a watermark of its own, so none must reach what is dropped.
            let spec = try TableHarness.spec(versions: "30d", isBroadcast: isBroadcast)
            let found = [1, 8].map { partitions in
                let harness = TableHarness(spec, rowsMax: 50, partitions: partitions)
                harness.give(events)
                harness.finish()
                // Causes and completeness tell partitions apart.
                return harness.outputs.filter { !$0.hasPrefix("3") }.sorted()
            }
            #expect(found[0] == found[1], "seed \(seed)")
            var unknown: [Int] = []
            let expected = Self.expected(events, versions: 30 * 86_400_000, unknown: &unknown)
            #expect(Self.records(found[1]).sorted() == expected.sorted() && unknown.isEmpty)
            #expect(found[1].contains { $0.hasPrefix("2") })
        }
    }

    // MARK: The definitions, one by one

    /// `now`: the cities that orders of M1 at these times find after these records of the registry.
    private func cities(
        _ records: [(time: Int64, city: String?)], at times: [Int64], versions: String = "100s"
    ) throws -> [String] {
        let harness = TableHarness(try TableHarness.spec(versions: versions, outOfOrder: "0s"), rowsMax: 10)
        var events = records.map { record in
            Event(
                isTable: true, merchant: "M1", city: record.city, grade: 1, time: record.time * 1000,
                number: 0)
        }
        for (number, time) in times.enumerated() {
            events.append(Event(isTable: false, merchant: "M1", time: time * 1000, number: number))
        }
        harness.give(events)
        // By order, since those that go to the dead letters are no rows.
        let found = harness.outputs.filter { $0.hasPrefix("0") }.map { line in
            (
                WindowOracleTests.member(line, "id"),
                WindowOracleTests.member(line, "registry.city")?.replacing("\"", with: "") ?? ""
            )
        }
        return times.indices.map { number in found.first { $0.0 == "\(number)" }?.1 ?? "unknown" }
    }

    @Test func asOf() throws {
        #expect(
            try cities([(10, "a"), (20, "b")], at: [9, 10, 19, 20, 500]) == ["null", "a", "a", "b", "b"])
        // An update that comes late but is older is seen by what is read after it.
        #expect(try cities([(20, "b"), (10, "a")], at: [15, 25]) == ["a", "b"])
        // Of two at one time the last counts.
        #expect(try cities([(10, "a"), (10, "b")], at: [10]) == ["b"])
        #expect(
            try cities([(10, "a"), (20, nil), (30, "c")], at: [15, 20, 29, 30]) == ["a", "null", "null", "c"])
        #expect(try cities([], at: [10]) == ["null"])
    }

    @Test func versionsAreKeptForAsLongAsTheyMayBeAskedFor() throws {
        // The watermark is 1000, so 900 is the bound: what 880 replaced is gone, what 950 did not yet replace
        // is not.
        let records: [(Int64, String?)] = [(100, "a"), (880, "b"), (950, "c"), (1000, "d")]
        #expect(
            try cities(records, at: [100, 879, 880, 949, 950, 1000]) == [
                "unknown", "unknown", "b", "b", "c", "d",
            ])
        // The newest stays however old it is.
        #expect(try cities([(5, "a")], at: [5, 1_000_000]) == ["a", "a"])
        // What is older than a deletion ends with it, unless the deletion is forgotten already.
        #expect(try cities([(5, "a"), (10, nil), (7, "late")], at: [8, 12]) == ["late", "null"])
        #expect(
            try cities([(5, "a"), (10, nil), (200, nil), (7, "late")], at: [8, 12]) == ["late", "late"])
    }

    @Test func deletionsByKeyAloneHaveTheTimeOfTheirAppend() throws {
        let harness = TableHarness(try TableHarness.spec(outOfOrder: "0s"), rowsMax: 10)
        var delete = Event(isTable: true, merchant: "M1", time: 30_000, number: 1)
        delete.isNull = true
        harness.give([
            Event(isTable: true, merchant: "M1", city: "a", grade: nil, time: 10_000, number: 0), delete,
            Event(isTable: false, merchant: "M1", time: 29_000, number: 2),
            Event(isTable: false, merchant: "M1", time: 30_000, number: 3),
        ])
        let lines = harness.outputs.filter { $0.hasPrefix("0") }
        #expect(lines.count == 2 && lines[0].contains("\"a\"") && lines[1].contains("found\":false"))
    }

    @Test func recordsThatTheTableCannotTakeAreDeadLetters() throws {
        let harness = TableHarness(try TableHarness.spec(), rowsMax: 10)
        let records: [(String?, String?)] = [
            ("M1", "{\"merchant\":\"M1\",\"since\":5}"), ("M1", "{\"since\":5,\"_deleted\":true}"),
            (nil, nil),
            ("M1", "{\"merchant\":\"M1\",\"_deleted\":true}"),
            ("M2", "{\"merchant\":\"M2\",\"city\":\"c\",\"since\":5}"),
        ]
        harness.feed(
            records.map { ($0.0.map { Array($0.utf8) }, $0.1.map { Array($0.utf8) }, 1, 0) }, source: 1,
            task: 0)
        #expect(harness.dead.count == 4)
        #expect(harness.tasks[0].tables[1]?.keyCount == 1)
    }
}

extension ChangelogTests.Log {
    /// Leaves only the newest record of each key.
    mutating func compactAll() {
        var newest: [[UInt8]: Int] = [:]
        for record in records { newest[record.key] = record.offset }
        records = records.filter { newest[$0.key] == $0.offset }
    }
}
