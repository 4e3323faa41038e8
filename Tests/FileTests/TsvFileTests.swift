import Base
import Connectors
import Dataflow
import Formats
import Foundation
import Records
import Testing

/// TSV files, in which a backslash before a line end keeps it in its record.
@Suite final class TsvFileTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func read(_ bytes: [UInt8], _ format: TsvFormat, _ names: [String] = [], rowsMax: Int = 2048)
        throws -> (records: [String], lengths: [Int], headers: [FileSource.Header])
    {
        let path = "\(folder)/a.tsv"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let source = try FileSource(
            paths: [path], layout: format.fileLayout(of: RecordShape(fields: names)), rowsMax: rowsMax)
        var (records, lengths, headers): ([String], [Int], [FileSource.Header]) = ([], [], [])
        while let block = try source.next() {
            if let header = block.header { headers.append(header) }
            for row in 0..<block.records.count {
                lengths.append(Int(block.records.valueCounts[row]))
                let kept = min(lengths[lengths.count - 1], Limits.recordBytesMax + 1)
                records.append(
                    String(
                        decoding: UnsafeBufferPointer(start: block.records.values[row], count: kept),
                        as: UTF8.self))
            }
        }
        #expect(source.takeWarnings() == [])
        return (records, lengths, headers)
    }

    private static func format(escapes: Bool = true, header: Bool = true, skip: Int = 0) -> TsvFormat {
        var format = TsvFormat()
        format.hasEscapes = escapes
        format.columns.hasHeader = header
        format.columns.skippedLines = skip
        return format
    }

    @Test(arguments: [
        (format(), "x\ty\na\t1\n\nb\t2", ["a\t1", "b\t2"]),
        (format(), "x\ty\na\\\nb\t1\nc\\\\\nd\t2\n", ["a\\\nb\t1", "c\\\\", "d\t2"]),
        (format(), "x\ty\r\na\t\\\\\r\nb\t\"\r\n", ["a\t\\\\", "b\t\""]),
        (format(escapes: false), "x\ty\na\\\nb\t1\n", ["a\\", "b\t1"]),
        (format(), "x\n\na\\\n\n", ["", "a\\\n"]), (format(), "x\ty\na\\\\\\\n\t1\\", ["a\\\\\\\n\t1\\"]),
        (format(), "x\ty\ra\\\rb\t1\rc\t2", ["a\\\rb\t1", "c\t2"]),
        (format(header: false), "a\t1\n\nb\t2\n", ["a\t1", "b\t2"]),
        (format(skip: 1), "Report\nx\ty\na\t1\n", ["a\t1"]),
    ])
    func records(format: TsvFormat, text: String, expected: [String]) throws {
        for rowsMax in [1, 2, 2048] {
            #expect(try read(Array(text.utf8), format, ["x", "y"], rowsMax: rowsMax).records == expected)
        }
    }

    /// Lines are counted on over line ends that are none.
    @Test func headers() throws {
        let header = try #require(
            try read(Array("\nR\\\n\n\nx\\ty\tz\na\t1\n".utf8), Self.format(skip: 3)).headers.first)
        #expect(header.names == ["x\ty", "z"] && header.line == 5)
        let fault = #expect(throws: Fault.self) {
            try self.read(Array("x\t".utf8) + [0xBA, 0xBC, 0x0A], Self.format())
        }
        #expect(
            fault?.detail.contains(
                "the header is not UTF-8; say which encoding it is of: format: { type: tsv, encoding: windows-1252 }"
            ) == true)
    }

    /// Records that go on over more than the buffer, and one over what is held.
    @Test func longRecords() throws {
        let line = String(repeating: "z", count: 70_000) + "\\\n"
        let long = try read(
            Array(("x\ty\na\t1\n" + String(repeating: line, count: 12) + "\t2\nb\t3\n").utf8), Self.format())
        #expect(long.lengths == [3, 12 * line.utf8.count + 2, 3])
        let lines = Limits.csvRecordBytesHeld / line.utf8.count + 30
        let endless = try read(
            Array(("x\ty\na\t1\n" + String(repeating: line, count: lines) + "\t2\nb\t3\n").utf8),
            Self.format())
        #expect(endless.records.first == "a\t1" && endless.records.last == "b\t3")
        #expect(endless.lengths.contains { $0 > Limits.csvRecordBytesHeld })
    }

    /// Random text of few letters against a plain reading of it, letter by letter.
    @Test(arguments: [UInt64(81), 82, 83])
    func againstPlainReading(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<400 {
            let format = Self.format(escapes: random.next() % 3 != 0, header: false)
            let letters = Array("ab\t\n\n\\\\\"".utf8)
            let bytes = (0..<Int(random.next() % 120)).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }
            var expected: [String] = []
            var (record, isEscaped): ([UInt8], Bool) = ([], false)
            for byte in bytes {
                if byte == 0x0A, !isEscaped {
                    if !record.isEmpty { expected.append(String(decoding: record, as: UTF8.self)) }
                    record = []
                } else {
                    record.append(byte)
                }
                isEscaped = format.hasEscapes && byte == 0x5C && !isEscaped
            }
            if !record.isEmpty { expected.append(String(decoding: record, as: UTF8.self)) }
            for rowsMax in [1, 3, 2048] {
                #expect(
                    try read(bytes, format, ["x", "y"], rowsMax: rowsMax).records == expected,
                    "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
            }
        }
    }
}
