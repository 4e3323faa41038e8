import Base
import Formats
import Records
import Testing

/// CSV records (without their line ends, as the file source hands them over) to columns.
@Suite struct CsvDecoderTests {
    static let columns = [
        WireColumn("id", .text), WireColumn("amount", .decimal(scale: 2), optional: true),
        WireColumn("note", .text, optional: true),
    ]

    private func harness(_ header: [String]? = nil) -> Harness {
        Harness(CsvDecoder(Self.columns, header: header, capacity: 16), Self.columns)
    }

    @Test(
        arguments: [
            ("a,1,b", ["a", "1.00", "b"]), ("a,,", ["a", nil, nil]),
            ("\"a\",\"1\",\"b\"", ["a", "1.00", "b"]),
            ("\"a,b\",1,c", ["a,b", "1.00", "c"]), ("\"a\nb\",1,\"c\r\nd\"", ["a\nb", "1.00", "c\r\nd"]),
            ("\"say \"\"hi\"\"\",1,\"\"\"\"", ["say \"hi\"", "1.00", "\""]), ("a,1,\"\"", ["a", "1.00", ""]),
            ("\"\",1,", ["", "1.00", nil]),
            (" a ,1, ", [" a ", "1.00", " "]), ("中,1,é", ["中", "1.00", "é"]),
            ("a,-0.5,\"\"\"\"\"\"", ["a", "-0.50", "\"\""]),
            ("a;b,1e2,x", ["a;b", "100.00", "x"]), ("a,\"\",b", ["a", nil, "b"]),
            ("\"\",\"\",\"\"", ["", nil, ""]),
            ("\u{FEFF}a,1,b", ["a", "1.00", "b"]), ("\u{FEFF}\"a\",1,b", ["a", "1.00", "b"]),
            ("a,1,b\n", ["a", "1.00", "b"]), ("a,1,b\r\n", ["a", "1.00", "b"]),
            ("a,1,\"b\n\"\r\n", ["a", "1.00", "b\n"]), ("a,1,\r\n", ["a", "1.00", nil]),
            ("a,1,x\\n", ["a", "1.00", "x\\n"]),
        ] as [(String, [String?])])
    func reads(text: String, expected: [String?]) {
        #expect(harness().decode(text) == Row(status: .good, values: expected))
    }

    @Test(arguments: [
        ("a,1", RowStatus.malformed, -1), ("a,1,b,c", .malformed, -1), ("a,1,b,", .malformed, -1),
        ("a", .malformed, -1),
        ("\"a,1,b", .malformed, -1), ("\"a\"x,1,b", .malformed, -1), ("a\"b,1,c", .malformed, -1),
        ("a,1,b\"", .malformed, -1),
        ("\"a\"\",1,b", .malformed, -1), (",1,b", .missingField, 0), ("a,x,b", .wrongType, 1),
        ("a, 1,b", .wrongType, 1),
        ("a,1.005,b", .outOfRange, 1), ("a,\"1,5\",b", .wrongType, 1), ("a,1,b\nc", .malformed, -1),
        ("a,1\r,b", .malformed, -1),
        ("\"a\nb,1,c", .malformed, -1), ("\n", .malformed, -1),
    ])
    func refuses(text: String, status: RowStatus, field: Int) {
        #expect(harness().decode(text) == Row(status: status, field: field))
    }

    /// An empty record of a one-column file is an empty field.
    @Test func oneColumn() {
        let columns = [WireColumn("id", .text, optional: true)]
        let harness = Harness(CsvDecoder(columns, capacity: 4), columns)
        #expect(harness.decode("") == Row(status: .good, values: [nil]))
        #expect(harness.decode("\"\"") == Row(status: .good, values: [""]))
        #expect(harness.decode(",") == Row(status: .malformed))
    }

    @Test func headers() {
        let good = Row(status: .good, values: ["a", "1.00", "b"])
        #expect(harness(["note", "id", "amount"]).decode("b,a,1") == good)
        #expect(harness(["x", "note", "y", "amount", "id", "z"]).decode("9,b,\"q,\"\"\",1,a,") == good)
        // Columns that the file lacks are missing; wrong widths are seen all the same.
        #expect(harness(["id"]).decode("a") == Row(status: .good, values: ["a", nil, nil]))
        #expect(harness(["amount", "note"]).decode("1,b") == Row(status: .missingField, field: 0))
        #expect(harness(["note", "id", "amount"]).decode("b,a") == Row(status: .malformed))
    }

