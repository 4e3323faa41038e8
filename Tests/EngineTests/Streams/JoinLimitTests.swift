import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: where a limit of a join or a sequence is hit, what is lost is a dead letter, and nothing is told
/// that is not so: no partner that is there is called missing, no `without` is early, at a limit that a task
/// was restored at too. Method: random streams against a walk over the sorted events, and against every pair
/// of all records.
@Suite struct JoinLimitTests {
    struct Event {
        var id: Int
        var isRight: Bool
        var key: String
        var time: Int64
        var size = 0
        var json: String {
            "{\"id\":\(id),\"k\":\"\(key)\",\"b\":\(isRight),\"x\":\"\(String(repeating: "x", count: size))\",\"t\":\(time)}"
        }
    }

    static let before: Int64 = 20_000, after: Int64 = 3_000, within: Int64 = 25_000

    static func topology(_ limit: String, outOfOrder: String = "5s") -> String {
        let source =
            "time: { field: t, out_of_order: \(outOfOrder) }, schema: { id: int, k: text, b: bool, x: text, t: { type: timestamp, unit: ms } }"
        return """
            topology: t
            latency: 1d
            sources:
              l: { kafka: { topic: l }, key: k, \(source) }
              r: { kafka: { topic: r }, key: k, \(source) }
            steps:
              pair: { from: l, join: { stream: r, on: k, kind: left, before: 20s, after: 3s, limit: \(limit) } }
              all: { from: [l, r] }
              then: { from: all, key: k, sequence: { first: not b, then: b, within: 25s, limit: \(limit) } }
              without: { from: all, key: k, sequence: { first: not b, without: b, within: 25s, limit: \(limit) } }
            sinks:
              pair: { kafka: { topic: p }, from: [pair] }
              then: { kafka: { topic: q }, from: [then] }
              without: { kafka: { topic: w }, from: [without] }
            """
    }

    static func events(_ random: inout SplitMix64, count: Int, size: Int = 0) -> [Event] {
        var time: Int64 = 1_000_000_000
        var (burst, key) = (0, "K0")
        return (0..<count).map { number in
            // Partners in bursts, of which the first are forgotten a little before the last.
            if burst == 0 {
                key = "K\(random.next() % 5)"
                if random.next() % 12 == 0 { burst = 6 }
            }
            let isRight = burst > 0
            burst = max(0, burst - 1)
            time += 1 + Int64(random.next() % 2000)
            return Event(
                id: number, isRight: isRight, key: key, time: time,
                size: size == 0 ? 0 : Int(random.next() % UInt64(size)))
        }
    }

    /// What comes of each step: `pair 3 5`, `pair 3 none`; and dead letters `pair 3 TooManyRowsOfKey`.
    static func oracle(_ events: [Event], rowsPerKey: Int) -> (rows: [String], letters: [String]) {
        var (rows, letters): ([String], [String]) = ([], [])
        struct Waiting {
            var event: Event
            var isMatched = false
        }
        var lefts: [Waiting] = []
        var rights: [Event] = []
        var lost: [String: Int64] = [:]
        var (firsts, alone): ([Event], [Event]) = ([], [])
        func expire(before time: Int64) {
            while let left = lefts.first, left.event.time + after < time {
                lefts.removeFirst()
                if left.isMatched { continue }
                let isUnknown = lost[left.event.key].map { $0 >= left.event.time - before } ?? false
                if isUnknown {
                    letters.append("pair \(left.event.id) PartnerUnknown")
                } else {
                    rows.append("pair \(left.event.id) none")
                }
            }
            rights.removeAll { $0.time + before < time }
            firsts.removeAll { $0.time + within < time }
            for event in alone where event.time + within < time { rows.append("without \(event.id)") }
            alone.removeAll { $0.time + within < time }
        }
        for event in events {
            expire(before: event.time)
            if event.isRight {
                for place in lefts.indices where lefts[place].event.key == event.key {
                    rows.append("pair \(lefts[place].event.id) \(event.id)")
                    lefts[place].isMatched = true
                }
                if rights.count(where: { $0.key == event.key }) < rowsPerKey {
                    rights.append(event)
                } else {
                    letters.append("pair \(event.id) TooManyRowsOfKey")
                    lost[event.key] = event.time
                }
                if let place = firsts.firstIndex(where: { $0.key == event.key }) {
                    rows.append("then \(firsts[place].id) \(event.id)")
                    firsts.remove(at: place)
                }
                alone.removeAll { $0.key == event.key }
            } else {
                let partners = rights.filter { $0.key == event.key }
                for right in partners { rows.append("pair \(event.id) \(right.id)") }
                if lefts.count(where: { $0.event.key == event.key }) < rowsPerKey {
                    lefts.append(Waiting(event: event, isMatched: !partners.isEmpty))
                } else {
                    letters.append("pair \(event.id) TooManyRowsOfKey")
                }
                if firsts.count(where: { $0.key == event.key }) < rowsPerKey {
                    firsts.append(event)
                } else {
                    letters.append("then \(event.id) TooManyRowsOfKey")
                }
                if alone.count(where: { $0.key == event.key }) < rowsPerKey {
                    alone.append(event)
                } else {
                    letters.append("without \(event.id) TooManyRowsOfKey")
                }
            }
        }
        expire(before: .max)
        return (rows.sorted(), letters.sorted())
    }

