import Base
import Engine
import Foundation
import Testing
import Topology

/// Goal: a test says exactly what differs from it. Method: one topology, cases that are right and cases that
/// are not.
@Suite struct TestRunnerTests {
    static let topology = """
        topology: shop
        sources:
          orders:
            kafka: { topic: orders }
            format: json
            time: { field: at, out_of_order: 0s, idle: 1s }
            schema: { shop: text, kind: text, amount: decimal(2), at: timestamp }
        steps:
          paid: { from: orders, where: kind == "paid", key: shop }
          minute:
            from: paid
            key: shop
            window: { size: 1m }
            aggregate: { amount: sum(amount) }
        rules:
          large: { on: paid, when: amount > 100, risk: r, severity: low, measure: look, message: "{shop}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
          all: { kafka: { topic: all }, from: paid }
          minutes: { file: { path: minutes.jsonl }, from: minute }
          board: { redis: { key: "shop:{shop}", ttl: 1d }, from: minute }
        """

    static let given = """
        given:
              - orders: { shop: S1, kind: paid, amount: 50.00, at: 2026-01-01T00:00:00Z }
              - orders: { shop: S1, kind: other, amount: 7.00, at: 2026-01-01T00:00:01Z }
              - orders: { shop: S1, kind: paid, amount: 150.00, at: 2026-01-01T00:00:02Z }
              - clock: 2026-01-01T00:01:00Z
        """

