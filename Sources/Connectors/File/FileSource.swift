import Base
import Dataflow
import Glibc
import Records

/// The records of one input: a file, a folder read in name order, or several of them; plain, gzip or xz, in
/// UTF-8 or made so, and cut into records as the layout of their format says. Offsets count records from 0
/// over all files.
package final class FileSource {
    /// The names of a file's columns, and where they stand.
    package struct Header: Equatable, Sendable {
        package var names: [String]
        package var path: String
        /// Counts from 1.
        package var line: Int
    }

    package struct Block {
        package var records: RawRecords
        /// The header of the file that these records come from, when it differs from the block before.
        package var header: Header?
    }

    /// A file, and the number of its first record.
    package struct Place: Equatable, Sendable {
        package var path: String
        package var first: Int64
    }

    private let layout: FileLayout
    private let encoding: TextEncoding?
    /// Those that are still to be read.
    package private(set) var paths: [String]
    private var path = ""
    private var reader: ByteReader?
    private let transcoder: Transcoder?
    private let storage: RawRecordStorage
    /// What was read and not yet handed out begins at `start`.
    private let buffer = Arena(capacity: 1 << 20)
    /// Bytes before they are made UTF-8, and the first ones of every file.
    private let raw = Arena(capacity: 1 << 12)
    private var start = 0
    private var isAtEnd = false
    private var offset: Int64 = 0
    private var lineEnd: UInt8 = 0x0A
    /// Of the record at `start`, from 1.
    private var line = 1
    /// Of that record; nil: it is the line.
    private var recordEnd: RecordEnd?
    /// Of that value, where records are values over any number of lines.
    private var documentEnd: DocumentEnd?
    /// Where it ends, once that was found.
    private var end: Int?
    /// Of a file that is a container.
    private var blocks: ContainerBlocks?
    /// The header of the file being read, and the one that the last block with a header gave.
    private var header: Header?
    private var announcedNames: [String]?
    private var needsHeader = false
    private var warnings: [String] = []
    private var warningsOfFile = 0
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
    private static let chunkBytes = 256 << 10
    /// By so much of a file it is seen what it is.
    private static let headBytes = 64 << 10
    private static let warningsPerFile = 10

    /// `encoding`: of the files; nil: UTF-8.
    package init(
        paths: [String], layout: FileLayout, encoding: TextEncoding? = nil,
        rowsMax: Int = Limits.rowsPerBatchMax
    ) throws(Fault) {
        self.layout = layout
        self.encoding = encoding
        transcoder = if let encoding { try Transcoder(encoding) } else { nil }
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
        guard stat(path, &status) == 0 else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        guard let folder = opendir(path) else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
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

    /// The file, or the first one of a folder.
    package static func first(of path: String) throws(Fault) -> String { try files(at: path)[0] }

    private static func size(of path: String) -> Int64 {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    private static func isRegular(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// What people should know of the files read since the last call.
    package func takeWarnings() -> [String] {
        defer { warnings = [] }
        return warnings
    }

    private func warn(_ line: Int, _ message: String) {
        warningsOfFile += 1
        guard warningsOfFile <= Self.warningsPerFile else { return }
        let isLast = warningsOfFile == Self.warningsPerFile
        let end = isLast ? " (of this file no more of these are shown)" : ""
        warnings.append("\(path):\(line): \(message)\(end)")
    }

    /// The next records, at most as many as `rowsMax`; valid until the next call; nil at the end.
    package func next() throws(Fault) -> Block? {
        while true {
            if reader == nil {
                guard !paths.isEmpty else { return nil }
                try open(paths.removeFirst())
            }
            if needsHeader {
                guard try readHeader() else {
                    closeFile()
                    continue
                }
            }
            let count = try fill()
            if count > 0 {
                let newHeader = header?.names == announcedNames ? nil : header
                announcedNames = header?.names
                return Block(records: RawRecords(at: storage, from: 0, count: count), header: newHeader)
            }
            closeFile()
        }
    }

    private func closeFile() {
        bytesFinished += reader?.position ?? 0
        reader = nil
        blocks = nil
    }

    // MARK: The beginning of a file

    private func open(_ path: String) throws(Fault) {
        let reader = try ByteReader(path)
        self.reader = reader
        self.path = path
        places.append(Place(path: path, first: offset))
        isAtEnd = false
        start = 0
        line = 1
        warningsOfFile = 0
        buffer.removeAll()
        raw.removeAll()
        transcoder?.reset()
        raw.reserve(Self.headBytes)
        while raw.count < Self.headBytes {
            let got = try reader.read(into: raw.base + raw.count, Self.headBytes - raw.count)
            if got == 0 { break }
            raw.count += got
        }
        let head = UnsafeBufferPointer(start: UnsafePointer(raw.base), count: raw.count)
        if let refusal = layout.refusal { throw Fault(.user, "\(path): \(refusal)") }
        if let container = layout.container {
            let blocks = try ContainerBlocks(path, reader, head: head, container)
            self.blocks = blocks
            header = Header(names: [String(decoding: blocks.schema, as: UTF8.self)], path: path, line: 1)
            needsHeader = false
            return
        }
        if let refusal = FileKind.refusal(head, encoding: encoding) {
            throw Fault(.user, "\(path) \(refusal)")
        }
        isAtEnd = raw.count < Self.headBytes
        take(raw.base, raw.count)
        let text = UnsafeBufferPointer(start: UnsafePointer(buffer.base), count: buffer.count)
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        lineEnd = FileKind.lineEnd(text)
        recordEnd = layout.fields.map { RecordEnd($0, lineEnd: lineEnd) }
        documentEnd = layout.hasDocuments ? DocumentEnd() : nil
        end = nil
        for _ in 0..<(layout.fields?.skippedLines ?? 0) { try skipLine() }
        if let text = layout.fields?.headerText { try findHeader(text) }
        needsHeader = if case .header = layout.fields?.columns { true } else { false }
    }

    /// Skips a line whatever stands in it.
    private func skipLine() throws(Fault) {
        while true {
            if let found = memchr(buffer.base + start, Int32(lineEnd), buffer.count - start) {
                start = buffer.base.distance(to: found.assumingMemoryBound(to: UInt8.self)) + 1
                line += 1
                return
            }
            start = buffer.count
            if isAtEnd { return }
            try read()
        }
    }

    /// Skips lines up to the first one that has `text`.
    private func findHeader(_ text: [UInt8]) throws(Fault) {
        for _ in 0..<Limits.headerLinesMax {
            while memchr(buffer.base + start, Int32(lineEnd), buffer.count - start) == nil, !isAtEnd {
                try read()
            }
            let rest = buffer.count - start
            let end =
                memchr(buffer.base + start, Int32(lineEnd), rest).map {
                    UnsafeRawPointer(buffer.base + start).distance(to: $0)
                } ?? rest
            if Self.has(text, UnsafeBufferPointer(start: buffer.base + start, count: end)) { return }
            if end == rest { break }
            start += end + 1
            line += 1
        }
        throw Fault(
            .user,
            "\(path): no line has \"\(String(decoding: text, as: UTF8.self))\", which says where the header is; "
                + "at most \(Limits.headerLinesMax) lines are looked at")
    }

    private static func has(_ text: [UInt8], _ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = text.first, line.count >= text.count else { return text.isEmpty }
        return (0...line.count - text.count).contains { at in
            line[at] == first && line[at..<at + text.count].elementsEqual(text)
        }
    }

    /// Passes over the rest of the file, which is read all the same: it may be damaged.
    private func passOver() throws(Fault) {
        while !isAtEnd {
            buffer.removeAll()
            start = 0
            try append()
        }
        start = buffer.count
        goOn(at: start)
    }

    /// True if a line begins with a text that ends the records.
    private func isFooter(_ bytes: UnsafePointer<UInt8>, _ length: Int, _ footers: [[UInt8]]) -> Bool {
        let quote = layout.fields?.quote
        let skipped = length > 0 && bytes[0] == quote ? 1 : 0
        return footers.contains { $0.count + skipped <= length && memcmp(bytes + skipped, $0, $0.count) == 0 }
    }

    /// False: the file has no line that could be one.
    private func readHeader() throws(Fault) -> Bool {
        guard case .header(let names) = layout.fields?.columns else {
            unreachable("a header of records that have none")
        }
        while true {
            let first = line
            guard let (bytes, length, trueLength) = try nextRecord() else { return false }
            if length == 0 { continue }
            guard trueLength <= Limits.recordBytesMax else {
                throw Fault(
                    .user,
                    "\(path):\(first): the header has \(trueLength) bytes, "
                        + "at most \(Limits.recordBytesMax) are read")
            }
            guard let names = names(UnsafeBufferPointer(start: bytes, count: length)) else {
                throw Fault(
                    .user,
                    "\(path):\(first): the header is not \(encoding?.name ?? "UTF-8"); "
                        + "say which encoding it is of: format: { type: \(layout.format), "
                        + "encoding: windows-1252 } (or gb18030, utf-16, …)")
            }
            header = Header(names: names, path: path, line: first)
            needsHeader = false
            return true
        }
    }

    // MARK: Records

    /// Cuts records out of the buffer, as they stand there, until it must be refilled, which would move them.
    private func fill() throws(Fault) -> Int {
        var count = 0
        if let blocks {
            _ = try blocks.take(atMost: storage.capacity) { start, length in
                put(start, length, at: count)
                count += 1
            }
            warnings += blocks.takeWarnings()
            return count
        }
        // An empty line is a record only where a record has one column.
        let takesEmpty =
            switch layout.fields?.columns {
            case nil: false
            case .header: header?.names.count == 1
            case .count(let count): count == 1
            }
        let footers = layout.fields?.footers ?? []
        while count < storage.capacity {
            if count > 0, documentEnd == nil ? !hasRecord() : !hasDocument() { break }
            let (first, firstLine) = (start, line)
            guard let (bytes, length, trueLength) = try nextRecord() else { break }
            if length == 0, !takesEmpty { continue }
            if !footers.isEmpty, isFooter(bytes, length, footers) {
                // What was cut out of the buffer is handed on before it is used for what follows.
                if count > 0 {
                    line = firstLine
                    goOn(at: first)
                    break
                }
                try passOver()
                break
            }
            put(bytes, trueLength, at: count)
            count += 1
        }
        return count
    }

    private func put(_ bytes: UnsafePointer<UInt8>, _ length: Int, at place: Int) {
        storage.values[place] = bytes
        storage.valueCounts[place] = Int32(clamping: length)
        storage.keys[place] = nil
        storage.keyCounts[place] = -1
        storage.offsets[place] = offset
        storage.timestamps[place] = -1
        offset += 1
    }

    /// True if a whole record stands in the buffer.
    private func hasRecord() -> Bool { findEnd() || (isAtEnd && start < buffer.count) }

    /// Looks for the line end behind the record at `start`.
    private func findEnd() -> Bool {
        if end != nil { return true }
        let (base, count) = (UnsafePointer(buffer.base + start), buffer.count - start)
        if recordEnd != nil {
            end = recordEnd?.find(base, count, isWhole: isAtEnd).map { start + $0 }
        } else if let found = memchr(base, Int32(lineEnd), count) {
            end = start + base.distance(to: found.assumingMemoryBound(to: UInt8.self))
        }
        return end != nil
    }

    /// The next record without its line end. One that is longer than `recordBytesMax` has at least its first
    /// `recordBytesMax` + 1 bytes and is reported with its true length.
    private func nextRecord() throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        if documentEnd != nil { return try nextDocument() }
        while true {
            if findEnd(), let end { return record(to: end) }
            if isAtEnd {
                guard start < buffer.count else { return nil }
                if recordEnd?.openQuote != nil { return try cutOff(before: "the end of the file") }
                return record(to: buffer.count)
            }
            // One byte more may be the return of a line end that is not here yet.
            let held = buffer.count - start
            if recordEnd == nil {
                if held > Limits.recordBytesMax + 1 { return try skipOverlong() }
            } else if held > Limits.csvRecordBytesHeld {
                let limit = "\(Limits.csvRecordBytesHeld >> 20) MiB have passed"
                return recordEnd?.openQuote == nil ? try skipOverlong() : try cutOff(before: limit)
            }
            try read()
        }
    }

    /// True if a whole value stands in the buffer.
    private func hasDocument() -> Bool {
        if end != nil { return true }
        guard let gap = documentEnd?.gap(buffer.base + start, buffer.count - start) else { return false }
        start += gap.bytes
        line += gap.lines
        end = documentEnd?.find(buffer.base + start, buffer.count - start).map { start + $0 }
        return end != nil
    }

    /// The next value of a file of documents. What is cut off by the end of the file is one as well.
    private func nextDocument() throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        while !hasDocument() {
            if isAtEnd {
                guard start < buffer.count else { return nil }
                end = buffer.count
                break
            }
            guard buffer.count - start <= Limits.csvRecordBytesHeld else {
                throw Fault(
                    .user,
                    "\(path):\(line): a document has more than \(Limits.csvRecordBytesHeld >> 20) MiB, or one before it does not end"
                )
            }
            try read()
        }
        guard let end else { return nil }
        let first = start
        line += documentEnd?.breaks ?? 0
        start = end
        self.end = nil
        documentEnd?.restart()
        return (UnsafePointer(buffer.base + first), end - first, end - first)
    }

    /// The record from `start` to `end`, where a line end stands, or nothing.
    private func record(to end: Int) -> (UnsafePointer<UInt8>, Int, trueLength: Int) {
        let first = start
        let isEnded = end < buffer.count
        let isReturn = isEnded && lineEnd == 0x0A && end > first && buffer.base[end - 1] == 0x0D
        let length = end - first - (isReturn ? 1 : 0)
        line += (recordEnd?.breaks ?? 0) + 1
        goOn(at: isEnded ? end + 1 : end)
        return (UnsafePointer(buffer.base + first), length, length)
    }

    private func goOn(at position: Int) {
        start = position
        end = nil
        recordEnd?.restart()
    }

    /// The record at `start` opens a quote that is not closed: it ends with the line in which that stands.
    private func cutOff(before limit: String) throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        let quote = start + (recordEnd?.openQuote ?? 0)
        let skipped = UnsafeBufferPointer(start: buffer.base + start, count: quote - start)
        let before = skipped.count { $0 == lineEnd }
        let message = "a quote is opened in this line and not closed before \(limit)"
        if needsHeader { throw Fault(.user, "\(path):\(line + before): \(message); the line is the header") }
        warn(line + before, "\(message); the line is refused by itself, and reading goes on behind it")
        line += before
        recordEnd?.restart()
        guard let found = memchr(buffer.base + quote, Int32(lineEnd), buffer.count - quote) else {
            return isAtEnd ? record(to: buffer.count) : try skipOverlong()
        }
        return record(to: buffer.base.distance(to: found.assumingMemoryBound(to: UInt8.self)))
    }

    /// Drops the rest of a record that is too long, up to the next line end.
    private func skipOverlong() throws(Fault) -> (UnsafePointer<UInt8>, Int, trueLength: Int)? {
        let kept = Limits.recordBytesMax + 1
        var length = buffer.count - start
        let first = start
        line += (recordEnd?.breaks ?? 0) + 1
        // The tail beyond the kept part is searched and thrown away piece by piece.
        while true {
            buffer.count = first + kept
            try append()
            let got = buffer.count - first - kept
            if let found = memchr(buffer.base + first + kept, Int32(lineEnd), got) {
                let end = buffer.base.distance(to: found.assumingMemoryBound(to: UInt8.self))
                goOn(at: end + 1)
                return (UnsafePointer(buffer.base + first), kept, length + end - first - kept)
            }
            length += got
            if isAtEnd {
                goOn(at: buffer.count)
                return (UnsafePointer(buffer.base + first), kept, length)
            }
        }
    }

    // MARK: Bytes

    /// Reads on, behind what is not handed out yet, which moves to the front.
    private func read() throws(Fault) {
        if start > 0 {
            let rest = buffer.count - start
            memmove(buffer.base, buffer.base + start, rest)
            buffer.count = rest
            start = 0
        }
        try append()
    }

    /// Reads on behind what the buffer holds.
    private func append() throws(Fault) {
        buffer.reserve(Self.chunkBytes + Self.padding)
        let target = transcoder == nil ? buffer : raw
        if transcoder != nil {
            raw.removeAll()
            raw.reserve(Self.chunkBytes)
        }
        let got = try reader?.read(into: target.base + target.count, Self.chunkBytes) ?? 0
        isAtEnd = got == 0
        if transcoder == nil { buffer.count += got } else { take(raw.base, got) }
    }

    /// Puts bytes of the file into the buffer, made UTF-8; at the end of the file it is called once with
    /// none.
    private func take(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        if let transcoder {
            transcoder.convert(bytes, count, isLast: isAtEnd, into: buffer)
        } else {
            _ = buffer.append(bytes, count)
        }
        buffer.reserve(Self.padding)
    }
}
