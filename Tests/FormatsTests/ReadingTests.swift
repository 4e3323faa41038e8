import Base
import Formats
import Records
import Testing

/// What a field's text means beyond its type: units of time, nulls, base64, numbers as texts; in JSON and CSV
/// alike.
@Suite struct ReadingTests {
    /// One field as JSON and, without the quotes of a text, as CSV.
    private func check(_ json: String, _ column: WireColumn, _ expected: Row) {
        #expect(Harness(JsonDecoder([column]), [column]).decode("{\"x\":\(json)}") == expected, "\(json)")
        let csv = json.hasPrefix("\"") ? String(json.dropFirst().dropLast()) : json
        #expect(
            Harness(CsvDecoder([column], capacity: 16), [column]).decode(csv) == expected, "\(json) in CSV")
        #expect(
            Harness(CsvDecoder([column], capacity: 16), [column]).decode("\"\(csv)\"") == expected,
            "\(json) in CSV, quoted")
    }

    @Test(arguments: [
        (EpochTime.Unit.s, "1294222500", "2011-01-05T10:15:00Z"),
        (.s, "1294222500.25", "2011-01-05T10:15:00.250Z"),
        (.s, "1294222500.9999", "2011-01-05T10:15:00.999Z"), (.s, "0", "1970-01-01T00:00:00Z"),
        (.s, "-0.0001", "1969-12-31T23:59:59.999Z"),
        (.s, "-62135596800", "0001-01-01T00:00:00Z"), (.s, "253402300799.9999", "9999-12-31T23:59:59.999Z"),
        (.s, "1.2942225e9", "2011-01-05T10:15:00Z"),
        (.ms, "1294222500000", "2011-01-05T10:15:00Z"), (.ms, "-1", "1969-12-31T23:59:59.999Z"),
        (.ms, "1", "1970-01-01T00:00:00.001Z"),
        (.us, "1294222500000999", "2011-01-05T10:15:00Z"), (.us, "-1", "1969-12-31T23:59:59.999Z"),
        (.ns, "1294222500000000000", "2011-01-05T10:15:00Z"),
        (.ns, "1294222500123456789", "2011-01-05T10:15:00.123Z"),
        (.s, "\"2011-01-05T10:15:00Z\"", "2011-01-05T10:15:00Z"),
        (.s, "\"1294222500\"", "2011-01-05T10:15:00Z"),
    ])
    func unitsOfTime(unit: EpochTime.Unit, json: String, expected: String) {
        check(json, WireColumn("x", .timestamp, unit: unit), Row(status: .good, values: [expected]))
    }

    @Test(
        arguments: [
            (EpochTime.Unit.s, "1294222500000", RowStatus.outOfRange), (.s, "-62135596801", .outOfRange),
            (.s, "253402300800", .outOfRange),
            (.ms, "1294222500000000", .outOfRange), (.ns, "1294222500000000000000000", .outOfRange),
            (.s, "1e300", .outOfRange),
            (.s, "\"1294222500x\"", .wrongType), (.s, "\"0x4d24\"", .wrongType),
            (.us, "\"1_294\"", .wrongType), (nil, "\"12:30\"", .wrongType),
            (nil, "1294222500", .outOfRange), (nil, "1294222500.5", .outOfRange),
            (nil, "\"20110105\"", .outOfRange),
        ] as [(EpochTime.Unit?, String, RowStatus)])
    func timesThatAreNone(unit: EpochTime.Unit?, json: String, status: RowStatus) {
        check(json, WireColumn("x", .timestamp, unit: unit), Row(status: status, field: 0))
    }

    /// A time in one unit is never a time in another, unless somebody declared it.
    @Test func noTimeIsMistakenForAnother() {
        let seed: UInt64 = 1990
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let column = [WireColumn("x", .timestamp)]
        let harness = Harness(JsonDecoder(column), column)
        for _ in 0..<20_000 {
            let range = EpochTime.plausible
            let time = range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound))
            #expect(harness.decode("{\"x\":\(time)}").values == [CivilTime.string(time)])
            for (text, name) in [
                ("\(time / 1000)", "seconds; say unit: s"), ("\(time)000", "microseconds; say unit: us"),
                ("\(time)000000", "nanoseconds; say unit: ns"),
            ] {
                #expect(harness.decode("{\"x\":\(text)}") == Row(status: .outOfRange, field: 0), "\(text)")
                #expect(harness.explain().hasSuffix("looks like \(name)"), "\(harness.explain())")
            }
        }
    }

    @Test(arguments: [
        ("1294222500", EpochTime.Unit?.none, "looks like seconds; say unit: s"),
        ("7", nil, "as milliseconds it lies before 1990 or after 2200; if it does, say unit: ms"),
        ("1294222500000", .s, "looks like milliseconds; say unit: ms"),
        ("1e300", .s, "it lies outside of the years 1 to 9999"),
        ("\"2011-01-05 10:15\"", nil, "it has no zone; say zone: Asia/Shanghai"),
    ])
    func whatHelpsIsSaid(json: String, unit: EpochTime.Unit?, hint: String) {
        let columns = [WireColumn("x", .timestamp, unit: unit)]
        let harness = Harness(JsonDecoder(columns), columns)
        _ = harness.decode("{\"x\":\(json)}")
        #expect(harness.explain().hasSuffix("was expected; \(hint)"), "\(harness.explain())")
    }

    @Test func nulls() {
        let nulls = ["NULL", "-", "\\N", ""]
        for type in [ValueType.text, .int, .decimal(scale: 2), .bool, .timestamp, .duration] {
            let optional = WireColumn("x", type, optional: true, nulls: nulls)
            for json in ["\"NULL\"", "\"-\"", "\"\""] {
                check(json, optional, Row(status: .good, values: [nil]))
                check(json, WireColumn("x", type, nulls: nulls), Row(status: .missingField, field: 0))
            }
            #expect(
                Harness(JsonDecoder([optional]), [optional]).decode(#"{"x":"\\N"}"#)
                    == Row(status: .good, values: [nil]))
            #expect(
                Harness(CsvDecoder([optional], capacity: 16), [optional]).decode("\\N")
                    == Row(status: .good, values: [nil]))
        }
        check("\"NUL\"", WireColumn("x", .text, nulls: nulls), Row(status: .good, values: ["NUL"]))
        check("\"-5\"", WireColumn("x", .int, nulls: nulls), Row(status: .good, values: ["-5"]))
    }

    @Test(arguments: [
        ("w1A=", "-155.36"), ("AMNQ", "500.00"), ("AA==", "0.00"), ("/w==", "-0.01"), ("AQ", "0.01"),
        ("1234", "-26588.24"),
        ("f/////////8=", "92233720368547758.07"), ("gAAAAAAAAAA=", "-92233720368547758.08"),
        ("AAAAAAAAAAAAAAAAAAE=", "0.01"),
    ])
    func base64(text: String, expected: String) {
        check(
            "\"\(text)\"", WireColumn("x", .decimal(scale: 2), base64: true),
            Row(status: .good, values: [expected]))
    }

    @Test func base64AgainstArithmetic() {
        var random = SplitMix64(seed: 64)
        let columns = [WireColumn("x", .int, base64: true)]
        let harness = Harness(JsonDecoder(columns), columns)
        for _ in 0..<5000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 64)
            // As java.math.BigInteger writes it: as few bytes as hold the sign.
            var bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
            while bytes.count > 1,
                (bytes[0] == 0 && bytes[1] < 0x80) || (bytes[0] == 0xFF && bytes[1] >= 0x80)
            { bytes.removeFirst() }
            #expect(
                harness.decode("{\"x\":\"\(encoded(bytes))\"}") == Row(status: .good, values: ["\(value)"]),
                "\(value)")
        }
        for text in ["", "A", "A===", "AB==C", "A B=", "=", "AR", "AAB="] {
            #expect(harness.decode("{\"x\":\"\(text)\"}") == Row(status: .wrongType, field: 0), "\(text)")
        }
        #expect(harness.decode("{\"x\":\"AQAAAAAAAAAA\"}") == Row(status: .outOfRange, field: 0))
        #expect(harness.decode("{\"x\":5}") == Row(status: .wrongType, field: 0))
    }

    private func encoded(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let three = Array(bytes[start..<min(start + 3, bytes.count)])
            let bits = three.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - three.count))
            for place in 0...three.count { text.append(letters[Int(bits >> UInt32(18 - 6 * place) & 63)]) }
            text += String(repeating: "=", count: 3 - three.count)
        }
        return text
    }

    /// Digits in a text are a number where a number is declared; what is base64 is refused with the option
    /// that reads it.
    @Test func numbersInTexts() {
        let columns = [WireColumn("x", .decimal(scale: 2))]
        let harness = Harness(JsonDecoder(columns), columns)
        #expect(harness.decode(#"{"x":"1234"}"#).values == ["1234.00"])
        #expect(harness.decode(#"{"x":"w1A="}"#) == Row(status: .wrongType, field: 0))
        #expect(
            harness.explain().contains("needs encoding: base64, without which texts of digits are numbers"))
        #expect(harness.decode(#"{"x":""}"#) == Row(status: .wrongType, field: 0))
        #expect(
            harness.explain()
                == "field 'x' is \"\"; a number with at most 2 places was expected; null: [\"\"] takes it as none"
        )
        #expect(harness.decode(#"{"x":99999999999999999999}"#) == Row(status: .outOfRange, field: 0))
    }

    /// A number is no text, unless the field says that it may be; then it is what was written.
    @Test func numbersAsTexts() {
        let strict = [WireColumn("x", .text)]
        let harness = Harness(JsonDecoder(strict), strict)
        for json in ["1", "-0.50", "1e5", "18446744073709551615"] {
            #expect(harness.decode("{\"x\":\(json)}") == Row(status: .wrongType, field: 0))
            #expect(
                harness.explain().hasSuffix(
                    "was expected; numbers: true takes numbers and booleans as they are written"))
            let column = WireColumn("x", .text, numbers: true)
            check(json, column, Row(status: .good, values: [json]))
        }
        let lax = [WireColumn("x", .text, numbers: true)]
        #expect(Harness(JsonDecoder(lax), lax).decode("{\"x\":true}").values == ["true"])
        for json in ["[]", "{}", "01", "1x", "-", "1.", ".5", "1e"] {
            #expect(Harness(JsonDecoder(lax), lax).decode("{\"x\":\(json)}").status != .good, "\(json)")
        }
    }

    /// What a message shows of a text or a record ends with a whole character.
    @Test func excerptsAreWholeCharacters() {
        for letters in ["é", "中", "🙂"] {
            for shift in 0..<4 {
                let text = String(repeating: "a", count: shift) + String(repeating: letters, count: 60)
                for (record, type) in [("{\"x\":\"\(text)\"}", ValueType.int), ("{\"x\":\"\(text)\"", .text)]
                {
                    let columns = [WireColumn("x", type)]
                    let harness = Harness(JsonDecoder(columns), columns)
                    _ = harness.decode(record)
                    let message = harness.explain()
                    #expect(message.contains("…") && !message.contains("\u{FFFD}"), "\(message)")
                    let csv = Harness(CsvDecoder(columns, capacity: 16), columns)
                    _ = csv.decode("\(text),1")
                    #expect(
                        csv.explain().contains("…") && !csv.explain().contains("\u{FFFD}"), "\(csv.explain())"
                    )
                }
            }
        }
    }

}