    static func row(_ sink: String, _ text: Substring) throws -> String {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        func member(_ name: String) -> String {
            object[name].map { $0 is NSNull ? "none" : "\($0)" } ?? "none"
        }
        return switch sink {
        case "pair": "pair \(member("id")) \(member("r.id"))"
        case "then": "then \(member("first.id")) \(member("id"))"
        default: "without \(member("id"))"
        }
    }

    static func letter(_ step: String, _ why: String, _ text: Substring) throws -> String {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        return "\(step) \(object["id"] ?? "") \(why.replacing("millrace.", with: ""))"
    }

    @Test(arguments: [(1, 1, 0), (1, 64, 0), (4, 16, 0), (1, 16, 100), (4, 16, 100)])
    func rowsOfKey(partitions: Int, rowsMax: Int, crashes: Int) throws {
        for seed in FundFlowTests.seeds {
            print("seed \(seed), \(partitions) partitions, batches of \(rowsMax), crashes \(crashes)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 500)
            let expected = Self.oracle(events, rowsPerKey: 3)
            let cluster = try TaskCluster(
                Self.topology("{ rows_per_key: 3 }"), partitions: partitions, rowsMax: rowsMax)
            let shuffled = events.map { ($0, $0.time + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }
                .map(\.0)
            for event in shuffled {
                try cluster.append(event.isRight ? "r" : "l", key: event.key, event.json)
            }
            try cluster.run(
                &random, crashesPerMille: UInt64(crashes), until: (events.last?.time ?? 0) + 100_000)
            #expect(cluster.lateCount == 0 && (crashes == 0 || cluster.crashes > 2))
            #expect(try cluster.outputs.map { try Self.row($0.sink, $0.text[...]) }.sorted() == expected.rows)
            #expect(
                try cluster.letters.map { try Self.letter($0.step, $0.why, $0.text[...]) }.sorted()
                    == expected.letters)
            for why in ["TooManyRowsOfKey", "PartnerUnknown"] {
                #expect(expected.letters.count { $0.hasSuffix(why) } > 5, "\(why)")
            }
            guard crashes == 0 else { continue }
            for step in ["pair", "then", "without"] {
                let hits = cluster.pipeline.counters.limits.counts.first { $0.place.step == step }
                #expect(hits?.place.limit == .rowsPerKey)
                #expect(
                    hits.map { Int($0.count) }
                        == expected.letters.count { $0.hasPrefix(step) && $0.hasSuffix("OfKey") })
            }
        }
    }

