import Records

extension YamlNode {
    /// The node as JSON. What is a JSON number, true, false or null and not quoted stays so, with its
    /// digits as
    /// they are written; every other scalar is a string. `{n}` in a scalar is replaced by `number` first.
    package func json(replacing number: Int) -> String {
        var text = ""
        write(to: &text, number)
        return text
    }

    private func write(to text: inout String, _ number: Int) {
        switch content {
        case .scalar(let scalar):
            let value = scalar.text.replacing("{n}", with: String(number))
            if isNull {
                text += "null"
            } else if !scalar.isQuoted, value == "true" || value == "false" || JsonText.isNumber(value) {
                text += value
            } else {
                text += JsonText.quoted(value)
            }
        case .sequence(let nodes):
            text += "["
            for (index, node) in nodes.enumerated() {
                if index > 0 { text += "," }
                node.write(to: &text, number)
            }
            text += "]"
        case .mapping(let entries):
            text += "{"
            for (index, entry) in entries.enumerated() {
                if index > 0 { text += "," }
                text += JsonText.quoted(entry.key) + ":"
                entry.value.write(to: &text, number)
            }
            text += "}"
        }
    }
}

package enum JsonText {
    /// RFC 8259: no leading zeros, digits on both sides of the point.
    static func isNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        func takeDigits() -> Int {
            let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }.count
            rest = rest.dropFirst(digits)
            return digits
        }
        if rest.first == 0x2D { rest = rest.dropFirst() }
        let leadsWithZero = rest.first == 0x30
        let whole = takeDigits()
        guard whole > 0, !(leadsWithZero && whole > 1) else { return false }
        if rest.first == 0x2E {
            rest = rest.dropFirst()
            guard takeDigits() > 0 else { return false }
        }
        if let exponent = rest.first, exponent | 0x20 == 0x65 {
            rest = rest.dropFirst()
            if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
            guard takeDigits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    package static func quoted(_ text: String) -> String {
        var writer = JsonWriter(capacity: text.utf8.count + 16)
        writer.text(text)
        return writer.string
    }
}
