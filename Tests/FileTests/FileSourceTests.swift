import Base
import Connectors
import Dataflow
import Formats
import Foundation
import Records
import Testing

/// Files as sources: every record once, in order, whatever the file looks like and however many are asked
/// for.
@Suite final class FileSourceTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    struct Read: Equatable {
        var records: [String] = []
        /// (number of the record before which it came, header)
        var headers: [String] = []
        var lengths: [Int] = []
    }

    private func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    private func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(folder)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func read(_ paths: [String], _ layout: FileLayout = .jsonLines, rowsMax: Int = 2048) throws
        -> Read
    {
        let source = try FileSource(paths: paths, layout: layout, rowsMax: rowsMax)
        var result = Read()
        while let block = try source.next() {
            let raw = block.records
            #expect(raw.count > 0 && raw.count <= rowsMax)
            if let header = block.header {
                result.headers.append("\(result.records.count): \(header.names.joined(separator: "|"))")
            }
            for row in 0..<raw.count {
                let length = Int(raw.valueCounts[row])
                let kept = min(length, Limits.recordBytesMax + 1)
                result.records.append(
                    String(decoding: UnsafeBufferPointer(start: raw.values[row], count: kept), as: UTF8.self))
                result.lengths.append(length)
                #expect(raw.offsets[row] == Int64(result.records.count - 1))
                #expect(raw.keys[row] == nil && raw.timestamps[row] == -1)
            }
        }
        let after = try source.next()
        #expect(after == nil)
        return result
    }

    @Test(arguments: [
        ("", []), ("\n", []), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]), ("a\n\n\nb\n", ["a", "b"]),
        ("\n\na\r\n\r\nb\r\n", ["a", "b"]),
        ("a\r\nb\r", ["a", "b\r"]), ("a\rb\n", ["a\rb"]), (" \n", [" "]), ("\"a\nb\"\n", ["\"a", "b\""]),
    ])
    func jsonLines(text: String, expected: [String]) throws {
        let path = try write("a.jsonl", text)
        for rowsMax in [1, 2, 2048] {
            #expect(try read([path], rowsMax: rowsMax).records == expected)
        }
    }

    @Test(
        arguments: [
            ("", [], []), ("x,y\n", [], []), ("x,y", [], []), ("x,y\n1,2", ["1,2"], ["0: x|y"]),
            ("x,y\r\n1,2\r\n3,4\r\n", ["1,2", "3,4"], ["0: x|y"]),
            ("x,y\n\"a\nb\",2\n3,4\n", ["\"a\nb\",2", "3,4"], ["0: x|y"]),
            ("x,y\n\"a\r\n\"\"b\"\"\",2\n", ["\"a\r\n\"\"b\"\"\",2"], ["0: x|y"]),
            ("x,y\n1,2\n\n3,4\n\r\n", ["1,2", "3,4"], ["0: x|y"]), ("x\n1\n\n2\n", ["1", "", "2"], ["0: x"]),
            ("\u{FEFF}x,y\n1,2\n", ["1,2"], ["0: x|y"]),
            ("\"x, y\",\"say \"\"z\"\"\",w\n1,2,3\n", ["1,2,3"], ["0: x, y|say \"z\"|w"]),
            // A stray quotation mark does not swallow the lines that follow.
            ("x,y\na\"b,2\n3,4\n5\",6\n", ["a\"b,2", "3,4", "5\",6"], ["0: x|y"]),
            ("x,y,\n1,2,3\n", ["1,2,3"], ["0: x|y|"]),
        ] as [(String, [String], [String])])
    func csv(text: String, expected: [String], headers: [String]) throws {
        let path = try write("a.csv", text)
        for rowsMax in [1, 2, 2048] {
            let found = try read([path], .csv(), rowsMax: rowsMax)
            #expect(found.records == expected)
            #expect(found.headers == headers)
        }
    }

    /// A header is announced where it differs from the one announced before, even if files without records
    /// lie between.
    @Test func csvHeadersThatDiffer() throws {
        let paths = [
            try write("1.csv", "x,y\n1,2\n"), try write("2.csv", "x,y\n3,4"), try write("3.csv", "y,x\n"),
            try write("4.csv", "y,x\n5,6\n"),
            try write("5.csv", ""), try write("6.csv", "x,y\n"), try write("7.csv", "y,x\n7,8\n"),
            try write("8.csv", "x,y\n9,0\n"),
        ]
        let found = try read(paths, .csv())
        #expect(found.records == ["1,2", "3,4", "5,6", "7,8", "9,0"])
        #expect(found.headers == ["0: x|y", "2: y|x", "4: x|y"])
    }

    @Test func foldersAndLists() throws {
        let inner = "\(folder)/in"
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        for (name, text) in [
            ("in/b", "3\n4\n"), ("in/a", "1\n2"), ("in/.hidden", "no\n"), ("in/c", "5\n"), ("z", "6\n"),
        ] { _ = try write(name, text) }
        #expect(
            try read([inner, "\(folder)/z", "\(inner)/a"]).records == [
                "1", "2", "3", "4", "5", "6", "1", "2",
            ])
    }

    @Test(arguments: [
        (Compressed.gzip, "a.gz"), (Compressed.xz, "a.xz"), (Compressed.xz, "named-otherwise.jsonl"),
    ])
    func compressed(base64: String, name: String) throws {
        let path = try write(name, Compressed.data(base64))
        let found = try read([path], rowsMax: 1000)
        #expect(found.records.count == 200_002)
        #expect(found.records.first == "{\"n\":1}" && found.records.last == "{\"n\":333}")
        #expect(found.records.dropFirst().dropLast().allSatisfy { $0 == "{\"n\":22}" })
        #expect(try read([path], rowsMax: 77) == found)
    }

    @Test(arguments: [Compressed.gzipTwice, Compressed.xzTwice])
    func severalStreamsInOneFile(base64: String) throws {
        #expect(try read([try write("two", Compressed.data(base64))]).records == ["a", "b"])
    }

    /// A file that is cut or changed ends with a fault that names it, not with a silent end.
    @Test(arguments: [Compressed.gzip, Compressed.xz])
    func damaged(base64: String) throws {
        let bytes = Compressed.data(base64)
        for cut in [bytes.count / 2, bytes.count - 5, 20] {
            let path = try write("cut", Array(bytes[..<cut]))
            let fault = #expect(throws: Fault.self, "cut at \(cut)") { try self.read([path]) }
            #expect(
                fault?.detail.hasPrefix("\(path): damaged at byte ") == true, "\(String(describing: fault))")
        }
        var changed = bytes
        changed[bytes.count / 2] ^= 0xFF
        let path = try write("changed", changed)
        #expect(throws: Fault.self) { try self.read([path]) }
    }

    @Test func missing() throws {
        #expect(throws: Fault(.user, "\(folder)/none: No such file or directory")) {
            try self.read(["\(self.folder)/none"])
        }
        let empty = "\(folder)/empty"
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        #expect(throws: Fault(.user, "\(empty): the folder is empty")) { try self.read([empty]) }
    }

    /// Records longer than the buffer come whole; those longer than the limit keep their place and true
    /// length.
    @Test(arguments: ["\n", "\r\n"])
    func longRecords(end: String) throws {
        let lengths = [
            10, 300 << 10, 1, Limits.recordBytesMax - 1, Limits.recordBytesMax, 5, Limits.recordBytesMax + 1,
            7, 3 << 20, 8, (1 << 20) + 3, 2 << 20,
        ]
        let letters = lengths.indices.map { String(UnicodeScalar(UInt8(97 + $0))) }
        let lines = zip(letters, lengths).map { String(repeating: $0, count: $1) }
        for text in [lines.joined(separator: end), lines.joined(separator: end) + end] {
            let path = try write("long", text)
            for rowsMax in [1, 3, 2048] {
                let found = try read([path], rowsMax: rowsMax)
                #expect(found.records.count == lengths.count)
                for (index, length) in lengths.enumerated() where index < found.records.count {
                    let isOverlong = length > Limits.recordBytesMax
                    #expect(
                        isOverlong == (found.lengths[index] > Limits.recordBytesMax),
                        "\(length): \(found.lengths[index])")
                    if !isOverlong { #expect(found.records[index] == lines[index], "\(length)") }
                    #expect(found.records[index].hasPrefix(letters[index]))
                    #expect(abs(found.lengths[index] - length) <= end.utf8.count - 1)
                }
            }
        }
    }

    /// Random lines of all lengths, read in blocks of all sizes, are the lines.
    @Test func sameRecordsWhateverTheBlockSize() throws {
        let seed: UInt64 = 256
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let lines = (0..<4000).map { index in
            let length = random.next() % 50 == 0 ? random.next() % 40_000 : random.next() % 200
            return "\(index):" + String(repeating: "x", count: Int(length))
        }
        let path = try write("lines", lines.joined(separator: "\n"))
        let quoted = lines.map {
            random.next() % 3 == 0 ? "\"\($0.replacing("x", with: "\n", maxReplacements: 3))\",1" : "\($0),1"
        }
        let csv = try write("lines.csv", "a,b\n" + quoted.joined(separator: "\n"))
        for rowsMax in [1, 2, 3, 7, 100, 1024, 2048, 5000] {
            #expect(try read([path], rowsMax: rowsMax).records == lines)
            #expect(try read([csv], .csv(), rowsMax: rowsMax).records == quoted)
        }
    }
}
