import Base
import CLzma
import CZlib
import Glibc

/// The bytes of one file or pipe, plain, gzip or xz by what its first bytes say. It is opened once and read
/// forward only, so that a pipe will do. Several gzip members or xz streams may follow one another; a file
/// that is cut short or damaged anywhere is a fault that names it.
final class ByteReader {
    /// LZMA_CONCATENATED: several streams in one file; a macro that Swift does not import.
    private static let concatenated: UInt32 = 0x08
    private static let inputBytes = 256 << 10

    private enum Kind {
        case plain
        case gzip(UnsafeMutablePointer<z_stream>)
        case xz(UnsafeMutablePointer<lzma_stream>)

        var name: String {
            switch self {
            case .plain: "plain"
            case .gzip: "gzip"
            case .xz: "xz"
            }
        }
    }

    let path: String
    private let descriptor: Int32
    private var kind = Kind.plain
    /// What was read of the file and not yet used: `next..<end` of `input`.
    private let input: UnsafeMutablePointer<UInt8>
    private var next = 0
    private var end = 0
    private var isFinished = false
    /// Bytes of the file, as it lies there, that were read.
    private(set) var position: Int64 = 0

    init(_ path: String) throws(Fault) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        self.path = path
        input = .allocate(capacity: Self.inputBytes)
        // A pipe may hand out one byte at a time.
        while end < 6, try fill() {}
        let head = UnsafeBufferPointer(start: input, count: end)
        if head.starts(with: [0x1F, 0x8B]) { try beginGzip() }
        if head.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) { try beginXz() }
    }

    private func beginGzip() throws(Fault) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        kind = .gzip(stream)
        // 15 bits of window; 16 more: with the header and the sum of gzip.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Fault(.external, "\(path): no memory to read gzip")
        }
    }

    private func beginXz() throws(Fault) {
        let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
        stream.initialize(to: lzma_stream())
        kind = .xz(stream)
        guard lzma_stream_decoder(stream, 256 << 20, Self.concatenated) == LZMA_OK else {
            throw Fault(.external, "\(path): no memory to read xz")
        }
    }

    deinit {
        switch kind {
        case .plain: break
        case .gzip(let stream):
            inflateEnd(stream)
            stream.deallocate()
        case .xz(let stream):
            lzma_end(stream)
            stream.deallocate()
        }
        input.deallocate()
        close(descriptor)
    }

    /// Reads up to `count` bytes; 0 at the end.
    func read(into bytes: UnsafeMutablePointer<UInt8>, _ count: Int) throws(Fault) -> Int {
        switch kind {
        case .plain:
            if next == end { return try readFile(into: bytes, count) }
            let got = min(count, end - next)
            bytes.update(from: input + next, count: got)
            next += got
            return got
        case .gzip(let stream): return try readGzip(stream, into: bytes, min(count, 1 << 30))
        case .xz(let stream): return try readXz(stream, into: bytes, count)
        }
    }

    private func readFile(into bytes: UnsafeMutablePointer<UInt8>, _ count: Int) throws(Fault) -> Int {
        while true {
            let got = Glibc.read(descriptor, bytes, count)
            if got >= 0 {
                position += Int64(got)
                return got
            }
            if errno == EINTR { continue }
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
    }

    /// Reads more of the file behind what is not yet used; false at its end.
    private func fill() throws(Fault) -> Bool {
        if next > 0 {
            input.update(from: input + next, count: end - next)
            end -= next
            next = 0
        }
        let got = try readFile(into: input + end, Self.inputBytes - end)
        end += got
        return got > 0
    }

    /// False at the end of the file, once all of it was used.
    private func hasInput() throws(Fault) -> Bool {
        if next < end { return true }
        return try fill()
    }

    // MARK: gzip

    private func readGzip(
        _ stream: UnsafeMutablePointer<z_stream>, into bytes: UnsafeMutablePointer<UInt8>, _ count: Int
    ) throws(Fault) -> Int {
        stream.pointee.next_out = bytes
        stream.pointee.avail_out = UInt32(count)
        while !isFinished, stream.pointee.avail_out == UInt32(count) {
            let isMore = try hasInput()
            stream.pointee.next_in = input + next
            stream.pointee.avail_in = UInt32(end - next)
            let code = inflate(stream, Z_NO_FLUSH)
            next = end - Int(stream.pointee.avail_in)
            switch code {
            case Z_OK: break
            case Z_STREAM_END: try beginMember(stream)
            // Nothing can be done without more of the file.
            case Z_BUF_ERROR where isMore: break
            case Z_BUF_ERROR: throw damaged("it ends in the middle")
            default: throw damaged(stream.pointee.msg.map { String(cString: $0) } ?? "unreadable")
            }
        }
        return count - Int(stream.pointee.avail_out)
    }

    /// A member has ended and was found whole. Another may follow, or zeros, with which tapes are filled up.
    private func beginMember(_ stream: UnsafeMutablePointer<z_stream>) throws(Fault) {
        while end - next < 2, try fill() {}
        if end - next >= 2, input[next] == 0x1F, input[next + 1] == 0x8B {
            guard inflateReset(stream) == Z_OK else { throw damaged("unreadable") }
            return
        }
        repeat {
            guard (next..<end).allSatisfy({ input[$0] == 0 }) else {
                throw damaged("what follows the compressed part is not gzip")
            }
            next = end
        } while try fill()
        isFinished = true
    }

    // MARK: xz

    private func readXz(
        _ stream: UnsafeMutablePointer<lzma_stream>, into bytes: UnsafeMutablePointer<UInt8>, _ count: Int
    ) throws(Fault) -> Int {
        stream.pointee.next_out = bytes
        stream.pointee.avail_out = count
        while !isFinished, stream.pointee.avail_out == count {
            let isMore = try hasInput()
            stream.pointee.next_in = UnsafePointer(input + next)
            stream.pointee.avail_in = end - next
            let code = lzma_code(stream, isMore ? LZMA_RUN : LZMA_FINISH)
            next = end - stream.pointee.avail_in
            switch code {
            case LZMA_OK: break
            case LZMA_STREAM_END: isFinished = true
            case LZMA_BUF_ERROR: throw damaged("it ends in the middle")
            case LZMA_MEMLIMIT_ERROR:
                throw Fault(
                    .external, "\(path): needs more than 256 MiB of memory to be read; compress it with xz -6"
                )
            default: throw damaged("unreadable")
            }
        }
        return count - stream.pointee.avail_out
    }

    private func damaged(_ reason: String) -> Fault {
        Fault(
            .external,
            "\(path): damaged at byte \(position - Int64(end - next)) of the \(kind.name) file: \(reason)")
    }
}
