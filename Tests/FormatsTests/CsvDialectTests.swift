import Base
import Formats
import Records
import Testing

/// CSV in other characters than commas and quotation marks, and of other widths.
@Suite struct CsvDialectTests {
    static let columns = [
        WireColumn("id", .text, optional: true), WireColumn("amount", .decimal(scale: 2), optional: true),
        WireColumn("note", .text, optional: true),
    ]

    static func dialect(
        _ delimiter: Character = ",", quote: Character? = "\"", escape: Character? = nil, trim: Bool = false
    ) -> CsvFormat {
        var dialect = CsvFormat()
        dialect.delimiter = delimiter.asciiValue ?? 0
        dialect.quote = quote?.asciiValue
        dialect.escape = escape?.asciiValue
        dialect.isTrimmed = trim
        return dialect
    }

    private func decode(_ text: String, _ dialect: CsvFormat) -> Row {
        Harness(CsvDecoder(Self.columns, dialect: dialect, capacity: 16), Self.columns).decode(text)
    }

    @Test(
        arguments: [
            (dialect(";"), "a;1;b,c", ["a", "1.00", "b,c"]),
            (dialect("\t"), "a\t1\t\"b\tc\"", ["a", "1.00", "b\tc"]), (dialect("|"), "a||", ["a", nil, nil]),
            (dialect("\u{1}"), "a\u{1}1\u{1}b", ["a", "1.00", "b"]),
            (dialect(quote: "'"), "'a,b',1,'it''s \"x\"'", ["a,b", "1.00", "it's \"x\""]),
            (dialect(quote: nil), "\"a,1,b\"\"", ["\"a", "1.00", "b\"\""]),
            (dialect(escape: "\\"), #""a\"b\\",1,"c\,d""#, [#"a"b\"#, "1.00", "c,d"]),
            (dialect(escape: "\\"), #""a""b",1,\N"#, ["a\"b", "1.00", "\\N"]),
            (dialect(trim: true), " a ,\t1 , b c ", ["a", "1.00", "b c"]),
            (dialect(trim: true), "\"a \"\t, \"1\" ,  ", ["a ", "1.00", nil]),
            (
                dialect("\t", trim: true),
                " a \t 1\t\tb"
                    .replacing("\t\t", with: "\t"), ["a", "1.00", "b"]
            ), (dialect(trim: true), " \" a\" ,,\" \"", [" a", nil, " "]),
        ] as [(CsvFormat, String, [String?])])
    func reads(dialect: CsvFormat, text: String, expected: [String?]) {
        #expect(decode(text, dialect) == Row(status: .good, values: expected))
    }

    @Test(arguments: [
        (dialect(";"), "a,1,b"), (dialect(quote: "'"), "'a,1,b"), (dialect(quote: "'"), "a'b,1,c"),
        (dialect(escape: "\\"), #""a\",1,b"#),
        (dialect(escape: "\\"), #""a\"#), (dialect(trim: true), "\"a\" x,1,b"),
        (dialect(trim: true), "a \"b\",1,c"), (dialect(quote: nil), "\"a,b\",1,c"),
    ])
    func refuses(dialect: CsvFormat, text: String) {
        #expect(decode(text, dialect) == Row(status: .malformed))
    }

    /// Without a header every declared column counts, wanted or not: what is not wanted is skipped.
    @Test func unusedColumnsArePartOfTheRecord() {
        let names = ["id", "x", "amount", "y", "note"]
        let harness = Harness(CsvDecoder(Self.columns, header: names, capacity: 4), Self.columns)
        #expect(harness.decode("a,\"p,q\",1,,b") == Row(status: .good, values: ["a", "1.00", "b"]))
        #expect(harness.decode("a,1,b") == Row(status: .malformed))
        #expect(
            harness.explain()
                == "not a well-formed CSV record of 5 fields: a,1,b; it has 3; short: fill takes what is missing as null"
        )
        let few = [WireColumn("amount", .int)]
        let one = Harness(CsvDecoder(few, header: names, capacity: 4), few)
        #expect(one.decode("a,p,1,,b") == Row(status: .good, values: ["1"]))
        #expect(one.decode("1") == Row(status: .malformed))
    }

    /// The mark that deletes a row of a table may stand behind its columns.
    @Test func optionalColumn() {
        let columns = [WireColumn("id", .text), WireColumn("gone", .bool, optional: true)]
        let harness = Harness(
            CsvDecoder(columns, header: ["id", "x"], optionalColumn: "gone", capacity: 4), columns)
        #expect(harness.decode("a,1") == Row(status: .good, values: ["a", nil]))
        #expect(harness.decode("a,1,true") == Row(status: .good, values: ["a", "true"]))
        #expect(harness.decode("a,1,") == Row(status: .good, values: ["a", nil]))
        #expect(harness.decode("a") == Row(status: .malformed))
        #expect(harness.decode("a,1,true,2") == Row(status: .malformed))
        #expect(
            harness.explain()
                == "not a well-formed CSV record of 2 fields: a,1,true,2; it has 4; long: cut passes over what is too much"
        )
    }

    /// Bytes that are no UTF-8 are refused wherever in the record they stand, as in JSON.
    @Test func invalidUtf8IsRefused() {
        let harness = Harness(
            CsvDecoder(Self.columns, header: ["id", "x", "amount", "note"], capacity: 4), Self.columns)
        for bytes in [
            [0xFF], [0xC3], [0xE4, 0xB8], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0xBA, 0xBC, 0xD6, 0xDD],
        ] as [[UInt8]] {
            for place in 0..<3 {
                var fields = ["a", "some text of more than eight bytes", "b"].map { Array($0.utf8) }
                fields[place] += bytes
                let record = Array((fields[0] + [0x2C] + fields[1] + Array(",1,".utf8) + fields[2]))
                #expect(harness.decode([record]) == [Row(status: .malformed)], "\(bytes)")
                #expect(
                    harness.explain().hasPrefix("not UTF-8: ")
                        && harness.explain().contains("encoding: windows-1252"))
            }
        }
        #expect(harness.decode("é,中文 und mehr,1,🙂") == Row(status: .good, values: ["é", "1.00", "🙂"]))
    }

