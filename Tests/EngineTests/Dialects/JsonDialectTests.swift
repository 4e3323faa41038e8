import Base
import Testing

/// JSON in other shapes than one flat object a line.
@Suite struct JsonDialectTests {
    private static let time = "time: { of: 2023-01-05T00:00:00Z }\n"
    private static let end = #","event_time":"2023-01-05T00:00:00Z"}"#

    private static func run(_ format: String, _ schema: String, _ input: String) -> DialectRun {
        .both(source: "format: \(format)\n\(time)schema: { \(schema) }", input)
    }

    @Test func arraysMakeRows() {
        let run = Self.run(
            "{ type: json, explode: order.line_items }",
            "id: int, sku: { type: text?, from: order.line_items.sku }, n: { type: int?, from: order.line_items.n }, who: { type: text, from: order.who }",
            """
            {"id":1,"order":{"line_items":[{"sku":"a","n":1},{"sku":"b\\u0022]","n":2}],"who":"x"}}
            {"id":2,"order":{"line_items":[],"who":"x"}}
            {"id":3,"order":{"who":"x"}}
            {"id":4,"order":{"line_items":null,"who":"x"}}
            {"id":5,"order":{"line_items":{"sku":"c","n":9},"who":"x"}}
            {"id":6,"order":{"line_items":[{"sku":"d","n":"many"},{"sku":"e","n":3}],"who":"x"}}
            {"id":7,"order":{"line_items":[{"sku":"d"
            """)
        #expect(
            run.rows
                == [
                    #"{"id":1,"sku":"a","n":1,"who":"x""#, #"{"id":1,"sku":"b\"]","n":2,"who":"x""#,
                    #"{"id":3,"sku":null,"n":null,"who":"x""#, #"{"id":4,"sku":null,"n":null,"who":"x""#,
                    #"{"id":5,"sku":"c","n":9,"who":"x""#, #"{"id":6,"sku":"e","n":3,"who":"x""#,
                ].map { $0 + Self.end }, "\(run)")
        #expect(
            run.refusals.count == 2 && run.refusals[0].hasPrefix("field 'order.line_items.n' is \"many\""),
            "\(run)")
    }

    @Test func arraysOfNumbersAndArraysInArrays() {
        let numbers = Self.run(
            "{ type: json, explode: tags }", "id: int, tag: { type: text, from: tags }",
            #"{"id":1,"tags":["a","b"]}"#)
        #expect(numbers.rows == [#"{"id":1,"tag":"a""#, #"{"id":1,"tag":"b""#].map { $0 + Self.end })
        let nested = Self.run(
            "{ type: json, explode: [orders, orders.items] }",
            "id: { type: int, from: orders.id }, x: { type: int, from: orders.items }",
            #"{"orders":[{"id":1,"items":[1,2]},{"id":2,"items":[]},{"id":3,"items":[3]}]}"#)
        #expect(
            nested.rows == [#"{"id":1,"x":1"#, #"{"id":1,"x":2"#, #"{"id":3,"x":3"#].map { $0 + Self.end },
            "\(nested)")
    }

    /// Random records against rows written by hand, whatever the batch.
    @Test func explodesLikeAListOfRows() {
        let seed: UInt64 = 31
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var input = ""
        var expected: [String] = []
        for id in 0..<600 {
            let items = (0..<random.next() % (id == 300 ? 5000 : 7)).map { _ in Int(random.next() % 100) }
            let blank = random.next() % 2 == 0 ? " " : ""
            let list = items.map { "\(blank){\"v\":\(blank)\($0)\(blank)}" }.joined(separator: ",")
            let array = "\"items\":[\(list)\(blank)]"
            let other = "\"note\":\"[{\\\"\\\\\",\"id\":\(id)"
            input += "{\(random.next() % 2 == 0 ? "\(array),\(other)" : "\(other),\(array)")}\n"
            expected += items.map { "{\"id\":\(id),\"v\":\($0)\(Self.end)" }
        }
        let run = Self.run(
            "{ type: json, explode: items }", "id: int, v: { type: int, from: items.v }", input)
        #expect(run.rows == expected && run.refusals.isEmpty)
    }

    /// A small record that would make gigabytes is refused as a whole.
    @Test func aRecordThatMakesTooMuch() {
        let items = String(repeating: "1,", count: 40_000) + "1"
        let run = Self.run(
            "{ type: json, explode: items }", "id: int",
            "{\"id\":1,\"items\":[\(items)],\"pad\":\"\(String(repeating: "x", count: 100_000))\"}\n{\"id\":2,\"items\":[1]}\n"
        )
        #expect(run.rows == ["{\"id\":2\(Self.end)"])
        #expect(run.refusals.count == 1 && run.refusals[0].hasPrefix("the record has "), "\(run)")
    }

    @Test func textsThatAreJson() {
        let run = Self.run(
            "{ type: json, parse: data, explode: data.items }",
            "id: int, x: { type: text?, from: data.items.x }",
            #"""
            {"id":1,"data":"{\"items\":[{\"x\":\"\\u676d\\ud83d\\ude00\"},{\"x\":\"b\"}]}"}
            {"id":2,"data":""}
            {"id":3,"data":null}
            {"id":4,"data":{"items":{"x":"c"}}}
            {"id":5,"data":"{\"items\":"}
            """#)
        #expect(
            run.rows
                == [
                    #"{"id":1,"x":"杭😀""#, #"{"id":1,"x":"b""#, #"{"id":2,"x":null"#, #"{"id":3,"x":null"#,
                    #"{"id":4,"x":"c""#,
                ].map { $0 + Self.end }, "\(run)")
        #expect(run.refusals.count == 1)
    }

    @Test(arguments: [
        (#"{"items":[{"p":"1.50"},{"p":2}]}"#, #""a":"1.50","b":"2.00""#),
        (#"{"items":[{"p":1}]}"#, #""a":"1.00","b":null"#), (#"{"items":[]}"#, #""a":null,"b":null"#),
        (#"{"items":null}"#, #""a":null,"b":null"#), (#"{}"#, #""a":null,"b":null"#),
        (#"{"items":[null,{"p":3}]}"#, #""a":null,"b":"3.00""#),
        (#"{"items":[{"p":1}],"items":[]}"#, #""a":null,"b":null"#),
    ])
    func placesInArrays(record: String, expected: String) {
        let run = Self.run(
            "json",
            "a: { type: decimal(2)?, from: \"items[0].p\" }, b: { type: decimal(2)?, from: \"items[1].p\" }",
            record)
        #expect(run.rows == ["{\(expected)\(Self.end)"], "\(run)")
    }

    @Test(arguments: [#"{"items":{"p":1}}"#, #"{"items":5}"#, #"{"items":[5]}"#, #"{"items":["#])
    func placesThatAreNone(record: String) {
        let run = Self.run("json", "a: { type: decimal(2)?, from: \"items[0].p\" }", record)
        #expect(run.rows.isEmpty && run.refusals.count == 1, "\(run)")
    }

    @Test func placesInPlaces() {
        let run = Self.run(
            "json", "a: { type: int, from: \"m[1][0]\" }, b: { type: text, from: \"m[0]\" }",
            #"{"m":["x",[7,8]]}"#)
        #expect(run.rows == [#"{"a":7,"b":"x""# + Self.end], "\(run)")
    }

    @Test(arguments: [
        "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n", "[{\"id\":1},\n{\"id\":2}]", "{\"id\":1}{\"id\":2}",
        "\u{FEFF}[\n  {\n  \"id\": 1, \"x\": \"]}{\\\"\"\n  },\n  {\"id\": 2, \"x\": [{}, []]}\n]\n",
        "[{\"id\":1},{\"id\":2},]",
        "{\"id\":1},\r\n{\"id\":2},\r\n".replacing(",\r\n", with: "\r\n"),
    ])
    func documents(input: String) {
        let run = Self.run("{ type: json, layout: documents }", "id: int", input)
        #expect(run == DialectRun(rows: ["{\"id\":1\(Self.end)", "{\"id\":2\(Self.end)"]), "\(run)")
    }

    /// A large array, whose elements lie across every border of what is read at a time.
    @Test func aLongArray() {
        let input =
            "["
            + (0..<40_000).map {
                "\n {\"id\": \($0), \"pad\": \"\(String(repeating: "\\\"", count: $0 % 17))\"}"
            }.joined(separator: ",") + "\n]"
        let source = "format: { type: json, layout: documents }\n\(Self.time)schema: { id: int }"
        let run = DialectRun(
            source: source, steps: "w: { from: s, key: id, window: { size: 1h }, aggregate: { n: count() } }",
            input)
        #expect(run.rows.count == 40_000 && run.refusals.isEmpty, "\(run.refusals.first ?? "")")
    }

    @Test func documentsThatAreNone() {
        let run = Self.run(
            "{ type: json, layout: documents }", "id: int", "[1, {\"id\":1}, x, {\"id\":2}]\n{\"id\":3")
        #expect(run.rows == ["{\"id\":1\(Self.end)", "{\"id\":2\(Self.end)"], "\(run)")
        #expect(run.refusals.count == 3, "\(run)")
    }

    @Test(arguments: [
        ("json", "[{\"id\":1}]", "a file that is one is read with format: { type: json, layout: documents }"),
        ("json", "{\n\"id\":1\n}", "layout: documents reads files of several lines"),
    ])
    func whatHelpsIsSaid(format: String, input: String, hint: String) {
        let run = Self.run(format, "id: int", input)
        #expect(run.refusals.first?.hasSuffix(hint) == true, "\(run)")
    }

    @Test(arguments: [
        ("{ type: json, explode: a..b }", "'a..b' is no path; write explode: order.line_items"),
        (
            "{ type: json, explode: a, encoding: utf-16 }",
            "explode reads records in UTF-8 only; take encoding out, or explode"
        ),
        ("{ type: json, layout: pretty }", "layout must be lines or documents, not 'pretty'"),
        ("{ type: csv, explode: a }", "explode is for json, and the format is csv"),
    ])
    func mistakes(format: String, message: String) {
        let run = DialectRun(source: "format: \(format)\n\(Self.time)schema: { id: int }", "")
        #expect(run.fault?.contains(message) == true, "\(run)")
    }

    /// Bytes changed anywhere: nothing traps, and what no array was in stays one row or one dead letter.
    @Test func hostileRecords() {
        let seed: UInt64 = 77
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let good = Array(
            #"{"id":1,"data":"{\"a\":[1,2]}","order":{"items":[{"x":"\u00e9"},{"x":"b"}]},"n":[[1],[2]]}"#
                .utf8)
        let letters = Array("{}[]\",:\\u01x\n \u{0}".utf8)
        var input: [UInt8] = []
        for _ in 0..<4000 {
            var record = good
            for _ in 0..<1 + random.next() % 4 {
                let at = Int(random.next() % UInt64(record.count))
                switch random.next() % 3 {
                case 0: record[at] = letters[Int(random.next() % UInt64(letters.count))]
                case 1: record.remove(at: at)
                default: record.insert(letters[Int(random.next() % UInt64(letters.count))], at: at)
                }
            }
            input += record + [0x0A]
        }
        for format in [
            "{ type: json, parse: data, explode: [order.items, data.a] }",
            "{ type: json, layout: documents, explode: n }",
        ] {
            let source =
                "format: \(format)\n\(Self.time)schema: { id: int?, x: { type: text?, from: order.items.x }, a: { type: int?, from: \"n[0][0]\" } }"
            let run = DialectRun(source: source, input: input)
            #expect(run.fault == nil, "\(run.fault ?? "")")
            #expect(DialectRun(source: source, input: input, rowsMax: 7) == run)
        }
    }
}
