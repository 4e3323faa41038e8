import Testing

/// Times as files have them, by the options of a source.
@Suite struct TimeDialectTests {
    private static func run(_ time: String, _ type: String, _ value: String, format: String = "csv")
        -> DialectRun
    {
        let input = format == "csv" ? "t\n\(value)\n" : "{\"t\":\(value)}\n"
        return .both(source: "format: \(format)\ntime: { field: t\(time) }\nschema: { t: \(type) }", input)
    }

    @Test(arguments: [
        (", format: \"%Y/%m/%d %H:%M\"", "timestamp", "2023/1/5 8:03", "2023-01-05T00:03:00Z"),
        (
            ", format: [iso, \"%d.%m.%Y %H:%M:%S\"]", "timestamp", "05.01.2023 08:03:00",
            "2023-01-05T00:03:00Z"
        ),
        (
            ", format: [iso, \"%d.%m.%Y %H:%M:%S\"]", "timestamp", "2023-01-05 08:03:00",
            "2023-01-05T00:03:00Z"
        ),
        (", format: \"%d.%m.%Y\", zone: Europe/Berlin", "timestamp", "05.07.2023", "2023-07-04T22:00:00Z"),
        (", format: rfc2822", "timestamp", "\"Thu, 05 Jan 2023 08:03:00 +0800\"", "2023-01-05T00:03:00Z"),
        ("", "{ type: timestamp, format: \"%Y%m%d\" }", "20230105", "2023-01-04T16:00:00Z"),
        (", unit: d, from: 1899-12-30", "timestamp", "44931.33541666667", "2023-01-05T00:03:00Z"),
        (", unit: h, from: 2015-01-01T00:00:00Z", "timestamp", "25", "2015-01-02T01:00:00Z"),
        (", unit: d, from: 2015-01-01", "timestamp", "0", "2014-12-31T16:00:00Z"),
        (", unit: s", "timestamp", "1672876980.5", "2023-01-05T00:03:00.500Z"),
        (
            ", unit: d", "{ type: timestamp, since: 2020-02-28T00:00:00Z, unit: d }", "2",
            "2020-03-01T00:00:00Z"
        ),
        (", format: \"%d.%m.%Y\", unit: s", "timestamp", "1672876980", "2023-01-05T00:03:00Z"),
    ])
    func reads(time: String, type: String, value: String, expected: String) {
        #expect(Self.run(time, type, value) == DialectRun(rows: ["{\"t\":\"\(expected)\"}"]))
        // A text of JSON; and what looks like a number there is one.
        let text = value.hasPrefix("\"") ? value : "\"\(value)\""
        #expect(Self.run(time, type, text, format: "json") == DialectRun(rows: ["{\"t\":\"\(expected)\"}"]))
        if !value.contains(where: { !$0.isNumber && $0 != "." }) {
            #expect(
                Self.run(time, type, value, format: "json") == DialectRun(rows: ["{\"t\":\"\(expected)\"}"]))
        }
    }

    /// Days are as long as the clocks make them, hours are not.
    @Test func stepsCountAcrossAChangeOfClocks() {
        let berlin = ", zone: Europe/Berlin, from: 2023-03-26"
        #expect(Self.run("\(berlin), unit: d", "timestamp", "1").rows == [#"{"t":"2023-03-26T22:00:00Z"}"#])
        #expect(Self.run("\(berlin), unit: h", "timestamp", "24").rows == [#"{"t":"2023-03-26T23:00:00Z"}"#])
    }

    @Test(arguments: [
        (
            "", "44931.33541666667",
            "looks like the days of a spreadsheet; say unit: d, since: 1899-12-30 (of time: from)"
        ),
        ("", "01/05/2023", "say format: \"%d/%m/%Y\" or format: \"%m/%d/%Y\""),
        ("", "20230105", "as milliseconds it lies before 1990 or after 2200; say format: \"%Y%m%d\""),
        (", format: \"%d.%m.%Y\"", "2023-01-05", "say format: [iso, …] to read it as well"),
        (", format: \"%d.%m.%Y\"", "2023/01/05", "say format: \"%Y/%m/%d\""),
    ])
    func whatHelpsIsSaid(time: String, value: String, hint: String) {
        let refusals = Self.run(time, "timestamp", value).refusals
        #expect(refusals.count == 1 && refusals[0].hasSuffix(" was expected; \(hint)"), "\(refusals)")
    }

    @Test(arguments: [
        (
            "field: t, format: \"%d.%m\"",
            "7:31: '%d.%m' is no format of times: it has no year; write %Y, or %y for two digits"
        ),
        (
            "field: t, format: [\"%d/%m/%Y\", \"%m/%d/%Y\"]",
            "7:44: '07/06/2005' would be read by '%d/%m/%Y' and by '%m/%d/%Y', as two different times; a source has one of them"
        ),
        (
            "field: t, format: european",
            "7:31: 'european' is no format of times; write %Y-%m-%d %H:%M:%S, iso or rfc2822"
        ),
        (
            "field: t, from: 2015-01-01",
            "7:23: from is what numbers count from; say of what: unit: d (or s, ms, us, ns, min, h)"
        ),
        (
            "field: t, unit: d, from: soon",
            "7:38: 'soon' is no time; write 2015-01-01, or 2015-01-01T00:00:00Z"
        ),
        ("field: t, of: record", "7:23: the event time is that of a field or `of` something else, not both"),
        (
            "of: arrival",
            "7:17: the time of arrival is what the broker notes where the topic has message.timestamp.type=LogAppendTime; write of: record"
        ),
        (
            "of: 2023-01-05",
            "7:17: of must be record, or a time with its offset like 2023-01-05T00:00:00+08:00, not '2023-01-05'"
        ),
    ])
    func mistakes(time: String, message: String) {
        let run = DialectRun(source: "format: csv\ntime: { \(time) }\nschema: { t: timestamp }", "t\n1\n")
        #expect(run.fault?.split(separator: "\n").first == "t.yaml:\(message)", "\(run)")
    }

    @Test func aConstantIsTheTimeOfFilesWithoutOne() {
        let source = "format: csv\ntime: { of: 2023-01-05T08:03:00+08:00 }\nschema: { k: text, v: int }"
        let window = "w: { from: s, key: k, window: { size: 1h }, aggregate: { n: count(), sum: sum(v) } }"
        let run = DialectRun.both(source: source, steps: window, "k,v\na,1\na,2\nb,3\n")
        #expect(run.refusals.isEmpty && run.rows.count == 2, "\(run)")
        #expect(
            run.rows[0].contains("\"n\":2,\"sum\":3") && run.rows[1].contains("\"n\":1,\"sum\":3"), "\(run)")
    }

    /// A file has no record times: every record says so.
    @Test func timesOfRecordsAreKafkas() {
        let run = DialectRun.both(source: "format: csv\ntime: { of: record }\nschema: { k: text }", "k\na\n")
        #expect(
            run
                == DialectRun(refusals: [
                    "field 'record_time' is the record's timestamp, which it does not have; records of a file have none"
                ]))
    }

    @Test func textsAndTimesInExpressions() {
        let steps = """
            w:
              from: s
              where: t >= timestamp("2023-01-05")
              fields: { d: 'timestamp(x, "%d.%m.%Y", "Europe/Berlin")', m: 'text(t, "Asia/Shanghai", "%Y-%m")', z: 'text(t, "America/New_York")' }
            """
        let run = DialectRun.both(
            source: "format: csv\ntime: { field: t }\nschema: { t: timestamp, x: text }", steps: steps,
            "t,x\n2023-01-04T15:59:59Z,05.01.2023\n2023-01-04T16:00:00Z,05.01.2023\n2023-06-30T16:00:00Z,nothing\n"
        )
        #expect(
            run
                == DialectRun(rows: [
                    #"{"t":"2023-01-04T16:00:00Z","x":"05.01.2023","d":"2023-01-04T23:00:00Z","m":"2023-01","z":"2023-01-04T11:00:00-05:00"}"#,
                    #"{"t":"2023-06-30T16:00:00Z","x":"nothing","d":null,"m":"2023-07","z":"2023-06-30T12:00:00-04:00"}"#,
                ]))
    }

    @Test(arguments: [
        (
            #"t > "2023-01-05""#,
            "timestamp and text do not compare; both sides must have one type, like timestamp(\"2023-01-05\")"
        ),
        (#"t > timestamp("soon")"#, "'soon' is no time like 2023-01-05 or 2023-01-05T08:03:00+08:00"),
        (
            #"t > timestamp(x, "%d.%m")"#,
            "'%d.%m' is no format of times: it has no year; write %Y, or %y for two digits"
        ),
        (#"text(t, "Shanghai") == """#, "no time zone 'Shanghai'; did you mean 'Asia/Shanghai'?"),
    ])
    func mistakesInExpressions(expression: String, message: String) {
        let run = DialectRun(
            source: "format: csv\ntime: { field: t }\nschema: { t: timestamp, x: text }",
            steps: "w:\n  from: s\n  where: '\(expression)'", "t,x\n")
        #expect(run.fault?.contains(message) == true, "\(run)")
    }
}
