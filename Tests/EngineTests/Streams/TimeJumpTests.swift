import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: what comes of a pause in event time is what would come if time went on in small steps, and a pause
/// of a hundred years has no more to tell than one of ten days. Method: records before and after a pause, for
/// every kind of window, rule and operator; a key of its own ticks through the pause, or does not.
@Suite struct TimeJumpTests {
    static let topology = """
        topology: t
        latency: 400d
        sources:
          e:
            kafka: { topic: e }
            key: k
            time: { field: t, out_of_order: 2s }
            schema: { k: text, o: text, v: int, t: timestamp }
          f:
            kafka: { topic: f }
            key: k
            time: { field: t, out_of_order: 2s }
            schema: { k: text, o: text, v: int, t: timestamp }
        steps:
          both: { from: [e, f] }
          slides: { from: e, key: k, window: { size: 5m, slide: 10s }, aggregate: { n: count(), s: sum(v), hi: max(v) } }
          tumbles: { from: e, key: k, window: { size: 1h }, aggregate: { n: count(), s: sum(v) } }
          past: { from: e, key: k, window: { size: 1h, slide: 10m, until: previous }, aggregate: { n: count(), s: sum(v) } }
          days: { from: e, key: k, window: { size: 3d, slide: 1d, zone: Asia/Dubai }, aggregate: { n: count(), d: days() } }
          before: { from: e, key: k, window: { size: 3d, slide: 1d, zone: Asia/Dubai, until: yesterday }, aggregate: { n: count() } }
          union: { from: both, key: k, window: { size: 10m, slide: 1m }, aggregate: { n: count() } }
          told: { from: e, key: k, window: { size: 10m, slide: 1m }, aggregate: { n: count(), to: window_end() } }
          again: { from: slides, key: k, window: { size: 1h }, aggregate: { n: count(), s: sum(n) } }
          visits: { from: both, key: k, window: { gap: 10m, max: 2h }, aggregate: { n: count(), s: sum(v) } }
          runs: { from: e, key: k, sequence: { repeat: v > 0, times: 2, within: 1h } }
          pairs: { from: e, key: k, sequence: { first: v > 5, then: v < 3, within: 2h } }
          lonely: { from: e, key: k, sequence: { first: v > 5, without: v < 3, within: 1h } }
          joined: { from: e, join: { stream: f, on: k, within: 1h, kind: left } }
          once: { from: e, key: k, deduplicate: { by: o, within: 1h } }
          best: { from: e, key: k, top: { count: 1, by: v } }
          graded:
            from: e
            key: k
            levels:
              item: o
              weight: 1
              active: v > 0
              expire: 3h
              steps:
                one: { at: 1, below: 1, hold: 10m }
                two: { at: 3, below: 2, hold: 1h }
        rules:
          few: { on: slides, when: n < 5, risk: x, severity: low, message: "{n}" }
          many: { on: slides, when: n >= 2, clear: n == 0, risk: x, severity: low, message: "{n} {hi}" }
          hour: { on: tumbles, when: n > 0, risk: x, severity: low, message: "{n}" }
          ends: { on: tumbles, at: close, when: n > 1, risk: x, severity: low, message: "{n}" }
          slid: { on: slides, at: close, when: s > 3, clear: s < 2, risk: x, severity: low, message: "{s}" }
          old: { on: days, when: d > 1 and n > 0, risk: x, severity: low, message: "{d} {n}" }
          both: { on: { slides, before }, when: slides.n >= 1 and before.n >= 0, clear: slides.n == 0 and before.n == 0, risk: x, severity: low, message: "{slides.n} {before.n}" }
          then: { on: { tumbles, past }, at: close, when: tumbles.n > 0 and past.n > 0, risk: x, severity: low, message: "{tumbles.n} {past.n}" }
          clock: { on: told, when: n > 0, clear: "minute(to, \\"UTC\\") == 7", risk: x, severity: low, message: "{n} {to}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
          windows: { kafka: { topic: windows }, from: [tumbles, past, days, before, again, union] }
          rows: { kafka: { topic: rows }, from: [visits, runs, pairs, lonely, joined, once, best, graded] }
        """

    /// A midnight in Dubai, whose clocks have not been touched since 1920: in 1922.
    static let start: Int64 = -1_514_779_200_000

    struct Row {
        var source: String
        var key: String
        var other: String
        var value: Int
        var time: Int64

        var json: String {
            "{\"k\":\"\(key)\",\"o\":\"\(other)\",\"v\":\(value),\"t\":\"\(CivilTime.string(time))\"}"
        }
    }

