import Base

/// JSON (RFC 8259) as a `DocumentValue`; `NaN`, `Infinity` and `-Infinity`, which trainers write, are
/// numbers.
package struct JsonDocument {
    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0

    /// Throws a fault of the user with line and column.
    package static func read(_ bytes: [UInt8]) throws(Fault) -> DocumentValue {
        var parser = JsonDocument(bytes: bytes)
        // A byte order mark is allowed.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { parser.at = 3 }
        let value = try parser.value()
        parser.skipBlanks()
        if parser.at < bytes.count { throw parser.mistake("the end was expected") }
        return value
    }

    private init(bytes: [UInt8]) {
        // So that a numeral is followed by something.
        self.bytes = bytes + [0]
    }

    private var end: Int { bytes.count - 1 }

    private func mistake(_ text: String) -> Fault {
        let before = bytes[..<min(at, end)]
        let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        let column = before.count - (before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0) + 1
        return Fault(.user, "\(line):\(column): \(text)")
    }

    private mutating func skipBlanks() {
        while at < end, bytes[at] == 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0D) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard at < end, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value() throws(Fault) -> DocumentValue {
        skipBlanks()
        guard at < end else { throw mistake("a value was expected") }
        switch bytes[at] {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            defer { depth -= 1 }
            if depth > Limits.modelDepthMax { throw mistake("nested deeper than \(Limits.modelDepthMax)") }
            return bytes[at] == UInt8(ascii: "{") ? try object() : try list()
        case UInt8(ascii: "\""): return .text(try text())
        default:
            let start = at
            while at < end, Self.isToken(bytes[at]) { at += 1 }
            let token = String(decoding: bytes[start..<at], as: UTF8.self)
            switch token {
            case "true": return .bool(true)
            case "false": return .bool(false)
            case "null": return .null
            default:
                if Self.isNumeral(bytes[start..<at]) { return .number(.numeral(token)) }
                at = start
                throw mistake("a value was expected")
            }
        }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
            || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// `-? digits (. digits)? ([eE] [+-]? digits)?`
    private static func isNumeral(_ text: ArraySlice<UInt8>) -> Bool {
        if ["NaN", "Infinity", "-Infinity"].contains(where: { text.elementsEqual($0.utf8) }) { return true }
        var rest = text
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        func digits() -> Bool {
            let run = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            rest = rest.dropFirst(run.count)
            return !run.isEmpty
        }
        guard digits() else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() else { return false }
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                rest = rest.dropFirst()
            }
            guard digits() else { return false }
        }
        return rest.isEmpty
    }

    private mutating func object() throws(Fault) -> DocumentValue {
        at += 1
        var members: [DocumentValue.Member] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipBlanks()
            guard at < end, bytes[at] == UInt8(ascii: "\"") else {
                throw mistake("a member's name was expected")
            }
            let name = try text()
            guard take(UInt8(ascii: ":")) else { throw mistake("':' was expected") }
            members.append(DocumentValue.Member(name: name, value: try value()))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw mistake("',' or '}' was expected") }
        return .object(members)
    }

    private mutating func list() throws(Fault) -> DocumentValue {
        at += 1
        if take(UInt8(ascii: "]")) { return .list([]) }
        if let spans = numerals() { return .numbers(.numerals(bytes: bytes, spans: spans)) }
        var values: [DocumentValue] = []
        repeat { values.append(try value()) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw mistake("',' or ']' was expected") }
        return .list(values)
    }

    /// The numerals of a list that holds nothing else; nil, and nothing read, if it does.
    private mutating func numerals() -> [Range<Int32>]? {
        guard end <= Int(Int32.max) else { return nil }
        let before = at
        var spans: [Range<Int32>] = []
        repeat {
            skipBlanks()
            let start = at
            while at < end, Self.isToken(bytes[at]) { at += 1 }
            guard Self.isNumeral(bytes[start..<at]) else {
                at = before
                return nil
            }
            spans.append(Int32(start)..<Int32(at))
        } while take(UInt8(ascii: ","))
        if take(UInt8(ascii: "]")) { return spans }
        at = before
        return nil
    }

    private mutating func text() throws(Fault) -> String {
        at += 1
        var text: [UInt8] = []
        while true {
            guard at < end else { throw mistake("a text without end") }
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let valid = String(validating: text, as: UTF8.self) else {
                    throw mistake("a text that is not UTF-8")
                }
                return valid
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw mistake("a control character in a text")
            default: text.append(byte)
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(Fault) {
        guard at < end else { throw mistake("a text without end") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var unit = try hexadecimal()
            if unit & 0xFC00 == 0xD800, at + 1 < end, bytes[at] == UInt8(ascii: "\\"),
                bytes[at + 1] == UInt8(ascii: "u")
            {
                at += 2
                let low = try hexadecimal()
                guard low & 0xFC00 == 0xDC00 else { throw mistake("half of a surrogate pair") }
                unit = 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(unit) else { throw mistake("half of a surrogate pair") }
            text += Array(String(Character(scalar)).utf8)
        default: throw mistake("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(Fault) -> UInt32 {
        guard at + 4 <= end, let unit = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else {
            throw mistake("four hexadecimal digits were expected")
        }
        at += 4
        return unit
    }
}
