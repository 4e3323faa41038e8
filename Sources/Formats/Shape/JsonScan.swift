import Base
import Glibc
import Records

/// Finds where values of a JSON text begin and end. It checks no more than it needs for that: what it finds
/// is read, and refused where it is wrong, by a parser.
package struct JsonScan {
    package let bytes: UnsafePointer<UInt8>
    let count: Int

    package init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// The first byte at or behind `at` that is no blank; `count` at the end.
    @inline(__always)
    package func skipBlanks(_ at: Int) -> Int {
        var at = at
        while at < count, bytes[at] == 0x20 || bytes[at] == 0x09 || bytes[at] == 0x0A || bytes[at] == 0x0D {
            at &+= 1
        }
        return at
    }

    /// Where a record begins: behind a byte order mark and blanks.
    package var start: Int {
        skipBlanks(count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0)
    }

    /// Behind the text that begins with the quote at `at`; nil: it does not end.
    @inline(__always)
    func endOfText(_ at: Int) -> Int? {
        var at = at &+ 1
        while at < count {
            let byte = bytes[at]
            if byte == 0x22 { return at &+ 1 }
            at &+= byte == 0x5C ? 2 : 1
        }
        return nil
    }

    /// Behind the value at `at`; nil: there is none, or it does not end.
    package func endOfValue(_ at: Int) -> Int? {
        guard at < count else { return nil }
        switch bytes[at] {
        case 0x22: return endOfText(at)
        case 0x7B, 0x5B:
            var depth = 0
            var at = at
            while at < count {
                switch bytes[at] {
                case 0x22:
                    guard let end = endOfText(at) else { return nil }
                    at = end
                    continue
                case 0x7B, 0x5B: depth += 1
                case 0x7D, 0x5D:
                    depth -= 1
                    if depth == 0 { return at + 1 }
                default: break
                }
                at &+= 1
            }
            return nil
        default:
            var end = at
            while end < count, !isEnd(bytes[end]) { end += 1 }
            return end > at ? end : nil
        }
    }

    private func isEnd(_ byte: UInt8) -> Bool {
        byte == 0x2C || byte == 0x7D || byte == 0x5D || byte == 0x3A || byte == 0x20 || byte == 0x09
            || byte == 0x0A || byte == 0x0D
    }

    /// Calls `body` for each member of the object at `at`, with its name without quotes and its value. False:
    /// it is no object, or it is cut off.
    @inline(__always)
    package func forEachMember(_ at: Int, _ body: (_ name: Range<Int>, _ value: Range<Int>) -> Void) -> Bool {
        guard at < count, bytes[at] == 0x7B else { return false }
        var at = skipBlanks(at + 1)
        if at < count, bytes[at] == 0x7D { return true }
        while at < count {
            guard bytes[at] == 0x22, let nameEnd = endOfText(at) else { return false }
            let name = at + 1..<nameEnd - 1
            at = skipBlanks(nameEnd)
            guard at < count, bytes[at] == 0x3A else { return false }
            at = skipBlanks(at + 1)
            guard let end = endOfValue(at) else { return false }
            body(name, at..<end)
            at = skipBlanks(end)
            guard at < count else { return false }
            if bytes[at] == 0x7D { return true }
            guard bytes[at] == 0x2C else { return false }
            at = skipBlanks(at + 1)
        }
        return false
    }

    /// Calls `body` for each element of the array at `at`, until it returns false; false: it is no array, or
    /// it is cut off.
    @inline(__always)
    package func forEachElement(_ at: Int, _ body: (Range<Int>) -> Bool) -> Bool {
        guard at < count, bytes[at] == 0x5B else { return false }
        var at = skipBlanks(at + 1)
        if at < count, bytes[at] == 0x5D { return true }
        while at < count {
            guard let end = endOfValue(at) else { return false }
            guard body(at..<end) else { return true }
            at = skipBlanks(end)
            guard at < count else { return false }
            if bytes[at] == 0x5D { return true }
            guard bytes[at] == 0x2C else { return false }
            at = skipBlanks(at + 1)
        }
        return false
    }

    /// True if the name, which may be written with escapes, is this one.
    @inline(__always)
    func isName(_ range: Range<Int>, _ name: [UInt8]) -> Bool {
        if range.count == name.count { return memcmp(bytes + range.lowerBound, name, name.count) == 0 }
        guard range.count > name.count, memchr(bytes + range.lowerBound, 0x5C, range.count) != nil else {
            return false
        }
        let text = Arena(capacity: range.count)
        return unescape(range, into: text)
            && UnsafeBufferPointer(start: text.base, count: text.count).elementsEqual(name)
    }

    /// The value at a path from the object at `at`; of members of one name the last. nil: it is not there.
    func value(at path: [[UInt8]], from start: Int) -> Range<Int>? {
        var found: Range<Int>?
        var at = start
        for name in path {
            found = nil
            let isWhole = forEachMember(at) { member, value in
                if isName(member, name) { found = value }
            }
            guard isWhole, let next = found else { return nil }
            at = next.lowerBound
        }
        return found
    }

    /// Appends what a text between quotes says; false: its escapes are wrong.
    package func unescape(_ range: Range<Int>, into text: Arena) -> Bool {
        text.reserve(range.count)
        var at = range.lowerBound
        while at < range.upperBound {
            let byte = bytes[at]
            guard byte == 0x5C else {
                text.base[text.count] = byte
                text.count += 1
                at += 1
                continue
            }
            guard at + 1 < range.upperBound else { return false }
            at += 2
            switch bytes[at - 1] {
            case 0x22, 0x5C, 0x2F: append(bytes[at - 1], text)
            case 0x62: append(0x08, text)
            case 0x66: append(0x0C, text)
            case 0x6E: append(0x0A, text)
            case 0x72: append(0x0D, text)
            case 0x74: append(0x09, text)
            case 0x75:
                guard let scalar = scalar(&at, range.upperBound) else { return false }
                for byte in String(scalar).utf8 { append(byte, text) }
            default: return false
            }
        }
        return true
    }

    private func append(_ byte: UInt8, _ text: Arena) {
        text.base[text.count] = byte
        text.count += 1
    }

    /// Of the four digits at `at`, and of a second such escape where they are half of a pair.
    private func scalar(_ at: inout Int, _ end: Int) -> UnicodeScalar? {
        guard let first = unit(at, end) else { return nil }
        at += 4
        guard first >= 0xD800, first < 0xDC00 else { return UnicodeScalar(first) }
        guard at + 6 <= end, bytes[at] == 0x5C, bytes[at + 1] == 0x75, let second = unit(at + 2, end),
            second >= 0xDC00, second < 0xE000
        else { return nil }
        at += 6
        return UnicodeScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private func unit(_ at: Int, _ end: Int) -> UInt32? {
        guard at + 4 <= end else { return nil }
        return UInt32(
            String(decoding: UnsafeBufferPointer(start: bytes + at, count: 4), as: UTF8.self), radix: 16)
    }
}
