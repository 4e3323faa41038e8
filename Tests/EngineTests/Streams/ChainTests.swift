import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: operators chained three deep over more keys than a batch has rows give every row its own texts.
/// Method: 5,000 keys whose windows close together, each operator between others, against plain walks over
/// lists, for batches of 1, 7 and 2,048 rows.
@Suite struct ChainTests {
    struct Chain: Sendable, CustomTestStringConvertible {
        var name: String
        var steps: String
        /// Fields of the results, beside the event time.
        var fields: [String]
        /// From the records of `e` and `r` to what the step `found` makes.
        var oracle: @Sendable (_ e: [ChainRow], _ r: [ChainRow]) -> [ChainRow]

        var testDescription: String { name }
    }

    static let aggregate = "aggregate: { n: count(), note: first(note), last: last(note) }"
    static let small = "  small: { from: e, key: k, window: { size: 10s }, \(aggregate) }\n"
    static let other = "  other: { from: r, key: k, window: { size: 10s }, \(aggregate) }\n"

    static func windowed(_ rows: [ChainRow], _ note: String = "note") -> [ChainRow] {
        ChainOracle.window(rows, key: "k", size: 10_000, note: note)
    }

    static func first(_ row: ChainRow) -> Bool { row.time % 100_000 < 10_000 }

