import Base
import Foundation
import Testing
import Topology

/// Goal: a row that one step cannot take is lost to that step and those that read it, and to nobody else,
/// whatever the batch size; it is one dead letter, which names every step that refused it.
@Suite struct RefusalTests {
    static let text = """
        topology: t
        latency: 1d
        sources:
          e:
            kafka: { topic: e }
            time: { field: at }
            schema: { k: text?, b: text?, v: int, at: timestamp }
        steps:
          by_k: { from: e, key: k, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
          by_b: { from: e, key: b, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
          squares: { from: e, fields: { sq: v * v, next: v + 1 } }
          of_squares: { from: squares, key: b, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
          keyed: { from: e, key: k }
          of_keyed: { from: keyed, where: v % 2 == 0, key: b, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
          all: { from: e, window: { size: 10s }, key: v, aggregate: { n: count(), s: sum(v) } }
        sinks:
          by_k: { kafka: { topic: by_k }, from: by_k }
          by_b: { kafka: { topic: by_b }, from: by_b }
          of_squares: { kafka: { topic: of_squares }, from: of_squares }
          keyed: { kafka: { topic: keyed }, from: keyed }
          of_keyed: { kafka: { topic: of_keyed }, from: of_keyed }
          all: { kafka: { topic: all }, from: all }
        """

    struct Event {
        var k: String?
        var b: String?
        var v: Int64
        var at: Int64
    }

    /// `key first..` of each window, as `n s`.
    static func windows(_ events: [Event], _ key: (Event) -> String?) -> [String] {
        var totals: [String: (n: Int, s: Int64)] = [:]
        for event in events {
            guard let key = key(event) else { continue }
            let name = "\(key) \(event.at / 10_000)"
            totals[name] = ((totals[name]?.n ?? 0) + 1, (totals[name]?.s ?? 0) + event.v)
        }
        return totals.map { "\($0) \($1.n) \($1.s)" }.sorted()
    }

    static func windows(_ run: ReplayRun, _ name: String, _ key: String) throws -> [String] {
        try run.objects(name).map { object in
            let window = try #require(object["window"] as? [String: Any])
            let start = try #require(ISO8601DateFormatter().date(from: "\(window["start"] ?? "")"))
            let values = try #require(object["values"] as? [String: Any])
            let keys = try #require(object["key"] as? [String: Any])
            return
                "\(keys[key] ?? "") \(Int64(start.timeIntervalSince1970) / 10) \(values["n"] ?? "") \(values["s"] ?? "")"
        }.sorted()
    }

    @Test func onlyTheStepThatRefusesLosesTheRow() throws {
        let spec = try ReplayRun.spec(Self.text)
        for seed in UInt64(1)...3 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            var at: Int64 = 1_700_000_000_000
            let events = (0..<400).map { _ in
                at += Int64(random.next() % 300)
                return Event(
                    k: random.next() % 5 == 0 ? nil : "k\(random.next() % 4)",
                    b: random.next() % 5 == 0 ? nil : "b\(random.next() % 4)",
                    v: random.next() % 6 == 0
                        ? 4_000_000_000 + Int64(random.next() % 10) : Int64(random.next() % 10), at: at)
            }
            let lines = events.map { event in
                "{\"k\":\(event.k.map { "\"\($0)\"" } ?? "null"),\"b\":\(event.b.map { "\"\($0)\"" } ?? "null"),"
                    + "\"v\":\(event.v),\"at\":\(event.at)}"
            }
            let isSmall = { (event: Event) in event.v < 4_000_000_000 }
            var first: ReplayRun?
            for rowsMax in [1, 7, 2048] {
                let run = try ReplayRun(spec, [("e", lines)], rowsMax: rowsMax)
                if let difference = first?.difference(to: run) {
                    Issue.record("batches of \(rowsMax): \(difference)")
                }
                first = first ?? run
            }
            let run = try #require(first)
            #expect(try Self.windows(run, "by_k", "k") == Self.windows(events) { $0.k })
            #expect(try Self.windows(run, "by_b", "b") == Self.windows(events) { $0.b })
            #expect(try Self.windows(run, "all", "v") == Self.windows(events) { "\($0.v)" })
            #expect(
                try Self.windows(run, "of_squares", "b") == Self.windows(events) { isSmall($0) ? $0.b : nil })
            #expect(
                try Self.windows(run, "of_keyed", "b")
                    == Self.windows(events) { $0.k != nil && $0.v % 2 == 0 ? $0.b : nil })
            #expect(run["keyed"].count == events.count { $0.k != nil })
            let letters = events.compactMap { event in
                var steps: [String] = []
                var fields: [String] = []
                if event.k == nil { (steps, fields) = (steps + ["by_k"], fields + ["k"]) }
                if event.b == nil { (steps, fields) = (steps + ["by_b"], fields + ["b"]) }
                if !isSmall(event) { (steps, fields) = (steps + ["squares"], fields + ["sq"]) }
                if isSmall(event), event.b == nil {
                    (steps, fields) = (steps + ["of_squares"], fields + ["b"])
                }
                if event.k == nil { (steps, fields) = (steps + ["keyed"], fields + ["k"]) }
                if event.k != nil, event.v % 2 == 0, event.b == nil {
                    (steps, fields) = (steps + ["of_keyed"], fields + ["b"])
                }
                return steps.isEmpty
                    ? nil : "\(steps.joined(separator: ", ")) | \(fields.joined(separator: ", "))"
            }
            let found = run["dead-letter"].map {
                $0.components(separatedBy: " | ").suffix(2).joined(separator: " | ")
            }
            #expect(found == letters)
            #expect(run.summary.dead == Int64(letters.count) && letters.count > 100)
        }
    }

    /// Goal: a field that a source computes, and that has no fit value, is named.
    @Test func whatASourceComputesIsNamed() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            latency: 1d
            sources:
              e:
                kafka: { topic: e }
                time: { field: at }
                schema: { k: text, v: int, at: timestamp, sq: { type: int, from: v * v }, part: { type: int, from: v % (v - 1) } }
            steps:
              all: { from: e, key: k, where: part >= 0 or sq > 0 }
            sinks:
              all: { kafka: { topic: all }, from: all }
            """)
        let run = try ReplayRun(
            spec, [("e", [4_000_000_000, 1, 2].map { "{\"k\":\"a\",\"v\":\($0),\"at\":1700000000000}" })],
            rowsMax: 2048)
        #expect(run["all"].count == 1)
        #expect(run["dead-letter"].count == 2)
        #expect(
            run["dead-letter"].first?.contains("| millrace.NumberOutOfRange | sq does not fit in 64 bits |")
                == true)
        #expect(run["dead-letter"].first?.hasSuffix("| e | sq") == true)
        #expect(run["dead-letter"].last?.contains("| millrace.MissingField | part has no value |") == true)
    }
}
