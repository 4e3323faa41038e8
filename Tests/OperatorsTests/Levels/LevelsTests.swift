import Base
import Dataflow
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: levels are what the definition says, whatever comes when. Method: random alerts and controls, out of
/// order and late, against an oracle that looks at every second anew.
@Suite struct LevelsTests {
    static let seeds: ClosedRange<UInt64> = {
        if let text = ProcessInfo.processInfo.environment["MILLRACE_SEED"], let seed = UInt64(text) {
            return seed...seed
        }
        return 1...20
    }()

    static func compare(_ expected: [String: [String]], _ found: [String: [String]], _ seed: UInt64) {
        #expect(Set(expected.keys) == Set(found.keys), "seed \(seed)")
        for (customer, rows) in expected {
            let other = found[customer] ?? []
            let place =
                zip(rows, other).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                ?? min(rows.count, other.count)
            let isSame = rows == other
            #expect(
                isSame,
                """
                seed \(seed), \(customer), row \(place) of \(rows.count) and \(other.count):
                \(place > 0 ? rows[place - 1] : "")
                \(place < rows.count ? rows[place] : "none")
                \(place < other.count ? other[place] : "none")
                """)
        }
    }

    @Test func theOracleAgrees() throws {
        var seen: [String: Int] = [:]
        for seed in Self.seeds {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let isGrouped = seed % 2 == 0
            // Half of the time disorder is more than the bound, so that records come late.
            let bound: Int64 = seed % 4 < 2 ? 21 : 8
            let events = LevelsHarness.events(&random, count: 400)
            let spec = try LevelsHarness.spec(group: isGrouped ? "group: 6s" : "", outOfOrder: bound)
            let harness = LevelsHarness(spec, rowsMax: 64)
            harness.give(events)
            harness.finish()
            let late = Set(
                harness.refused.compactMap { WindowOracleTests.member($0, "number").flatMap { Int($0) } })
            #expect(late.count == harness.refused.count)
            if bound == 21 { #expect(late.isEmpty) } else { #expect(!late.isEmpty) }
            let expected = LevelsOracle.rows(
                events.filter { !late.contains($0.number) }, group: isGrouped ? 6000 : 0)
            Self.compare(expected, try harness.rows(), seed)
            for row in expected.values.joined() {
                let columns = row.split(separator: "|", omittingEmptySubsequences: false)
                seen[
                    "\(columns[1]) \(columns[8].hasPrefix("r") && columns[8].count == 2 ? "item" : columns[8])",
                    default: 0] += 1
                if columns[1] == "up", columns[3] == "none", columns[2] == "c" {
                    seen["several up", default: 0] += 1
                }
                if columns[1] == "down", columns[3] == "c", columns[2] != "b" {
                    seen["several down", default: 0] += 1
                }
                if columns[6] != "0" { seen["repeats", default: 0] += 1 }
            }
        }
        guard Self.seeds.count > 1 else { return }
        for kind in [
            "up item", "up control", "down item", "down hold", "down expiry", "down control", "several up",
            "several down",
            "repeats", "control suppress", "control snooze", "control resume", "control refused: no action",
            "control refused: no action 'stop'; there are suppress, snooze and resume",
            "control refused: no reason",
            "control refused: no owner", "control refused: nothing to resume",
            "control refused: snooze needs 'until'",
            "control refused: 'until' is not after the record",
            "control refused: snooze is for all items; leave out 'item', or suppress it",
        ] {
            #expect(seen[kind] ?? 0 > 0, "\(kind): \(seen)")
        }
    }

    @Test func batchSizesDoNotMatter() throws {
        for seed in UInt64(31)...34 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let events = LevelsHarness.events(&random, count: 500)
            let spec = try LevelsHarness.spec(group: "group: 6s", outOfOrder: 15)
            let all = [1, 7, 100, 2048].map { rowsMax in
                let harness = LevelsHarness(spec, rowsMax: rowsMax)
                harness.give(events)
                harness.finish()
                return harness.outputs
            }
            #expect(all[0].contains { $0.hasPrefix("1 ") } && all[0].contains { $0.hasPrefix("2 ") })
            // Topics have no order among each other.
            for (outputs, sink) in all.dropFirst().flatMap({ outputs in
                ["0 ", "1 ", "2 "].map { (outputs, $0) }
            }) {
                let (wanted, found) = (
                    all[0].filter { $0.hasPrefix(sink) }, outputs.filter { $0.hasPrefix(sink) }
                )
                let isSame = wanted == found
                #expect(
                    isSame,
                    "seed \(seed): \(zip(wanted, found).first { $0 != $1 }.map { "\($0)" } ?? "count")")
            }
        }
    }

    @Test func aRestoredTaskGoesOnAsIfNothingHadHappened() throws {
        var total = 0
        for seed in UInt64(41)...48 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let events = LevelsHarness.events(&random, count: 400)
            let spec = try LevelsHarness.spec(group: "group: 6s", outOfOrder: 15)
            let whole = LevelsHarness(spec, rowsMax: 64)
            whole.give(events)
            whole.finish()
            let broken = LevelsHarness(spec, rowsMax: 64, tracksChanges: true)
            var saved: ChangelogTests.Saved?
            var (next, committed, crashes) = (0, 0, 0)
            var outputs: [String] = []
            while committed < events.count {
                let count = min(1 + Int(random.next() % 20), events.count - next)
                broken.give(Array(events[next..<next + count]))
                next += count
                if random.next() % 6 == 0 {
                    crashes += 1
                    try broken.crash(&random, saved: saved, outputs: outputs)
                    next = committed
                } else if random.next() % 3 == 0 || next == events.count {
                    broken.commit()
                    (outputs, committed) = (broken.outputs, next)
                    if random.next() % 3 == 0 { saved = broken.snapshot() }
                }
            }
            broken.finish()
            total += crashes
            Self.compare(try whole.rows(), try broken.rows(), seed)
            #expect(whole.outputs.sorted() == broken.outputs.sorted())
            // All has expired and come down: nothing is left but the task itself.
            broken.commit()
            let keys = broken.tasks[0].operators.compactMap { $0?.state.keyCount }
            #expect(keys.reduce(0, +) <= 4)
        }
        #expect(total > 40)
    }

    @Test(arguments: LevelsHarness.Spread.allCases) func partitionsDoNotMatter(spread: LevelsHarness.Spread)
        throws
    {
        for seed in UInt64(51)...56 {
            print("seed \(seed), \(spread)")
            var random = SplitMix64(seed: seed)
            let events = LevelsHarness.events(&random, count: 400, customers: 9)
            let spec = try LevelsHarness.spec(group: "group: 6s", spread: spread)
            let one = LevelsHarness(spec, rowsMax: 64)
            one.give(events)
            one.finish()
            let eight = LevelsHarness(spec, rowsMax: 64, partitions: 8)
            // Where customers lie by more than themselves, so do the windows that count them.
            let topics: [LevelsHarness.Spread: Int] = [.none: 0, .byCustomer: 1, .byBoth: 3, .byDesk: 3]
            #expect(eight.spec.repartitions.count == topics[spread])
            eight.give(events)
            eight.finish()
            #expect(one.refused.isEmpty && eight.refused.isEmpty)
            Self.compare(try one.rows(), try eight.rows(), seed)
            Self.compare(LevelsOracle.rows(events, group: 6000), try eight.rows(), seed)
        }
    }
}