    /// What is written in a dialect is read back in it, in batches of mixed records.
    @Test(arguments: [UInt64(21), 22, 23])
    func readsWhatIsWritten(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<60 {
            let delimiter: Character = [",", ";", "\t", "|", ":"].randomElement(using: &random) ?? ","
            let quote: Character = ["\"", "'"].randomElement(using: &random) ?? "\""
            let escape: Character? = random.next() % 2 == 0 ? "\\" : nil
            let dialect = Self.dialect(delimiter, quote: quote, escape: escape, trim: random.next() % 2 == 0)
            let harness = Harness(CsvDecoder(Self.columns, dialect: dialect, capacity: 16), Self.columns)
            for _ in 0..<50 {
                let rows = (0..<8).map { _ in (0..<2).map { _ in Self.text(&random) } }
                let texts = rows.map {
                    [Self.field($0[0], dialect, &random), "7", Self.field($0[1], dialect, &random)].joined(
                        separator: String(delimiter))
                }
                #expect(
                    harness.decode(texts.map { Array($0.utf8) })
                        == rows.map { Row(status: .good, values: [$0[0], "7.00", $0[1]]) }, "\(texts)")
            }
        }
    }

    static func text(_ random: inout SplitMix64) -> String {
        let parts = [
            "a", "b c", ",", "\"", "'", "\n", "\r\n", "é", "", "\"\"", "1", "\\", ";", "\t", "|", " ", "中",
        ]
        return (0...random.next() % 5).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
    }

    static func field(_ text: String, _ dialect: CsvFormat, _ random: inout SplitMix64) -> String {
        guard let quote = dialect.quote.map({ String(UnicodeScalar($0)) }) else { return text }
        let delimiter = UnicodeScalar(dialect.delimiter)
        let needsQuotes =
            text.isEmpty
            || text.unicodeScalars.contains {
                $0 == delimiter || quote.unicodeScalars.contains($0) || "\r\n".unicodeScalars.contains($0)
            }
            || text.unicodeScalars.first.map { " \t".unicodeScalars.contains($0) } == true
            || text.unicodeScalars.last.map { " \t".unicodeScalars.contains($0) } == true
        guard needsQuotes || random.next() % 3 == 0 else { return text }
        var inner = text
        if let escape = dialect.escape.map({ String(UnicodeScalar($0)) }) {
            inner = inner.replacing(escape, with: escape + escape)
            inner = inner.replacing(quote, with: random.next() % 2 == 0 ? escape + quote : quote + quote)
        } else {
            inner = inner.replacing(quote, with: quote + quote)
        }
        return quote + inner + quote
    }

    /// Mutated records in random dialects: no crash, and what is good is UTF-8.
    @Test func mutations() {
        let seed: UInt64 = 77
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            let dialect = Self.dialect(
                [",", ";", "\t", "|"].randomElement(using: &random) ?? ",",
                quote: [nil, "\"", "'"].randomElement(using: &random) ?? nil,
                escape: [nil, "\\"].randomElement(using: &random) ?? nil, trim: random.next() % 2 == 0)
            let columns = [
                WireColumn("id", .text, optional: true, nulls: ["", "-"]),
                WireColumn("n", .int, optional: true, base64: random.next() % 2 == 0),
                WireColumn(
                    "t", .timestamp, optional: true,
                    unit: EpochTime.Unit.allCases.randomElement(using: &random)),
                WireColumn("b", .bool, optional: true),
            ]
            let harness = Harness(
                CsvDecoder(columns, header: ["id", "x", "n", "t", "b"], dialect: dialect, capacity: 16),
                columns)
            for _ in 0..<200 {
                let fields = ["a", Self.text(&random), "AMNQ", "1294222500", "true"].map {
                    Self.field($0, dialect, &random)
                }
                var bytes = Array(fields.joined(separator: String(UnicodeScalar(dialect.delimiter))).utf8)
                for _ in 0...random.next() % 3 {
                    guard !bytes.isEmpty else { break }
                    let at = Int(random.next() % UInt64(bytes.count))
                    switch random.next() % 4 {
                    case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                    case 1: bytes.remove(at: at)
                    case 2:
                        bytes.insert("\"',;|\t\\\n\r\u{0}- ".utf8.randomElement(using: &random) ?? 0, at: at)
                    default: bytes.removeSubrange(at...)
                    }
                }
                let row = harness.decode([bytes, bytes])[1]
                #expect(!harness.explain(1).isEmpty)
                if row.status == .good { #expect(String(validating: bytes, as: UTF8.self) != nil) }
            }
        }
    }
}
