import Records

/// Cuts a CSV record into its fields: RFC 4180 in the characters of a dialect.
struct CsvFields: FieldCutter {
    enum Mistake: FieldMistake {
        case openQuote, letterBehindQuote, quoteInside, lineBreak

        var text: String {
            switch self {
            case .openQuote: "a quote is opened and not closed"
            case .letterBehindQuote: "something stands between a closing quote and the next delimiter"
            case .quoteInside: "a quote stands within a field that has none around it"
            case .lineBreak: "a line break stands outside of quotes"
            }
        }
    }

    static let notation = "CSV"

    private let delimiter: UInt8
    private let quote: UInt8
    private let hasQuote: Bool
    private let escape: UInt8
    private let hasEscape: Bool
    private let isTrimmed: Bool
    /// 1 for each byte at which a field without quotes ends or is wrong.
    private let stops: UnsafeMutablePointer<UInt8>

    /// To be closed with `free`.
    init(_ dialect: CsvFormat) {
        delimiter = dialect.delimiter
        quote = dialect.quote ?? 0
        hasQuote = dialect.quote != nil
        escape = dialect.escape ?? 0
        hasEscape = dialect.escape != nil
        isTrimmed = dialect.isTrimmed
        stops = .allocate(capacity: 256)
        stops.initialize(repeating: 0, count: 256)
        for byte in [dialect.delimiter, dialect.quote ?? 0x0A, 0x0A, 0x0D] { stops[Int(byte)] = 1 }
    }

    func free() { stops.deallocate() }

    /// The field at `at`, which then stands at the delimiter behind it or at the end. Quotes within quotes
    /// are taken out in `scratch`, which has room. A field without quotes that is empty is null.
    @inline(__always)
    func next(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, _ scratch: Arena,
        _ mistake: inout Mistake?
    ) -> Token {
        if isTrimmed { skipBlanks(bytes, count, &at) }
        if hasQuote, at < count, bytes[at] == quote { return quoted(bytes, count, &at, scratch, &mistake) }
        let start = at
        while at < count, stops[Int(bytes[at])] == 0 { at &+= 1 }
        if at < count, bytes[at] != delimiter {
            mistake = hasQuote && bytes[at] == quote ? .quoteInside : .lineBreak
        }
        var end = at
        if isTrimmed { while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 } }
        let kind: Token.Kind = end == start ? .null : .string
        return Token(start: bytes + start, count: UInt32(end - start), kind: kind.rawValue)
    }

    private func quoted(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, _ scratch: Arena,
        _ mistake: inout Mistake?
    ) -> Token {
        at += 1
        let start = at
        var isCopied = false
        while at < count {
            if hasEscape, bytes[at] == escape {
                isCopied = true
                at += 2
                continue
            }
            if bytes[at] == quote {
                guard at + 1 < count, bytes[at + 1] == quote else { break }
                isCopied = true
                at += 1
            }
            at += 1
        }
        guard at < count else {
            at = count
            mistake = .openQuote
            return Token(start: nil, count: 0, kind: 0)
        }
        let end = at
        at += 1
        if isTrimmed { skipBlanks(bytes, count, &at) }
        if at < count, bytes[at] != delimiter { mistake = .letterBehindQuote }
        guard isCopied else {
            return Token(start: bytes + start, count: UInt32(end - start), kind: Token.Kind.string.rawValue)
        }
        let copy = scratch.count
        var position = start
        while position < end {
            // The first of two quotes goes, and so does an escape.
            if bytes[position] == quote || (hasEscape && bytes[position] == escape) { position += 1 }
            scratch.base[scratch.count] = bytes[position]
            scratch.count += 1
            position += 1
        }
        return Token(
            start: scratch.base + copy, count: UInt32(scratch.count - copy), kind: Token.Kind.string.rawValue)
    }

    private func skipBlanks(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) {
        while at < count, bytes[at] == 0x20 || bytes[at] == 0x09, bytes[at] != delimiter { at += 1 }
    }
}
