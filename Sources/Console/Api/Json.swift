import Base
import Models
import Records

/// A JSON value that is written, its members in their order.
package indirect enum Json: Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case number(Double)
    case text(String)
    case list([Json])
    case object([(String, Json)])
    /// JSON already.
    case written(String)

    static func optional(_ text: String?) -> Json { text.map { .text($0) } ?? .null }
    static func time(_ milliseconds: Int64?) -> Json {
        milliseconds.map { .text(CivilTime.string($0)) } ?? .null
    }
    static func count(_ value: Int?) -> Json { value.map { .int(Int64($0)) } ?? .null }
    static func texts(_ values: some Sequence<String>) -> Json { .list(values.map { .text($0) }) }
    /// To six places; null where it is none.
    static func decimal(_ value: Double?) -> Json { value.map { .number($0) } ?? .null }

    package var string: String {
        var writer = JsonWriter()
        write(&writer)
        return writer.string
    }

    func write(_ json: inout JsonWriter) {
        switch self {
        case .null: json.null()
        case .bool(let value): json.bool(value)
        case .int(let value): json.number(Int128(value), scale: 0)
        case .number(let value):
            if value.isFinite, abs(value) < 1e15 {
                json.number(Int128((value * 1e6).rounded()), scale: 6)
            } else {
                json.null()
            }
        case .text(let value): json.text(value)
        case .list(let values): json.list(values) { json, value in value.write(&json) }
        case .object(let members):
            json.beginObject()
            for (name, value) in members {
                json.name(name)
                value.write(&json)
            }
            json.endObject()
        case .written(let text): json.written(text)
        }
    }

    /// A value that was read, as it can be written again.
    package init(_ value: DocumentValue) {
        switch value {
        case .null: self = .null
        case .bool(let bool): self = .bool(bool)
        case .text(let text): self = .text(text)
        case .number(.numeral(let numeral)): self = .written(numeral)
        case .number(let number): self = number.integer.map { .int($0) } ?? .number(number.double)
        case .object(let members): self = .object(members.map { ($0.name, Json($0.value)) })
        case .list(let values): self = .list(values.map { Json($0) })
        case .numbers(let numbers): self = .list(numbers.written.map { .written($0) })
        }
    }
}

extension Json: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
}

extension Json: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    package init(arrayLiteral elements: Json...) { self = .list(elements) }
    package init(dictionaryLiteral elements: (String, Json)...) { self = .object(elements) }
}
