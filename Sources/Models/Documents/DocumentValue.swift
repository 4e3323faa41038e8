import Base
import Glibc

/// A value of a model file, read from JSON or UBJSON.
package enum DocumentValue {
    case null
    case bool(Bool)
    case text(String)
    case number(DocumentNumber)
    case object([Member])
    case list([DocumentValue])
    /// A list of numbers only, at least one.
    case numbers(DocumentNumbers)

    package struct Member {
        package var name: String
        package var value: DocumentValue
    }
}

/// A number as it was written: it is rounded once, to the type that is asked for.
package enum DocumentNumber {
    /// A numeral of JSON.
    case numeral(String)
    case float(Float)
    case double(Double)
    case integer(Int64)

    /// As JSON has it: a numeral as it was written.
    package var written: String {
        switch self {
        case .numeral(let text): text
        case .float(let value): "\(value)"
        case .double(let value): "\(value)"
        case .integer(let value): "\(value)"
        }
    }

    package var float: Float {
        switch self {
        case .numeral(let text): strtof(text, nil)
        case .float(let value): value
        case .double(let value): Float(value)
        case .integer(let value): Float(value)
        }
    }

    package var double: Double {
        switch self {
        case .numeral(let text): strtod(text, nil)
        case .float(let value): Double(value)
        case .double(let value): value
        case .integer(let value): Double(value)
        }
    }

    /// Nil: it is not whole, or beyond 64 bits.
    package var integer: Int64? {
        switch self {
        case .numeral(let text): Int64(text) ?? Int64(exactly: strtod(text, nil))
        case .float(let value): Int64(exactly: value)
        case .double(let value): Int64(exactly: value)
        case .integer(let value): value
        }
    }
}

/// Many numbers of one list.
package enum DocumentNumbers {
    /// Numerals of JSON, by their place in the file.
    case numerals(bytes: [UInt8], spans: [Range<Int32>])
    case floats([Float])
    case doubles([Double])
    case integers([Int64])

    package var count: Int {
        switch self {
        case .numerals(_, let spans): spans.count
        case .floats(let values): values.count
        case .doubles(let values): values.count
        case .integers(let values): values.count
        }
    }

    /// Each as `DocumentNumber.written`.
    package var written: [String] {
        switch self {
        case .numerals(let bytes, let spans):
            spans.map { String(decoding: bytes[Int($0.lowerBound)..<Int($0.upperBound)], as: UTF8.self) }
        case .floats(let values): values.map { "\($0)" }
        case .doubles(let values): values.map { "\($0)" }
        case .integers(let values): values.map { "\($0)" }
        }
    }

    package var floats: [Float] {
        switch self {
        case .numerals(let bytes, let spans): Self.read(bytes, spans) { strtof($0, nil) }
        case .floats(let values): values
        case .doubles(let values): values.map(Float.init)
        case .integers(let values): values.map(Float.init)
        }
    }

    package var doubles: [Double] {
        switch self {
        case .numerals(let bytes, let spans): Self.read(bytes, spans) { strtod($0, nil) }
        case .floats(let values): values.map(Double.init)
        case .doubles(let values): values
        case .integers(let values): values.map(Double.init)
        }
    }

    /// Nil: one of them is not whole.
    package var integers: [Int64]? {
        if case .integers(let values) = self { return values }
        var whole: [Int64] = []
        whole.reserveCapacity(count)
        for value in doubles {
            guard let integer = Int64(exactly: value) else { return nil }
            whole.append(integer)
        }
        return whole
    }

    /// A numeral is followed by another character, at which the C functions stop.
    private static func read<T>(
        _ bytes: [UInt8], _ spans: [Range<Int32>], _ body: (UnsafePointer<CChar>) -> T
    ) -> [T] {
        bytes.withUnsafeBytes { raw in
            spans.map { span in
                guard let start = raw.baseAddress else { unreachable("a numeral in an empty file") }
                return body((start + Int(span.lowerBound)).assumingMemoryBound(to: CChar.self))
            }
        }
    }
}