    /// Files of one input may have their columns in different orders.
    @Test func headersChange() {
        let decoder = CsvDecoder(Self.columns, header: ["id", "amount", "note"], capacity: 4)
        let harness = Harness(decoder, Self.columns)
        #expect(harness.decode("a,1,b").values == ["a", "1.00", "b"])
        _ = harness.decode(",1,b")
        #expect(harness.explain() == "field 'id' is missing; a text of at most 65536 bytes was expected")
        decoder.setHeader(["amount"])
        _ = harness.decode("1")
        #expect(
            harness.explain()
                == "field 'id' is missing; a text of at most 65536 bytes was expected; there is no such column"
        )
        decoder.setHeader(["amount", "id"])
        #expect(harness.decode("1,a").values == ["a", "1.00", nil])
    }

    @Test func dottedNamesAreColumns() {
        let columns = [WireColumn("customer.id", .int)]
        let harness = Harness(CsvDecoder(columns, header: ["customer", "customer.id"], capacity: 4), columns)
        #expect(harness.decode("x,7") == Row(status: .good, values: ["7"]))
    }

    @Test func types() throws {
        let columns = [
            WireColumn("b", .bool),
            WireColumn("t", .timestamp, zone: try TimeZoneTable.read("Asia/Shanghai")),
            WireColumn("d", .duration),
            WireColumn("r", .decimal(scale: 1), rounded: true),
        ]
        let harness = Harness(CsvDecoder(columns, capacity: 4), columns)
        let row = harness.decode("true,2011-01-05 10:15:00,1500,0.25")
        #expect(row == Row(status: .good, values: ["true", "2011-01-05T02:15:00Z", "1s500ms", "0.2"]))
        #expect(harness.decode("TRUE,2011-01-05,1,1").values[0] == "true")
        #expect(harness.decode("yes,2011-01-05,1,1") == Row(status: .wrongType, field: 0))
        #expect(harness.decode("true,05/01/2011,1,1") == Row(status: .wrongType, field: 1))
        #expect(harness.decode("true,2011-01-05,1m,1") == Row(status: .wrongType, field: 2))
    }

    @Test func sizesAndExplanations() {
        let harness = harness()
        let fits = String(repeating: "a", count: Limits.textBytesMax)
        #expect(harness.decode("\(fits),1,b").values.first == fits)
        #expect(harness.decode("a\(fits),1,b") == Row(status: .textTooLong, field: 0))
        #expect(
            harness.decode(String(repeating: "a", count: Limits.recordBytesMax + 1))
                == Row(status: .oversized))
        #expect(harness.explain() == "the record has 1048577 bytes, at most 1048576 are read")
        #expect(harness.decode([nil]) == [Row(status: .nullValue)])
        _ = harness.decode("a,x,b")
        #expect(harness.explain() == "field 'amount' is \"x\"; a number with at most 2 places was expected")
        _ = harness.decode("a,1")
        #expect(
            harness.explain()
                == "not a well-formed CSV record of 3 fields: a,1; it has 2; short: fill takes what is missing as null"
        )
        _ = harness.decode("a,1,b,")
        #expect(
            harness.explain()
                == "not a well-formed CSV record of 3 fields: a,1,b,; it has 4; long: cut passes over what is too much"
        )
        _ = harness.decode("a,\"1,b")
        #expect(harness.explain().hasSuffix("; a quote is opened and not closed (field 2)"))
        _ = harness.decode("a,1,b\"")
        #expect(
            harness.explain().hasSuffix("; a quote stands within a field that has none around it (field 3)"))
        _ = harness.decode("\"a\" ,1,b")
        #expect(
            harness.explain().hasSuffix(
                "; something stands between a closing quote and the next delimiter (field 1)"))
        _ = harness.decode("a,1,b\nc,2,d")
        #expect(harness.explain().hasSuffix("; a line break stands outside of quotes (field 3)"))
        _ = harness.decode(",1,b")
        #expect(harness.explain() == "field 'id' is missing; a text of at most 65536 bytes was expected")
    }

    /// What is written by the rules of RFC 4180 is read back, in batches of mixed records.
    @Test func readsWhatIsWritten() {
        let seed: UInt64 = 4180
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let harness = harness()
        for _ in 0..<3000 {
            let rows = (0..<8).map { _ in (0..<2).map { _ in randomText(&random) } }
            let texts = rows.map { "\(field($0[0], &random)),7,\(field($0[1], &random))" }
            let found = harness.decode(texts.map { Array($0.utf8) })
            #expect(found == rows.map { Row(status: .good, values: [$0[0], "7.00", $0[1]]) })
        }
    }

    /// Random bytes and mutations of good records are refused or read, and never more.
    @Test func mutations() {
        let seed: UInt64 = 18
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let harness = harness(["id", "x", "amount", "note"])
        var good = 0
        for _ in 0..<20_000 {
            var bytes = Array("\"a\"\"b\",7,12.50,\"c,\nd\"".utf8)
            for _ in 0...random.next() % 4 {
                guard !bytes.isEmpty else { break }
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert("\",\n\r\u{0}".utf8.randomElement(using: &random) ?? 0, at: at)
                default: bytes.removeSubrange(at...)
                }
            }
            if harness.decode([bytes, bytes])[1].status == .good { good += 1 }
            #expect(!harness.explain(1).isEmpty)
        }
        #expect(good > 1000 && good < 19_000, "\(good)")
    }

    private func randomText(_ random: inout SplitMix64) -> String {
        let parts = ["a", "b c", ",", "\"", "\n", "\r\n", "é", "", "\"\"", "1"]
        return (0...random.next() % 5).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
    }

    private func field(_ text: String, _ random: inout SplitMix64) -> String {
        let needsQuotes =
            text.isEmpty || text.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
        guard needsQuotes || random.next() % 3 == 0 else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
