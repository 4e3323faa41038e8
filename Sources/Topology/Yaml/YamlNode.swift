/// A node of a YAML file, with where it stands.
package struct YamlNode: Sendable {
    package indirect enum Content: Sendable {
        /// The value as text; quoted scalars are always text, plain ones may be numbers or null.
        case scalar(String, isQuoted: Bool)
        case sequence([YamlNode])
        case mapping([Member])
    }

    package struct Member: Sendable {
        package var key: String
        package var keyPosition: Position
        package var value: YamlNode
    }

    package var content: Content
    package var position: Position

    package var isNull: Bool {
        if case .scalar(let text, false) = content { ["", "~", "null"].contains(text) } else { false }
    }

    package var scalar: String? {
        if case .scalar(let text, let isQuoted) = content, isQuoted || !isNull { text } else { nil }
    }

    package var members: [Member]? { if case .mapping(let members) = content { members } else { nil } }
    package var items: [YamlNode]? { if case .sequence(let items) = content { items } else { nil } }

    package subscript(_ key: String) -> YamlNode? { members?.first { $0.key == key }?.value }

    /// What it is, for a message.
    package var kind: String {
        switch content {
        case .scalar(let text, _): isNull ? "nothing" : "'\(text)'"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The node as JSON: plain scalars that are JSON numbers, true, false or null stay bare, every other is a
    /// text, in which `{n}` is replaced by `number`.
    package func json(number: Int) -> String {
        switch content {
        case .scalar(let text, let isQuoted):
            if isNull { return "null" }
            if !isQuoted, text == "true" || text == "false" || YamlNode.isNumber(text) { return text }
            return YamlNode.quoted(YamlNode.replacing(text, number))
        case .sequence(let items): return "[" + items.map { $0.json(number: number) }.joined(separator: ",") + "]"
        case .mapping(let members):
            return "{"
                + members.map { "\(YamlNode.quoted($0.key)):\($0.value.json(number: number))" }.joined(separator: ",")
                + "}"
        }
    }

    package static func replacing(_ text: String, _ number: Int) -> String {
        var result = ""
        var rest = Substring(text)
        while let brace = rest.firstIndex(of: "{") {
            if rest[brace...].hasPrefix("{n}") {
                result += rest[..<brace] + "\(number)"
                rest = rest[rest.index(brace, offsetBy: 3)...]
            } else {
                result += rest[...brace]
                rest = rest[rest.index(after: brace)...]
            }
        }
        return result + rest
    }

    private static func isNumber(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let digits = bytes.first == 0x2D ? bytes.dropFirst() : bytes[...]
        guard let first = digits.first, first >= 0x30, first <= 0x39 else { return false }
        if first == 0x30, digits.count > 1, let second = digits.dropFirst().first, second >= 0x30, second <= 0x39 {
            return false
        }
        return digits.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E } && digits.filter { $0 == 0x2E }.count <= 1
            && digits.last != 0x2E
    }

    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