    static let chains: [Chain] = [
        Chain(
            name: "window, window, window",
            steps: small + """
                  middle: { from: small, key: k, window: { size: 20s }, \(aggregate) }
                  found: { from: middle, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(
                    ChainOracle.window(windowed(e), key: "k", size: 20_000), key: "k", size: 50_000)
            }),
        Chain(
            name: "window, union, window",
            steps: small + """
                  some: { from: small, where: n > 1 }
                  rest: { from: small, where: n == 1 }
                  both: { from: [some, rest] }
                  found: { from: both, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in ChainOracle.window(windowed(e), key: "k", size: 50_000) }),
        Chain(
            name: "window, join, window",
            steps: small + other + """
                  pairs: { from: small, join: { stream: other, on: k, within: 10s, as: r } }
                  noted: { from: pairs, fields: { text: r.note } }
                  found: { from: noted, key: k, window: { size: 50s }, aggregate: { n: count(), note: first(text), last: last(note) } }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, r in
                let pairs = ChainOracle.join(
                    windowed(e), windowed(r), key: "k", within: 10_000, isLeft: false)
                return zip(
                    ChainOracle.window(pairs, key: "k", size: 50_000, note: "r.note").sorted {
                        "\($0["k"]) \($0.time)" < "\($1["k"]) \($1.time)"
                    },
                    ChainOracle.window(pairs, key: "k", size: 50_000).sorted {
                        "\($0["k"]) \($0.time)" < "\($1["k"]) \($1.time)"
                    }
                ).map { ChainRow(time: $0.time, fields: $0.fields.merging(["last": $1["last"]]) { $1 }) }
            }),
        Chain(
            name: "window, left join",
            steps: small + other
                + "  found: { from: small, join: { stream: other, on: k, within: 10s, kind: left, as: r } }",
            fields: ["k", "n", "note", "last", "r.found", "r.note", "r.last", "r.n"],
            oracle: { e, r in
                ChainOracle.join(windowed(e), windowed(r), key: "k", within: 10_000, isLeft: true)
            }),
        Chain(
            name: "window, sequence (repeat), window",
            steps: small + """
                  twice: { from: small, key: k, sequence: { repeat: n > 0, times: 2, within: 1h } }
                  found: { from: twice, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(
                    ChainOracle.repeated(windowed(e), key: "k", times: 2, within: 3_600_000), key: "k",
                    size: 50_000)
            }),
        Chain(
            name: "window, sequence (then)",
            steps: small
                + "  found: { from: small, key: k, sequence: { first: n > 1, then: n == 1, within: 1h } }",
            fields: ["k", "n", "note", "last", "first.n", "first.note"],
            oracle: { e, _ in
                ChainOracle.then(
                    windowed(e), key: "k", within: 3_600_000, { $0["n"] != "1" }, { $0["n"] == "1" })
            }),
        Chain(
            name: "window, sequence (without), window",
            steps: small + """
                  alone: { from: small, key: k, sequence: { first: n > 1, without: n == 1, within: 5s } }
                  found: { from: alone, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(
                    ChainOracle.without(
                        windowed(e), key: "k", within: 5_000, { $0["n"] != "1" }, { $0["n"] == "1" }),
                    key: "k", size: 50_000)
            }),
        Chain(
            name: "window, session, window",
            steps: small + """
                  visits: { from: small, key: k, window: { gap: 15s, max: 1h }, \(aggregate) }
                  found: { from: visits, key: k, window: { size: 100s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(
                    ChainOracle.session(windowed(e), key: "k", gap: 15_000, max: 3_600_000), key: "k",
                    size: 100_000)
            }),
        Chain(
            name: "window, top, window",
            steps: """
                  small: { from: e, key: [g, k], window: { size: 10s }, \(aggregate) }
                  best: { from: small, key: g, top: { count: 2, by: n } }
                  found: { from: best, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                let groups = Dictionary(e.map { ($0["k"], $0["g"]) }) { $1 }
                let rows = windowed(e).map {
                    ChainRow(time: $0.time, fields: $0.fields.merging(["g": groups[$0["k"]] ?? ""]) { $1 })
                }
                return ChainOracle.window(
                    ChainOracle.top(rows, key: "g", count: 2, by: "n"), key: "k", size: 50_000)
            }),
        Chain(
            name: "window, deduplicate, window",
            steps: small + """
                  firsts: { from: small, deduplicate: { by: k, within: 25s } }
                  found: { from: firsts, key: k, window: { size: 50s }, \(aggregate) }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(
                    ChainOracle.deduplicate(windowed(e), by: "k", within: 25_000), key: "k", size: 50_000)
            }),
        Chain(
            name: "window, table join, window",
            steps: small + """
                  known: { from: small, join: { table: tab, on: k, kind: left } }
                  found: { from: known, key: k, window: { size: 50s }, aggregate: { n: count(), note: first(tab.city), last: last(note) } }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                ChainOracle.window(windowed(e), key: "k", size: 50_000).map { row in
                    ChainRow(
                        time: row.time, fields: row.fields.merging(["note": "city of \(row["k"])"]) { $1 })
                }
            }),
        Chain(
            name: "window, levels, window",
            steps: small + """
                  graded:
                    from: small
                    key: k
                    levels:
                      item: note
                      active: n > 0
                      weight: 1
                      expire: 1h
                      steps: { low: { at: 1, below: 1 }, high: { at: 2, below: 2 } }
                  ups: { from: graded, where: direction == "up" }
                  found: { from: ups, key: k, window: { size: 50s }, aggregate: { n: count(), note: first(cause), last: last(items) } }
                """,
            fields: ["k", "n", "note", "last"],
            oracle: { e, _ in
                let ups = ChainOracle.keyed(windowed(e), "k").flatMap { own in
                    own.prefix(2).enumerated().map { index, row in
                        let items = own.prefix(index + 1).reversed().map { "\($0["note"]) 1" }.joined(
                            separator: ", ")
                        return ChainRow(
                            time: row.time, fields: ["k": row["k"], "cause": row["note"], "items": items])
                    }
                }
                return zip(
                    ChainOracle.window(ups, key: "k", size: 50_000, note: "cause").sorted {
                        "\($0["k"]) \($0.time)" < "\($1["k"]) \($1.time)"
                    },
                    ChainOracle.window(ups, key: "k", size: 50_000, note: "items").sorted {
                        "\($0["k"]) \($0.time)" < "\($1["k"]) \($1.time)"
                    }
                ).map { ChainRow(time: $0.time, fields: $0.fields.merging(["last": $1["last"]]) { $1 }) }
            }),
        Chain(
            name: "deduplicate, fund flow, window",
            steps: """
                  once: { from: e, deduplicate: { by: [k, note], within: 1h }, fields: { paid_to: "concat(k, \\"-shop\\")" } }
                  flow:
                    from: once
                    fund_flow:
                      source: k
                      target: paid_to
                      amount: amount
                      disbursements: { from: r, loan: note, account: k, amount: amount }
                      within: 1d
                  found: { from: flow, key: k, window: { size: 50s }, aggregate: { n: count(), note: first(loan), last: last(path) } }
                """,
            fields: ["k", "n", "note"],
            oracle: { e, r in
                // A loan of 2.50 goes out with the first transfers of 1.00 each.
                let loans = Dictionary(grouping: r) { $0["k"] }.mapValues { ChainOracle.byTime($0)[0] }
                let flows = ChainOracle.keyed(e, "k").flatMap { own -> [ChainRow] in
                    guard let loan = loans[own[0]["k"]] else { return [] }
                    return own.filter { $0.time > loan.time }.prefix(3).map {
                        ChainRow(time: $0.time, fields: ["k": $0["k"], "note": loan["note"]])
                    }
                }
                return ChainOracle.window(flows, key: "k", size: 50_000)
            }),
    ]

    static let keys = 5000

    /// Every key at 5 s and 15 s, twice in every third window; one in seven also at 35 s.
    static func records(_ seconds: [Int64], from start: Int) -> [ChainRow] {
        let rows = seconds.flatMap { second in
            (start..<Self.keys).flatMap { key -> [ChainRow] in
                if second == 35, key % 7 != 0 { return [] }
                let times: [Int64] = key % 3 == 0 && second == 5 ? [0, 1] : [0]
                return times.map { more in
                    ChainRow(
                        time: 1_700_000_000_000 + second * 1000 + more,
                        fields: [
                            "k": String(format: "k%05d", key), "g": "g\(key / 10)",
                            "note": String(format: "k%05d@%d.%d", key, Int(second), Int(more)),
                        ])
                }
            }
        }
        return ChainOracle.byTime(rows)
    }

    static func lines(_ rows: [ChainRow], amount: String) -> [String] {
        rows.map {
            "{\"k\":\"\($0["k"])\",\"g\":\"\($0["g"])\",\"note\":\"\($0["note"])\",\"amount\":\(amount),\"at\":\($0.time)}"
        }
    }

    @Test(arguments: chains) func everyRowHasItsOwnTexts(_ chain: Chain) throws {
        let schema = "{ k: text, g: text, note: text, amount: decimal(2), at: timestamp }"
        let spec = try ReplayRun.spec(
            """
            topology: t
            latency: 1d
            sources:
              e: { kafka: { topic: e }, time: { field: at }, schema: \(schema) }
              r: { kafka: { topic: r }, time: { field: at }, schema: \(schema) }
              tab: { kafka: { topic: tab }, time: { field: at }, table: { key: k }, schema: { k: text, city: text, at: timestamp } }
            steps:
            \(chain.steps)
            sinks:
              found: { kafka: { topic: found }, from: found }
            """)
        let isFlow = chain.name.contains("fund flow")
        let e = Self.records([5, 15, 35], from: 0)
        // Half of the keys have a partner.
        let r = isFlow ? Self.records([4], from: Self.keys / 2) : Self.records([6], from: Self.keys / 2)
        let expected = chain.oracle(e, r).map {
            Self.line($0, chain.fields, isWindow: chain.name.hasSuffix("window"))
        }.sorted()
        let table = (0..<Self.keys).map {
            String(format: "{\"k\":\"k%05d\",\"city\":\"city of k%05d\",\"at\":1700000000000}", $0, $0)
        }
        var inputs: [(source: String, lines: [String])] = [("e", Self.lines(e, amount: "1.00"))]
        if chain.steps.contains("r,") || chain.steps.contains("from: r") {
            inputs.append(("r", Self.lines(r, amount: "2.50")))
        }
        if chain.steps.contains("tab") { inputs.append(("tab", table)) }
        #expect(expected.count > 1000)
        for rowsMax in [1, 7, 2048] {
            let run = try ReplayRun(spec, inputs, rowsMax: rowsMax)
            let found = run["found"].map { Self.line($0, chain.fields) }.sorted()
            let difference = zip(expected, found).first { $0 != $1 }
            let isSame = found == expected
            #expect(
                isSame,
                "batches of \(rowsMax): \(found.count) of \(expected.count) rows, first \(String(describing: difference))"
            )
        }
    }

    /// `isWindow`: results name the end of their window, whose last instant is its event time.
    static func line(_ row: ChainRow, _ fields: [String], isWindow: Bool) -> String {
        fields.map { "\($0)=\(row[$0])" }.joined(separator: " ")
            + " at \(CivilTime.string(row.time + (isWindow ? 1 : 0)))"
    }

    /// A result of a window, or a row of an operator: what stands behind the names, as it is written.
    static func line(_ text: String, _ fields: [String]) -> String {
        func value(_ name: String) -> String {
            let pattern = "\"\(name)\":"
            return text.withCString { start in
                guard var at = strstr(start, pattern) else { return "null" }
                at += pattern.utf8.count
                let isText = at.pointee == Int8(UInt8(ascii: "\""))
                if isText { at += 1 }
                let count = strcspn(at, isText ? "\"" : ",}")
                return String(decoding: UnsafeRawBufferPointer(start: at, count: count), as: UTF8.self)
            }
        }
        let time = ["end", "joined_at", "sequence_time"].map(value).first { $0 != "null" } ?? "never"
        return fields.map { "\($0)=\(value($0))" }.joined(separator: " ") + " at \(time)"
    }
}
