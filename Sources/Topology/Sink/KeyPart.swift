/// A part of a key's pattern in a store elsewhere: `merchant:{merchant_id}` is a text and a field.
package enum KeyPart: Hashable, Sendable {
    case text(String)
    case field(String)
}

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

extension ReadingContext {
    /// The parts of a key's pattern; `isField` says of each name, which stands where the text says, whether
    /// it is a field, and reports the mistake if not. nil after one.
    package func keyParts(
        _ pattern: ScalarText, isField: (_ name: String, _ text: ScalarText) -> Bool
    ) -> [KeyPart]? {
        let parts: [ScalarText.TemplatePart]
        switch pattern.templateParts() {
        case .failure(let mistake):
            report(mistake, pattern)
            return nil
        case .success(let found): parts = found
        }
        var result: [KeyPart] = []
        for part in parts {
            switch part {
            case .text(let text): result.append(.text(text))
            case .expression(let text):
                let isQuoted = text.text.count > 2 && text.text.hasPrefix("`") && text.text.hasSuffix("`")
                let name = isQuoted ? String(text.text.dropFirst().dropLast()) : text.text
                guard isField(name, text) else { return nil }
                result.append(.field(name))
            }
        }
        return result
    }
}
