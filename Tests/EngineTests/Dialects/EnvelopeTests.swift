import Base
import Testing

/// Changes and events in envelopes, as the programs that write them document them.
@Suite struct EnvelopeTests {
    private static func run(_ format: String, _ schema: String, _ input: [String]) -> DialectRun {
        .both(
            source:
                "format: \(format)\ntime: { field: _ts, unit: ms }\nschema: { _ts: timestamp, \(schema) }",
            input.joined(separator: "\n") + "\n")
    }

    private static let row =
        "_op: text, id: int, amount: decimal(2)?, old: { type: decimal(2)?, from: _before.amount }, _deleted: bool"

    private static func json(
        _ time: String, _ op: String, _ id: Int, _ amount: String, _ old: String, _ deleted: Bool
    ) -> String {
        #"{"_ts":"\#(time)","_op":"\#(op)","id":\#(id),"amount":\#(amount),"old":\#(old),"_deleted":\#(deleted)}"#
    }

    /// The same changes with Debezium's schema and without it.
    @Test(arguments: [false, true])
    func debezium(hasSchema: Bool) {
        let changes = [
            #"{"before":null,"after":{"id":1,"amount":"10.00"},"source":{"table":"orders","ts_ms":1672876980000},"op":"c","ts_ms":1672876989999}"#,
            #"{"before":{"id":1,"amount":"10.00"},"after":{"id":1,"amount":"12.50"},"source":{"table":"orders","ts_ms":1672876981000},"op":"u","ts_ms":1}"#,
            #"{"before":{"id":1,"amount":"12.50"},"after":null,"source":{"table":"orders","ts_ms":1672876982000},"op":"d","ts_ms":1}"#,
            #"{"after":{"id":2,"amount":null},"source":{"table":"orders","ts_ms":0},"op":"r","ts_ms":1672876983000}"#,
            #"{"after":{"id":9,"amount":"1"},"source":{"table":"customers","ts_ms":1672876983000},"op":"c"}"#,
            #"{"source":{"table":"orders"},"op":"t","ts_ms":1672876983000}"#,
        ]
        let input =
            hasSchema
            ? changes.map {
                "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"op\"}]},\"payload\":\($0)}"
            } : changes
        let run = Self.run("{ type: debezium, tables: [orders] }", Self.row, input)
        #expect(
            run
                == DialectRun(rows: [
                    Self.json("2023-01-05T00:03:00Z", "c", 1, "\"10.00\"", "null", false),
                    Self.json("2023-01-05T00:03:01Z", "u", 1, "\"12.50\"", "\"10.00\"", false),
                    Self.json("2023-01-05T00:03:02Z", "d", 1, "\"12.50\"", "\"12.50\"", true),
                    Self.json("2023-01-05T00:03:03Z", "r", 2, "null", "null", false),
                ]))
    }

    /// As its connectors write decimals and times by default.
    @Test func typesOfConnect() {
        let schema =
            "id: int, amount: { type: decimal(2), encoding: base64 }, at: { type: timestamp, unit: us }, day: { type: timestamp, unit: d }"
        let run = Self.run(
            "debezium", schema,
            [
                #"{"after":{"id":1,"amount":"BN8=","at":1672876980123456,"day":19362},"op":"c","ts_ms":1672876980000}"#
            ])
        #expect(
            run
                == DialectRun(rows: [
                    #"{"_ts":"2023-01-05T00:03:00Z","id":1,"amount":"12.47","at":"2023-01-05T00:03:00.123Z","day":"2023-01-05T00:00:00Z"}"#
                ]))
    }

    @Test func canal() {
        let run = Self.run(
            "canal", Self.row,
            [
                #"{"data":[{"id":"1","amount":"10.00"},{"id":"2","amount":"20.00"}],"database":"d","es":1672876980000,"isDdl":false,"old":null,"table":"orders","ts":1,"type":"INSERT"}"#,
                #"{"data":[{"id":"1","amount":"12.50"}],"es":1672876981000,"isDdl":false,"old":[{"amount":"10.00"}],"table":"orders","type":"UPDATE"}"#,
                #"{"data":[{"id":"2","amount":"20.00"}],"es":1672876982000,"isDdl":false,"old":null,"table":"orders","type":"DELETE"}"#,
                #"{"data":null,"es":1672876982000,"isDdl":true,"sql":"alter table","table":"orders","type":"ALTER"}"#,
            ])
        #expect(
            run
                == DialectRun(rows: [
                    Self.json("2023-01-05T00:03:00Z", "c", 1, "\"10.00\"", "null", false),
                    Self.json("2023-01-05T00:03:00Z", "c", 2, "\"20.00\"", "null", false),
                    Self.json("2023-01-05T00:03:01Z", "u", 1, "\"12.50\"", "\"10.00\"", false),
                    Self.json("2023-01-05T00:03:02Z", "d", 2, "\"20.00\"", "null", true),
                ]))
    }

    @Test func maxwell() {
        let run = Self.run(
            "maxwell", Self.row,
            [
                #"{"database":"d","table":"orders","type":"bootstrap-start","ts":1672876980,"data":{}}"#,
                #"{"database":"d","table":"orders","type":"bootstrap-insert","ts":1672876980,"data":{"id":1,"amount":10}}"#,
                #"{"database":"d","table":"orders","type":"update","ts":1672876981,"xid":5,"commit":true,"data":{"id":1,"amount":12.5},"old":{"amount":10}}"#,
                #"{"database":"d","table":"orders","type":"delete","ts":1672876982,"data":{"id":1,"amount":12.5}}"#,
            ])
        #expect(
            run
                == DialectRun(rows: [
                    Self.json("2023-01-05T00:03:00Z", "r", 1, "\"10.00\"", "null", false),
                    Self.json("2023-01-05T00:03:01Z", "u", 1, "\"12.50\"", "\"10.00\"", false),
                    Self.json("2023-01-05T00:03:02Z", "d", 1, "\"12.50\"", "null", true),
                ]))
    }

    @Test func connectAndCloudEvents() {
        let time = "time: { field: t }\nschema: { t: timestamp, id: int"
        let connect = DialectRun.both(
            source: "format: connect\n\(time) }",
            "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"t\":\"2023-01-05T00:03:00Z\",\"id\":1}}\n{\"t\":\"2023-01-05T00:03:00Z\",\"id\":2}\n{\"schema\":null,\"payload\":5}\n"
        )
        #expect(
            connect.rows == (1...2).map { "{\"t\":\"2023-01-05T00:03:00Z\",\"id\":\($0)}" }
                && connect.refusals.count == 1, "\(connect)")
        let events = DialectRun.both(
            source:
                "format: cloudevents\ntime: { field: _time }\nschema: { _time: timestamp, _type: text, id: int, event: { type: text, from: _id } }",
            #"{"specversion":"1.0","id":"e1","source":"/a","type":"order.paid","time":"2023-01-05T00:03:00Z","datacontenttype":"application/json","data":{"id":7}}"#
                + "\n")
        #expect(
            events
                == DialectRun(rows: [
                    #"{"_time":"2023-01-05T00:03:00Z","_type":"order.paid","id":7,"event":"e1"}"#
                ]), "\(events)")
    }

    /// What is no change is refused, and its dead letter has it as it came.
    @Test(arguments: [
        #"{"id":1}"#, #"{"op":"c"}"#, #"{"op":"x","after":{"id":1}}"#, #"{"op":"c","after":"#,
        #"{"op":"c","after":5,"ts_ms":1}"#, #"not json"#,
    ])
    func refusals(record: String) {
        let run = Self.run("debezium", Self.row, [record])
        #expect(
            run.rows.isEmpty && run.refusals == ["not a well-formed Debezium change: \(record)"], "\(run)")
    }

    /// A table of changes is what the rows are now.
    @Test func aTableOfChanges() {
        var input = [
            "{\"t\":1672876979000,\"k\":1}", "{\"t\":1672876980500,\"k\":1}", "{\"t\":1672876981500,\"k\":1}",
            "{\"t\":1672876982500,\"k\":1}",
        ]
        let steps = "j: { from: s, join: { table: orders, on: k, kind: left } }\nw: { from: j }"
        let changes = [
            #"{"after":{"id":1,"amount":"10.00"},"source":{"ts_ms":1672876980000},"op":"c"}"#,
            #"{"before":{"id":1},"after":{"id":1,"amount":"12.50"},"source":{"ts_ms":1672876981000},"op":"u"}"#,
            #"{"before":{"id":1,"amount":"12.50"},"after":null,"source":{"ts_ms":1672876982000},"op":"d"}"#,
        ]
        input.append("")
        let run = DialectRun(
            source: "time: { field: t }\nschema: { t: timestamp, k: int }", steps: steps,
            input: Array(input.joined(separator: "\n").utf8),
            table: (
                "orders",
                "format: debezium\ntime: { field: _ts }\ntable: { key: id }\nschema: { _ts: timestamp, id: int, amount: decimal(2)? }",
                Array((changes.joined(separator: "\n") + "\n").utf8)
            ))
        #expect(
            run.rows.map {
                String(
                    $0.split(separator: "\"orders.amount\":").last?.prefix { $0 != "," && $0 != "}" } ?? "")
            } == ["null", "\"10.00\"", "\"12.50\"", "null"], "\(run)")
    }

    /// Bytes changed anywhere: no trap, and as many rows and letters whatever the batch.
    @Test func hostileChanges() {
        let seed: UInt64 = 55
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let good = [
            "debezium":
                #"{"schema":{},"payload":{"before":{"id":1},"after":{"id":1,"amount":"1"},"source":{"table":"o","ts_ms":1672876980000},"op":"u","ts_ms":1}}"#,
            "canal":
                #"{"data":[{"id":"1"},{"id":"2"}],"es":1672876980000,"old":[{"id":"3"}],"table":"o","type":"UPDATE"}"#,
            "maxwell": #"{"table":"o","type":"insert","ts":1672876980,"data":{"id":1}}"#,
            "cloudevents":
                #"{"specversion":"1.0","id":"e","time":"2023-01-05T00:03:00Z","data":{"id":7,"_ts":1672876980000}}"#,
        ]
        let letters = Array("{}[]\",:\\u0n \u{0}".utf8)
        for (format, text) in good.sorted(by: { $0.key < $1.key }) {
            var input: [UInt8] = []
            for _ in 0..<1500 {
                var record = Array(text.utf8)
                for _ in 0..<1 + random.next() % 3 {
                    let at = Int(random.next() % UInt64(record.count))
                    if random.next() % 2 == 0 {
                        record[at] = letters[Int(random.next() % UInt64(letters.count))]
                    } else {
                        record.remove(at: at)
                    }
                }
                input += record.filter { $0 != 0x0A } + [0x0A]
            }
            let source =
                "format: \(format)\ntime: { field: _ts, unit: ms }\nschema: { _ts: timestamp, id: int? }"
            let run = DialectRun(source: source, input: input)
            #expect(
                run.fault == nil && run.rows.count + run.refusals.count > 1000,
                "\(format) \(run.fault ?? "") \(run.rows.count) \(run.refusals.count)")
            #expect(DialectRun(source: source, input: input, rowsMax: 3) == run)
        }
    }
}
