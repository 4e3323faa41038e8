import Base

/// UBJSON (draft 12), as XGBoost writes it: big-endian, with typed lists.
package struct UbjDocument {
    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0

    package static func read(_ bytes: [UInt8]) throws(Fault) -> DocumentValue {
        var parser = UbjDocument(bytes: bytes)
        return try parser.value(of: try parser.type())
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func mistake(_ text: String) -> Fault { Fault(.user, "byte \(at): \(text)") }

    private mutating func byte() throws(Fault) -> UInt8 {
        guard at < bytes.count else { throw mistake("the file ends in the middle") }
        at += 1
        return bytes[at - 1]
    }

    /// The next marker; no-operations are passed over.
    private mutating func type() throws(Fault) -> UInt8 {
        while true {
            let type = try byte()
            if type != UInt8(ascii: "N") { return type }
        }
    }

    /// What a list says of all its values, else the next marker.
    private mutating func type(_ stated: UInt8?) throws(Fault) -> UInt8 {
        if let stated { return stated }
        return try type()
    }

    private mutating func bits(_ count: Int) throws(Fault) -> UInt64 {
        guard at + count <= bytes.count else { throw mistake("the file ends in the middle") }
        var value: UInt64 = 0
        for byte in bytes[at..<at + count] { value = value << 8 | UInt64(byte) }
        at += count
        return value
    }

    /// A whole number of the type; nil: the type has none.
    private mutating func integer(of type: UInt8) throws(Fault) -> Int64? {
        switch type {
        case UInt8(ascii: "i"): Int64(Int8(truncatingIfNeeded: try bits(1)))
        case UInt8(ascii: "U"): Int64(try bits(1))
        case UInt8(ascii: "I"): Int64(Int16(truncatingIfNeeded: try bits(2)))
        case UInt8(ascii: "l"): Int64(Int32(truncatingIfNeeded: try bits(4)))
        case UInt8(ascii: "L"): Int64(bitPattern: try bits(8))
        default: nil
        }
    }

    private mutating func count() throws(Fault) -> Int {
        guard let count = try integer(of: try type()), count >= 0 else {
            throw mistake("a length was expected")
        }
        return Int(count)
    }

    private mutating func text() throws(Fault) -> String {
        let count = try count()
        guard count <= bytes.count - at else { throw mistake("the file ends in the middle") }
        defer { at += count }
        guard let text = String(validating: bytes[at..<at + count], as: UTF8.self) else {
            throw mistake("a text that is not UTF-8")
        }
        return text
    }

    private mutating func value(of type: UInt8) throws(Fault) -> DocumentValue {
        switch type {
        case UInt8(ascii: "Z"): return .null
        case UInt8(ascii: "T"): return .bool(true)
        case UInt8(ascii: "F"): return .bool(false)
        case UInt8(ascii: "S"): return .text(try text())
        case UInt8(ascii: "C"): return .text(String(UnicodeScalar(try byte())))
        case UInt8(ascii: "H"):
            let numeral = try text()
            guard Double(numeral) != nil else { throw mistake("a number was expected") }
            return .number(.numeral(numeral))
        case UInt8(ascii: "d"): return .number(.float(Float(bitPattern: UInt32(try bits(4)))))
        case UInt8(ascii: "D"): return .number(.double(Double(bitPattern: try bits(8))))
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            defer { depth -= 1 }
            if depth > Limits.modelDepthMax { throw mistake("nested deeper than \(Limits.modelDepthMax)") }
            return type == UInt8(ascii: "{") ? try object() : try list()
        default:
            if let integer = try integer(of: type) { return .number(.integer(integer)) }
            throw mistake("an unknown type 0x\(String(type, radix: 16))")
        }
    }

    /// `$` type and `#` count after an opening bracket.
    private mutating func header() throws(Fault) -> (type: UInt8?, count: Int?) {
        var type: UInt8?
        if at < bytes.count, bytes[at] == UInt8(ascii: "$") {
            at += 1
            type = try byte()
        }
        guard at < bytes.count, bytes[at] == UInt8(ascii: "#") else {
            if type != nil { throw mistake("a typed list without a length") }
            return (nil, nil)
        }
        at += 1
        return (type, try count())
    }

    private mutating func object() throws(Fault) -> DocumentValue {
        let header = try header()
        var members: [DocumentValue.Member] = []
        while header.count.map({ members.count < $0 }) ?? (at < bytes.count && bytes[at] != UInt8(ascii: "}"))
        {
            let name = try text()
            members.append(DocumentValue.Member(name: name, value: try value(of: try type(header.type))))
        }
        if header.count == nil, try byte() != UInt8(ascii: "}") { throw mistake("'}' was expected") }
        return .object(members)
    }

    private mutating func list() throws(Fault) -> DocumentValue {
        let header = try header()
        if let type = header.type, let count = header.count, let numbers = try numbers(of: type, count) {
            return numbers
        }
        var values: [DocumentValue] = []
        while header.count.map({ values.count < $0 }) ?? (at < bytes.count && bytes[at] != UInt8(ascii: "]"))
        {
            values.append(try value(of: try type(header.type)))
            // Values without bytes of their own could be as many as the header says.
            if values.count > bytes.count { throw mistake("a list longer than the file") }
        }
        if header.count == nil, try byte() != UInt8(ascii: "]") { throw mistake("']' was expected") }
        return Self.numbers(values) ?? .list(values)
    }

    private mutating func numbers(of type: UInt8, _ count: Int) throws(Fault) -> DocumentValue? {
        let width: Int
        switch type {
        case UInt8(ascii: "d"), UInt8(ascii: "l"): width = 4
        case UInt8(ascii: "D"), UInt8(ascii: "L"): width = 8
        case UInt8(ascii: "i"), UInt8(ascii: "U"): width = 1
        case UInt8(ascii: "I"): width = 2
        default: return nil
        }
        guard count <= (bytes.count - at) / width else { throw mistake("the file ends in the middle") }
        if count == 0 { return .list([]) }
        switch type {
        case UInt8(ascii: "d"):
            var values: [Float] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(Float(bitPattern: UInt32(try bits(4)))) }
            return .numbers(.floats(values))
        case UInt8(ascii: "D"):
            var values: [Double] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(Double(bitPattern: try bits(8))) }
            return .numbers(.doubles(values))
        default:
            var values: [Int64] = []
            values.reserveCapacity(count)
            for _ in 0..<count {
                guard let value = try integer(of: type) else { return nil }
                values.append(value)
            }
            return .numbers(.integers(values))
        }
    }

    /// A list of numbers whose types stand one by one.
    private static func numbers(_ values: [DocumentValue]) -> DocumentValue? {
        var doubles: [Double] = []
        for value in values {
            guard case .number(let number) = value else { return nil }
            doubles.append(number.double)
        }
        return doubles.isEmpty ? nil : .numbers(.doubles(doubles))
    }
}
