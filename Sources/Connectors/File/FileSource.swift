import Base
import Glibc
import Records

/// The records of one input: a file, a folder read in name order, or several of them; JSON lines or CSV,
/// plain, gzip or xz. Offsets count records from 0 over all files.
package final class FileSource {
    package enum Format: Sendable { case jsonLines, csv }

    package typealias Header = [String]

    package struct Block {
        package var records: RawRecords
        /// The header of the CSV file that these records come from, when it differs from the block before.
        package var header: Header?
    }

    /// A file, and the number of its first record.
    package struct Place: Equatable, Sendable {
        package var path: String
        package var first: Int64
    }

    private let format: Format
    /// Those that are still to be read.
    package private(set) var paths: [String]
    private var reader: ByteReader?
    private let storage: RawRecordStorage
    /// What was read and not yet handed out begins at `start`.
    private let buffer = Arena(capacity: 1 << 20)
    private var start = 0
    private var isAtEnd = false
    private var offset: Int64 = 0
    /// The header of the file being read, and the one that the last block with a header gave.
    private var header: [String]?
    private var announcedHeader: [String]?
    private var needsHeader = false
    /// Of the files as they lie there, compressed or not; the total does not have pipes.
    package var bytesRead: Int64 { bytesFinished + (reader?.position ?? 0) }
    private var bytesFinished: Int64 = 0
    package let bytesTotal: Int64
    /// The files that were opened so far.
    package private(set) var places: [Place] = []
    /// False for pipes, whose bytes are gone once they were read.
    package let canBeReadAgain: Bool

    /// Readable bytes behind a record that a parser may touch.
    private static let padding = 64

    package init(paths: [String], format: Format, rowsMax: Int = Limits.rowsPerBatchMax) throws(Fault) {
        self.format = format
        storage = RawRecordStorage(capacity: rowsMax)
        var files: [String] = []
        for path in paths { files += try Self.files(at: path) }
        self.paths = files
        bytesTotal = files.reduce(0) { $0 + Self.size(of: $1) }
        canBeReadAgain = files.allSatisfy { Self.isRegular($0) }
    }

    /// The file itself, or the files of a folder in name order.
    private static func files(at path: String) throws(Fault) -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        guard let folder = opendir(path) else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        if names.isEmpty { throw Fault(.user, "\(path): the folder is empty") }
        return names.sorted().map { "\(path)/\($0)" }
    }

    private static func size(of path: String) -> Int64 {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    private static func isRegular(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The next records, at most as many as `rowsMax`; valid until the next call; nil at the end.
    package func next() throws(Fault) -> Block? {
        while true {
            if reader == nil {
                guard !paths.isEmpty else { return nil }
                let path = paths.removeFirst()
                reader = try ByteReader(path)
                places.append(Place(path: path, first: offset))
                isAtEnd = false
                start = 0
                buffer.removeAll()
                needsHeader = format == .csv
            }
            if needsHeader {
                guard let (bytes, count, _) = try nextRecord() else {
                    closeFile()
                    continue
                }
                header = Self.fields(UnsafeBufferPointer(start: bytes, count: count))
                needsHeader = false
            }
            let count = try fill()
            if count > 0 {
                let newHeader = header == announcedHeader ? nil : header
                announcedHeader = header
                return Block(records: RawRecords(at: storage, from: 0, count: count), header: newHeader)
            }
            closeFile()
        }
    }

    private func closeFile() {
        bytesFinished += reader?.position ?? 0
        reader = nil
    }

    /// Cuts records out of the buffer, as they stand there, until it must be refilled, which would move them.
    private func fill() throws(Fault) -> Int {
        var count = 0
        while count < storage.capacity {
            if count > 0, !hasRecord() { break }
            guard let (bytes, length, trueLength) = try nextRecord() else { break }
            // An empty line is a record only where a record has one column.
            if length == 0, format == .jsonLines || (header?.count ?? 0) > 1 { continue }
            storage.values[count] = bytes
            storage.valueCounts[count] = Int32(clamping: trueLength)
            storage.keys[count] = nil
            storage.keyCounts[count] = -1
            storage.offsets[count] = offset
            storage.timestamps[count] = -1
            offset += 1
            count += 1
        }
        return count
    }

    /// True if a whole record stands in the buffer.
    private func hasRecord() -> Bool { endOfRecord(from: start) != nil || (isAtEnd && start < buffer.count) }

    /// Position of the line end that closes the record at `from`.
    private func endOfRecord(from: Int) -> Int? {
        let base = buffer.base
        if format == .jsonLines {
            guard let found = memchr(base + from, 0x0A, buffer.count - from) else { return nil }
            return base.distance(to: found.assumingMemoryBound(to: UInt8.self))
        }
        // Quotation marks count where they open a field; a stray one ends with its line.
        var at = from
        var isQuoted = false
        while at < buffer.count {
            let byte = base[at]
            if isQuoted {
                if byte == 0x22 {
                    if at + 1 < buffer.count, base[at + 1] == 0x22 { at += 1 } else { isQuoted = false }
                }
            } else if byte == 0x0A {
                return at
            } else if byte == 0x22, at == from || base[at - 1] == 0x2C {
                isQuoted = true
            }
            at += 1
        }
        return nil
    }

    /// The next record without its line end. An overlong one keeps its first `recordBytesMax` + 1 bytes and
    /// is reported with its true length.
    private func nextRecord() throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        while true {
            if let end = endOfRecord(from: start) {
                defer { start = end + 1 }
                let isReturn = end > start && buffer.base[end - 1] == 0x0D
                let length = end - start - (isReturn ? 1 : 0)
                return (UnsafePointer(buffer.base + start), length, length)
            }
            if isAtEnd {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                let length = buffer.count - start
                return (UnsafePointer(buffer.base + start), length, length)
            }
            // One byte more may be the return of a line end that is not here yet.
            if buffer.count - start > Limits.recordBytesMax + 1 { return try skipOverlong() }
            try read()
        }
    }

    private func read() throws(Fault) {
        if start > 0 {
            let rest = buffer.count - start
            memmove(buffer.base, buffer.base + start, rest)
            buffer.count = rest
            start = 0
        }
        let chunk = 256 << 10
        buffer.reserve(chunk + Self.padding)
        let got = try reader?.read(into: buffer.base + buffer.count, chunk) ?? 0
        buffer.count += got
        if got == 0 { isAtEnd = true }
    }

    /// Drops the rest of a record that is too long, up to its line end.
    private func skipOverlong() throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        let kept = Limits.recordBytesMax + 1
        var length = buffer.count - start
        let prefix = start
        // The tail beyond the kept part is searched and thrown away piece by piece.
        while true {
            buffer.count = prefix + kept
            buffer.reserve((256 << 10) + Self.padding)
            let got = try reader?.read(into: buffer.base + buffer.count, 256 << 10) ?? 0
            if got == 0 {
                isAtEnd = true
                start = buffer.count
                return (UnsafePointer(buffer.base + prefix), kept, length)
            }
            if let found = memchr(buffer.base + buffer.count, 0x0A, got) {
                let end = buffer.base.distance(to: found.assumingMemoryBound(to: UInt8.self))
                length += end - buffer.count
                buffer.count += got
                start = end + 1
                return (UnsafePointer(buffer.base + prefix), kept, length)
            }
            length += got
        }
    }

    /// The names of a CSV header.
    private static func fields(_ line: UnsafeBufferPointer<UInt8>) -> [String] {
        var bytes = line[...]
        // Spreadsheets put a byte order mark in front.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        var names: [String] = []
        var name: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        for byte in bytes {
            if byte == 0x22 {
                // A doubled mark closes the quotes and opens them again.
                if !isQuoted && wasQuoted { name.append(byte) }
                isQuoted.toggle()
                wasQuoted = true
            } else if byte == 0x2C, !isQuoted {
                names.append(String(decoding: name, as: UTF8.self))
                name = []
                wasQuoted = false
            } else {
                name.append(byte)
            }
        }
        return names + [String(decoding: name, as: UTF8.self)]
    }
}
