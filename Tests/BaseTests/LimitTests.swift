import Base
import Foundation
import Testing

/// Goal: every limit is told, what is told is so, and a limit that is hit is said without flooding anybody.
@Suite struct LimitTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().path

    @Test("Every constant of Limits has an entry in the table, and every entry a constant")
    func everyLimitIsInTheTable() throws {
        let text = try String(contentsOfFile: Self.root + "/Sources/Base/Limits.swift", encoding: .utf8)
        let constants = text.split(separator: "\n").compactMap { line -> String? in
            guard let range = line.range(of: "package static let ") else { return nil }
            return String(line[range.upperBound...].prefix { $0.isLetter || $0.isNumber })
        }
        #expect(constants.count > 40 && Set(constants).count == constants.count)
        #expect(Limits.table.map(\.constant).sorted() == constants.sorted())
        #expect(Set(Limits.table.map(\.name)).count == Limits.table.count)
    }

    @Test("What records can hit is counted under the name that the table gives it")
    func whatIsCounted() {
        let counted = Limits.table.filter { if case .counted = $0.told { true } else { false } }.map(\.name)
        #expect(Set(counted) == Set(LimitName.allCases.map(\.rawValue)))
        for limit in LimitName.allCases { #expect(limit.entry.name == limit.rawValue) }
    }

    @Test("The language's page has the table that `millrace docs limits` prints")
    func thePageHasTheTable() throws {
        let text = try String(contentsOfFile: Self.root + "/Topologies/README.md", encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- millrace docs limits -->\n"))
        let end = try #require(
            text.range(of: "<!-- end of millrace docs limits -->", range: begin.upperBound..<text.endIndex))
        let isSame = text[begin.upperBound..<end.lowerBound] == Limits.markdown
        #expect(isSame, "put what `millrace docs limits` prints between the markers of Topologies/README.md")
    }

    @Test("A line a minute for each limit and step, with its keys and what raises it")
    func aLineAMinute() {
        var hits = LimitHits()
        #expect(hits.lines(now: 0).isEmpty && hits.isEmpty)
        for key in UInt64(0)..<5 { for _ in 0..<2 { hits.note(.rowsPerKey, "pair", key: key) } }
        hits.note(.recordBytes, "orders")
        let first = hits.lines(now: 1000)
        #expect(first.count == 2 && first[0].hasPrefix("'orders': limit record_bytes was hit once: "))
        #expect(first[1].hasPrefix("'pair': limit rows_per_key was hit 10 times, for 5 keys: "))
        #expect(first[1].hasSuffix("; limit: { rows_per_key: … } raises it"))
        // Nothing new; then something, but too soon; a minute later it is told, and what came before it is
        // not again.
        #expect(hits.lines(now: 90_000).isEmpty)
        hits.note(.rowsPerKey, "pair", key: 1)
        #expect(hits.lines(now: 90_001).count == 1)
        hits.note(.rowsPerKey, "pair", key: 1)
        hits.note(.rowsPerKey, "other", key: 1)
        #expect(hits.lines(now: 100_000).map { $0.prefix(8) } == ["'other':"])
        #expect(hits.lines(now: 150_001).map { $0.contains("was hit once, for one key") } == [true])
        for key in UInt64(0)..<5000 { hits.note(.memory, "pair", key: key) }
        #expect(hits.lines(now: nil).allSatisfy { $0.contains("5000 times, for 1000 keys or more") })
        #expect(hits.counts.map(\.count) == [5000, 1, 1, 12])
    }
}
