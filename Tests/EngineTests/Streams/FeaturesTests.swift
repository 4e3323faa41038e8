import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: at a record, a row has what the windows of its key hold then, and no more, however records were cut
/// into batches and whatever died; a key makes one row in a time; what comes behind event time makes none.
/// Method: random records, out of order and late, against a walk over all that came before.
@Suite struct FeaturesTests {
    static func topology(_ features: String, step: String = "from: in, key: shop") -> String {
        """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, amount: decimal(2)?, time: { type: timestamp, unit: ms } }
        steps:
          large: { from: in, where: amount > 1.00 }
          now: { from: large, key: shop, window: { size: 30s, slide: 10s }, aggregate: { n: count(), s: sum(amount), top: max(amount) } }
          before: { from: in, key: shop, window: { size: 20s, slide: 10s, until: previous }, aggregate: { n: count(), last: last(id) } }
          known: { \(step), features: \(features) }
          other: { from: in, key: id, window: { size: 10s }, aggregate: { n: count() } }
          visits: { from: in, key: shop, window: { gap: 5s, max: 1m }, aggregate: { n: count() } }
        rules:
          many: { on: [now, before], when: now.n > before.n + 2, risk: r, severity: low }
        sinks:
          known: { kafka: { topic: known }, from: [known] }
          alerts: { kafka: { topic: alerts } }
        """
    }

    static let all =
        "{ of: [now, before], EVERY fields: { id: id, n: now.n, s: now.s, top: now.top, more: now.n - before.n, last: before.last, rate: amount / before.n } }"

    struct Event {
        var id: Int
        var shop: Int
        /// Hundredths.
        var amount: Int64?
        var time: Int64
    }

    static func events(_ random: inout SplitMix64, count: Int) -> [Event] {
        var time: Int64 = 1_000_000_000
        return (0..<count).map { id in
            time += Int64(random.next() % 900)
            let back = random.next() % 20 == 0 ? Int64(random.next() % 60_000) : Int64(random.next() % 5000)
            return Event(
                id: id, shop: Int(random.next() % 4),
                amount: random.next() % 8 == 0 ? nil : Int64(random.next() % 500), time: time - back)
        }
    }

    /// Of each row, in order: its text; and how many came behind event time.
    static func oracle(_ events: [Event], every: Int64?) -> (rows: [String], late: Int) {
        var (rows, late, reached) = ([String](), 0, Int64.min)
        var last: [Int: Int64] = [:]
        /// Those that some window took in: its last one was open.
        var (now, before): ([Event], [Event]) = ([], [])
        for event in events {
            let watermark = max(reached, event.time) - 5000
            reached = max(reached, event.time)
            let pane = event.time / 10_000
            // Closed windows take nothing: of `now` the last that holds the record ends two slides later, of
            // `before` three.
            if (pane + 3) * 10_000 > watermark, event.amount.map({ $0 > 100 }) == true { now.append(event) }
            if (pane + 3) * 10_000 > watermark { before.append(event) }
            guard event.time >= watermark else {
                late += 1
                continue
            }
            if let every, let time = last[event.shop], event.time < time + every { continue }
            last[event.shop] = event.time
            let own = now.filter {
                $0.shop == event.shop && $0.time / 10_000 > pane - 3 && $0.time / 10_000 <= pane
            }
            let earlier = before.filter {
                $0.shop == event.shop && $0.time / 10_000 >= pane - 2 && $0.time / 10_000 < pane
            }
            let sum = own.reduce(0) { $0 + ($1.amount ?? 0) }
            // Of equal times the one that came last.
            let lastId = earlier.enumerated().max {
                ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
            }?.element.id
            let top = own.compactMap(\.amount).max()
            func money(_ value: Int64?) -> String {
                value.map { "\"\(Decimal.string(Int128($0), scale: 2))\"" } ?? "null"
            }
            var rate = "null"
            if let amount = event.amount, !earlier.isEmpty {
                rate =
                    "\"\(Decimal.string(Decimal.divideHalfEven(Int128(amount), Int128(earlier.count)), scale: 2))\""
            }
            rows.append(
                "S\(event.shop) \(event.id) \(own.count) \(money(own.isEmpty ? 0 : sum)) \(money(top)) \(own.count - earlier.count) "
                    + "\(lastId.map { "\($0)" } ?? "null") \(rate)")
        }
        return (rows, late)
    }

