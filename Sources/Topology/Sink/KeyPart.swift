/// A part of a key's pattern in a store elsewhere: `merchant:{merchant_id}` is a text and a field.
package enum KeyPart: Hashable, Sendable { case text(String), field(String) }

extension [KeyPart] {
    /// As it is written.
    package var pattern: String {
        map { part in
            switch part {
            case .text(let text): text
            case .field(let name): "{\(name)}"
            }
        }.joined()
    }

    /// For the hash of the logic.
    package var logic: String {
        let parts = map { part in
            switch part {
            case .text(let text): ": {text: \(JsonText.quoted(text))}"
            case .field(let name): ": {field: \(JsonText.quoted(name))}"
            }
        }
        return parts.isEmpty ? "[]" : "{\(parts.joined(separator: ", "))}"
    }
}