    /// What must hold whichever rows find no room.
    static func check(_ run: ReplayRun, _ events: [Event], _ seed: UInt64) throws {
        func lines(_ name: String) throws -> [String] {
            try run[name].map { try row(name, $0[($0.firstIndex(of: "{") ?? $0.startIndex)...]) }
        }
        let letters = try run["dead-letter"].flatMap { text -> [String] in
            let parts = text.components(separatedBy: " | ")
            // A row that several steps refuse is one letter.
            return try (parts.last ?? "").components(separatedBy: ", ").map {
                try letter($0, parts[1], parts[0][...])
            }
        }
        func isLost(_ step: String, _ id: Int) -> Bool {
            letters.contains { $0.hasPrefix("\(step) \(id) ") && !$0.hasSuffix("PartnerUnknown") }
        }
        let (pairs, alone) = (Set(try lines("pair")), Set(try lines("without")))
        let (lefts, rights) = (events.filter { !$0.isRight }, events.filter(\.isRight))
        for left in lefts {
            let partners = rights.filter {
                $0.key == left.key && $0.time >= left.time - before && $0.time <= left.time + after
            }
            for right in partners where !pairs.contains("pair \(left.id) \(right.id)") {
                #expect(
                    isLost("pair", left.id) || isLost("pair", right.id),
                    "seed \(seed): \(left.id) and \(right.id) are nowhere")
            }
            // Never called missing where it is there, and never silent.
            let isMissing = pairs.contains("pair \(left.id) none")
            if isMissing { #expect(partners.isEmpty, "seed \(seed): \(left.id) has a partner") }
            if partners.isEmpty, !isMissing {
                #expect(
                    letters.contains { $0.hasPrefix("pair \(left.id) ") },
                    "seed \(seed): \(left.id) is nowhere")
            }
            let ends = rights.contains {
                $0.key == left.key && $0.time > left.time && $0.time <= left.time + within
            }
            if alone.contains("without \(left.id)") {
                #expect(!ends, "seed \(seed): \(left.id) has another")
            } else if !ends {
                #expect(
                    letters.contains { $0.hasPrefix("without \(left.id) ") },
                    "seed \(seed): \(left.id) is nowhere")
            }
        }
        let all = Set(
            lefts.flatMap { left in
                rights.filter {
                    $0.key == left.key && $0.time >= left.time - before && $0.time <= left.time + after
                }
                .map { "pair \(left.id) \($0.id)" }
            })
        #expect(pairs.filter { !$0.hasSuffix("none") }.isSubset(of: all))
        #expect(pairs.count == run["pair"].count && alone.count == run["without"].count)
    }

    @Test(
        "Memory of waiting rows, and of the buffers before them: the same bytes for every batch size",
        arguments: ["1s", "30s"])
    func memory(outOfOrder: String) throws {
        var reasons: [String: Int] = [:]
        for seed in FundFlowTests.seeds {
            print("seed \(seed), out of order by \(outOfOrder)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 500, size: 300)
            let spec = try ReplayRun.spec(Self.topology("{ memory: 4KiB }", outOfOrder: outOfOrder))
            let inputs = [false, true].map { isRight in
                (source: isRight ? "r" : "l", lines: events.filter { $0.isRight == isRight }.map(\.json))
            }
            let first = try ReplayRun(spec, inputs, rowsMax: 2048)
            try Self.check(first, events, seed)
            for rowsMax in [1, 7, 100] {
                let run = try ReplayRun(spec, inputs, rowsMax: rowsMax)
                #expect(run.difference(to: first) == nil, "seed \(seed), batches of \(rowsMax)")
            }
            for why in ["PartnerUnknown", "rows of 4096 bytes wait", "wait for event time"] {
                reasons[why, default: 0] += first["dead-letter"].count { $0.contains(why) }
            }
            #expect(
                first.summary.limits.contains {
                    $0.contains("'pair': limit memory was hit")
                        && $0.contains("limit: { memory: … } raises it")
                })
            // With room for all nothing is refused.
            let wide = try ReplayRun(
                try ReplayRun.spec(Self.topology("{ memory: 1MiB }", outOfOrder: outOfOrder)), inputs,
                rowsMax: 7)
            #expect(wide["dead-letter"].isEmpty && wide.summary.limits.isEmpty)
        }
        print(reasons)
        #expect(reasons["PartnerUnknown"] ?? 0 > 5)
        #expect(reasons[outOfOrder == "1s" ? "rows of 4096 bytes wait" : "wait for event time"] ?? 0 > 50)
    }

    @Test("Very many pairs are handed on in the middle of a batch, in the same order", arguments: [1, 64])
    func spills(rowsMax: Int) throws {
        var random = SplitMix64(seed: 5)
        let events = Self.events(&random, count: 300)
        var first: [TaskCluster.Output] = []
        for outboxBytesMax in [nil, 200] {
            // Reads the same rows at a time.
            var random = SplitMix64(seed: 6)
            let cluster = try TaskCluster(
                Self.topology("{ memory: 1MiB }"), partitions: 1, rowsMax: rowsMax,
                outboxBytesMax: outboxBytesMax)
            for event in events { try cluster.append(event.isRight ? "r" : "l", key: event.key, event.json) }
            try cluster.run(&random, until: (events.last?.time ?? 0) + 100_000)
            if outboxBytesMax == nil {
                first = cluster.outputs
                #expect(cluster.spills == 0 && first.count > 300)
            } else {
                #expect(cluster.spills > 50)
                // Each sink's rows.
                for sink in ["pair", "then", "without"] {
                    #expect(cluster.outputs.filter { $0.sink == sink } == first.filter { $0.sink == sink })
                }
            }
        }
    }
}
