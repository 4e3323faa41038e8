import Base
import Connectors
import Dataflow
import Foundation
import Testing

/// Goal: files that are damaged, wherever, are told and never end early without a word; pipes are read like
/// files.
@Suite final class ByteReaderTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func write(_ bytes: [UInt8]) throws -> String {
        let path = "\(folder)/file"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func records(_ path: String) throws -> [String] {
        let source = try FileSource(paths: [path], layout: .jsonLines)
        var records: [String] = []
        while let block = try source.next() {
            for row in 0..<block.records.count {
                let bytes = UnsafeBufferPointer(
                    start: block.records.values[row], count: Int(block.records.valueCounts[row]))
                records.append(String(decoding: bytes, as: UTF8.self))
            }
        }
        return records
    }

    /// Two compressed parts, `a` and `b`: cut at every byte and with every bit changed. The only cut that
    /// nobody can see is that between the parts.
    @Test(arguments: [Compressed.gzipTwice, Compressed.xzTwice])
    func everyDamageIsSeen(base64: String) throws {
        let bytes = Compressed.data(base64)
        var silent: [[String]] = []
        for cut in 6..<bytes.count {
            if let found = try? records(write(Array(bytes[..<cut]))) { silent.append(found) }
        }
        #expect(silent == [["a"]])
        var refused = 0
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            // In the first bytes it is no compressed file any more; a time or a flag may change without harm.
            if bit / 8 < 6 { continue }
            do {
                let found = try records(write(changed))
                #expect(found == ["a", "b"], "bit \(bit)")
            } catch {
                #expect(
                    (error as? Fault)?.detail.hasPrefix("\(folder)/file: damaged at byte ") == true,
                    "\(error)")
                #expect((error as? Fault)?.domain == .external)
                refused += 1
            }
        }
        #expect(refused > bytes.count * 4)
    }

    @Test func whatFollowsGzipIsGzipOrZeros() throws {
        let bytes = Compressed.data(Compressed.gzipTwice)
        #expect(try records(write(bytes + [UInt8](repeating: 0, count: 1000))) == ["a", "b"])
        for rest: [UInt8] in [
            [1], [0x1F], [0, 0, 7], Array("more\n".utf8), [UInt8](repeating: 0, count: 600_000) + [1],
        ] {
            let path = try write(bytes + rest)
            let fault = #expect(throws: Fault.self) { try self.records(path) }
            #expect(
                fault?.detail.hasSuffix("what follows the compressed part is not gzip") == true,
                "\(rest.prefix(5))")
        }
    }

    /// Goal: a pipe gives what a file gives, however its bytes come.
    @Test(arguments: [nil, Compressed.gzip, Compressed.xz], [1, 7, 100_000])
    func pipes(base64: String?, step: Int) throws {
        let bytes = base64.map(Compressed.data) ?? Array("{\"n\":1}\n{\"n\":22}\n{\"n\":333}".utf8)
        let wanted = try records(write(bytes))
        let path = "\(folder)/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let writer = Thread {
            let pipe = open(path, O_WRONLY)
            defer { close(pipe) }
            for start in stride(from: 0, to: bytes.count, by: step) {
                let part = bytes[start..<min(bytes.count, start + step)]
                _ = part.withUnsafeBytes { Foundation.write(pipe, $0.baseAddress, $0.count) }
            }
        }
        writer.start()
        #expect(try records(path) == wanted)
        #expect(wanted.count > 2)
    }

    @Test func whatIsNoFile() throws {
        let fault = #expect(throws: Fault.self) { _ = try self.records("/proc/self/mem") }
        #expect(fault?.detail.hasPrefix("/proc/self/mem: ") == true)
        #expect(try records("/dev/null") == [])
    }
}
