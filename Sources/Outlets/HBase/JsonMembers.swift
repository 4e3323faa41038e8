import Base
import Models
import Records

/// The members of a JSON object as paths and texts, in their order: `key.merchant_id`, `M100`. Texts are
/// without their quotes and escapes, numbers and booleans as they are written, lists as their JSON; what is
/// null is nil.
package struct JsonMembers {
    package private(set) var members: [(path: String, value: ArraySlice<UInt8>?)] = []

    /// nil: it is no object of valid JSON.
    package init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let document = try? JsonDocument.read(Array(bytes)), case .object(let members) = document else {
            return nil
        }
        add(members, under: "")
    }

    package func value(_ path: String) -> ArraySlice<UInt8>? {
        members.first { $0.path == path }?.value
    }

    private mutating func add(_ members: [DocumentValue.Member], under path: String) {
        for member in members {
            let path = path + member.name
            switch member.value {
            case .null: self.members.append((path, nil))
            case .object(let members): add(members, under: path + ".")
            case .text(let text): self.members.append((path, Array(text.utf8)[...]))
            case let value:
                var json = JsonWriter()
                Self.write(value, to: &json)
                self.members.append((path, Array(json.string.utf8)[...]))
            }
        }
    }

    private static func write(_ value: DocumentValue, to json: inout JsonWriter) {
        switch value {
        case .null: json.null()
        case .bool(let bool): json.bool(bool)
        case .text(let text): json.text(text)
        case .number(let number): json.written(number.written)
        case .numbers(let numbers): json.list(numbers.written) { $0.written($1) }
        case .list(let values): json.list(values) { write($1, to: &$0) }
        case .object(let members):
            json.beginObject()
            for member in members {
                json.name(member.name)
                write(member.value, to: &json)
            }
            json.endObject()
        }
    }
}
