import Base
import Records

/// `text`, `decimal(2)?`
package enum TypeText {
    package static func parse(_ text: String) -> (type: ValueType, isOptional: Bool)? {
        let isOptional = text.hasSuffix("?")
        let name = isOptional ? String(text.dropLast()) : text
        switch name {
        case "text": return (.text, isOptional)
        case "int": return (.int, isOptional)
        case "bool": return (.bool, isOptional)
        case "timestamp": return (.timestamp, isOptional)
        case "duration": return (.duration, isOptional)
        default:
            guard name.hasPrefix("decimal("), name.hasSuffix(")"),
                let scale = Int(name.dropFirst(8).dropLast()),
                scale >= 1, scale <= Limits.decimalScaleMax
            else { return nil }
            return (.decimal(scale: scale), isOptional)
        }
    }

    package static func mistake(_ text: String) -> String {
        if text.hasPrefix("decimal") {
            return
                "unknown type '\(text)'; decimals have 1 to \(Limits.decimalScaleMax) digits after the "
                + "point, like decimal(2)"
        }
        let names = ["text", "int", "bool", "decimal(2)", "timestamp", "duration"]
        let known: [String: String] = [
            "string": "text", "str": "text", "integer": "int", "long": "int", "float": "decimal(2)",
            "double": "decimal(2)", "number": "decimal(2)", "money": "decimal(2)", "boolean": "bool",
            "datetime": "timestamp", "date": "timestamp", "time": "timestamp",
        ]
        if let meant = known[text.lowercased()] { return "unknown type '\(text)'; did you mean '\(meant)'?" }
        return "unknown type '\(text)'\(NearestName.hint(text, among: names))"
    }
}
