import Testing

/// Numbers, texts and booleans as files have them, and what stands around the records of a file.
@Suite struct ValueDialectTests {
    private static let time = "time: { of: 2023-01-05T00:00:00Z }\n"

    private static func run(_ type: String, _ value: String, format: String = "csv") -> DialectRun {
        .both(source: "format: csv\n\(time)schema: { x: \(type) }", "x\n\(value)\n")
    }

    @Test(arguments: [
        ("decimal(2)", "+60.00", "\"60.00\""), ("decimal(2)", ".5", "\"0.50\""),
        ("decimal(2)", "60.", "\"60.00\""), ("int", "+7", "7"),
        ("{ type: decimal(2), thousands: \",\" }", "\"1,060.00\"", "\"1060.00\""),
        ("{ type: decimal(2), decimal: \",\", thousands: \".\" }", "\"1.060,00\"", "\"1060.00\""),
        ("{ type: decimal(2), strip: \"¥\" }", "¥60.00", "\"60.00\""),
        ("{ type: decimal(4), percent: true }", "60%", "\"0.6000\""),
        ("{ type: decimal(2), negative: parentheses }", "(60)", "\"-60.00\""),
        ("{ type: decimal(2), negative: [behind, DR] }", "60.00 DR", "\"-60.00\""),
        ("{ type: text, strip: \"'\" }", "'A", "\"A\""),
        ("{ type: bool, true: [\"1\", Y], false: [\"0\", N] }", "Y", "true"),
        ("{ type: bool, true: [\"1\", Y], false: [\"0\", N] }", "0", "false"), ("bool", "TRUE", "true"),
        ("bool", "False", "false"),
        ("{ type: decimal(2), thousands: \",\", round: true }", "\"1,060.005\"", "\"1060.00\""),
    ])
    func reads(type: String, value: String, expected: String) {
        let run = Self.run(type, value)
        #expect(run.rows.count == 1 && run.rows[0].contains("\"x\":\(expected)"), "\(run)")
    }

    @Test(arguments: [
        ("decimal(2)", "\"1,060.00\"", "say thousands: \",\""), ("decimal(2)", "¥60.00", "say strip: \"¥\""),
        ("decimal(2)", "60%", "say percent: true"), ("decimal(2)", "-", "null: [\"-\"] takes it as none"),
        ("decimal(2)", "NaN", "null: [\"NaN\"] takes it as none"),
        ("decimal(2)", "\"60,5\"", "say decimal: \",\""),
        ("decimal(2)", "\"1,060\"", "say thousands: \",\" or decimal: \",\""),
        ("bool", "1", "say which texts are meant: true: [\"1\", Y], false: [\"0\", N]"),
        (
            "decimal(2)", "60.00\t",
            "it has blanks around it; format: { type: csv, trim: true } takes them off"
        ),
    ])
    func whatHelpsIsSaid(type: String, value: String, hint: String) {
        let run = Self.run(type, value)
        #expect(run.refusals.count == 1 && run.refusals[0].hasSuffix(" was expected; \(hint)"), "\(run)")
    }

    /// What a format says holds for all its fields, and a field's own word goes before it.
    @Test func ofAFormat() {
        let source =
            "format: { type: csv, delimiter: \";\", decimal: \",\", thousands: \".\", true: [ja], false: [nein] }\n\(Self.time)"
            + "schema: { a: decimal(2), b: { type: decimal(2), decimal: \".\" }, c: bool, d: text }"
        let run = DialectRun.both(source: source, "a;b;c;d\n1.234,5;1.5;ja;1,5\n1.5;1;ja;x\n")
        #expect(
            run.rows.count == 1 && run.rows[0].hasPrefix(#"{"a":"1234.50","b":"1.50","c":true,"d":"1,5""#),
            "\(run)")
        #expect(run.refusals.count == 1 && run.refusals[0].contains("field 'a' is \"1.5\""), "\(run)")
    }

