import Base
import Glibc

/// Text of another encoding to UTF-8, in pieces that may be cut anywhere. Bytes that are no text of it become
/// the byte 0xFF, which UTF-8 never has, so that the record that they stand in is refused later.
package final class Transcoder {
    package static let invalid: UInt8 = 0xFF

    private let encoding: TextEncoding
    private var converter: iconv_t?
    /// Of single bytes: what each becomes, and how many bytes that are.
    private var table: [(bytes: (UInt8, UInt8, UInt8), count: Int)] = []
    /// Of UTF-16: which byte comes first; nil before a byte order mark was seen.
    private var isBig: Bool?
    /// What is left of a character that was cut at the end of the last piece.
    private var rest: [UInt8] = []

    /// iconv is asked for so much at a time: between two calls runs of ASCII are copied as they are.
    private static let windowBytes = 256
    /// No character of any encoding is longer.
    private static let characterBytesMax = 8

    package init(_ encoding: TextEncoding) throws(Fault) {
        self.encoding = encoding
        switch encoding {
        case .utf16: break
        case .utf16Little: isBig = false
        case .utf16Big: isBig = true
        case .singleByte(let name):
            converter = try Self.open(name)
            table = (0...255).map { entry(UInt8($0), name) }
        case .multiByte(let name): converter = try Self.open(name)
        }
    }

    deinit { if let converter { iconv_close(converter) } }

    private static func open(_ name: String) throws(Fault) -> iconv_t {
        guard let converter = iconv_open("UTF-8", name), converter != iconv_t(bitPattern: -1) else {
            throw Fault(
                .external, "this machine's C library cannot read \(name): its gconv modules are not installed"
            )
        }
        return converter
    }

    private func entry(_ byte: UInt8, _ name: String) -> (bytes: (UInt8, UInt8, UInt8), count: Int) {
        // What calls itself Latin-1 and has these is nearly always Windows-1252, where they are letters.
        if name == "ISO-8859-1", byte >= 0x80, byte < 0xA0 { return ((Self.invalid, 0, 0), 1) }
        var output: [UInt8] = [0, 0, 0]
        let count = withUnsafePointer(to: byte) { start in
            output.withUnsafeMutableBufferPointer { buffer in
                buffer.baseAddress.map { convert(start, 1, to: $0, 3).written } ?? 0
            }
        }
        return count == 0 ? ((Self.invalid, 0, 0), 1) : ((output[0], output[1], output[2]), count)
    }

    /// Forgets what was cut and which byte comes first: another text begins.
    package func reset() {
        rest.removeAll(keepingCapacity: true)
        if encoding == .utf16 { isBig = nil }
    }

    /// Appends the UTF-8 of `count` bytes. `isLast`: the text ends with them.
    package func convert(_ bytes: UnsafePointer<UInt8>, _ count: Int, isLast: Bool, into text: Arena) {
        // Three bytes at most of one, four of two or more.
        text.reserve((count + rest.count) * 3 + 16)
        guard rest.isEmpty else {
            // The character that was cut, with bytes enough to be whole.
            let borrowed = min(count, Self.characterBytesMax)
            let whole = rest + UnsafeBufferPointer(start: bytes, count: borrowed)
            let cut = rest.count
            rest.removeAll(keepingCapacity: true)
            let used = whole.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { take($0, buffer.count, until: cut, text) } ?? 0
            }
            if used < cut {
                // Still not whole.
                rest = whole
                if isLast { finish(text) }
                return
            }
            return convert(bytes + (used - cut), count - (used - cut), isLast: isLast, into: text)
        }
        let used = take(bytes, count, until: count, text)
        rest.append(contentsOf: UnsafeBufferPointer(start: bytes + used, count: max(0, count - used)))
        if isLast { finish(text) }
    }

    private func finish(_ text: Arena) {
        if !rest.isEmpty { put(Self.invalid, text) }
        rest.removeAll(keepingCapacity: true)
    }

    private func put(_ byte: UInt8, _ text: Arena) {
        text.base[text.count] = byte
        text.count += 1
    }

    /// Converts characters until one begins at or behind `limit`, or is not whole; returns how far it came.
    private func take(_ bytes: UnsafePointer<UInt8>, _ count: Int, until limit: Int, _ text: Arena) -> Int {
        switch encoding {
        case .singleByte: return takeSingle(bytes, limit, text)
        case .multiByte: return takeMulti(bytes, count, limit, text)
        case .utf16, .utf16Little, .utf16Big: return takeWide(bytes, count, limit, text)
        }
    }

    private func takeSingle(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ text: Arena) -> Int {
        let output = text.base
        var at = text.count
        table.withUnsafeBufferPointer { table in
            for index in 0..<count {
                let byte = bytes[index]
                if byte < 0x80 {
                    output[at] = byte
                    at &+= 1
                    continue
                }
                let entry = table[Int(byte)]
                output[at] = entry.bytes.0
                if entry.count > 1 { output[at &+ 1] = entry.bytes.1 }
                if entry.count > 2 { output[at &+ 2] = entry.bytes.2 }
                at &+= entry.count
            }
        }
        text.count = at
        return count
    }

    private func takeMulti(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ limit: Int, _ text: Arena) -> Int {
        var at = 0
        while at < limit {
            let start = at
            while at < limit, bytes[at] < 0x80 { at &+= 1 }
            if at > start {
                (text.base + text.count).update(from: bytes + start, count: at - start)
                text.count += at - start
                if at == limit { return at }
            }
            let window = min(count - at, Self.windowBytes)
            let done = convert(bytes + at, window, to: text.base + text.count, text.capacity - text.count)
            text.count += done.written
            at += done.read
            guard done.read == 0 else { continue }
            // Not whole, if nothing follows; no character at all otherwise.
            if window < Self.characterBytesMax, done.isCut { return at }
            put(Self.invalid, text)
            at += 1
        }
        return at
    }

    /// One call of iconv: bytes read and written, and whether it ended before a character that is not whole.
    private func convert(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, to output: UnsafeMutablePointer<UInt8>, _ room: Int
    ) -> (read: Int, written: Int, isCut: Bool) {
        var input: UnsafeMutablePointer<CChar>? = UnsafeMutableRawPointer(mutating: bytes)
            .assumingMemoryBound(to: CChar.self)
        var target: UnsafeMutablePointer<CChar>? = UnsafeMutableRawPointer(output)
            .assumingMemoryBound(to: CChar.self)
        var (inputLeft, roomLeft) = (count, room)
        let isCut = iconv(converter, &input, &inputLeft, &target, &roomLeft) == -1 && errno == EINVAL
        return (count - inputLeft, room - roomLeft, isCut)
    }

    private func takeWide(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ limit: Int, _ text: Arena) -> Int {
        var at = 0
        if isBig == nil {
            guard count >= 2 else { return 0 }
            let mark = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
            isBig = mark == 0xFEFF
            // Without a mark nothing tells what it is.
            if mark != 0xFEFF, mark != 0xFFFE { put(Self.invalid, text) } else { at = 2 }
        }
        let (high, low) = isBig == true ? (0, 1) : (1, 0)
        @inline(__always) func unit(_ at: Int) -> UInt32 {
            UInt32(bytes[at &+ high]) &<< 8 | UInt32(bytes[at &+ low])
        }
        while at < limit {
            guard at + 2 <= count else { return at }
            var value = unit(at)
            var length = 2
            if value & 0xF800 == 0xD800 {
                if value < 0xDC00, at + 4 > count { return at }
                if value < 0xDC00, unit(at + 2) & 0xFC00 == 0xDC00 {
                    value = 0x1_0000 &+ (value & 0x3FF) &<< 10 &+ unit(at + 2) & 0x3FF
                    length = 4
                } else {
                    put(Self.invalid, text)
                    at += 2
                    continue
                }
            }
            at += length
            putScalar(value, text)
        }
        return at
    }

    private func putScalar(_ value: UInt32, _ text: Arena) {
        if value < 0x80 { return put(UInt8(value), text) }
        if value < 0x800 {
            put(0xC0 | UInt8(value >> 6), text)
        } else {
            if value < 0x1_0000 {
                put(0xE0 | UInt8(value >> 12), text)
            } else {
                put(0xF0 | UInt8(value >> 18), text)
                put(0x80 | UInt8(value >> 12 & 0x3F), text)
            }
            put(0x80 | UInt8(value >> 6 & 0x3F), text)
        }
        put(0x80 | UInt8(value & 0x3F), text)
    }
}