    private func differences(_ expected: String) throws -> [String] {
        let text = "tests:\n  - name: a\n    \(Self.given)\n    \(expected)\n"
        let result = TestSuiteReader.read(text, file: "t")
        #expect(result.diagnostics == [])
        let outcomes = try TestRunner(file: "shop", text: Self.topology).run(#require(result.suite))
        return try #require(outcomes.first).differences
    }

    @Test("What is expected of alerts and of each sink's records holds")
    func passes() throws {
        #expect(try differences("expect: [{ rule: large }]") == [])
        #expect(
            try differences("expect_records: { all: [{ amount: 50.00 }, { amount: 150.00, kind: paid }] }")
                == [])
        #expect(
            try differences(
                "expect_records: { minutes: [{ step: minute, key: { shop: S1 }, values: { amount: 200.00 } }], all: [{ shop: S1 }, { shop: S1 }] }"
            ) == [])
    }

    @Test("Records that differ, are missing, or were not expected are told with their line and the sink")
    func differs() throws {
        let all = try differences(
            "expect: []\n    expect_records: { all: [{ amount: 51.00 }], minutes: [{ step: minute }, { step: x }] }"
        )
        #expect(all.count == 5, "\(all)")
        #expect(all[0].hasPrefix("not expected: {"))
        #expect(all[1] == "line 9: amount: expected 51.00, found 50.00")
        #expect(all[2].hasPrefix("  in: {") && all[2].contains("\"amount\":\"50.00\""))
        #expect(all[3].hasPrefix("all: not expected: {") && all[3].contains("150.00"))
        #expect(all[4] == "line 9: missing: {\"step\":\"x\"}")
        #expect(
            try differences("expect_records: { all: [{ amuont: 50.00 }, {shop: S1}] }").first
                == "line 8: amuont: expected 50.00, found nothing")
    }

    @Test("A sink that takes no records of steps", arguments: ["alerts", "board", "al"])
    func noSink(_ name: String) throws {
        #expect(
            try differences("expect_records: { \(name): [] }") == [
                "line 8: the topology has no sink '\(name)' that takes the records of steps; there are all, minutes"
            ])
    }

    /// Goal: the levels that the library comes with do what its tests say.
    @Test func afterTheAlert() throws {
        let folder = ReplayTests.root.path + "/Topologies/after-the-alert/"
        let text = try String(contentsOfFile: folder + "topology.yaml", encoding: .utf8)
        let tests = try String(contentsOfFile: folder + "tests.yaml", encoding: .utf8)
        let (suite, diagnostics) = TestSuiteReader.read(tests, file: "tests.yaml")
        #expect(diagnostics == [])
        let outcomes = try TestRunner(file: "topology.yaml", text: text).run(#require(suite))
        #expect(outcomes.count > 20)
        for outcome in outcomes { #expect(outcome.differences == [], "\(outcome.name)") }
    }
}

/// Goal: `null` is null and a text is a text, however it looks; times that cannot be are told with their
/// place.
@Suite struct TestRunnerValuesTests {
    private static let topology = """
        topology: t
        sources:
          e:
            kafka: { topic: e }
            time: { field: ts, zone: UTC }
            schema: { k: text, note: "text?", v: "int?", money: "decimal(2)?", yes: "bool?", ts: timestamp }
        steps:
          r: { from: e, key: k, where: v is null or v >= 0 }
          w: { from: e, key: note, window: { size: 1h }, aggregate: { last: last(k), n: count() } }
        rules:
          any: { on: r, when: v >= 0, risk: x, severity: low, message: "{note}" }
        sinks:
          out: { kafka: { topic: o }, from: r }
          windows: { kafka: { topic: w }, from: w }
          alerts: { kafka: { topic: a } }
        """

    private func differences(_ test: String) throws -> [String] {
        let text = "tests:\n  - name: a\n" + test.split(separator: "\n").map { "    \($0)\n" }.joined()
        let result = TestSuiteReader.read(text, file: "tests.yaml")
        let suite = try #require(result.suite, "\(result.diagnostics)")
        return try #require(try TestRunner(file: "t", text: Self.topology).run(suite).first).differences
    }

    /// One record with this note, and what is said of a record that is expected to be so.
    private func compare(_ given: String, _ expected: String) throws -> [String] {
        try differences(
            """
            given: [{ e: { k: a, \(given), ts: 2024-01-01T00:00:00Z } }]
            expect_records: { out: [{ \(expected) }] }
            """
        ).filter { !$0.hasPrefix("  in: ") }.map { String($0.dropFirst("line 4: ".count)) }
    }

    @Test(
        arguments: [
            (#"note: "null""#, "note: null", #"note: expected null, found "null""#),
            (#"note: "null""#, #"note: "null""#, nil),
            ("note: null", #"note: "null""#, #"note: expected "null", found null"#),
            ("note: null", "note: null", nil),
            ("v: 1", "note: null", nil), ("note: ~", "note: ~", nil),
            (#"note: "~""#, "note: ~", "note: expected null, found ~"),
            (#"note: """#, "note: null", "note: expected null, found "), (#"note: """#, #"note: """#, nil),
            (#"note: "1""#, "note: 1", #"note: expected 1, found "1", a text: put it in quotes"#),
            (#"note: "1""#, #"note: "1""#, nil),
            (#"note: "true""#, "note: true", #"note: expected true, found "true", a text: put it in quotes"#),
            ("note: abc", "note: abc", nil), ("note: abc", #"note: "abc""#, nil),
            (#"note: "007""#, "note: 007", nil),
            ("v: 1", #"v: "1""#, #"v: expected "1", found 1, which is no text: take the quotes away"#),
            ("v: 1", "v: 1", nil),
            ("v: 1", "v: 2", "v: expected 2, found 1"), ("v: 1", "v: null", "v: expected null, found 1"),
            ("yes: true", "yes: true", nil),
            (
                "yes: true", #"yes: "true""#,
                #"yes: expected "true", found true, which is no text: take the quotes away"#
            ),
            ("money: 5.00", "money: 5.00", nil), ("money: 5.00", #"money: "5.00""#, nil),
            ("money: 5.00", "money: 5", "money: expected 5, found 5.00"),
            ("v: 1", "nothing: null", "nothing: expected null, found nothing"),
            // What YAML would not take as it is.
            (
                #"note: "a\u007f\u0080\ufeff\ufffe\U0001F600b""#,
                #"note: "a\u007f\u0080\ufeff\ufffe\U0001F600b", k: a"#, nil
            ),
        ] as [(String, String, String?)])
    func values(given: String, expected: String, difference: String?) throws {
        #expect(try compare(given, expected) == [difference].compactMap { $0 })
    }

    /// Keys and results of windows, and of alerts.
    @Test func texts() throws {
        let given =
            #"given: [{ e: { k: "5", note: "7", v: 1, ts: 2024-01-01T00:00:00Z } }, { clock: 2024-01-02T00:00:00Z }]"#
            + "\n"
        #expect(
            try differences(
                given + #"expect_records: { windows: [{ key: { note: "7" }, values: { last: "5", n: 1 } }] }"#
            ) == [])
        let windows = try differences(
            given + "expect_records: { windows: [{ key: { note: 7 }, values: { last: 5, n: 1 } }] }")
        #expect(
            windows.count == 3
                && windows[0].hasSuffix(#"key.note: expected 7, found "7", a text: put it in quotes"#))
        #expect(windows[1].hasSuffix(#"values.last: expected 5, found "5", a text: put it in quotes"#))
        #expect(
            try differences(
                given + #"expect: [{ key: { k: "5" }, customer: 5, message: 7, values: { v: 1 } }]"#) == [])
        #expect(try differences(given + "expect: [{ key: { k: 5 }, values: { v: 1 } }]").count == 2)
    }

    @Test(arguments: [
        (
            "k: a, ts: 9223372036854775807", "repeat: 2, every: 1s",
            "4:26: 'ts' of record 2 of 2 would lie beyond"
        ),
        (
            "k: a, ts: -9223372036854775808", "repeat: 2, every: 365000d",
            "4:26: 'ts' of record 2 of 2 would lie beyond"
        ),
        (
            "k: a, ts: 1700000000000", "repeat: 10000000, every: 365000d",
            "4:26: 'ts' of record 10000000 of 10000000 would lie beyond"
        ),
        (
            "k: a, ts: 9999-12-31T23:59:59Z", "repeat: 3, every: 1s",
            "4:26: 'ts' of record 2 of 3 would lie beyond"
        ),
        (
            "k: a, ts: 2024-01-01T00:00:00Z", "repeat: 30, every: 365000d",
            "4:26: 'ts' of record 30 of 30 would lie beyond"
        ),
        (
            "k: a", "repeat: 2, every: 1s",
            "4:11: every moves the event time 'ts', which the record does not have"
        ),
    ])
    func extremes(record: String, times: String, mistake: String) throws {
        let found = try differences("given:\n  - { e: { \(record) }, \(times) }\nexpect: []")
        #expect(found.count == 1 && found.first?.hasPrefix("tests.yaml:\(mistake)") == true, "\(found)")
    }

    /// Times in other units than milliseconds are moved as what they are.
    @Test(arguments: [("s", "1700000000"), ("us", "1700000000000000"), ("ns", "1700000000000000000")])
    func units(unit: String, time: String) throws {
        let topology = Self.topology.replacing(
            "ts: timestamp }", with: "ts: { type: timestamp, unit: \(unit) } }")
        let text = """
            tests:
              - name: a
                given: [{ e: { k: a, ts: \(time) }, repeat: 3, every: 1h }]
                expect_records: { out: [{ k: a }, { k: a }, { ts: 2023-11-15T00:13:20Z }] }
            """
        let suite = try #require(TestSuiteReader.read(text, file: "t").suite)
        #expect(try TestRunner(file: "t", text: topology).run(suite).first?.differences == [])
    }

    /// Goal: no suite that can be read stops the program. Method: cases of extreme and odd pieces, in random places.
    @Test(arguments: 1...4)
    func fuzz(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let values = [
            "null", "~", "\"null\"", "\"\"", "0", "-1", "9223372036854775807", "-9223372036854775808",
            "99999999999999999999",
            "1e400", "5.00", "true", "abc", "\"{n}\"", "1700000000{n}", "2024-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z", "2024-02-29", "[1, 2]", "{ a: 1 }", "\"\\u0000\"", "\"\\u007f\"",
        ]
        func pick(_ list: [String]) -> String { list.randomElement(using: &random)! }
        var (ran, passed) = (0, 0)
        for _ in 0..<150 {
            var given: [String] = []
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                if random.next() % 4 == 0 {
                    given.append(
                        "{ clock: \(pick(["2024-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00+23:59"])) }"
                    )
                    continue
                }
                let members = ["k", "note", "v", "money", "ts", "none"].shuffled(using: &random).prefix(
                    Int.random(in: 1...6, using: &random))
                var entry = "e: { " + members.map { "\($0): \(pick(values))" }.joined(separator: ", ") + " }"
                if random.next() % 2 == 0 { entry += ", repeat: \(pick(["1", "2", "37"]))" }
                if entry.contains("repeat"), random.next() % 2 == 0 {
                    entry += ", every: \(pick(["0s", "1ms", "1h", "365000d"]))"
                }
                given.append("{ \(entry) }")
            }
            let text = """
                tests:
                  - name: a
                    given: [\(given.joined(separator: ", "))]
                    expect_records: { out: [{ note: \(pick(values)), v: \(pick(values)) }] }
                """
            guard let suite = TestSuiteReader.read(text, file: "t").suite else { continue }
            ran += 1
            let outcome = try #require(try TestRunner(file: "t", text: Self.topology).run(suite).first)
            if outcome.differences.isEmpty { passed += 1 }
        }
        #expect(ran > 50 && passed < ran)
    }
}
