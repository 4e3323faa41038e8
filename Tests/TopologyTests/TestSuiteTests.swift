import Testing
import Topology

/// `tests.yaml`: what is read, what JSON the records become, and where mistakes are reported.
@Suite struct TestSuiteTests {
    private func mistakes(_ old: String, _ new: String) -> [String] {
        let result = TestSuiteReader.read(suiteBase.replacing(old, with: new), file: "t")
        #expect((result.suite == nil) == !result.diagnostics.isEmpty)
        return result.diagnostics.map(\.description)
    }

    @Test("Every part of a test arrives")
    func parts() throws {
        let result = TestSuiteReader.read(suiteBase, file: "t")
        #expect(result.diagnostics == [])
        let suite = try #require(result.suite)
        #expect(suite.cases.map(\.name) == ["a spike is found", "nothing"])
        let test = suite.cases[0]
        #expect(test.position == Position(line: 2, column: 5))
        #expect(test.parameters == ["spike": "5"])
        #expect((test.dead, test.late) == (0, 2))
        #expect(suite.cases[1].dead == nil)
        guard case .record("orders", let members, 10, 60_000, Position(line: 5, column: 9)) = test.given[0],
            case .clock(1_767_312_000_000, Position(line: 8, column: 9)) = test.given[1]
        else {
            Issue.record("\(test.given)")
            return
        }
        #expect(members.map(\.path) == ["order_id", "merchant_id", "kind", "amount", "event_time"])
        #expect(
            members.map { $0.value.json(replacing: 7) } == [
                "\"o7\"", "\"M1\"", "\"paid\"", "10.00", "\"2026-01-01T00:00:00Z\"",
            ]
        )
        #expect(
            test.expected?[0].members.json(replacing: 0)
                == #"{"rule":"volume-spike","state":"raised","key":{"merchant_id":"M1"},"values":{"today.amount":"100.00"}}"#
        )
    }

    @Test(
        "Scalars as JSON: bare only what JSON allows and nobody quoted",
        arguments: [
            ("-12.50", "-12.50"), ("1e3", "1e3"), ("0", "0"), ("true", "true"), ("null", "null"),
            ("~", "null"),
            ("007", "\"007\""), ("1.", "\"1.\""), (".5", "\".5\""), ("+1", "\"+1\""), ("'5'", "\"5\""),
            ("\"true\"", "\"true\""),
            ("yes", "\"yes\""), ("0x1F", "\"0x1F\""), ("1e", "\"1e\""), ("'null'", "\"null\""),
            ("'a\"b\\c'", "\"a\\\"b\\\\c\""), ("\"a\\nb\\u0001\"", "\"a\\nb\\u0001\""),
            ("{n}", "{\"n\":null}"),
            ("'{n}'", "\"3\""), ("5{n}", "53"), ("[1, a, { b: 2 }]", "[1,\"a\",{\"b\":2}]"),
        ]
    )
    func json(_ yaml: String, _ json: String) throws {
        #expect(
            try #require(YamlReader.read("x: " + yaml, file: "t").root?.mapping?[0].value).json(replacing: 3)
                == json
        )
    }

    @Test("Mistakes are found at their place")
    func everyMistake() {
        #expect(mistakes("tests:", "test:") == ["t:1:1: the file has no 'test'; did you mean 'tests'?"])
        #expect(mistakes("dead: 0", "daed: 0") == ["t:11:5: a test has no 'daed'; did you mean 'dead'?"])
        #expect(
            mistakes("dead: 0", "dead: -1") == [
                "t:11:11: dead must be a whole number at least 0, not '-1'; write dead: 0"
            ]
        )
        #expect(
            mistakes("repeat: 10", "repeat: 0") == [
                "t:6:17: repeat must be a whole number from 1 to 10000000, not '0'; write repeat: 10"
            ]
        )
        #expect(
            mistakes("every: 1m", "every: 1") == [
                "t:7:16: '1' has no unit; durations are written like 10s, 5m, 2h, 30d"
            ]
        )
        #expect(
            mistakes("        repeat: 10\n", "") == [
                "t:6:9: every needs 'repeat' beside it; write repeat: 10"
            ]
        )
        #expect(
            mistakes("2026-01-02T00:00:00Z", "2026-01-02T00:00:00")
                == [
                    "t:8:16: clock needs a time with its offset, like 2026-01-02T00:00:00Z, not "
                        + "'2026-01-02T00:00:00'"
                ]
        )
        #expect(mistakes("{ rule:", "{ rules:") == ["t:10:11: an alert has no 'rules'; did you mean 'rule'?"])
        #expect(
            mistakes("key: { merchant_id: M1 }", "key: M1") == [
                "t:10:51: key needs a mapping, like key: { merchant_id: M1 }"
            ]
        )
        #expect(
            mistakes("name: nothing", "name: a spike is found") == [
                "t:13:5: two tests are named 'a spike is found'"
            ]
        )
        #expect(
            mistakes("name: nothing\n    given: []", "name: nothing") == [
                "t:13:5: a test needs 'given'; write given: [...]"
            ]
        )
        #expect(
            mistakes("      - clock: 2026-01-02T00:00:00Z", "        clock: 2026-01-02T00:00:00Z")
                == [
                    "t:8:9: one source or clock for each '-' of given, not orders and clock; "
                        + "write - orders: { order_id: o1, event_time: 2026-01-01T00:00:00Z }"
                ]
        )
        #expect(
            mistakes("given: []", "given: [5, { orders: 6 }]") == [
                "t:14:13: given needs records or clock: TIME, not a value; "
                    + "write - orders: { order_id: o1, event_time: 2026-01-01T00:00:00Z }",
                "t:14:26: a record of orders needs a mapping, not a value; "
                    + "write - orders: { order_id: o1, event_time: 2026-01-01T00:00:00Z }",
            ]
        )
    }
    @Test("Records of sinks: expected beside the alerts, or without them")
    func expectedRecords() throws {
        let records =
            "expect_records: { response: [{ level: watch, score: 3 }, { level: none }], actions: [] }"
        for (old, new, alerts) in [
            ("expect: []", records, Int?.none), ("expect: []", "expect: []\n    \(records)", 0),
        ] {
            let result = TestSuiteReader.read(suiteBase.replacing(old, with: new), file: "t")
            #expect(result.diagnostics == [])
            let test = try #require(result.suite?.cases[1])
            #expect(test.expected?.count == alerts)
            #expect(test.records.map(\.sink) == ["response", "actions"])
            #expect(
                test.records.map { $0.records.map { $0.members.json(replacing: 0) } }
                    == [[#"{"level":"watch","score":3}"#, #"{"level":"none"}"#], []])
        }
    }

    @Test("Mistakes in expected records are found at their place")
    func recordMistakes() {
        #expect(
            mistakes("    expect: []", "") == [
                "t:13:5: a test needs 'expect'; write expect: [{ rule: volume-spike, state: raised }]"
            ]
        )
        #expect(
            mistakes("expect: []", "expect_records: []") == [
                "t:15:21: expect_records needs a mapping, not a list; "
                    + "write expect_records: { response: [{ level: watch }] }"
            ]
        )
        #expect(
            mistakes("expect: []", "expect_records: { response: { level: watch } }") == [
                "t:15:33: response needs a list, not a mapping; write expect_records: { response: [{ level: watch }] }"
            ]
        )
        #expect(
            mistakes("expect: []", "expect_records: { response: [watch, {}] }") == [
                "t:15:34: response needs members of records, not a value; "
                    + "write expect_records: { response: [{ level: watch }] }",
                "t:15:41: response needs members of records, not a mapping; "
                    + "write expect_records: { response: [{ level: watch }] }",
            ]
        )
        #expect(
            mistakes("expect: []", "expect_record: {}") == [
                "t:15:5: a test has no 'expect_record'; did you mean 'expect_records'?"
            ]
        )
    }
}