    /// Two hours of records, the pause, and two hours more.
    static func rows(seed: UInt64, pause: Int64, tick: Int64?) -> [Row] {
        var random = SplitMix64(seed: seed)
        var rows: [Row] = []
        var time = start + 3_600_000
        for burst in 0..<2 {
            for _ in 0..<40 {
                time += Int64(random.next() % 360_000)
                rows.append(
                    Row(
                        source: random.next() % 3 == 0 ? "f" : "e", key: "k\(random.next() % 4)",
                        other: "o\(random.next() % 5)",
                        value: Int(random.next() % 10) - 1, time: time))
            }
            if burst > 0 { break }
            if let tick {
                for beat in stride(from: time + tick, to: time + pause, by: Int64.Stride(tick)) {
                    rows.append(Row(source: "e", key: "tick", other: "o", value: 0, time: beat))
                }
            }
            time += pause
        }
        return rows
    }

    /// What is told of all keys but the one that ticks, each sorted, without what tells of records by number.
    /// Times after the middle of the pause are given as if it had been `base` long.
    static func outputs(_ rows: [Row], pause: Int64, base: Int64) throws -> [String: [String]] {
        let spec = try ReplayRun.spec(topology)
        let inputs = ["e", "f"].map { name in
            (source: name, lines: rows.filter { $0.source == name }.map(\.json))
        }
        let run = try ReplayRun(spec, inputs, rowsMax: 64)
        let middle = start + 10_800_000 + pause / 2
        func moved(_ text: Substring) -> String {
            guard let time = CivilTime.parse(String(text))?.milliseconds else { return String(text) }
            return CivilTime.string(time > middle ? time - (pause - base) : time)
        }
        var result: [String: [String]] = [:]
        for sink in ["alerts", "windows", "rows"] {
            result[sink] = run[sink].filter { !$0.contains("tick") }.map { line in
                var text = line
                for member in ["\"alert_id\":\"[0-9a-f]*\",", "\"cause\":.*$"] {
                    text = text.replacing(try! Regex(member), with: "")
                }
                return text.replacing(try! Regex("[0-9]{4,5}-[0-9-]+T[0-9:.]+Z")) { moved($0.0) }
            }.sorted()
        }
        #expect(run.summary.late == 0 && run.summary.dead == 0)
        return result
    }

    static func compare(_ wanted: [String: [String]], _ found: [String: [String]], _ what: String) {
        for (sink, lines) in wanted {
            let others = found[sink] ?? []
            if lines == others { continue }
            let missing = Set(lines).subtracting(others).sorted()
            let strange = Set(others).subtracting(lines).sorted()
            Issue.record(
                "\(what), \(sink): \(others.count) of \(lines.count), missing \(missing.prefix(2)), strange \(strange.prefix(2))"
            )
        }
    }

    @Test(arguments: [1000, 9000, 61_000, 600_000, 3_660_000] as [Int64]) func aPauseIsWhatStepsAre(
        pause: Int64
    ) throws {
        for seed in UInt64(1)...3 {
            print("seed \(seed)")
            let jump = try Self.outputs(
                Self.rows(seed: seed, pause: pause, tick: nil), pause: pause, base: pause)
            for tick in [1000, 10_000, 700_000] as [Int64] where tick < pause {
                let steps = try Self.outputs(
                    Self.rows(seed: seed, pause: pause, tick: tick), pause: pause, base: pause)
                Self.compare(steps, jump, "seed \(seed), pause \(pause), steps of \(tick)")
            }
            #expect(jump["alerts"]!.count > 20 && jump["windows"]!.count > 100 && jump["rows"]!.count > 50)
        }
    }

    @Test func aHundredYearsAreNoMoreThanTenDays() throws {
        let day: Int64 = 86_400_000
        for seed in UInt64(11)...12 {
            print("seed \(seed)")
            let base = 10 * day
            let wanted = try Self.outputs(
                Self.rows(seed: seed, pause: base, tick: nil), pause: base, base: base)
            let steps = try Self.outputs(
                Self.rows(seed: seed, pause: base, tick: 600_000), pause: base, base: base)
            Self.compare(steps, wanted, "seed \(seed), ten days")
            for days in [30, 366, 36_525] as [Int64] {
                let found = try Self.outputs(
                    Self.rows(seed: seed, pause: days * day, tick: nil), pause: days * day, base: base)
                Self.compare(wanted, found, "seed \(seed), \(days) days")
            }
        }
    }
}