    static func text(_ json: String) throws -> String {
        let row = try #require(JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        func value(_ name: String) -> String {
            switch row[name] {
            case let text as String: "\"\(text)\""
            case let number as Int: "\(number)"
            default: "null"
            }
        }
        return "\(row["shop"] as? String ?? "") "
            + ["id", "n", "s", "top", "more", "last", "rate"].map(value).joined(separator: " ")
    }

    @Test(arguments: [nil, Int64(1000), 15_000]) func rowsAreWhatWasKnown(every: Int64?) throws {
        for seed in UInt64(1)...4 {
            print("seed \(seed), every \(every ?? 0)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 400)
            let wanted = Self.oracle(events, every: every)
            #expect(wanted.rows.count > 20 && wanted.late > 5)
            let topology = Self.topology(
                Self.all.replacing("EVERY", with: every.map { "every: \($0)ms," } ?? ""))
            var first: [String] = []
            for (rowsMax, crashes) in [(2048, UInt64(0)), (1, 0), (7, 0), (16, 100)] {
                let cluster = try TaskCluster(topology, partitions: 1, rowsMax: rowsMax)
                for event in events {
                    let amount = event.amount.map { Decimal.string(Int128($0), scale: 2) } ?? "null"
                    try cluster.append(
                        "in", key: "S\(event.shop)",
                        "{\"id\":\(event.id),\"shop\":\"S\(event.shop)\",\"amount\":\(amount),\"time\":\(event.time)}"
                    )
                }
                try cluster.run(&random, crashesPerMille: crashes, until: 1_100_000_000)
                let rows = try cluster.outputs.filter { $0.sink == "known" }.map { try Self.text($0.text) }
                for (place, (row, right)) in zip(rows, wanted.rows).enumerated() where row != right {
                    Issue.record("seed \(seed), batches of \(rowsMax), row \(place): \(row), not \(right)")
                    break
                }
                #expect(rows.count == wanted.rows.count && cluster.lateCount == wanted.late)
                // Alerts of rules on the same windows are not touched by what looks at them.
                let alerts = cluster.outputs.filter { $0.sink == "alerts" }.map(\.text)
                if first.isEmpty { first = alerts }
                #expect(alerts == first && !alerts.isEmpty, "seed \(seed), batches of \(rowsMax)")
            }
        }
    }

    @Test(arguments: [
        ("{ of: [noww], fields: { n: now.n } }", "no source or step 'noww'"),
        ("{ of: [large], fields: { n: id } }", "step large has no window"),
        ("{ of: [visits], fields: { n: id } }", "step visits has no window that is current at a time"),
        ("{ of: [in], fields: { n: id } }", "'in' is a source"),
        (
            "{ of: [other], fields: { n: other.n } }",
            "step other has the key id, and this one has shop; they need equal keys"
        ),
        ("{ of: [now, now], fields: { n: now.n } }", "'now' is named twice"),
        ("{ of: [now], fields: { n: now.m } }", "'now.m'; did you mean 'now.n'?"),
        ("{ of: [now], fields: { time: now.n } }", "the row has a 'time' already"),
        ("{ of: [now], every: 0s, fields: { n: now.n } }", "every"),
        ("{ of: [now] }", "needs 'fields'"),
        ("{ off: [now], fields: { n: id } }", "no 'off'; did you mean 'of'?"),
    ]) func mistakes(features: String, message: String) {
        let (spec, diagnostics) = TopologyReader.read(Self.topology(features), file: "t.yaml")
        let errors = diagnostics.filter { $0.severity == .error }
        #expect(spec == nil && errors.count == 1 && errors[0].message.contains(message), "\(errors)")
        #expect(errors.first?.position.line == 13, "\(errors)")
    }

    @Test func theStepNeedsAKeyAndOneInput() {
        for (step, message) in [
            ("from: in", "needs 'key'"),
            ("from: [in, large], key: shop", "features reads one step or source"),
        ] {
            let errors = TopologyReader.read(
                Self.topology("{ fields: { n: id } }", step: step), file: "t.yaml"
            ).diagnostics
                .filter { $0.severity == .error }
            #expect(errors.count == 1 && errors[0].message.contains(message), "\(errors)")
        }
    }
}
