/// Where a text stands in its arena: 32 bits of offset, 32 bits of byte count, in one column value.
@frozen
package struct TextReference: Hashable, Sendable {
    package var packed: Int64

    @inlinable @inline(__always)
    package init(packed: Int64) { self.packed = packed }

    @inlinable @inline(__always)
    package init(offset: Int, count: Int) {
        packed = Int64(truncatingIfNeeded: offset &<< 32 | count)
    }

    @inlinable @inline(__always)
    package var offset: Int { Int(packed >> 32) }
    @inlinable @inline(__always)
    package var count: Int { Int(packed & 0xFFFF_FFFF) }
}

/// Bytes that grow by appending and are emptied all at once. Text of a batch lives here, and what is written.
///
/// The fields stand behind a pointer instead of in the class: a class's variables are checked for exclusive
/// access at run time, which here cost more than the copying.
package final class Arena {
    @usableFromInline
    struct Fields {
        @usableFromInline var base: UnsafeMutablePointer<UInt8>
        @usableFromInline var count: Int
        @usableFromInline var capacity: Int
    }

    @usableFromInline let fields: UnsafeMutablePointer<Fields>

    @inlinable package var base: UnsafeMutablePointer<UInt8> { fields.pointee.base }

    /// Bytes in use.
    @inlinable package var count: Int {
        get { fields.pointee.count }
        set { fields.pointee.count = newValue }
    }

    @inlinable package var capacity: Int { fields.pointee.capacity }

    package init(capacity: Int) {
        let capacity = max(capacity, 64)
        fields = .allocate(capacity: 1)
        fields.initialize(to: Fields(base: .allocate(capacity: capacity), count: 0, capacity: capacity))
    }

    deinit {
        fields.pointee.base.deallocate()
        fields.deallocate()
    }

    /// Makes room for `bytes` more. Invalidates `base`.
    @inline(never)
    package func grow(by bytes: Int) {
        let capacity = max(fields.pointee.capacity * 2, count + bytes)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: base, count: count)
        base.deallocate()
        fields.pointee.base = larger
        fields.pointee.capacity = capacity
    }

    @inlinable @inline(__always)
    package func reserve(_ bytes: Int) {
        if count &+ bytes > capacity { grow(by: bytes) }
    }

    @inlinable @inline(__always)
    package func append(_ bytes: UnsafePointer<UInt8>, _ byteCount: Int) -> TextReference {
        reserve(byteCount)
        let offset = count
        (base + offset).update(from: bytes, count: byteCount)
        count = offset &+ byteCount
        return TextReference(offset: offset, count: byteCount)
    }

    package func append(_ text: String) -> TextReference {
        var text = text
        return text.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return TextReference(offset: count, count: 0) }
            return append(start, bytes.count)
        }
    }

    package func removeAll() { count = 0 }

    package func string(_ text: TextReference) -> String {
        String(decoding: UnsafeBufferPointer(start: base + text.offset, count: text.count), as: UTF8.self)
    }
}

package enum TextCut {
    /// How many of `count` bytes of UTF-8 are left when at most `limit` are kept and no character is cut.
    /// What stands behind `limit` is not looked at.
    package static func wholeCharacters(_ bytes: UnsafePointer<UInt8>, _ count: Int, atMost limit: Int) -> Int
    {
        guard count > limit else { return count }
        // Back to the byte with which the last character begins.
        for back in 1...4 where back <= limit {
            let byte = bytes[limit - back]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            return length > back ? limit - back : limit
        }
        return limit
    }
}
