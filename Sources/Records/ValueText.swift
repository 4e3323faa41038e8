/// A column's value as a person reads it: in messages, in `text(x)`, in Redis.
package enum ValueText {
    package static func string(_ value: Int64, _ type: ValueType, arena: Arena? = nil) -> String {
        switch type {
        case .bool: value != 0 ? "true" : "false"
        case .int: String(value)
        case .decimal(let scale): Decimal.string(value, scale: scale)
        case .text: arena?.string(TextReference(packed: value)) ?? ""
        case .timestamp: CivilTime.string(value)
        case .duration: duration(value)
        }
    }

    /// `1d2h`, `90s`, `250ms`: exact, in the units of the topology language.
    package static func duration(_ milliseconds: Int64) -> String {
        if milliseconds == 0 { return "0s" }
        var text = milliseconds < 0 ? "-" : ""
        var rest = milliseconds.magnitude
        for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")] {
            let (count, remainder) = rest.quotientAndRemainder(dividingBy: UInt64(unit))
            if count > 0 { text += "\(count)\(name)" }
            rest = remainder
        }
        return text
    }
}
