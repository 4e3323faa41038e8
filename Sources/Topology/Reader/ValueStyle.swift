import Base
import Records

/// How the values of fields are written: of one field, or of all fields of a source that do not say it
/// themselves.
struct ValueStyle {
    var numerals: Numerals?
    /// Texts that are true, and false.
    var trues: [String] = []
    var falses: [String] = []

    /// Options of a format that hold for all its fields, and of a field.
    static let keys = ["decimal", "thousands", "strip", "negative", "true", "false"]

    static func read(_ mapping: MappingReader, _ context: ReadingContext) -> ValueStyle {
        var style = ValueStyle()
        var numerals = Numerals()
        if let node = mapping["decimal"], let mark = context.choice(node, "decimal", [",", "."]) {
            numerals.decimalMark = mark.utf8.first ?? 0x2E
        }
        if let node = mapping["thousands"] { numerals.thousands = thousands(node, context) }
        if let node = mapping["strip"] { numerals.strips = texts(node, "strip", "\"¥\"", context) }
        if let node = mapping["negative"] {
            for text in texts(node, "negative", "parentheses", context) {
                switch text {
                case "parentheses": numerals.takesParentheses = true
                case "behind": numerals.takesSignBehind = true
                default: numerals.negatives.append(text)
                }
            }
        }
        if let node = mapping["percent"] {
            numerals.isPercent = context.choice(node, "percent", ["true", "false"]) == "true"
        }
        if numerals != Numerals() || mapping["decimal"] != nil { style.numerals = numerals }
        if numerals.thousands == String(UnicodeScalar(numerals.decimalMark)) {
            context.error(
                mapping.keyPosition("thousands"),
                "'\(numerals.thousands ?? "")' cannot stand between thousands and before decimals; say decimal: \",\" as well"
            )
        }
        if let node = mapping["true"] { style.trues = texts(node, "true", "[Y, \"1\"]", context) }
        if let node = mapping["false"] { style.falses = texts(node, "false", "[N, \"0\"]", context) }
        for text in style.trues where style.falses.contains(text) {
            context.error(mapping.keyPosition("false"), "'\(text)' cannot be true and false")
        }
        return style
    }

    private static func thousands(_ node: YamlNode, _ context: ReadingContext) -> String? {
        guard let text = context.scalar(node, "thousands", example: "thousands: \",\"") else { return nil }
        let isGood =
            text.text.unicodeScalars.count == 1
            && !text.text.unicodeScalars.contains { ("0"..."9").contains($0) || $0 == "-" || $0 == "+" }
        if isGood { return text.text }
        context.error(
            text.position,
            "thousands must be one character that is no digit and no sign, not '\(text.shown)'; write thousands: \",\""
        )
        return nil
    }

    /// A text, or a list of them.
    private static func texts(_ node: YamlNode, _ what: String, _ example: String, _ context: ReadingContext)
        -> [String]
    {
        (node.sequence ?? [node]).compactMap {
            context.scalar($0, what, example: "\(what): \(example)")?.text
        }
    }
}

extension FieldReading {
    /// What all fields of a source have that say nothing else, for a field of this type.
    mutating func take(_ style: ValueStyle, for type: ValueType) {
        if type.isNumber || type == .duration, numerals == nil, !isBase64 { numerals = style.numerals }
        if type == .bool, trues.isEmpty, falses.isEmpty { (trues, falses) = (style.trues, style.falses) }
    }
}
