import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: what an operator cannot keep or follow is a dead letter that names step, limit and remedy, and what
/// it tells is as if that record had not come. Method: small topologies, given and expected by hand or
/// against a plain walk.
@Suite struct OperatorLimitTests {
    private static func lines(_ letters: [String]) -> [String] {
        letters.map { letter in
            let parts = letter.components(separatedBy: " | ")
            return "\(parts.last ?? "") \(parts[1])"
        }
    }

    @Test func repeatFindsAnyThatLieWithinItsTime() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              s: { kafka: { topic: s }, time: { field: t, out_of_order: 0s }, schema: { t: timestamp, k: text, v: int? } }
            steps:
              days: { from: s, key: k, sequence: { repeat: v == 1, times: 3, within: 7d } }
              near: { from: s, key: k, sequence: { repeat: v == 1, times: 3, within: 7d, gap: 2d } }
            sinks:
              days: { kafka: { topic: a }, from: days }
              near: { kafka: { topic: b }, from: near }
            """)
        /// By days: `3`: v is 1 then, `-3`: it is 0, `+3`: it is null.
        func found(_ days: String, _ sink: String) throws -> [String] {
            let lines = days.split(separator: " ").map { day in
                let number = Int(day.drop { !$0.isNumber }) ?? 0
                let value = day.hasPrefix("-") ? "0" : day.hasPrefix("+") ? "null" : "1"
                return
                    "{\"t\":\"2018-01-\(number < 9 ? "0" : "")\(number + 1)T00:00:00Z\",\"k\":\"a\",\"v\":\(value)}"
            }
            return try ReplayRun(spec, [("s", lines)], rowsMax: 7).objects(sink).map { row in
                "\(row["sequence.start"] ?? "")-\(row["sequence_time"] ?? "") \(row["sequence.count"] ?? "")"
                    .replacing("2018-01-", with: "").replacing("T00:00:00Z", with: "")
            }
        }
        // A run that grew too long loses its oldest only.
        #expect(try found("0 6 8 9", "days") == ["07-10 3"])
        // The first and the last may be 7 days apart, not more.
        #expect(try found("0 3 7", "days") == ["01-08 3"] && found("0 3 8", "days").isEmpty)
        // One that does not hold, or is null, is between.
        #expect(try found("0 1 -2 3 4", "days").isEmpty && found("0 1 +2 3 4 5", "days") == ["04-06 3"])
        // Told once, until the run has ended: by such a record, or by 7 days without one.
        #expect(try found("0 1 2 3 4 5 11 12 13", "days") == ["01-03 3"])
        #expect(try found("0 1 2 -3 4 5 6", "days") == ["01-03 3", "05-07 3"])
        #expect(try found("0 1 2 10 11 12", "days") == ["01-03 3", "11-13 3"])
        // A gap ends the run whole.
        #expect(try found("0 1 4 5 6", "near") == ["05-07 3"] && found("0 2 4", "near") == ["01-05 3"])
        #expect(try found("0 0 0", "near") == ["01-01 3"])
    }

    @Test func sessions() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              s: { kafka: { topic: s }, time: { field: t, out_of_order: 5s }, schema: { t: { type: timestamp, unit: ms }, k: text, v: int } }
            steps:
              visits: { from: s, key: k, window: { gap: 10s, max: 60s, limit: { sessions: 3 } }, aggregate: { n: count(), v: sum(v) } }
            sinks: { visits: { kafka: { topic: a }, from: visits } }
            """)
        for seed in FundFlowTests.seeds {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            var time: Int64 = 1_000_000_000
            let events = (0..<400).map { number in
                time += 1 + Int64(random.next() % 3000)
                return (key: "k\(random.next() % 7)", time: time, value: number)
            }
            struct Session {
                var start: Int64
                var last: Int64
                var count = 0
                var sum = 0
            }
            var (open, rows, refused): ([String: Session], [String], [Int]) = ([:], [], [])
            func close(before time: Int64) {
                for (key, session) in open where min(session.last + 10_000, session.start + 60_000) <= time {
                    rows.append("\(key) \(session.count) \(session.sum)")
                    open[key] = nil
                }
            }
            for event in events {
                close(before: event.time)
                guard open[event.key] != nil || open.count < 3 else {
                    refused.append(event.value)
                    continue
                }
                open[event.key, default: Session(start: event.time, last: event.time)].last = event.time
                open[event.key]?.count += 1
                open[event.key]?.sum += event.value
            }
            close(before: .max)
            #expect(refused.count > 20)
            let lines = events.map { "{\"t\":\($0.time),\"k\":\"\($0.key)\",\"v\":\($0.value)}" }
            let first = try ReplayRun(spec, [("s", lines)], rowsMax: 2048)
            #expect(
                try first.objects("visits").map { "\($0["k"] ?? "") \($0["n"] ?? "") \($0["v"] ?? "")" }
                    .sorted() == rows.sorted())
            let letters = first["dead-letter"]
            #expect(
                letters.count == refused.count
                    && zip(letters, refused).allSatisfy { $0.contains("\"v\":\($1)}") })
            #expect(Set(Self.lines(letters)) == ["visits millrace.TooManySessions"])
            #expect(
                letters.allSatisfy {
                    $0.contains("step visits: 3 sessions are open, the limit sessions; window: { limit")
                })
            for rowsMax in [1, 7] {
                #expect(try ReplayRun(spec, [("s", lines)], rowsMax: rowsMax).difference(to: first) == nil)
            }
        }
    }

    @Test func levels() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              s: { kafka: { topic: s }, time: { field: t, out_of_order: 0s }, schema: { t: timestamp, k: text, rule: text, up: bool } }
            steps:
              response:
                from: s
                key: k
                levels:
                  { item: rule, active: up, weight: 1, expire: 1h, limit: { items: 2 }, steps: { watch: { at: 2, below: 2 } } }
            sinks: { response: { kafka: { topic: a }, from: response } }
            """)
        func line(_ minute: Int, _ rule: String, _ up: Bool) -> String {
            "{\"t\":\"2020-01-01T00:\(minute < 10 ? "0" : "")\(minute):00Z\",\"k\":\"a\",\"rule\":\"\(rule)\",\"up\":\(up)}"
        }
        let long = String(repeating: "é", count: 129)
        let run = try ReplayRun(
            spec,
            [
                (
                    "s",
                    [
                        line(0, "a", true), line(1, "b", true), line(2, "c", true), line(3, long, true),
                        line(4, "a", false), line(5, "b", false),
                    ]
                )
            ],
            rowsMax: 2048)
        // Nobody knows whether c alone would have held the level up; an hour after the last that was refused
        // it is over.
        let rows = try run.objects("response").map {
            "\($0["direction"] ?? "") \($0["changed_at"] ?? "") \($0["cause"] ?? "")"
        }
        #expect(rows == ["up 2020-01-01T00:01:00Z b", "down 2020-01-01T01:03:00Z expiry"])
        #expect(
            Self.lines(run["dead-letter"]) == [
                "response millrace.TooManyItems", "response millrace.NameTooLong",
            ])
        #expect(
            run.summary.limits.count == 2
                && run.summary.limits[0].contains("'response': limit item_name_bytes"))
    }

    @Test("A text that a step makes too long, and a row that is too large for an operator")
    func textsAndRows() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              s: { kafka: { topic: s }, time: { field: t, out_of_order: 0s }, schema: { t: timestamp, k: text, a: text } }
            steps:
              long: { from: s, fields: { twice: 'concat(a, a)' } }
              wide: { from: s, fields: { \((0..<20).map { "f\($0): 'concat(a, \"\($0)\")'" }.joined(separator: ", ")) } }
              once: { from: wide, deduplicate: { by: k, within: 1h } }
            sinks: { long: { kafka: { topic: a }, from: long }, once: { kafka: { topic: b }, from: once } }
            """)
        let lines = ["x", String(repeating: "y", count: 60_000)].enumerated().map { number, text in
            "{\"t\":\"2020-01-01T00:00:0\(number)Z\",\"k\":\"\(number)\",\"a\":\"\(text)\"}"
        }
        let run = try ReplayRun(spec, [("s", lines)], rowsMax: 7)
        #expect(run["long"].count == 1 && run["once"].count == 1)
        // One letter of both.
        #expect(run["dead-letter"].count == 1)
        let letter = run["dead-letter"].first ?? ""
        #expect(
            letter.contains("millrace.TextTooLong")
                && letter.contains("step long: twice is too long a text; step once: the row is too large"))
        #expect(
            run.summary.limits.map { String($0.prefix(25)) }
                == ["'once': limit record_bytes", "'long': limit text_bytes w"].map { String($0.prefix(25)) })
    }

    @Test func moneyThatCannotBeFollowed() throws {
        let spec = try ReplayRun.spec(
            """
            topology: t
            sources:
              loans: { kafka: { topic: l }, time: { field: t, out_of_order: 0s }, schema: { loan: text, account: text, amount: int?, t: { type: timestamp, unit: ms } } }
              moves: { kafka: { topic: m }, time: { field: t, out_of_order: 0s }, schema: { id: int, a: text, b: text?, amount: int?, cash: bool, t: { type: timestamp, unit: ms } } }
            steps:
              flow:
                from: moves
                fund_flow: { source: a, target: b, amount: amount, outside: cash, within: 90d, least: 10, settle: 1s,
                  disbursements: { from: loans, loan: loan, account: account, amount: amount } }
            sinks: { flow: { kafka: { topic: a }, from: flow } }
            """)
        let long = String(repeating: "x", count: 257)
        func loan(_ loan: String, _ amount: String) -> String {
            "{\"loan\":\"\(loan)\",\"account\":\"A\",\"amount\":\(amount),\"t\":1000000000}"
        }
        func move(_ id: Int, _ a: String, _ b: String?, _ amount: String, cash: Bool = false) -> String {
            "{\"id\":\(id),\"a\":\"\(a)\",\"b\":\(b.map { "\"\($0)\"" } ?? "null"),\"amount\":\(amount),\"cash\":\(cash),\"t\":\(1_000_001_000 + id * 2000)}"
        }
        let moves = [
            move(0, "A", "B", "9"), move(1, "A", "B", "10"), move(2, "A", nil, "10"),
            move(3, "A", nil, "20", cash: true),
            move(4, "A", "C", "30", cash: true), move(5, "C", "D", "30"), move(6, "A", long, "5"),
            move(7, "A", "B", "null"),
            move(8, "", "B", "5"), move(9, "A", "A", "5"), move(10, "A", "B", "-5"), move(11, "B", "D", "19"),
            move(12, "A", "B", "31"),
        ]
        let run = try ReplayRun(
            spec, [("loans", [loan("L", "100"), loan(long, "100"), loan("M", "null")]), ("moves", moves)],
            rowsMax: 7)
        // Every unit that leaves A with a row: 9 + 10 + 20 + 30 + 31 is what was lent.
        let rows = try run.objects("flow").map {
            "\($0["id"] ?? "") \($0["tainted"] ?? "") \($0["left"] ?? "")"
        }
        // What was below `least`, and what went outside, is clean money of its target: C pays 30 without
        // taint, and of B's 19 the oldest 9 are clean.
        #expect(rows == ["0 9 1", "1 10 0", "3 20 1", "4 30 1", "11 10 0", "12 31 0"])
        #expect(
            Self.lines(run["dead-letter"]) == [
                "flow millrace.MissingField", "flow millrace.NameTooLong", "flow millrace.MissingField",
                "flow millrace.NameTooLong",
                "flow millrace.MissingField", "flow millrace.MissingField",
            ])
        for text in [
            "the name of its loan has 257 bytes", "it has no amount", "it names no target",
            "it names no source",
        ] {
            #expect(run["dead-letter"].contains { $0.contains("step flow: \(text)") }, "\(text)")
        }
        #expect(run.summary.limits.count == 1)
        #expect(
            run.summary.limits[0].hasPrefix("'flow': limit fund_name_bytes was hit 2 times, for one key: "))
    }

    @Test(
        "Hundreds of parcels of one transfer come to another task whole and in their order, in several records"
    )
    func manyParcels() throws {
        let text = FundFlowTests.topology(method: "fifo").replacing("hops: 3", with: "hops: 30")
        var outputs: [[String]] = []
        for partitions in [1, 3] {
            var random = SplitMix64(seed: 3)
            let cluster = try TaskCluster(text, partitions: partitions, rowsMax: 64)
            let name = { (number: Int) in "A\(number)" + String(repeating: "x", count: 240) }
            var time: Int64 = 1_000_000_000
            // 250 loans, each over an account of its own to one; then all at once to another, and on from
            // there.
            for number in 0..<250 {
                time += 100
                try cluster.append(
                    "loans", key: name(number),
                    "{\"loan\":\"L\(number)\",\"account\":\"\(name(number))\",\"amount\":\(10 + number),\"time\":\(time)}"
                )
            }
            func move(_ id: Int, _ from: Int, _ to: Int, _ amount: Int) throws {
                time += 100
                try cluster.append(
                    "transfers", key: name(from),
                    "{\"id\":\"\(id)\",\"source\":\"\(name(from))\",\"target\":\"\(name(to))\",\"amount\":\(amount),\"cash\":false,\"time\":\(time)}"
                )
            }
            for number in 0..<250 { try move(number, number, 900, 10 + number) }
            time += 15_000
            try move(1000, 900, 901, 40_000)
            time += 15_000
            try move(1001, 901, 902, 40_000)
            try cluster.run(&random, until: time + 60_000)
            #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
            let rows = cluster.outputs.filter { $0.text.contains("\"id\":\"1001\"") }.map(\.text)
            #expect(rows.count == 250)
            let tainted = try rows.map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])["loan"]
                    as? String
            }
            // First in, first out, over two records and more.
            #expect(tainted == (0..<250).map { "L\($0)" })
            outputs.append(cluster.outputs.map(\.text).sorted())
        }
        #expect(outputs[0] == outputs[1])
    }
}
