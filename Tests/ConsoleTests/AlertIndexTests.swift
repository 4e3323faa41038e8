import Base
import Foundation
import Testing

@testable import Console

/// Goal: a list shows exactly the alerts that its filter means, in its order, on whatever pages; and the
/// index is the same after it was deleted. Method: random alerts and dispositions by a seed, against plain
/// filtering of arrays.
@Suite(.serialized) struct AlertIndexTests {
    private static let now: Int64 = 1_795_853_700_000
    private static let caller = Caller(
        name: "lin", roles: [.viewer, .analyst], language: "en", method: "password", peer: "x")

    private static func folder() -> String {
        let folder =
            NSTemporaryDirectory() + "/millrace-index-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        mkdir(folder, 0o700)
        return folder
    }

    private struct Known {
        var id: String
        var rule: String
        var severity: Int
        var customer: String
        var time: Int64
        var isRaised = true
        var status = "open"
        var owner = ""
        var until: Int64 = 0
        var words: String
    }

    private static func make(_ random: inout SplitMix64, count: Int) -> (
        entries: [AlertIndex.Entry], known: [Known]
    ) {
        var entries: [AlertIndex.Entry] = []
        var known: [Known] = []
        var offset: Int64 = 0
        func add(_ json: Json, _ kind: AlertIndex.Kind) {
            entries.append(
                AlertIndex.Entry(
                    topic: "\(kind)s", partition: 0, offset: offset, value: Array(json.string.utf8),
                    kind: kind))
            offset += 1
        }
        func alert(_ known: Known, cleared: Bool) -> Json {
            [
                "alert_id": .text(known.id), "topology": "t", "rule": .text(known.rule), "risk": "r",
                "severity": .text(AlertRow.severities[known.severity]),
                "state": cleared ? "cleared" : "raised", "revision": cleared ? 2 : 1,
                "customer": .text(known.customer), "event_time": .time(known.time),
                "detected_at": .time(known.time + 5), "message": .text(known.words), "measure": "m",
                "epoch": 3,
            ]
        }
        for number in 0..<count {
            var one = Known(
                id: "a\(number)", rule: "rule-\(Int.random(in: 0..<5, using: &random))",
                severity: Int.random(in: 0..<4, using: &random),
                customer: "M\(Int.random(in: 0..<20, using: &random))",
                time: now - Int64.random(in: 0..<100_000, using: &random) * 1000,
                words: Bool.random(using: &random) ? "Sold a lot" : "全部退款 '%_")
            // What became of it may be read before it.
            if Bool.random(using: &random) {
                one.status = ["taken", "closed", "snoozed"].randomElement(using: &random)!
                one.owner = ["lin", "chen"].randomElement(using: &random)!
                one.until =
                    one.status == "snoozed" ? now + Int64.random(in: -10...10, using: &random) * 1000 : 0
                var disposition = Disposition(alertId: one.id, topology: "t")
                (
                    disposition.status, disposition.owner, disposition.revision, disposition.by,
                    disposition.at
                ) = (one.status, one.owner, 2, one.owner, now)
                if one.status == "snoozed" { disposition.until = one.until }
                let isFirst = Bool.random(using: &random)
                if isFirst { add(disposition.json, .disposition) }
                add(alert(one, cleared: false), .alert)
                if !isFirst { add(disposition.json, .disposition) }
                var old = disposition
                (old.status, old.revision) = ("open", 1)
                if Bool.random(using: &random) { add(old.json, .disposition) }
            } else {
                add(alert(one, cleared: false), .alert)
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                one.isRaised = false
                add(alert(one, cleared: true), .alert)
            }
            if Int.random(in: 0..<4, using: &random) == 0 { add(alert(one, cleared: false), .alert) }
            known.append(one)
        }
        return (entries, known)
    }

    private static func matches(_ one: Known, _ filter: AlertFilter) -> Bool {
        let status = one.status == "snoozed" && one.until <= now ? "open" : one.status
        return (filter.rule.isEmpty || filter.rule.contains(one.rule))
            && (filter.severity.isEmpty || filter.severity.contains(AlertRow.severities[one.severity]))
            && (filter.status.isEmpty || filter.status.contains(status))
            && (filter.owner.isEmpty || filter.owner.contains(one.owner))
            && (filter.customer.map { $0 == one.customer } ?? true)
            && (filter.from.map { one.time >= $0 } ?? true)
            && (filter.to.map { one.time < $0 } ?? true)
            && (filter.state.map { ($0 == "raised") == one.isRaised } ?? true)
            && filter.words.allSatisfy { one.words.lowercased().contains($0.lowercased()) }
    }

