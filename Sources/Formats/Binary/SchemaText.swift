import Base
import Records

/// A JSON text that says what records are like: a schema, or a registry's answer. Read once, outside of the
/// data path.
package indirect enum SchemaText: Sendable, Equatable {
    case null
    case bool(Bool)
    /// As it is written.
    case number(String)
    case text(String)
    case list([SchemaText])
    /// In the order in which they are written.
    case object([Member])

    package struct Member: Sendable, Equatable {
        package var name: String
        package var value: SchemaText
    }

    /// Throws a sentence that says what is wrong with it.
    package static func parse(_ bytes: [UInt8]) throws(Fault) -> SchemaText {
        guard bytes.count <= Limits.schemaBytesMax else {
            throw Fault(.user, "it has \(bytes.count) bytes, at most \(Limits.schemaBytesMax) are read")
        }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw Fault(.user, "it is not UTF-8") }
        var reader = SchemaTextReader(bytes: bytes)
        return try reader.read()
    }

    /// The last member of this name, of an object.
    package subscript(_ name: String) -> SchemaText? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var list: [SchemaText]? { if case .list(let list) = self { list } else { nil } }
    package var integer: Int? { if case .number(let number) = self { Int(number) } else { nil } }

    /// A list of texts; nil: it is none.
    package var texts: [String]? {
        guard let list else { return nil }
        let texts = list.compactMap(\.text)
        return texts.count == list.count ? texts : nil
    }
}

private struct SchemaTextReader {
    let bytes: [UInt8]
    private var at = 0
    private var depth = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() throws(Fault) -> SchemaText {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        let value = try value()
        skipBlanks()
        guard at == bytes.count else { throw wrong("something follows the value") }
        return value
    }

    private func wrong(_ what: String) -> Fault { Fault(.user, "it is no JSON: \(what) at byte \(at)") }

    private mutating func skipBlanks() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value() throws(Fault) -> SchemaText {
        skipBlanks()
        guard at < bytes.count else { throw wrong("it is cut off") }
        switch bytes[at] {
        case 0x7B: return try object()
        case 0x5B: return try list()
        case 0x22: return .text(try string())
        default: return try word()
        }
    }

    private mutating func enter() throws(Fault) {
        at += 1
        depth += 1
        if depth > Limits.schemaDepthMax { throw wrong("more than \(Limits.schemaDepthMax) levels") }
    }

    private mutating func object() throws(Fault) -> SchemaText {
        try enter()
        var members: [SchemaText.Member] = []
        if !take(0x7D) {
            repeat {
                skipBlanks()
                guard at < bytes.count, bytes[at] == 0x22 else { throw wrong("no name of a member") }
                let name = try string()
                guard take(0x3A) else { throw wrong("no colon") }
                members.append(SchemaText.Member(name: name, value: try value()))
            } while take(0x2C)
            guard take(0x7D) else { throw wrong("an object does not end") }
        }
        depth -= 1
        return .object(members)
    }

    private mutating func list() throws(Fault) -> SchemaText {
        try enter()
        var values: [SchemaText] = []
        if !take(0x5D) {
            repeat { values.append(try value()) } while take(0x2C)
            guard take(0x5D) else { throw wrong("an array does not end") }
        }
        depth -= 1
        return .list(values)
    }

    private mutating func word() throws(Fault) -> SchemaText {
        let start = at
        while at < bytes.count, !",]}: \t\r\n".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        switch text {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default:
            guard let first = text.utf8.first, first == 0x2D || (first >= 0x30 && first <= 0x39),
                Double(text) != nil
            else {
                at = start
                throw wrong("neither a value nor a name")
            }
            return .number(text)
        }
    }

    private mutating func string() throws(Fault) -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case 0x22: return String(decoding: text, as: UTF8.self)
            case 0x5C: try escape(&text)
            case 0..<0x20: throw wrong("a control character in a text")
            default: text.append(byte)
            }
        }
        throw wrong("a text does not end")
    }

    private mutating func escape(_ text: inout [UInt8]) throws(Fault) {
        guard at < bytes.count else { throw wrong("a text does not end") }
        let letter = bytes[at]
        at += 1
        switch letter {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case 0x22, 0x5C, 0x2F: text.append(letter)
        case UInt8(ascii: "u"):
            var code = try unit()
            if code & 0xFC00 == 0xD800 {
                guard at + 1 < bytes.count, bytes[at] == 0x5C, bytes[at + 1] == UInt8(ascii: "u") else {
                    throw wrong("half of a surrogate pair")
                }
                at += 2
                let low = try unit()
                guard low & 0xFC00 == 0xDC00 else { throw wrong("half of a surrogate pair") }
                code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = UnicodeScalar(code) else { throw wrong("half of a surrogate pair") }
            text += Array(String(Character(scalar)).utf8)
        default: throw wrong("no escape")
        }
    }

    private mutating func unit() throws(Fault) -> UInt32 {
        guard at + 4 <= bytes.count,
            let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw wrong("no four hexadecimal digits") }
        at += 4
        return code
    }
}
