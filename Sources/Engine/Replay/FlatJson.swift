/// A record of a step as a sink has it: one object of texts, numbers, booleans and nulls, in the order of the step's fields.
struct FlatJson {
    enum Value: Equatable {
        case null
        case text([UInt8])
        /// A number or a boolean, as it is written.
        case plain([UInt8])
    }

    /// The values in their order; nil: it is no such object.
    static func values(_ bytes: UnsafeBufferPointer<UInt8>) -> [Value]? {
        var reader = FlatJson(bytes: bytes)
        guard reader.take(0x7B) else { return nil }
        var values: [Value] = []
        if reader.take(0x7D) { return values }
        repeat {
            guard reader.text() != nil, reader.take(0x3A), let value = reader.value() else { return nil }
            values.append(value)
        } while reader.take(0x2C)
        return reader.take(0x7D) && reader.at == bytes.count ? values : nil
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var at = 0

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value() -> Value? {
        guard at < bytes.count else { return nil }
        if bytes[at] == 0x22 { return text().map { .text($0) } }
        let start = at
        while at < bytes.count, bytes[at] != 0x2C, bytes[at] != 0x7D { at += 1 }
        let plain = Array(bytes[start..<at])
        return plain == Array("null".utf8) ? .null : plain.isEmpty ? nil : .plain(plain)
    }

    private mutating func text() -> [UInt8]? {
        guard take(0x22) else { return nil }
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == 0x22 { return text }
            guard byte == 0x5C, at < bytes.count else {
                text.append(byte)
                continue
            }
            let escape = bytes[at]
            at += 1
            switch escape {
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "u"):
                // The writer escapes what has one byte and no others.
                guard at + 4 <= bytes.count, let code = UInt8(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16) else { return nil }
                text.append(code)
                at += 4
            default: text.append(escape)
            }
        }
        return nil
    }
}