    @Test func listsAgainstArrays() throws {
        let seed: UInt64 = 41
        var random = SplitMix64(seed: seed)
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (entries, known) = Self.make(&random, count: 600)
        let index = try AlertIndex(folder: folder, cluster: "c")
        for start in stride(from: 0, to: entries.count, by: 97) {
            try index.take(Array(entries[start..<min(entries.count, start + 97)]))
        }
        try index.finishBuilding()
        #expect(index.unreadable == 0)
        for round in 0..<60 {
            var filter = AlertFilter()
            func some<T>(_ all: [T]) -> [T] {
                Bool.random(using: &random) ? [] : all.filter { _ in Bool.random(using: &random) }
            }
            filter.rule = some((0..<5).map { "rule-\($0)" })
            filter.severity = some(AlertRow.severities)
            filter.status = some(AlertFilter.statuses)
            filter.owner = some(["lin", "chen", ""])
            if Int.random(in: 0..<3, using: &random) == 0 {
                filter.customer = "M\(Int.random(in: 0..<20, using: &random))"
            }
            if Bool.random(using: &random) { filter.from = Self.now - 50_000_000 }
            if Bool.random(using: &random) { filter.to = Self.now - 20_000_000 }
            if Int.random(in: 0..<3, using: &random) == 0 { filter.state = "raised" }
            if Int.random(in: 0..<3, using: &random) == 0 {
                filter.words = [["sold", "'%_", "退款"].randomElement(using: &random)!]
            }
            let expected = known.filter { Self.matches($0, filter) }
            var order = try AlertOrder(
                sort: ["-time", "time", "-severity"].randomElement(using: &random)!, cursor: nil)
            var found: [AlertRow] = []
            while true {
                let page = try index.list(filter, order, limit: 37, now: Self.now)
                found += page.alerts
                #expect(page.total == expected.count, "seed \(seed), round \(round)")
                guard let next = page.next else { break }
                order = try AlertOrder(sort: (order.isDescending ? "-" : "") + order.column, cursor: next)
            }
            #expect(
                Set(found.map(\.id)) == Set(expected.map(\.id)) && found.count == expected.count,
                "seed \(seed), round \(round)")
            let values = found.map { order.column == "time" ? $0.time ?? 0 : $0.severity }
            #expect(values == values.sorted { order.isDescending ? $0 > $1 : $0 < $1 })
        }
    }

    @Test func itIsTheSameAfterItWasDeleted() throws {
        var random = SplitMix64(seed: 5)
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (entries, _) = Self.make(&random, count: 200)
        func rows() throws -> [AlertRow] {
            let index = try AlertIndex(folder: folder, cluster: "c")
            let from = index.positions(of: "alerts")[0] ?? 0
            #expect(index.isBuilding == (from == 0))
            try index.take(entries.filter { $0.offset >= from })
            try index.finishBuilding()
            return try index.list(AlertFilter(), limit: 500, now: Self.now).alerts
        }
        let first = try rows()
        #expect(first.count == 200)
        #expect(try rows() == first)
        for suffix in ["", "-wal", "-shm"] { unlink(folder + "/index.sqlite" + suffix) }
        #expect(try rows() == first)
        // What is no database, or of another cluster, is built again.
        try "nonsense, and more than a page of it".write(
            toFile: folder + "/index.sqlite", atomically: true, encoding: .utf8)
        for suffix in ["-wal", "-shm"] { unlink(folder + "/index.sqlite" + suffix) }
        #expect(try rows() == first)
        #expect(try AlertIndex(folder: folder, cluster: "other").isBuilding)
    }

    @Test func badRecordsAreCounted() throws {
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let index = try AlertIndex(folder: folder, cluster: "c")
        let texts = ["{", "[]", "null", "{}", #"{"alert_id":null}"#, "\u{0}", #"{"alert_id":"ok"}"#]
        try index.take(
            texts.enumerated().map {
                AlertIndex.Entry(
                    topic: "t", partition: 0, offset: Int64($0), value: Array($1.utf8), kind: .alert)
            })
        try index.finishBuilding()
        #expect(index.unreadable == 6)
        #expect(try index.list(AlertFilter(), limit: 10, now: 0).alerts.map(\.id) == ["ok"])
        #expect(index.positions(of: "t") == [0: 7])
    }

    @Test func happeningsComeInOrderAndOnce() throws {
        var random = SplitMix64(seed: 9)
        let folder = Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let index = try AlertIndex(folder: folder, cluster: "c")
        try index.finishBuilding()
        let (entries, _) = Self.make(&random, count: 50)
        var seen: Int64 = 0
        var ids: Set<String> = []
        for start in stride(from: 0, to: entries.count, by: 7) {
            try index.take(Array(entries[start..<min(entries.count, start + 7)]))
            for (sequence, what) in try #require(try index.happenings(after: seen, limit: 100, now: 0)) {
                #expect(sequence > seen)
                seen = sequence
                if case .alert(let row) = what { ids.insert(row.id) }
            }
        }
        #expect(ids.count == 50)
        #expect(try index.happenings(after: 0, limit: 10, now: 0) == nil)
    }
}
