import Base
import CLzma
import CZlib
import Glibc

/// The bytes of one file, plain, gzip or xz by what its first bytes say.
final class ByteReader {
    /// LZMA_CONCATENATED: several streams in one file; a macro that Swift does not import.
    private static let concatenated: UInt32 = 0x08

    private enum Kind { case gzipOrPlain(gzFile), xz }

    let path: String
    private let kind: Kind
    private var file: UnsafeMutablePointer<FILE>?
    private var stream = lzma_stream()
    private var input = [UInt8](repeating: 0, count: 64 << 10)
    private var isFinished = false

    init(_ path: String) throws(Fault) {
        self.path = path
        guard let probe = fopen(path, "rb") else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
        var magic = [UInt8](repeating: 0, count: 6)
        let count = fread(&magic, 1, 6, probe)
        if count == 6, magic == [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00] {
            rewind(probe)
            file = probe
            kind = .xz
            guard lzma_stream_decoder(&stream, 256 << 20, Self.concatenated) == LZMA_OK else {
                throw Fault(.external, "\(path): no memory to read xz")
            }
            return
        }
        fclose(probe)
        // zlib passes plain files through as they are.
        guard let handle = gzopen(path, "rb") else { throw Fault(.external, "\(path): cannot be opened") }
        gzbuffer(handle, 256 << 10)
        kind = .gzipOrPlain(handle)
    }

    deinit {
        switch kind {
        case .gzipOrPlain(let handle): gzclose(handle)
        case .xz:
            lzma_end(&stream)
            if let file { fclose(file) }
        }
    }

    /// Reads up to `count` bytes; 0 at the end.
    func read(into bytes: UnsafeMutablePointer<UInt8>, _ count: Int) throws(Fault) -> Int {
        switch kind {
        case .gzipOrPlain(let handle):
            let got = gzread(handle, bytes, UInt32(min(count, 1 << 30)))
            var code: Int32 = 0
            let text = gzerror(handle, &code)
            if got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END) {
                let reason = text.map { String(cString: $0) } ?? "unreadable"
                throw Fault(.external, "\(path): damaged at byte \(gztell(handle)): \(reason)")
            }
            return Int(got)
        case .xz: return try readXz(into: bytes, count)
        }
    }

    private func readXz(into bytes: UnsafeMutablePointer<UInt8>, _ count: Int) throws(Fault) -> Int {
        if isFinished { return 0 }
        stream.next_out = bytes
        stream.avail_out = count
        while stream.avail_out == count {
            var action = LZMA_RUN
            var code = LZMA_OK
            if stream.avail_in == 0, let file {
                let got = fread(&input, 1, input.count, file)
                if got == 0 { action = LZMA_FINISH }
                pending = got
            }
            let before = pending
            code = input.withUnsafeBufferPointer { buffer in
                if stream.avail_in == 0 {
                    stream.next_in = buffer.baseAddress
                    stream.avail_in = before
                } else {
                    stream.next_in = buffer.baseAddress.map { $0 + (before - stream.avail_in) }
                }
                return lzma_code(&stream, action)
            }
            if code == LZMA_STREAM_END {
                isFinished = true
                break
            }
            guard code == LZMA_OK else {
                throw Fault(.external, "\(path): damaged at byte \(stream.total_in) of the xz file")
            }
        }
        return count - stream.avail_out
    }

    /// Bytes of `input` that were read from the file.
    private var pending = 0
}
