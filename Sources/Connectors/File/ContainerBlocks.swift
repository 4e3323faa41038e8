import Base
import CZlib
import Dataflow
import Records

/// The blocks of an object container file of Avro, and the records in them (specification of 1.12, "Object
/// Container Files"). Codecs: null, deflate.
final class ContainerBlocks {
    /// The schema of all records, as it stands in the file.
    let schema: [UInt8]

    private let path: String
    private let reader: ByteReader
    private let cutter: any RecordCutter
    private let isPacked: Bool
    private var sync: [UInt8] = []
    /// What was read of the file: `next..<count` of it is not used yet.
    private let buffer = Arena(capacity: 1 << 16)
    private var next = 0
    private var position: Int64 = 0
    private var isAtEnd = false
    /// The block under way, unpacked: records from `at` on.
    private let block = Arena(capacity: 1 << 16)
    private var at = 0
    private var left: Int64 = 0
    private(set) var warnings: [String] = []

    static let magic: [UInt8] = Array("Obj\u{1}".utf8)
    private static let chunkBytes = 256 << 10

    /// `head`: the first bytes of the file, which `reader` has given already.
    init(
        _ path: String, _ reader: ByteReader, head: UnsafeBufferPointer<UInt8>,
        _ makeCutter: ([UInt8]) throws(Fault) -> any RecordCutter
    ) throws(Fault) {
        self.path = path
        self.reader = reader
        buffer.append(head)
        guard head.starts(with: Self.magic) else {
            throw Fault(
                .user,
                "\(path) is no container of Avro, which begins with Obj and 1; records of a topic are not "
                    + "read from files by themselves")
        }
        next = Self.magic.count
        position = Int64(next)
        var members: [String: [UInt8]] = [:]
        var start = Header(buffer: buffer, at: next, reader: reader)
        do throws(Fault) {
            members = try start.members()
            sync = try start.bytes(16)
        } catch { throw Fault(.user, "\(path): the head of the container \(error.detail)") }
        next = start.at
        position = Int64(next)
        guard let schema = members["avro.schema"] else {
            throw Fault(.user, "\(path): the head of the container has no schema")
        }
        let codec = members["avro.codec"].map { String(decoding: $0, as: UTF8.self) } ?? "null"
        guard codec == "null" || codec == "deflate" else {
            throw Fault(
                .user,
                "\(path): its blocks are packed by '\(codec.prefix(40))', of which only null and deflate are read"
            )
        }
        isPacked = codec == "deflate"
        self.schema = schema
        do throws(Fault) {
            cutter = try makeCutter(schema)
        } catch { throw Fault(.user, "\(path): its schema cannot be read: \(error.detail)") }
    }

    /// Calls `body` with up to so many records that come next; false: there are none.
    func take(
        atMost most: Int, _ body: (UnsafePointer<UInt8>, Int) -> Void
    ) throws(Fault) -> Int {
        while left == 0 { guard try open() else { return 0 } }
        var count = 0
        while count < most, left > 0 {
            let start = UnsafePointer(block.base + at)
            let rest = block.count - at
            guard let length = cutter.length(start, rest) else {
                warnings.append(
                    "\(path): before byte \(position): \(left) records of a block cannot be told apart, since the first "
                        + "of them is none of the file's schema; they are refused as one")
                body(start, rest)
                (at, left) = (block.count, 0)
                return count + 1
            }
            body(start, length)
            at += length
            left -= 1
            count += 1
        }
        if left == 0, at < block.count {
            throw damaged("has \(block.count - at) bytes behind its last record")
        }
        return count
    }

    func takeWarnings() -> [String] {
        defer { warnings = [] }
        return warnings
    }

    // MARK: Blocks

    private func damaged(_ what: String) -> Fault {
        Fault(.user, "\(path): the block before byte \(position) \(what): the file is damaged or cut off")
    }

