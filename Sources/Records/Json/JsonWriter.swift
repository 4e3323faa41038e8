/// Writes JSON (RFC 8259) into one growing buffer; no allocation per member once it has grown.
package struct JsonWriter {
    package let bytes: Arena
    private var needsComma = false

    package init(capacity: Int = 1024) { bytes = Arena(capacity: capacity) }

    /// Appends to what stands in `bytes`.
    package init(into bytes: Arena) { self.bytes = bytes }

    package mutating func removeAll() {
        bytes.removeAll()
        needsComma = false
    }

    package var string: String { bytes.string(TextReference(offset: 0, count: bytes.count)) }

    package mutating func beginObject() {
        put(0x7B)
        needsComma = false
    }

    package mutating func endObject() {
        put(0x7D)
        needsComma = true
    }

    /// A list, each of whose values `body` writes.
    package mutating func list<Values: Sequence>(
        _ values: Values, _ body: (inout JsonWriter, Values.Element) -> Void
    ) {
        put(0x5B)
        var isFirst = true
        for value in values {
            if !isFirst { put(0x2C) }
            isFirst = false
            needsComma = false
            body(&self, value)
        }
        put(0x5D)
        needsComma = true
    }

    /// The name of a member; its value follows with one of the functions below or `beginObject`.
    package mutating func name(_ name: String) {
        var name = name
        name.withUTF8 { self.name($0) }
    }

    package mutating func name(_ name: UnsafeBufferPointer<UInt8>) {
        if needsComma { put(0x2C) }
        quoted(name)
        put(0x3A)
        needsComma = false
    }

    package mutating func member(_ name: String, _ value: String) {
        self.name(name)
        text(value)
    }

    package mutating func member(_ name: String, _ value: Int64) {
        self.name(name)
        number(Int128(value), scale: 0)
    }

    package mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { text($0) }
    }

    package mutating func text(_ start: UnsafePointer<UInt8>, _ count: Int) {
        text(UnsafeBufferPointer(start: start, count: count))
    }

    package mutating func text(_ value: UnsafeBufferPointer<UInt8>) {
        quoted(value)
        needsComma = true
    }

    package mutating func null() { raw("null") }

    package mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

    package mutating func number(_ value: Int128, scale: Int) {
        bytes.reserve(Decimal.bytesMax)
        bytes.count += Decimal.write(value, scale: scale, to: bytes.base + bytes.count)
        needsComma = true
    }

    /// A number inside quotation marks: readers that use binary floating point then keep it exact.
    package mutating func quotedNumber(_ value: Int128, scale: Int) {
        put(0x22)
        number(value, scale: scale)
        put(0x22)
    }

    /// A number that somebody writes later; returns where.
    package mutating func room(_ count: Int) -> Int {
        defer {
            bytes.reserve(count)
            bytes.count += count
            needsComma = true
        }
        return bytes.count
    }

    /// `2011-01-05T10:15:00Z`
    package mutating func timestamp(_ milliseconds: Int64) {
        put(0x22)
        bytes.appendTime(milliseconds)
        put(0x22)
        needsComma = true
    }

    /// Text that is JSON already.
    package mutating func raw(_ json: String) {
        _ = bytes.append(json)
        needsComma = true
    }

    /// Members that were written before, without their braces' opening.
    package mutating func fragment(_ members: String) {
        if needsComma { put(0x2C) }
        raw(members)
    }

    /// A value that was written before.
    package mutating func written(_ json: String) {
        raw(json)
        needsComma = true
    }

    /// A column's value. Decimals, which JSON's readers would round, are text where `exactly` is true.
    package mutating func value(_ value: Int64, valid: Bool, _ type: ValueType, arena: Arena, exactly: Bool) {
        guard valid else { return null() }
        switch type {
        case .bool: bool(value != 0)
        case .int, .duration: number(Int128(value), scale: 0)
        case .decimal(let scale):
            if exactly {
                quotedNumber(Int128(value), scale: scale)
            } else {
                number(Int128(value), scale: scale)
            }
        case .text:
            let reference = TextReference(packed: value)
            text(arena.base + reference.offset, reference.count)
        case .timestamp: timestamp(value)
        }
    }

    private func put(_ byte: UInt8) {
        bytes.reserve(1)
        bytes.base[bytes.count] = byte
        bytes.count += 1
    }

    private func quoted(_ text: UnsafeBufferPointer<UInt8>) {
        put(0x22)
        escape(text)
        put(0x22)
    }

    /// Escapes what must be, and puts U+FFFD where the bytes are no UTF-8.
    private func escape(_ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress else { return }
        // In most texts there is nothing to escape: no branch a byte.
        var (all, isPlain) = (UInt8(0), true)
        for byte in text {
            all |= byte
            isPlain = isPlain && (byte >= 0x20) && (byte != 0x22) && (byte != 0x5C)
        }
        if all >= 0x80 { return escapeUnicode(text) }
        if isPlain {
            _ = bytes.append(start, text.count)
            return
        }
        var clean = 0
        for position in 0..<text.count {
            let byte = text[position]
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
            _ = bytes.append(start + clean, position - clean)
            escape(byte)
            clean = position + 1
        }
        _ = bytes.append(start + clean, text.count - clean)
    }

    private func escapeUnicode(_ text: UnsafeBufferPointer<UInt8>) {
        var repaired = String(decoding: text, as: UTF8.self)
        repaired.withUTF8 { repaired in
            for byte in repaired {
                if byte < 0x20 || byte == 0x22 || byte == 0x5C { escape(byte) } else { put(byte) }
            }
        }
    }

    private func escape(_ byte: UInt8) {
        put(0x5C)
        switch byte {
        case 0x22, 0x5C: put(byte)
        case 0x0A: put(0x6E)
        case 0x0D: put(0x72)
        case 0x09: put(0x74)
        default:
            let digits = Array("0123456789abcdef".utf8)
            put(0x75)
            put(0x30)
            put(0x30)
            put(digits[Int(byte >> 4)])
            put(digits[Int(byte & 15)])
        }
    }
}