/// A place in a document: what is asked for is there and of the right kind, or the fault names the place.
package struct DocumentNode {
    package let value: DocumentValue
    /// From the top, like `learner.objective.name`.
    package let path: String

    package init(_ value: DocumentValue, path: String = "") {
        self.value = value
        self.path = path
    }

    /// A member; nil: there is none, or it is null.
    package func optional(_ name: String) -> DocumentNode? {
        guard case .object(let members) = value, let member = members.last(where: { $0.name == name }) else {
            return nil
        }
        if case .null = member.value { return nil }
        return DocumentNode(member.value, path: path.isEmpty ? name : "\(path).\(name)")
    }

    package subscript(name: String) -> DocumentNode {
        get throws(Fault) {
            guard let node = optional(name) else {
                throw Fault(.user, "\(path.isEmpty ? "" : "\(path): ")no member '\(name)'")
            }
            return node
        }
    }

    package var members: [(name: String, node: DocumentNode)] {
        get throws(Fault) {
            guard case .object(let members) = value else { throw mistake("an object") }
            return members.map {
                ($0.name, DocumentNode($0.value, path: path.isEmpty ? $0.name : "\(path).\($0.name)"))
            }
        }
    }

    package var list: [DocumentNode] {
        get throws(Fault) {
            switch value {
            case .list(let values):
                return values.enumerated().map { DocumentNode($1, path: "\(path)[\($0)]") }
            case .numbers(let numbers):
                return numbers.doubles.enumerated().map {
                    DocumentNode(.number(.double($1)), path: "\(path)[\($0)]")
                }
            default: throw mistake("a list")
            }
        }
    }

    package var text: String {
        get throws(Fault) {
            guard case .text(let text) = value else { throw mistake("a text") }
            return text
        }
    }

    package var bool: Bool {
        get throws(Fault) {
            guard case .bool(let bool) = value else { throw mistake("true or false") }
            return bool
        }
    }

    package var double: Double {
        get throws(Fault) {
            switch value {
            case .number(let number): return number.double
            case .text(let text):
                guard let number = Double(text) else { throw mistake("a number") }
                return number
            default: throw mistake("a number")
            }
        }
    }

    /// A whole number; XGBoost writes some as texts.
    package var integer: Int {
        get throws(Fault) {
            switch value {
            case .number(let number):
                if let integer = number.integer { return Int(integer) }
            case .text(let text):
                if let integer = Int(text) { return integer }
            default: break
            }
            throw mistake("a whole number")
        }
    }

    package var floats: [Float] { get throws(Fault) { try numbers?.floats ?? [] } }
    package var doubles: [Double] { get throws(Fault) { try numbers?.doubles ?? [] } }

    package var integers: [Int] {
        get throws(Fault) {
            guard let numbers = try numbers else { return [] }
            guard let integers = numbers.integers else { throw mistake("whole numbers") }
            return integers.map(Int.init)
        }
    }

    /// Zero and one, or false and true.
    package var flags: [Bool] {
        get throws(Fault) {
            if case .list(let values) = value, !values.isEmpty {
                var flags: [Bool] = []
                for value in values {
                    guard case .bool(let flag) = value else { throw mistake("a list of true and false") }
                    flags.append(flag)
                }
                return flags
            }
            return try integers.map { $0 != 0 }
        }
    }

    package var texts: [String] {
        get throws(Fault) {
            var texts: [String] = []
            for node in try list { texts.append(try node.text) }
            return texts
        }
    }

    /// Nil: an empty list.
    private var numbers: DocumentNumbers? {
        get throws(Fault) {
            switch value {
            case .numbers(let numbers): return numbers
            case .list(let values) where values.isEmpty: return nil
            default: throw mistake("a list of numbers")
            }
        }
    }

    package func mistake(_ expected: String) -> Fault { Fault(.user, "\(path): \(expected) was expected") }
}