    /// False: there is no further block.
    private func open() throws(Fault) -> Bool {
        guard try fill(1) else { return false }
        let count = try number()
        let size = try number()
        guard size >= 0, size <= Int64(Limits.containerBlockBytesMax) else {
            throw damaged("says that it has \(size) bytes, at most \(Limits.containerBlockBytesMax) are read")
        }
        guard try fill(Int(size) + sync.count) else { throw damaged("does not end") }
        let start = UnsafePointer(buffer.base + next)
        block.removeAll()
        at = 0
        if isPacked {
            try unpack(start, Int(size))
        } else {
            _ = block.append(start, Int(size))
        }
        // The last record may be followed by what is looked at in one piece.
        block.reserve(64)
        // Records may take no bytes at all, but not any number of them.
        guard count >= 0, count <= Int64(block.count) + 65_536 else {
            throw damaged("says that it has \(count) records")
        }
        left = count
        next += Int(size)
        position += size
        guard UnsafeBufferPointer(start: buffer.base + next, count: sync.count).elementsEqual(sync) else {
            throw damaged("does not end with the file's mark")
        }
        next += sync.count
        position += Int64(sync.count)
        if count == 0, block.count > 0 { throw damaged("has bytes and no records") }
        return true
    }

    private func unpack(_ bytes: UnsafePointer<UInt8>, _ count: Int) throws(Fault) {
        var stream = z_stream()
        // Minus 15: deflate alone, without a header.
        guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Fault(.external, "\(path): no memory to unpack a block")
        }
        defer { inflateEnd(&stream) }
        stream.next_in = UnsafeMutablePointer(mutating: bytes)
        stream.avail_in = UInt32(count)
        while true {
            guard block.count < Limits.containerBlockBytesMax else {
                throw damaged("unpacks to more than \(Limits.containerBlockBytesMax) bytes")
            }
            block.reserve(Self.chunkBytes)
            stream.next_out = block.base + block.count
            stream.avail_out = UInt32(Self.chunkBytes)
            let code = inflate(&stream, Z_NO_FLUSH)
            block.count += Self.chunkBytes - Int(stream.avail_out)
            if code == Z_STREAM_END { return }
            guard code == Z_OK, stream.avail_in > 0 || stream.avail_out == 0 else {
                throw damaged("cannot be unpacked")
            }
        }
    }

    private func number() throws(Fault) -> Int64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard try fill(1) else { throw damaged("does not end") }
            let byte = buffer.base[next]
            next += 1
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(value & 1) }
        }
        throw damaged("begins with no number")
    }

    /// Makes `count` bytes available at `next`; false: the file is over before.
    private func fill(_ count: Int) throws(Fault) -> Bool {
        while buffer.count - next < count, !isAtEnd {
            if next > 0 {
                let rest = buffer.count - next
                buffer.base.update(from: buffer.base + next, count: rest)
                buffer.count = rest
                next = 0
            }
            buffer.reserve(Self.chunkBytes)
            let got = try reader.read(into: buffer.base + buffer.count, Self.chunkBytes)
            buffer.count += got
            isAtEnd = got == 0
        }
        return buffer.count - next >= count
    }
}

/// The head of a container: a map of bytes, and the mark that ends blocks.
private struct Header {
    let buffer: Arena
    var at: Int
    let reader: ByteReader

    private static let bytesMax = Limits.schemaBytesMax + (64 << 10)
    private static let membersMax: Int64 = 1000

    mutating func members() throws(Fault) -> [String: [UInt8]] {
        var members: [String: [UInt8]] = [:]
        while true {
            var count = try number()
            if count == 0 { return members }
            if count < 0 {
                // The bytes of the block follow.
                _ = try number()
                count = count == .min ? 0 : -count
            }
            guard count <= Self.membersMax, Int64(members.count) < Self.membersMax else {
                throw Fault(.user, "has too many members")
            }
            for _ in 0..<count {
                let name = try text()
                members[String(decoding: name, as: UTF8.self)] = try text()
            }
        }
    }

    private mutating func text() throws(Fault) -> [UInt8] {
        let count = try number()
        guard count >= 0, count <= Int64(Self.bytesMax) else {
            throw Fault(.user, "has a text of \(count) bytes")
        }
        return try bytes(Int(count))
    }

    mutating func bytes(_ count: Int) throws(Fault) -> [UInt8] {
        guard at + count <= Self.bytesMax else { throw Fault(.user, "has more than \(Self.bytesMax) bytes") }
        while buffer.count - at < count {
            buffer.reserve(64 << 10)
            let got = try reader.read(into: buffer.base + buffer.count, 64 << 10)
            guard got > 0 else { throw Fault(.user, "does not end: the file is cut off") }
            buffer.count += got
        }
        defer { at += count }
        return Array(UnsafeBufferPointer(start: buffer.base + at, count: count))
    }

    private mutating func number() throws(Fault) -> Int64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            let byte = try bytes(1)[0]
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(value & 1) }
        }
        throw Fault(.user, "has no number where one must be")
    }
}
