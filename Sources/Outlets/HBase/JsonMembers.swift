/// The members of a JSON object as paths and texts, in their order: `key.merchant_id`, `M100`. Texts are without their quotes
/// and escapes, numbers and booleans as they are written, lists as their JSON; what is null is nil. For values that the topology
/// itself has written.
package struct JsonMembers {
    package private(set) var members: [(path: String, value: ArraySlice<UInt8>?)] = []
    private var bytes: UnsafeBufferPointer<UInt8>
    private var at = 0
    private var depth = 0
    private static let depthMax = 16

    /// nil: it is no object of valid JSON.
    package init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        skipSpace()
        guard object(under: "") else { return nil }
        skipSpace()
        guard at == bytes.count else { return nil }
    }

    package func value(_ path: String) -> ArraySlice<UInt8>? {
        members.first { $0.path == path }?.value
    }

    private mutating func object(under path: String) -> Bool {
        guard take(0x7B), depth < Self.depthMax else { return false }
        depth += 1
        defer { depth -= 1 }
        skipSpace()
        if take(0x7D) { return true }
        while true {
            skipSpace()
            guard let name = text() else { return false }
            skipSpace()
            guard take(0x3A) else { return false }
            skipSpace()
            guard value(path + String(decoding: name, as: UTF8.self)) else { return false }
            skipSpace()
            if take(0x7D) { return true }
            guard take(0x2C) else { return false }
        }
    }

    private mutating func value(_ path: String) -> Bool {
        guard at < bytes.count else { return false }
        switch bytes[at] {
        case 0x7B: return object(under: path + ".")
        case 0x5B:
            let start = at
            guard skipList() else { return false }
            members.append((path, ArraySlice(bytes[start..<at])))
        case 0x22:
            guard let text = text() else { return false }
            members.append((path, text[...]))
        default:
            let start = at
            while at < bytes.count, !Self.endsValue(bytes[at]) { at += 1 }
            guard at > start else { return false }
            let isNull = bytes[start..<at].elementsEqual("null".utf8)
            members.append((path, isNull ? nil : ArraySlice(bytes[start..<at])))
        }
        return true
    }

    private static func endsValue(_ byte: UInt8) -> Bool { byte == 0x2C || byte == 0x7D || byte == 0x5D || byte <= 0x20 }

    /// Brackets and texts only: what the list holds is passed on as it is.
    private mutating func skipList() -> Bool {
        var open = 0
        while at < bytes.count {
            switch bytes[at] {
            case 0x22:
                guard text() != nil else { return false }
                continue
            case 0x5B, 0x7B: open += 1
            case 0x5D, 0x7D: open -= 1
            default: break
            }
            at += 1
            if open == 0 { return true }
        }
        return false
    }

    private mutating func text() -> [UInt8]? {
        guard take(0x22) else { return nil }
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == 0x22 { return text }
            guard byte == 0x5C else {
                text.append(byte)
                continue
            }
            guard at < bytes.count else { return nil }
            let escape = bytes[at]
            at += 1
            switch escape {
            case 0x6E: text.append(10)
            case 0x74: text.append(9)
            case 0x72: text.append(13)
            case 0x62: text.append(8)
            case 0x66: text.append(12)
            case 0x75:
                guard let scalar = scalar() else { return nil }
                text += Array(String(scalar).utf8)
            default: text.append(escape)
            }
        }
        return nil
    }

    /// Behind `\u`; a pair of surrogates is one.
    private mutating func scalar() -> Unicode.Scalar? {
        guard let first = hexadecimal() else { return nil }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take(0x5C), take(0x75), let second = hexadecimal(), 0xDC00...0xDFFF ~= second else { return nil }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private mutating func hexadecimal() -> UInt32? {
        guard at + 4 <= bytes.count else { return nil }
        defer { at += 4 }
        return UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 32 || 9...10 ~= bytes[at] || bytes[at] == 13 { at += 1 }
    }
}
