import Base
import Connectors
import Glibc
import Records

/// The lines of a file of JSON objects, found but not read: a month has a million.
final class CatchUpLines: Sendable {
    nonisolated(unsafe) private let bytes: UnsafeMutableRawBufferPointer
    let lines: [Range<Int>]

    init(_ path: String) throws(Fault) {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var status = stat()
        fstat(file, &status)
        let count = Int(status.st_size)
        guard count > 0, let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, file, 0), start != MAP_FAILED
        else {
            bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            lines = []
            return
        }
        bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
        var lines: [Range<Int>] = []
        var at = 0
        while at < count, let end = memchr(start + at, 0x0A, count - at) {
            let stop = UnsafeRawPointer(end) - UnsafeRawPointer(start)
            lines.append(at..<stop)
            at = stop + 1
        }
        self.lines = lines
    }

    deinit { if let start = bytes.baseAddress { munmap(start, bytes.count) } }

    func line(_ index: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes.bindMemory(to: UInt8.self)[lines[index]])
    }

    /// The text or number of a member that is not nested; texts without escapes. nil: it is not there.
    func value(_ name: String, _ index: Int) -> UnsafeBufferPointer<UInt8>? {
        let line = line(index)
        guard var from = line.end(of: "\"\(name)\":") else { return nil }
        let isText = from < line.count && line[from] == 0x22
        if isText { from += 1 }
        var to = from
        while to < line.count, isText ? line[to] != 0x22 : line[to] != 0x2C && line[to] != 0x7D { to += 1 }
        return UnsafeBufferPointer(rebasing: line[from..<to])
    }

    /// Milliseconds of a time as text, or as a number of them.
    func time(_ name: String, _ index: Int) -> Int64? {
        guard let value = value(name, index) else { return nil }
        let text = String(decoding: value, as: UTF8.self)
        return Int64(text) ?? CivilTime.parse(text)?.milliseconds
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Where the first occurrence of a text ends.
    func end(of text: String) -> Int? {
        var text = text
        return text.withUTF8 { text in
            guard let first = text.first, let start = baseAddress, let needle = text.baseAddress else {
                return nil
            }
            var at = 0
            while at + text.count <= count,
                let hit = memchr(start + at, Int32(first), count - at - text.count + 1)
            {
                if memcmp(hit, needle, text.count) == 0 {
                    return UnsafeRawPointer(hit) - UnsafeRawPointer(start) + text.count
                }
                at = UnsafeRawPointer(hit) - UnsafeRawPointer(start) + 1
            }
            return nil
        }
    }
}

extension FileWriter {
    func write(_ text: String) throws(Fault) {
        let bytes = Arena(capacity: text.utf8.count + 1)
        bytes.appendText(text)
        try write(UnsafeBufferPointer(start: UnsafePointer(bytes.base), count: bytes.count))
    }
}
