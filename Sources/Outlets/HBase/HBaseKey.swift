import Base
import Records
import Topology

/// How a row's key is made: `{salt:16}{account}|{event_time:reversed}|{id}`.
///
/// A field is written as its text, with what would be taken for something else as `%` and two digits (RFC
/// 3986): `%` itself, what a text behind a field begins with, and what cannot be printed. So no two rows of
/// different fields have one key, and a field's value can be looked for by the beginning of a key.
package struct HBaseKey: Equatable, Sendable {
    package enum Part: Equatable, Sendable {
        case text(String)
        /// Two hexadecimal digits: CRC-32 (IEEE 802.3) of the rest of the key, modulo so many. Rows that are
        /// written at the same time go to different regions by it.
        case salt(Int)
        case field(String, Form)
    }

    package enum Form: String, CaseIterable, Sendable {
        /// The text that the record has.
        case plain
        /// A time as 19 digits of milliseconds since 1970, so that keys lie in its order.
        case ordered
        /// The same subtracted from 2^63 - 1: the newest row comes first.
        case reversed
    }

    package let parts: [Part]
    /// Bytes that are not written as they are.
    private let escaped: [Bool]

    package init(_ parts: [Part]) {
        self.parts = parts
        var escaped = [Bool](repeating: false, count: 256)
        for byte in 0..<256 where byte <= 0x20 || byte == 0x7F || byte == 0x25 { escaped[byte] = true }
        for (before, after) in zip(parts, parts.dropFirst()) {
            if case (.field(_, .plain), .text(let text)) = (before, after), let byte = text.utf8.first {
                escaped[Int(byte)] = true
            }
        }
        self.escaped = escaped
    }

    /// Of how many regions' worth the salt is; nil: there is none.
    package var salts: Int? {
        if case .salt(let count)? = parts.first { count } else { nil }
    }

    /// Behind the first field comes a time, by which rows can be looked for.
    var boundsTime: Bool {
        let forms = parts.compactMap { part -> Form? in
            if case .field(_, let form) = part { form } else { nil }
        }
        return forms.count > 1 && forms[1] != .plain
    }

    package var fields: [String] {
        parts.compactMap { if case .field(let name, _) = $0 { name } else { nil } }
    }

    /// As it is written in a topology.
    package var pattern: String {
        parts.map { part in
            switch part {
            case .text(let text): text.replacing("{", with: "{{").replacing("}", with: "}}")
            case .salt(let count): "{salt:\(count)}"
            case .field(let name, .plain): "{\(name)}"
            case .field(let name, let form): "{\(name):\(form.rawValue)}"
            }
        }.joined()
    }

    /// Without a topology, so that nobody knows which fields there are.
    package init(reading pattern: String) throws(Fault) {
        let scanner = ScalarText(text: pattern, position: Position(line: 1, column: 1), columns: [])
        guard case .success(let found) = scanner.templateParts() else {
            throw Fault(.user, "a brace of the key '\(pattern)' is not closed")
        }
        var parts: [Part] = []
        for part in found {
            switch part {
            case .text(let text): parts.append(.text(text))
            case .expression(let text): parts.append(try Self.part(text.text))
            }
        }
        self.init(parts)
    }

    private static func part(_ text: String) throws(Fault) -> Part {
        let words = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        if words.count == 1 { return .field(words[0], .plain) }
        if words[0] == "salt", let count = Int(words[1]), 2...256 ~= count { return .salt(count) }
        if let form = Form(rawValue: words[1]), form != .plain { return .field(words[0], form) }
        throw Fault(
            .user,
            "{\(text)} is no part of a key; it has {salt:16}, {field}, {field:reversed} and {field:ordered}")
    }

    /// Why a row has no key.
    package enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        case missing(String)
        case notATime(String)
        case tooLong(Int)

        package var description: String {
            switch self {
            case .missing(let name): "field '\(name)' of the row key is null or empty"
            case .notATime(let name): "field '\(name)' of the row key is no time after 1970"
            case .tooLong(let count): "a row key of \(count) bytes; HBase takes \(HBaseKey.bytesMax)"
            }
        }
    }

    package static let bytesMax = 32_767

    /// `value`: of a field, as the record has it; nil: null.
    package func encode(_ value: (String) -> ArraySlice<UInt8>?) -> Result<[UInt8], Failure> {
        var key: [UInt8] = []
        for part in parts {
            switch part {
            case .salt: continue
            case .text(let text): key += Array(text.utf8)
            case .field(let name, .plain):
                guard let bytes = value(name), !bytes.isEmpty else { return .failure(.missing(name)) }
                escape(bytes, into: &key)
            case .field(let name, let form):
                guard let bytes = value(name), !bytes.isEmpty else { return .failure(.missing(name)) }
                guard let time = Self.milliseconds(bytes) else { return .failure(.notATime(name)) }
                key += Self.digits(form == .reversed ? Int64.max - time : time)
            }
        }
        if let salts { key = Self.salt(of: key, salts) + key }
        return key.count > Self.bytesMax ? .failure(.tooLong(key.count)) : .success(key)
    }

    /// The keys of the rows whose first field has this value: what they begin with behind the salt, and what
    /// comes behind that, with the bounds of a time where the pattern has one there. `from` and `to`
    /// (milliseconds) are both included; nil: no bound.
    package func ranges(of value: String, from: Int64?, to: Int64?) -> [(start: [UInt8], end: [UInt8])]? {
        var rest = parts[...]
        if salts != nil { rest = rest.dropFirst() }
        var start: [UInt8] = []
        while case .text(let text)? = rest.first {
            start += Array(text.utf8)
            rest = rest.dropFirst()
        }
        guard case .field(_, .plain)? = rest.first else { return nil }
        escape(Array(value.utf8)[...], into: &start)
        rest = rest.dropFirst()
        // Another value may begin with this one: a text ends it.
        while case .text(let text)? = rest.first {
            start += Array(text.utf8)
            rest = rest.dropFirst()
        }
        var end = start
        if case .field(_, let form)? = rest.first, form != .plain {
            let earliest = max(0, from ?? 0)
            let latest = max(0, to ?? Int64.max)
            let (low, high) =
                form == .reversed ? (Int64.max - latest, Int64.max - earliest) : (earliest, latest)
            start += Self.digits(low)
            end += Self.digits(high)
        }
        end = Self.after(prefix: end)
        guard let salts else { return [(start, end)] }
        return (0..<salts).map { (Self.hexadecimal($0) + start, Self.hexadecimal($0) + end) }
    }

    /// The least key that is greater than all that begin so.
    static func after(prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        while let last = end.last {
            end.removeLast()
            if last < 0xFF { return end + [last + 1] }
        }
        return end
    }

    private func escape(_ bytes: ArraySlice<UInt8>, into key: inout [UInt8]) {
        for byte in bytes {
            guard escaped[Int(byte)] else {
                key.append(byte)
                continue
            }
            key += [0x25, Self.digit(byte >> 4), Self.digit(byte & 15)]
        }
    }

    static func salt(of key: [UInt8], _ count: Int) -> [UInt8] { hexadecimal(Int(Crc32.of(key)) % count) }

    private static func hexadecimal(_ salt: Int) -> [UInt8] {
        [digit(UInt8(salt >> 4)), digit(UInt8(salt & 15))]
    }

    private static func digit(_ value: UInt8) -> UInt8 { Array("0123456789abcdef".utf8)[Int(value)] }

    private static func digits(_ number: Int64) -> [UInt8] {
        let text = Array(String(number).utf8)
        return [UInt8](repeating: 0x30, count: 19 - text.count) + text
    }

    private static func milliseconds(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let time = bytes.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.flatMap { CivilTime.parse($0, bytes.count) }
        }
        return time.flatMap { $0.milliseconds >= 0 ? $0.milliseconds : nil }
    }
}
