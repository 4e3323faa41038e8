import Base
import Dataflow
import Formats
import Records
import Testing

/// TSV records (without their line ends, as the file source hands them over) to columns.
@Suite struct TsvDecoderTests {
    static let columns = [
        WireColumn("id", .text), WireColumn("amount", .decimal(scale: 2), optional: true),
        WireColumn("note", .text, optional: true),
    ]

    static func format(escapes: Bool = true) -> TsvFormat {
        var format = TsvFormat()
        format.hasEscapes = escapes
        return format
    }

    private static func harness(_ names: [String] = columns.map { $0.field.name }, escapes: Bool = true)
        -> Harness
    {
        let records = RecordShape(fields: names, capacity: 16)
        return Harness(format(escapes: escapes).makeDecoder(columns, of: records), columns)
    }

    @Test(
        arguments: [
            ("a\t1\tb", ["a", "1.00", "b"]), ("\t\t", ["", nil, ""]), ("a\t\\N\t\\N", ["a", nil, nil]),
            ("\"a\t1\tb\"", ["\"a", "1.00", "b\""]),
            ("a\\tb\t1\tc\\nd", ["a\tb", "1.00", "c\nd"]), ("\\\\\t1\t\\\\N", ["\\", "1.00", "\\N"]),
            ("a\\\tb\t1\tc\\\nd", ["a\tb", "1.00", "c\nd"]),
            ("\\b\\f\\v\\r\\0\\Z\\'\t1\tx", ["\u{8}\u{C}\u{B}\r\u{0}\u{1A}'", "1.00", "x"]),
            ("中\t\\N\té\\\\é", ["中", nil, "é\\é"]),
            (" a \t1\t b", [" a ", "1.00", " b"]), ("\u{FEFF}a\t1\tb", ["a", "1.00", "b"]),
            ("a\t1\tb\r\n", ["a", "1.00", "b"]), ("a\t1\t\\\\\n", ["a", "1.00", "\\"]),
            ("N\t1\tNULL", ["N", "1.00", "NULL"]), ("a,b\t1\t;", ["a,b", "1.00", ";"]),
            ("a\t1\\t\tb".replacing("\\t", with: ""), ["a", "1.00", "b"]),
        ] as [(String, [String?])])
    func reads(text: String, expected: [String?]) {
        #expect(Self.harness().decode(text) == Row(status: .good, values: expected))
    }

    @Test(
        arguments: [
            ("a\\tb\t1\t\\N", ["a\\tb", "1.00", "\\N"]), ("a\t\t", ["a", nil, nil]),
            ("C:\\new\t1\t\\", ["C:\\new", "1.00", "\\"]),
        ] as [(String, [String?])])
    func readsWithoutEscapes(text: String, expected: [String?]) {
        #expect(Self.harness(escapes: false).decode(text) == Row(status: .good, values: expected))
    }

    @Test(arguments: [
        (
            "a\t1", RowStatus.malformed, -1,
            "not a well-formed TSV record of 3 fields: a\\u{9}1; it has 2; short: fill takes what is missing as null"
        ),
        ("a\t1\tb\t", .malformed, -1, "; it has 4; long: cut passes over what is too much"),
        ("", .malformed, -1, "; it has 1"),
        (
            "a\t1\tb\\q", .malformed, -1,
            "; a backslash stands before what it means nothing with; escape: none takes it as a letter (field 3)"
        ),
        ("a\t1\\\t\tb\\", .malformed, -1, "a letter (field 3)"), ("\\x41\t1\tb", .malformed, -1, "(field 1)"),
        ("\\101\t1\tb", .malformed, -1, "(field 1)"),
        ("a\tx\\N\tb", .malformed, -1, "; \\N stands in a field that has more than it (field 2)"),
        ("\\NULL\t1\tb", .malformed, -1, "(field 1)"),
        ("a\t1\tb\nc", .malformed, -1, "; a line break stands in a field (field 3)"),
        ("a\t1\r\tb", .malformed, -1, "; a line break stands in a field (field 2)"),
        ("a\\\\\nb\t1\tc", .malformed, -1, "; a line break stands in a field (field 1)"),
        ("\\N\t1\tb", .missingField, 0, "field 'id' is missing; a text of at most 65536 bytes was expected"),
        (
            "a\t1\\t\tb", .wrongType, 1,
            "field 'amount' is \"1\\u{9}\"; a number with at most 2 places was expected"
        ),
        (
            "a\tnull!\tb", .wrongType, 1,
            "field 'amount' is \"null!\"; a number with at most 2 places was expected"
        ), ("a\t1.005\tb", .outOfRange, 1, "round: true rounds it"),
    ])
    func refuses(text: String, status: RowStatus, field: Int, message: String) {
        let harness = Self.harness()
        #expect(harness.decode(text) == Row(status: status, field: field))
        #expect(harness.explain().hasSuffix(message), "\(harness.explain())")
    }

