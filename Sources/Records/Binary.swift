/// Numbers and bytes appended for `BinaryReader`: little-endian words, LEB128 varints, zigzag for signs.
extension Arena {
    package func appendByte(_ value: UInt8) {
        reserve(1)
        base[count] = value
        count += 1
    }

    package func appendWord(_ value: UInt32) { appendRaw(value.littleEndian) }

    package func appendWord(_ value: UInt64) { appendRaw(value.littleEndian) }

    @inline(__always)
    package func appendVarint(_ value: UInt64) {
        reserve(10)
        let base = base
        var (at, rest) = (count, value)
        while rest >= 0x80 {
            base[at] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            at &+= 1
        }
        base[at] = UInt8(truncatingIfNeeded: rest)
        count = at &+ 1
    }

    @inline(__always)
    package func appendZigzag(_ value: Int64) {
        appendVarint(UInt64(bitPattern: value &<< 1 ^ value >> 63))
    }

    /// The bytes alone, without their length.
    package func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        reserve(bytes.count)
        if let start = bytes.baseAddress { _ = append(start, bytes.count) }
    }

    /// Some of its own bytes again.
    package func append(_ range: Range<Int>) {
        reserve(range.count)
        _ = append(base + range.lowerBound, range.count)
    }

    /// Valid until the next change.
    package func bytes(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: UnsafePointer(base + range.lowerBound), count: range.count)
    }

    /// A count, then the bytes.
    package func appendBlob(_ bytes: UnsafeBufferPointer<UInt8>) {
        appendVarint(UInt64(bytes.count))
        reserve(bytes.count)
        if let start = bytes.baseAddress { _ = append(start, bytes.count) }
    }

    package func appendBlob(_ text: String) {
        var text = text
        text.withUTF8 { appendBlob($0) }
    }

    private func appendRaw(_ value: some FixedWidthInteger) {
        let size = value.bitWidth / 8
        reserve(size)
        UnsafeMutableRawPointer(base + count).storeBytes(of: value, as: type(of: value))
        count += size
    }
}

/// Reads what `Arena` appended. After anything that is not there, `isValid` is false and every read gives
/// zero, so that a caller checks once at the end.
package struct BinaryReader {
    private var at: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    package private(set) var isValid = true

    package init(_ bytes: UnsafeBufferPointer<UInt8>) {
        at = bytes.baseAddress ?? UnsafePointer(Self.nowhere)
        end = at + bytes.count
    }

    // Never read.
    nonisolated(unsafe) private static let nowhere = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

    package var isAtEnd: Bool { at == end }
    package var left: Int { end - at }

    package mutating func fail() {
        isValid = false
        at = end
    }

    package mutating func byte() -> UInt8 {
        guard at < end else {
            fail()
            return 0
        }
        defer { at += 1 }
        return at.pointee
    }

    package mutating func word32() -> UInt32 { UInt32(littleEndian: raw()) }

    package mutating func word64() -> UInt64 { UInt64(littleEndian: raw()) }

    @inline(__always)
    package mutating func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < end, shift < 64 {
            let byte = at.pointee
            at += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        fail()
        return 0
    }

    @inline(__always)
    package mutating func zigzag() -> Int64 {
        let value = varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A count below `limit`; fails on more.
    package mutating func count(below limit: Int) -> Int {
        let value = varint()
        guard value < UInt64(limit) else {
            fail()
            return 0
        }
        return Int(value)
    }

    /// The next `count` bytes, in place.
    package mutating func bytes(_ count: Int) -> UnsafeBufferPointer<UInt8> {
        guard count >= 0, count <= end - at else {
            fail()
            return UnsafeBufferPointer(start: nil, count: 0)
        }
        defer { at += count }
        return UnsafeBufferPointer(start: at, count: count)
    }

    package mutating func blob() -> UnsafeBufferPointer<UInt8> { bytes(count(below: left + 1)) }

    package mutating func text() -> String { String(decoding: blob(), as: UTF8.self) }

    private mutating func raw<T: FixedWidthInteger>() -> T {
        guard MemoryLayout<T>.size <= end - at else {
            fail()
            return 0
        }
        defer { at += MemoryLayout<T>.size }
        return UnsafeRawPointer(at).loadUnaligned(as: T.self)
    }
}
