import Base
import Connectors
import Dataflow
import Formats
import Foundation
import Records
import Testing

/// CSV files as people have them: dialects, headers, encodings, quotes that are never closed.
@Suite final class CsvFileTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    struct Read: Equatable {
        var records: [String] = []
        var headers: [FileSource.Header] = []
        var warnings: [String] = []
        var lengths: [Int] = []
    }

    private func write(_ bytes: [UInt8], _ name: String = "a.csv") throws -> String {
        let path = "\(folder)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func read(
        _ bytes: [UInt8], _ layout: FileLayout = .csv(), encoding: TextEncoding? = nil, rowsMax: Int = 2048
    ) throws -> Read {
        let path = try write(bytes)
        let source = try FileSource(paths: [path], layout: layout, encoding: encoding, rowsMax: rowsMax)
        var result = Read()
        while let block = try source.next() {
            if let header = block.header { result.headers.append(header) }
            for row in 0..<block.records.count {
                let length = Int(block.records.valueCounts[row])
                let kept = min(length, Limits.recordBytesMax + 1)
                result.records.append(
                    String(
                        decoding: UnsafeBufferPointer(start: block.records.values[row], count: kept),
                        as: UTF8.self))
                result.lengths.append(length)
                #expect(block.records.offsets[row] == Int64(result.records.count - 1))
            }
        }
        result.warnings = source.takeWarnings().map { String($0.dropFirst(path.utf8.count)) }
        return result
    }

    private func read(_ text: String, _ dialect: CsvFormat = CsvFormat(), rowsMax: Int = 2048) throws -> Read
    {
        try read(Array(text.utf8), .csv(dialect), rowsMax: rowsMax)
    }

    private static func dialect(_ change: (inout CsvFormat) -> Void) -> CsvFormat {
        var dialect = CsvFormat()
        change(&dialect)
        return dialect
    }

    @Test(arguments: [
        (dialect { $0.delimiter = 0x3B }, "x;y\n\"a\nb\";1\nc,\"d;2\n", ["\"a\nb\";1", "c,\"d;2"]),
        (dialect { $0.quote = 0x27 }, "x,y\n'a\nb',1\n\"c,2\n", ["'a\nb',1", "\"c,2"]),
        (dialect { $0.quote = nil }, "x,y\n\"a,1\nb\",2\n", ["\"a,1", "b\",2"]),
        (dialect { $0.escape = 0x5C }, "x,y\n\"a\\\"\nb\\\\\",1\n\\N,2\n", ["\"a\\\"\nb\\\\\",1", "\\N,2"]),
        (dialect { $0.isTrimmed = true }, "x , y\n \"a\nb\" ,1\nc \"d,2\n", [" \"a\nb\" ,1", "c \"d,2"]),
        (CsvFormat(), "x,y\n \"a\nb\" ,1\n", [" \"a", "b\" ,1"]),
        (CsvFormat(), "\n\r\n\nx,y\n\n1,2\n", ["1,2"]),
        (dialect { $0.columns.skippedLines = 2 }, "Report \"of\nJanuary\nx,y\n1,2\n", ["1,2"]),
        (dialect { $0.columns.skippedLines = 9 }, "x,y\n1,2\n", []),
        (CsvFormat(), "x,y\r1,2\r3,4\r", ["1,2", "3,4"]),
        (CsvFormat(), "x,y\r\"a\rb\",2\r\r3,4", ["\"a\rb\",2", "3,4"]),
        (
            dialect {
                $0.columns.hasHeader = false
                $0.columns.names = ["x", "y"]
            }, "1,2\n\n3,4\n", ["1,2", "3,4"]
        ),
        (
            dialect {
                $0.columns.hasHeader = false
                $0.columns.names = ["x"]
            }, "1\n\n2\n", ["1", "", "2"]
        ),
        (
            dialect {
                $0.columns.hasHeader = false
                $0.columns.names = ["x", "y"]
                $0.columns.skippedLines = 1
            }, "u,u\n1,2\n", ["1,2"]
        ),
    ])
    func records(dialect: CsvFormat, text: String, expected: [String]) throws {
        for rowsMax in [1, 2, 2048] { #expect(try read(text, dialect, rowsMax: rowsMax).records == expected) }
    }

    @Test func headersSayWhereTheyStand() throws {
        let skipped = Self.dialect {
            $0.columns.skippedLines = 2
            $0.isTrimmed = true
        }
        let header = try #require(
            try read("Report\n\n\n x , \"y, z\" ,\"\"\"q\"\n1,2,3\n", skipped).headers.first)
        #expect(header.names == ["x", "y, z", "\"q"] && header.line == 4 && header.path == "\(folder)/a.csv")
        let two = try #require(try read("\"x\ny\",z\n1,2\n").headers.first)
        #expect(two.names == ["x\ny", "z"] && two.line == 1)
        #expect(try read("\u{FEFF}\"x\",y\n1,2\n").headers.first?.names == ["x", "y"])
        #expect(throws: Fault.self) {
            try self.read(Array("x,".utf8) + [0xBA, 0xBC] + Array(",y\n1,2,3\n".utf8))
        }
    }

    /// A quote that is never closed is refused with its line, and reading goes on behind it.
    @Test(arguments: [
        ("x,y\n\"a,1\nb,2\nc,3\n", ["\"a,1", "b,2", "c,3"], [2]),
        ("x,y\na,1\nb,\"2\nc,3", ["a,1", "b,\"2", "c,3"], [3]),
        ("x,y\n\"a\nb\",\"1\nc,3\n", ["\"a\nb\",\"1", "c,3"], [3]), ("x,y\na,\"", ["a,\""], [2]),
        ("x,y\na,1\n\"b\n\"", ["a,1", "\"b\n\""], []),
        // The next quote closes it, though nothing fits: one bad record.
        ("x,y\n\"a,1\n\"b\",2\nc,3\n", ["\"a,1\n\"b\",2", "c,3"], []),
        ("x,y\n\"\"\"a,1\nb,2\n", ["\"\"\"a,1", "b,2"], [2]),
    ])
    func openQuotes(text: String, expected: [String], lines: [Int]) throws {
        for rowsMax in [1, 2, 2048] {
            let found = try read(text, rowsMax: rowsMax)
            #expect(found.records == expected)
            #expect(found.warnings.count == lines.count)
            for (warning, line) in zip(found.warnings, lines) {
                #expect(
                    warning.hasPrefix(
                        ":\(line): a quote is opened in this line and not closed before the end of the file"))
            }
        }
    }

    @Test func openQuoteInTheHeader() throws {
        let fault = #expect(throws: Fault.self) { try self.read("\n\"x,y\n1,2\n3,4\n") }
        #expect(fault?.detail.contains("a.csv:2: a quote is opened in this line and not closed") == true)
        let long = #expect(throws: Fault.self) {
            try self.read(
                Array("\"x,y\n".utf8) + [UInt8](repeating: 0x61, count: Limits.csvRecordBytesHeld + (1 << 20))
            )
        }
        #expect(long?.detail.contains("not closed before 16 MiB have passed; the line is the header") == true)
    }

    /// A quoted field over the limit is one record, whatever stands in it; one that is not closed within what
    /// is held is refused with its line alone.
    @Test func longQuotedFields() throws {
        let line = String(repeating: "z", count: 1000) + ",1\n"
        let field = String(repeating: line, count: 3000)
        let found = try read("x,y\na,1\n\"\(field)\",2\nb,3\n")
        #expect(found.records.count == 3 && found.records.first == "a,1" && found.records.last == "b,3")
        #expect(found.lengths[1] == field.utf8.count + 4 && found.warnings == [])
        let longLine = String(repeating: "z", count: 60_000) + ",1\n"
        let lines = Limits.csvRecordBytesHeld / longLine.utf8.count + 20
        for end in ["", "q,\"\n", "\"q\",7\n"] {
            let open = try read("x,y\na,1\n\"b,2\n" + String(repeating: longLine, count: lines) + end)
            #expect(open.records.count == lines + (end.isEmpty ? 2 : 3))
            #expect(open.records[1] == "\"b,2" && open.records[2].utf8.count == longLine.utf8.count - 1)
            #expect(
                open.warnings.first?.hasPrefix(
                    ":3: a quote is opened in this line and not closed before 16 MiB have passed") == true)
        }
        // Not a line end in sight.
        let endless = try read(
            Array("x,y\na,\"".utf8) + [UInt8](repeating: 0x61, count: Limits.csvRecordBytesHeld + (2 << 20))
                + Array("\nb,2\n".utf8))
        #expect(
            endless.records.count == 2 && endless.records[1] == "b,2"
                && endless.lengths[0] > Limits.csvRecordBytesHeld)
    }

    @Test(
        arguments: [
            (
                [0x50, 0x4B, 3, 4, 20, 0],
                "is a zip archive (so is an .xlsx file); unpack it, or export it as CSV"
            ), (Array("BZh91AY&SY".utf8), "is bzip2; unpack it"),
            (
                Array("x.csv".utf8) + [UInt8](repeating: 0, count: 252) + Array("ustar".utf8),
                "is a tar archive; unpack it"
            ),
            ([0x28, 0xB5, 0x2F, 0xFD, 0], "is zstd"),
            ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "is a 7z archive"), (Array("PAR1xx".utf8), "is Parquet"),
            (Array("Obj\u{1}x".utf8), "is a container of Avro"),
            ([0xD0, 0xCF, 0x11, 0xE0], "is an old Office document"),
            ([0xFF, 0xFE, 0x78, 0, 0x2C, 0], "is UTF-16; say format: { …, encoding: utf-16 }"),
            ([0xFE, 0xFF, 0, 0x78], "is UTF-16"),
            (
                Array("x,y\n1,2\n".utf8).flatMap { [$0, 0] },
                "looks like UTF-16; say format: { …, encoding: utf-16le }"
            ),
            (
                Array("x,y\n1,2\n".utf8).flatMap { [0, $0] },
                "looks like UTF-16; say format: { …, encoding: utf-16be }"
            ),
        ] as [([UInt8], String)])
    func otherFiles(bytes: [UInt8], message: String) throws {
        for format in [FileLayout.csv(), .jsonLines] {
            let fault = #expect(throws: Fault.self) { try self.read(bytes, format) }
            #expect(fault?.detail.contains("a.csv \(message)") == true, "\(fault?.detail ?? "")")
        }
    }

    @Test func encodings() throws {
        let text = "店,金额\n\"杭\n州\",1\n义乌,2\r\n"
        let gb18030: [UInt8] = [
            0xB5, 0xEA, 0x2C, 0xBD, 0xF0, 0xB6, 0xEE, 0x0A, 0x22, 0xBA, 0xBC, 0x0A, 0xD6, 0xDD, 0x22, 0x2C,
            0x31, 0x0A, 0xD2, 0xE5, 0xCE, 0xDA, 0x2C, 0x32,
            0x0D, 0x0A,
        ]
        func utf16(isBig: Bool) -> [UInt8] {
            Array(text.utf16).flatMap {
                isBig
                    ? [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)]
                    : [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)]
            }
        }
        for (name, bytes) in [
            ("gb18030", gb18030), ("utf-16le", utf16(isBig: false)), ("utf-16be", utf16(isBig: true)),
            ("utf-16le", [0xFF, 0xFE] + utf16(isBig: false)),
            ("utf-16", [0xFF, 0xFE] + utf16(isBig: false)), ("utf-16", [0xFE, 0xFF] + utf16(isBig: true)),
        ] {
            let encoding = try #require(TextEncoding.named(name) ?? nil)
            for rowsMax in [1, 2048] {
                let found = try read(bytes, encoding: encoding, rowsMax: rowsMax)
                #expect(
                    found.records == ["\"杭\n州\",1", "义乌,2"] && found.headers.first?.names == ["店", "金额"],
                    "\(name)")
            }
        }
        for (name, bytes, message) in [
            ("utf-16", utf16(isBig: false), "has no byte order mark"),
            ("utf-16be", [0xFF, 0xFE] + utf16(isBig: false), "the byte order mark of utf-16le"),
            ("gb18030", [0xEF, 0xBB, 0xBF] + Array(text.utf8), "take encoding out"),
            ("gb18030", [0xFF, 0xFE] + utf16(isBig: false), "is UTF-16"),
        ] {
            let encoding = try #require(TextEncoding.named(name) ?? nil)
            let fault = #expect(throws: Fault.self) { try self.read(bytes, encoding: encoding) }
            #expect(fault?.detail.contains(message) == true)
        }
    }

    /// A large file in another encoding, cut by the reader where it falls, is the same as in UTF-8.
    @Test func encodedFilesOfAnyLength() throws {
        var random = SplitMix64(seed: 18)
        let letters: [(String, [UInt8])] = [
            ("杭", [0xBA, 0xBC]), ("a", [0x61]), ("\n", [0x0A]), (",", [0x2C]), ("é", [0xA8, 0xA6]),
            ("𠀀", [0x95, 0x32, 0x82, 0x36]),
        ]
        let picked = (0..<400_000).map { _ in letters[Int(random.next() % 6)] }
        let plain = "x\n" + picked.map(\.0).joined()
        let encoded = Array("x\n".utf8) + picked.flatMap(\.1)
        let encoding = try #require(TextEncoding.named("gb18030") ?? nil)
        #expect(try read(encoded, encoding: encoding) == read(Array(plain.utf8)))
        #expect(try read(encoded, .jsonLines, encoding: encoding) == read(Array(plain.utf8), .jsonLines))
    }

    @Test func jsonWithMarksAndReturns() throws {
        #expect(try read(Array("\u{FEFF}{\"a\":1}\n{}\n".utf8), .jsonLines).records == ["{\"a\":1}", "{}"])
        #expect(try read(Array("{\"a\":1}\r{}\r".utf8), .jsonLines).records == ["{\"a\":1}", "{}"])
    }

    /// Random text of few letters against a plain reading of it, letter by letter.
    @Test(arguments: [UInt64(71), 72, 73])
    func againstPlainReading(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<400 {
            let hasEscape = random.next() % 3 == 0
            let dialect = Self.dialect {
                $0.columns.hasHeader = false
                $0.columns.names = ["x", "y"]
                $0.isTrimmed = random.next() % 3 == 0
                $0.escape = hasEscape ? 0x5C : nil
            }
            let letters = Array("ab,,\n\n\"\"\" \\".utf8)
            let bytes = (0..<Int(random.next() % 120)).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }
            let expected = Self.plainRecords(bytes, dialect)
            for rowsMax in [1, 3, 2048] {
                #expect(
                    try read(bytes, .csv(dialect), rowsMax: rowsMax).records == expected,
                    "\(String(decoding: bytes, as: UTF8.self))")
            }
        }
    }

    private static func plainRecords(_ bytes: [UInt8], _ dialect: CsvFormat) -> [String] {
        var records: [String] = []
        var start = 0
        while start < bytes.count {
            var (at, isQuoted, isBeginning) = (start, false, true)
            var quoteAt = start
            while at < bytes.count, isQuoted || bytes[at] != 0x0A {
                let byte = bytes[at]
                if isQuoted {
                    if byte == dialect.escape, at + 1 < bytes.count {
                        at += 1
                    } else if byte == 0x22 {
                        if at + 1 < bytes.count, bytes[at + 1] == 0x22 { at += 1 } else { isQuoted = false }
                    }
                } else if byte == 0x22, isBeginning {
                    (isQuoted, quoteAt, isBeginning) = (true, at, false)
                } else {
                    isBeginning = byte == 0x2C || (isBeginning && dialect.isTrimmed && byte == 0x20)
                }
                at += 1
            }
            if isQuoted { at = bytes[quoteAt...].firstIndex(of: 0x0A) ?? bytes.count }
            if at > start { records.append(String(decoding: bytes[start..<at], as: UTF8.self)) }
            start = at + 1
        }
        return records
    }
}
