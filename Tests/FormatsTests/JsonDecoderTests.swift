import Base
import Formats
import Records
import Testing

/// JSON records to columns: what is read, what is refused, and what is said about it.
@Suite struct JsonDecoderTests {
    /// Reads `{"x": …}` as one type.
    private func read(
        _ json: String, _ type: ValueType, optional: Bool = false, zone: TimeZoneTable? = nil,
        rounded: Bool = false
    )
        -> Row
    {
        let columns = [WireColumn("x", type, optional: optional, zone: zone, rounded: rounded)]
        return Harness(JsonDecoder(columns), columns).decode("{\"x\": \(json)}")
    }

    @Test(arguments: [
        ("\"\"", ValueType.text, ""), ("\"a b\"", .text, "a b"),
        (#""\"\\\/\b\f\n\r\t""#, .text, "\"\\/\u{8}\u{C}\n\r\t"),
        (#""é\u00e9\u4e2d""#, .text, "éé中"), (#""\ud83d\ude42""#, .text, "🙂"), ("\"🙂\"", .text, "🙂"),
        (#""\u0000""#, .text, "\u{0}"),
        ("0", .int, "0"), ("-0", .int, "0"), ("7", .int, "7"),
        ("9223372036854775807", .int, "9223372036854775807"),
        ("-9223372036854775808", .int, "-9223372036854775808"), ("1e3", .int, "1000"), ("1.5E+1", .int, "15"),
        ("2.0", .int, "2"),
        ("1200e-2", .int, "12"), ("\"42\"", .int, "42"),
        ("12.5", .decimal(scale: 2), "12.50"), ("-0.01", .decimal(scale: 2), "-0.01"),
        ("12", .decimal(scale: 2), "12.00"),
        ("\"12.50\"", .decimal(scale: 2), "12.50"), ("1.10000000000000000000000", .decimal(scale: 2), "1.10"),
        ("92233720368547758.07", .decimal(scale: 2), "92233720368547758.07"),
        ("0e400", .decimal(scale: 2), "0.00"),
        ("123456789.123456789", .decimal(scale: 9), "123456789.123456789"),
        ("true", .bool, "true"), ("false", .bool, "false"), ("\"true\"", .bool, "true"),
        ("\"2011-01-05T10:15:00Z\"", .timestamp, "2011-01-05T10:15:00Z"),
        ("1294222500000", .timestamp, "2011-01-05T10:15:00Z"),
        ("\"2011-01-05T10:15:00.25+08:00\"", .timestamp, "2011-01-05T02:15:00.250Z"),
        ("\"1294222500000\"", .timestamp, "2011-01-05T10:15:00Z"),
        ("631152000000", .timestamp, "1990-01-01T00:00:00Z"),
        ("7258118399999", .timestamp, "2199-12-31T23:59:59.999Z"),
        ("1.2942225E12", .timestamp, "2011-01-05T10:15:00Z"),
        ("1294222500000.75", .timestamp, "2011-01-05T10:15:00Z"),
        ("90000", .duration, "1m30s"), ("-1", .duration, "-1ms"),
    ])
    func reads(json: String, type: ValueType, expected: String) {
        #expect(read(json, type) == Row(status: .good, values: [expected]))
        // Nothing depends on white space.
        #expect(read(" \n\t\(json)\r ", type) == Row(status: .good, values: [expected]))
    }

    @Test(arguments: [
        ("1", ValueType.text, RowStatus.wrongType), ("true", .text, .wrongType), ("[]", .text, .wrongType),
        ("{}", .text, .wrongType),
        ("\"x\"", .int, .wrongType), ("\"\"", .int, .wrongType), ("true", .int, .wrongType),
        ("[1]", .int, .wrongType),
        ("1.5", .int, .outOfRange), ("9223372036854775808", .int, .outOfRange), ("1e19", .int, .outOfRange),
        ("1e999999", .int, .outOfRange),
        ("1.005", .decimal(scale: 2), .outOfRange), ("92233720368547758.08", .decimal(scale: 2), .outOfRange),
        ("1", .bool, .wrongType), ("\"yes\"", .bool, .wrongType),
        ("\"2011-01-05 10:15\"", .timestamp, .wrongType),
        ("\"2011-02-30T00:00:00Z\"", .timestamp, .wrongType), ("\"now\"", .timestamp, .wrongType),
        ("true", .timestamp, .wrongType),
        ("1.5", .timestamp, .outOfRange), ("-1", .timestamp, .outOfRange), ("0", .timestamp, .outOfRange),
        ("1294222500", .timestamp, .outOfRange), ("1294222500000000", .timestamp, .outOfRange),
        ("\"1294222500\"", .timestamp, .outOfRange),
        ("631151999999", .timestamp, .outOfRange), ("7258118400000", .timestamp, .outOfRange),
        ("-1294222500000", .timestamp, .outOfRange),
        ("\"20110105\"", .timestamp, .outOfRange), ("\"20110105101500\"", .timestamp, .outOfRange),
        ("\"40548.4\"", .timestamp, .outOfRange),
        ("01294222500000", .timestamp, .wrongType), ("9223372036854775807", .timestamp, .outOfRange),
        ("-9223372036854775808", .timestamp, .outOfRange),
        ("\"5m\"", .duration, .wrongType), ("0.5", .duration, .outOfRange),
    ])
    func refuses(json: String, type: ValueType, status: RowStatus) {
        #expect(read(json, type) == Row(status: status, field: 0))
        #expect(read(json, type, optional: true) == Row(status: status, field: 0))
    }

    /// Broken JSON is malformed, whatever type was wanted.
    @Test(arguments: [
        "tru", "nul", "True", "+1", ".5", "01", "-", "1.", "1e", "0x1", "NaN", "'a'", "\"a", "\"\\x\"",
        "\"\\u12\"", "\"\\ud83d\"",
        "\"a\nb\"", "\"\u{1}\"", "[1", "{", "}", "", "1 2", "1,", ",", "undefined", "1]", "--1", "1e5.5",
        "truex", "nullx", "1x", "00",
    ])
    func refusesBrokenJson(json: String) {
        for type in [ValueType.text, .int, .decimal(scale: 2), .bool, .timestamp, .duration] {
            let status = read(json, type).status
            #expect(status == .malformed || status == .wrongType, "\(json) as \(type): \(status)")
        }
    }

    @Test(arguments: [
        "", " ", "null", "1", "\"x\"", "[]", "[{\"x\":1}]", "{", "{\"x\":1", "{\"x\":1}}", "{\"x\":1} x",
        "{\"x\":1}{\"x\":2}", "{\"x\" 1}",
        "{\"x\":1,}", "{,\"x\":1}", "{x:1}", "{\"x\":1 \"y\":2}", "\u{FEFF}", "{\"x\":1}\u{0}",
    ])
    func refusesBrokenRecords(text: String) {
        let columns = [WireColumn("x", .int)]
        let harness = Harness(JsonDecoder(columns), columns)
        #expect(harness.decode(text).status == .malformed, "\(text)")
        #expect(harness.explain().hasPrefix("not a well-formed JSON object: "), "\(harness.explain())")
    }

    @Test func invalidUtf8IsMalformed() {
        let columns = [WireColumn("x", .text), WireColumn("y", .text, optional: true)]
        let harness = Harness(JsonDecoder(columns), columns)
        for bytes in [
            [0xFF], [0xC3], [0xE4, 0xB8], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80],
        ] as [[UInt8]] {
            let value = Array("{\"x\": \"a".utf8) + bytes + Array("b\"}".utf8)
            #expect(harness.decode([value]) == [Row(status: .malformed)], "\(bytes)")
            let other = Array("{\"x\": \"a\", \"z\": \"".utf8) + bytes + Array("b\"}".utf8)
            #expect(harness.decode([other]) == [Row(status: .malformed)], "\(bytes)")
        }
    }

    @Test func missingAndNull() {
        for (json, expected) in [
            ("{}", RowStatus.missingField), ("{\"x\":null}", .missingField), ("{\"X\":1}", .missingField),
        ] {
            let needed = [WireColumn("x", .int)]
            #expect(Harness(JsonDecoder(needed), needed).decode(json) == Row(status: expected, field: 0))
            let optional = [WireColumn("x", .int, optional: true)]
            #expect(
                Harness(JsonDecoder(optional), optional).decode(json) == Row(status: .good, values: [nil]))
        }
    }

    /// Members in any order, nested, with names that need escapes, among others that nobody asked for.
    @Test func nestedMembersInAnyOrder() {
        let columns = [
            WireColumn("id", .text), WireColumn("customer.id", .int),
            WireColumn("customer.address.city", .text, optional: true),
            WireColumn("idea", .bool, optional: true),
        ]
        let harness = Harness(JsonDecoder(columns), columns)
        let good = Row(status: .good, values: ["a", "7", "中", "true"])
        for text in [
            #"{"id":"a","customer":{"id":7,"address":{"city":"中"}},"idea":true}"#,
            #"{"idea":true,"customer":{"address":{"city":"中","zip":[1,{"id":9}]},"id":7,"name":"x"},"other":{"id":"b"},"id":"a"}"#,
            #"{"i\u0064":"a","customer":{"\u0069d":7,"address":{"city":"\u4e2d"}},"idea":true}"#,
            #"{"x":"}{\"id\":\"z\"","id":"a","customer":{"id":7,"address":{"city":"中"}},"idea":true,"y":[[],{}]}"#,
        ] {
            #expect(harness.decode(text) == good, "\(text)")
        }
        #expect(
            harness.decode(#"{"id":"a","customer":{"id":7}}"#)
                == Row(status: .good, values: ["a", "7", nil, nil]))
        #expect(
            harness.decode(#"{"id":"a","customer":{"id":7,"address":null}}"#).values == ["a", "7", nil, nil])
        #expect(harness.decode(#"{"id":"a","customer":7}"#) == Row(status: .wrongType, field: 1))
        #expect(harness.decode(#"{"id":"a","customer.id":7}"#) == Row(status: .missingField, field: 1))
    }

    @Test func roundingWhereDeclared() {
        let type = ValueType.decimal(scale: 2)
        for (json, expected) in [
            ("1.005", "1.00"), ("1.015", "1.02"), ("1.0150000001", "1.02"), ("-1.025", "-1.02"),
            ("2.5e-1", "0.25"),
            ("0.333333333333333333333333333", "0.33"), ("1e-30", "0.00"),
            ("123456789012345.678901234567", "123456789012345.68"),
        ] {
            #expect(read(json, type, rounded: true) == Row(status: .good, values: [expected]), "\(json)")
        }
        #expect(read("1e17", type, rounded: true) == Row(status: .outOfRange, field: 0))
    }

    @Test func localTimes() throws {
        let zone = try TimeZoneTable.read("Asia/Shanghai")
        for (json, expected) in [
            ("\"2011-01-05 10:15:00\"", "2011-01-05T02:15:00Z"), ("\"2011-01-05\"", "2011-01-04T16:00:00Z"),
            ("\"2011-01-05T10:15:00Z\"", "2011-01-05T10:15:00Z"),
        ] {
            #expect(read(json, .timestamp, zone: zone) == Row(status: .good, values: [expected]), "\(json)")
        }
    }

    @Test func sizes() {
        let columns = [WireColumn("x", .text)]
        let harness = Harness(JsonDecoder(columns), columns)
        let fits = String(repeating: "a", count: Limits.textBytesMax)
        #expect(harness.decode("{\"x\":\"\(fits)\"}") == Row(status: .good, values: [fits]))
        #expect(harness.decode("{\"x\":\"\(fits)a\"}") == Row(status: .textTooLong, field: 0))
        let large = "{\"x\":\"a\",\"y\":\"" + String(repeating: "b", count: Limits.recordBytesMax) + "\"}"
        #expect(harness.decode(large) == Row(status: .oversized))
        #expect(harness.explain() == "the record has \(large.utf8.count) bytes, at most 1048576 are read")
        #expect(harness.decode([nil]) == [Row(status: .nullValue)])
        #expect(harness.explain() == "the record has no value")
        let deep =
            "{\"x\":\"a\",\"y\":" + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
            + "}"
        #expect([RowStatus.malformed, .good].contains(harness.decode(deep).status))
    }

    /// A bad record leaves its neighbours alone.
    @Test func batches() {
        let columns = [WireColumn("x", .int)]
        let harness = Harness(JsonDecoder(columns), columns)
        let rows = harness.decode(
            ["{\"x\":1}", nil, "{", "{\"x\":\"a\"}", "{}", "{\"x\":2}"].map { $0.map { Array($0.utf8) } })
        #expect(rows.map(\.status) == [.good, .nullValue, .malformed, .wrongType, .missingField, .good])
        #expect(rows[5].values == ["2"])
        #expect(harness.explain(3) == "field 'x' is \"a\"; a whole number was expected")
        #expect(harness.explain(4) == "field 'x' is missing; a whole number was expected")
        #expect(
            harness.explain(2)
                == "not a well-formed JSON object: {; a record is one object on one line; layout: documents reads files of several lines"
        )
    }

    @Test(arguments: [
        (
            "1.005", ValueType.decimal(scale: 2),
            "field 'x' is 1.005; a number with at most 2 places was expected; round: true rounds it"
        ),
        ("[1]", .text, "field 'x' is an array; a text of at most 65536 bytes was expected"),
        ("{}", .bool, "field 'x' is an object; true or false was expected"),
        ("true", .int, "field 'x' is true; a whole number was expected"),
        ("\"a\\nb\"", .duration, "field 'x' is \"a\\u{a}b\"; a whole number of milliseconds was expected"),
        (
            "\"now\"", .timestamp,
            "field 'x' is \"now\"; a timestamp with a zone, like 2011-01-05T10:15:00Z, or epoch milliseconds was expected"
        ),
    ])
    func explains(json: String, type: ValueType, expected: String) {
        let columns = [WireColumn("x", type)]
        let harness = Harness(JsonDecoder(columns), columns)
        _ = harness.decode("{\"x\":\(json)}")
        #expect(harness.explain() == expected)
    }
}