    @Test func headersAndColumns() {
        let harness = Self.harness(["x", "note", "id", "y", "amount"])
        #expect(harness.decode("\\N\tb\ta\t\\t\t1") == Row(status: .good, values: ["a", "1.00", "b"]))
        // What is not wanted is cut all the same.
        #expect(harness.decode("\\q\tb\ta\t\t1") == Row(status: .malformed))
        let decoder = Self.format().makeDecoder(
            Self.columns, of: RecordShape(fields: ["id"], optionalField: "amount", capacity: 4))
        let spare = Harness(decoder, Self.columns)
        #expect(spare.decode("a") == Row(status: .good, values: ["a", nil, nil]))
        #expect(spare.decode("a\t2") == Row(status: .good, values: ["a", "2.00", nil]))
        decoder.setHeader(["amount", "id"])
        #expect(spare.decode("1\ta") == Row(status: .good, values: ["a", "1.00", nil]))
        #expect(
            Harness(
                TsvFormat().makeDecoder([Self.columns[0]], of: RecordShape(fields: ["id"], capacity: 4)),
                [Self.columns[0]]
            ).decode("") == Row(status: .good, values: [""]))
    }

    /// The names that a header line has, escapes in them and what cannot be read included.
    @Test(arguments: [
        ("a\tb c\t\"d\"", ["a", "b c", "\"d\""]), ("", [""]), ("a\t", ["a", ""]),
        ("a\\tb\t\\N\tx\\q\ty", ["a\tb", "\\N", "x\\q", "y"]), ("é\t中", ["é", "中"]),
    ])
    func headerNames(line: String, expected: [String]) throws {
        guard case .header(let names) = TsvFormat().fileLayout(of: RecordShape(fields: [])).fields?.columns
        else {
            Issue.record("a TSV file has no header")
            return
        }
        #expect(Array(line.utf8).withUnsafeBufferPointer { names($0) } == expected)
        #expect((Array(line.utf8) + [0xBA, 0xBC]).withUnsafeBufferPointer { names($0) } == nil)
    }

    /// What a test gives is written so that it is read back.
    @Test func givenValues() {
        let harness = Self.harness()
        let records = RecordShape(fields: ["id", "amount", "note"])
        let text = TsvFormat().record(
            [GivenValue(path: "note", json: #""\\N\tb\nc\r\\""#), GivenValue(path: "id", json: "\"\"")],
            of: records)
        #expect(harness.decode(text) == Row(status: .good, values: ["", nil, "\\N\tb\nc\r\\"]))
    }

    // MARK: Random records

    private static let parts = [
        "a", "b c", "\t", "\n", "\r", "\\", "N", "\\N", "\"", ",", "é", "", "1", "t", "\u{0}",
    ]

    private static func randomText(_ random: inout SplitMix64) -> String {
        (0..<random.next() % 6).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
    }

    /// As one of the databases writes it: PostgreSQL with letters, MySQL with a backslash before the
    /// character itself.
    private static func written(_ text: String?, _ random: inout SplitMix64) -> String {
        guard let text else { return "\\N" }
        return text.unicodeScalars.map { letter -> String in
            let isPlain = random.next() % 2 == 0
            switch letter {
            case "\\": return "\\\\"
            case "\t": return isPlain ? "\\\t" : "\\t"
            case "\n": return isPlain ? "\\\n" : "\\n"
            case "\r": return isPlain ? "\\\r" : "\\r"
            case "\u{0}": return isPlain ? "\u{0}" : "\\0"
            default: return String(letter)
            }
        }.joined()
    }

    /// What is written is read back, in batches of mixed records.
    @Test(arguments: [UInt64(31), 32, 33])
    func readsWhatIsWritten(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let columns = [
            WireColumn("a", .text, optional: true), WireColumn("n", .int, optional: true),
            WireColumn("b", .text, optional: true),
        ]
        let harness = Harness(
            TsvFormat().makeDecoder(columns, of: RecordShape(fields: ["a", "n", "b"], capacity: 16)), columns)
        for _ in 0..<2000 {
            let rows = (0..<8).map { _ -> [String?] in
                [
                    random.next() % 5 == 0 ? nil : Self.randomText(&random),
                    random.next() % 3 == 0 ? nil : "\(random.next() % 1000)",
                    random.next() % 5 == 0 ? nil : Self.randomText(&random),
                ]
            }
            let texts = rows.map { row in row.map { Self.written($0, &random) }.joined(separator: "\t") }
            // A line end behind the record is not part of it.
            let good = zip(texts, rows).filter { text, _ in
                !text.hasSuffix("\n") && !text.hasSuffix("\r") && !text.hasSuffix("\r\n")
            }
            #expect(
                harness.decode(good.map { Array($0.0.utf8) }) == good.map { Row(status: .good, values: $0.1) }
            )
        }
    }

    /// Records of few letters against a plain reading, letter by letter.
    @Test(arguments: [UInt64(41), 42, 43], [true, false])
    func againstPlainReading(seed: UInt64, escapes: Bool) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let columns = [WireColumn("a", .text, optional: true), WireColumn("b", .text, optional: true)]
        let format = Self.format(escapes: escapes)
        let harness = Harness(
            format.makeDecoder(columns, of: RecordShape(fields: ["a", "b"], capacity: 16)), columns)
        let letters = Array("a\\\\\\\t\tNtnr0Z'\n\rq".utf8)
        var good = 0
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.next() % 10)).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }
            let expected = Self.plain(bytes, escapes: escapes)
            let found = harness.decode([bytes])[0]
            #expect(
                found == (expected.map { Row(status: .good, values: $0) } ?? Row(status: .malformed)),
                "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
            if found.status == .good { good += 1 }
        }
        #expect(good > 300, "\(good)")
    }

    /// nil: refused.
    private static func plain(_ record: [UInt8], escapes: Bool) -> [String?]? {
        var bytes = record
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        let meanings: [Character: String] = [
            "t": "\t", "n": "\n", "r": "\r", "b": "\u{8}", "f": "\u{C}", "v": "\u{B}", "0": "\u{0}",
            "Z": "\u{1A}", "\\": "\\", "'": "'", "\t": "\t",
            "\n": "\n", "\r": "\r",
        ]
        var fields: [String?] = []
        var (field, raw) = ("", "")
        var letters = bytes.map { Character(UnicodeScalar($0)) }[...]
        var hasNull = false
        func end() -> String? { raw == "\\N" && escapes || raw.isEmpty && !escapes ? nil : field }
        while let letter = letters.popFirst() {
            if letter == "\t" {
                if hasNull, raw != "\\N" { return nil }
                fields.append(end())
                (field, raw, hasNull) = ("", "", false)
            } else if letter == "\n" || letter == "\r" {
                return nil
            } else if letter == "\\", escapes {
                guard let next = letters.popFirst() else { return nil }
                raw.append(letter)
                raw.append(next)
                if next == "N" {
                    hasNull = true
                } else if let meant = meanings[next] {
                    field += meant
                } else {
                    return nil
                }
            } else {
                field.append(letter)
                raw.append(letter)
            }
        }
        if hasNull, raw != "\\N" { return nil }
        fields.append(end())
        return fields.count == 2 ? fields : nil
    }

    /// Random bytes and mutations of good records are refused or read, and never more.
    @Test func mutations() {
        let seed: UInt64 = 19
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let harness = Self.harness(["id", "x", "amount", "note"])
        var good = 0
        for _ in 0..<20_000 {
            var bytes = Array("a\\tb\t\\N\t12.50\tc\\\\\\nd".utf8)
            for _ in 0...random.next() % 4 {
                guard !bytes.isEmpty else { break }
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert("\\\t\n\r\u{0}N".utf8.randomElement(using: &random) ?? 0, at: at)
                default: bytes.removeSubrange(at...)
                }
            }
            if harness.decode([bytes, bytes])[1].status == .good { good += 1 }
            #expect(!harness.explain(1).isEmpty)
        }
        #expect(good > 1000 && good < 19_000, "\(good)")
    }
}
