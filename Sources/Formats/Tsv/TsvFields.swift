import Records

/// Cuts a TSV record into its fields.
struct TsvFields: FieldCutter {
    enum Mistake: FieldMistake {
        case lineBreak, nullInside, unknownEscape

        var text: String {
            switch self {
            case .lineBreak: "a line break stands in a field"
            case .nullInside: "\\N stands in a field that has more than it"
            case .unknownEscape:
                "a backslash stands before what it means nothing with; escape: none takes it as a letter"
            }
        }
    }

    static let notation = "TSV"
    static let tab: UInt8 = 0x09
    static let backslash: UInt8 = 0x5C

    private let hasEscapes: Bool
    /// 1 for each byte at which a field ends, is wrong or must be put together.
    private let stops: UnsafeMutablePointer<UInt8>

    /// To be closed with `free`.
    init(hasEscapes: Bool) {
        self.hasEscapes = hasEscapes
        stops = .allocate(capacity: 256)
        stops.initialize(repeating: 0, count: 256)
        for byte in [Self.tab, 0x0A, 0x0D] + (hasEscapes ? [Self.backslash] : []) { stops[Int(byte)] = 1 }
    }

    func free() { stops.deallocate() }

    @inline(__always)
    func next(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, _ scratch: Arena,
        _ mistake: inout Mistake?
    ) -> Token {
        let start = at
        while at < count, stops[Int(bytes[at])] == 0 { at &+= 1 }
        if at < count, bytes[at] != Self.tab {
            if bytes[at] == Self.backslash {
                return escaped(bytes, count, from: start, &at, scratch, &mistake)
            }
            mistake = .lineBreak
        }
        let kind: Token.Kind = at == start && !hasEscapes ? .null : .string
        return Token(start: bytes + start, count: UInt32(at - start), kind: kind.rawValue)
    }

    /// The field that begins at `start` and has its first backslash at `at`.
    private func escaped(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, from start: Int, _ at: inout Int, _ scratch: Arena,
        _ mistake: inout Mistake?
    ) -> Token {
        let letterN: UInt8 = 0x4E
        if at == start, at + 1 < count, bytes[at + 1] == letterN,
            at + 2 == count || bytes[at + 2] == Self.tab
        {
            at += 2
            return Token(start: nil, count: 0, kind: Token.Kind.null.rawValue)
        }
        let copy = scratch.count
        (scratch.base + copy).update(from: bytes + start, count: at - start)
        scratch.count += at - start
        while at < count, bytes[at] != Self.tab {
            var byte = bytes[at]
            at += 1
            if byte == 0x0A || byte == 0x0D {
                mistake = .lineBreak
            } else if byte == Self.backslash {
                if at < count, let meant = Self.meaning(of: bytes[at]) {
                    byte = meant
                    at += 1
                } else if at < count, bytes[at] == letterN {
                    mistake = .nullInside
                } else {
                    mistake = .unknownEscape
                }
            }
            if mistake != nil { break }
            scratch.base[scratch.count] = byte
            scratch.count += 1
        }
        return Token(
            start: scratch.base + copy, count: UInt32(scratch.count - copy), kind: Token.Kind.string.rawValue)
    }

    /// The byte that a backslash before this one stands for. The letters are those that PostgreSQL, MySQL and
    /// ClickHouse write; MySQL writes tabs and line feeds as they are, behind a backslash.
    private static func meaning(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "v"): 0x0B
        case UInt8(ascii: "0"): 0x00
        case UInt8(ascii: "Z"): 0x1A
        case 0x5C, 0x27, 0x09, 0x0A, 0x0D: byte
        default: nil
        }
    }

    /// The names in the line that names a file's columns; one that cannot be read is taken as it stands. nil:
    /// the line is not UTF-8.
    static func names(_ bytes: UnsafeBufferPointer<UInt8>, hasEscapes: Bool) -> [String]? {
        guard let start = bytes.baseAddress else { return [""] }
        let fields = TsvFields(hasEscapes: hasEscapes)
        defer { fields.free() }
        let scratch = Arena(capacity: bytes.count)
        var names: [String] = []
        var at = 0
        while true {
            let first = at
            var mistake: Mistake?
            let token = fields.next(start, bytes.count, &at, scratch, &mistake)
            var name = UnsafeBufferPointer(start: token.start, count: Int(token.count))
            if mistake != nil || token.kind == Token.Kind.null.rawValue {
                while at < bytes.count, bytes[at] != tab { at += 1 }
                name = UnsafeBufferPointer(rebasing: bytes[first..<at])
            }
            guard let text = String(validating: name, as: UTF8.self) else { return nil }
            names.append(text)
            if at >= bytes.count { return names }
            // At a tab.
            at += 1
        }
    }
}