    @Test func ofJson() {
        let source =
            "\(Self.time)schema: { a: { type: decimal(2), thousands: \",\" }, b: { type: bool, true: [\"1\"], false: [\"0\"] }, c: { type: text, numbers: true } }"
        let run = DialectRun.both(
            source: source,
            "{\"a\":\"1,060\",\"b\":1,\"c\":true}\n{\"a\":1060.5,\"b\":\"0\",\"c\":18446744073709551615}\n{\"a\":\"1,06\",\"b\":true,\"c\":\"x\"}\n"
        )
        #expect(
            run.rows.map { String($0.prefix { $0 != "}" }.split(separator: ",\"event_time").first ?? "") }
                == [
                    #"{"a":"1060.00","b":true,"c":"true""#,
                    #"{"a":"1060.50","b":false,"c":"18446744073709551615""#,
                ], "\(run)")
        #expect(run.refusals.count == 1)
    }

    @Test(arguments: [
        (
            "format: csv", "{ type: decimal(2), thousands: \".\" }",
            "'.' cannot stand between thousands and before decimals; say decimal: \",\" as well"
        ),
        ("format: csv", "{ type: text, thousands: \",\" }", "thousands is for numbers, and 'x' is text"),
        ("format: csv", "{ type: decimal(2), true: Y }", "true is for booleans, and 'x' is decimal(2)"),
        ("format: csv", "{ type: bool, strip: \"x\" }", "strip is for texts and numbers, and 'x' is bool"),
        ("format: csv", "{ type: decimal(2), decimal: \";\" }", "decimal must be , or ., not ';'"),
        (
            "format: csv", "{ type: decimal(2), thousands: \"00\" }",
            "thousands must be one character that is no digit and no sign, not '00'; write thousands: \",\""
        ),
        ("format: csv", "{ type: bool, true: [a], false: [a] }", "'a' cannot be true and false"),
        ("format: { type: csv, names: exactly }", "int", "names must be loose or exact, not 'exactly'"),
        ("format: { type: csv, short: zero }", "int", "short must be fill or refuse, not 'zero'"),
    ])
    func mistakes(format: String, type: String, message: String) {
        let run = DialectRun(source: "\(format)\n\(Self.time)schema: { x: \(type) }", "x\n")
        #expect(run.fault?.contains(": \(message)") == true, "\(run)")
    }

    // MARK: Files

    private static let rows = [
        #"{"shop":"A","amount":"60.00","event_time":"2023-01-05T00:00:00Z"}"#,
        #"{"shop":"A","amount":"70.00","event_time":"2023-01-05T00:00:00Z"}"#,
    ]

    @Test(arguments: [
        ("header: \"shop,\"", "支付宝\n账户：xx\n\nshop,amount\nA,60.00\nA,70.00\n"),
        ("names: loose", "Shop ,  AMOUNT\nA,60.00\nA,70.00\n"),
        ("footer: 合计", "shop,amount\nA,60.00\nA,70.00\n合计,130.00\nA,1,\"\n"),
        ("footer: [Total, Sum]", "shop,amount\nA,60.00\nA,70.00\n\"Total\",130.00\n"),
        ("long: cut", "shop,amount\nA,60.00,extra\nA,70.00,,,\n"),
        ("header: \"amount\", footer: \"---\"", "x\nshop,amount\nA,60.00\nA,70.00\n---\n"),
    ])
    func files(option: String, input: String) {
        let run = DialectRun.both(
            source:
                "format: { type: csv, \(option) }\n\(Self.time)schema: { shop: text, amount: decimal(2) }",
            input)
        #expect(run == DialectRun(rows: Self.rows), "\(run)")
    }

    @Test func shortRows() {
        let input = "shop,amount\nA,60.00\nB\n"
        let optional = "\(Self.time)schema: { shop: text, amount: decimal(2)? }"
        let run = DialectRun.both(source: "format: { type: csv, short: fill }\n\(optional)", input)
        #expect(run.rows.count == 2 && run.rows[1].hasPrefix(#"{"shop":"B","amount":null"#), "\(run)")
        // What is not optional is missing, whatever the width.
        let needed = DialectRun.both(
            source:
                "format: { type: csv, short: fill }\n\(Self.time)schema: { shop: text, amount: decimal(2) }",
            input)
        #expect(
            needed.rows.count == 1 && needed.refusals.count == 1
                && needed.refusals[0].hasPrefix("field 'amount' is missing"), "\(needed)")
        let strict = DialectRun.both(
            source: "format: csv\n\(optional)", "shop,amount,x\nA,60.00,\nB,1\nC,2,3,4\n")
        #expect(
            strict.refusals.map { String($0.split(separator: ";").last ?? "") } == [
                " short: fill takes what is missing as null", " long: cut passes over what is too much",
            ], "\(strict)")
    }

    /// A footer in the middle of a large file ends it; what is behind is read for damage only.
    @Test func aFooterEndsALongFile() {
        let input =
            "shop,amount\n" + String(repeating: "A,60.00\n", count: 60_000) + "Total,1\n"
            + String(repeating: "\"broken\n", count: 60_000)
        let source =
            "format: { type: csv, footer: Total }\n\(Self.time)schema: { shop: text, amount: decimal(2) }"
        let run = DialectRun(
            source: source,
            steps: "w: { from: s, key: shop, window: { size: 1h }, aggregate: { n: count() } }", input)
        #expect(run.rows.count == 1 && run.rows[0].contains("\"n\":60000") && run.refusals.isEmpty, "\(run)")
    }

    @Test func aHeaderThatIsNotThere() {
        let run = DialectRun(
            source: "format: { type: csv, header: amount }\n\(Self.time)schema: { shop: text }",
            "shop,x\nA,1\n")
        #expect(
            run.fault
                == "FILE: no line has \"amount\", which says where the header is; at most 1000 lines are looked at",
            "\(run)")
    }
}
