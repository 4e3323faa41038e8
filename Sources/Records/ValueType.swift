/// The types of the topology language. Every value is 64 bits wide: an integer, a decimal as an integer
/// in units of 10^-scale, milliseconds, or a `TextReference` into the batch's arena. There is no binary
/// floating point.
package enum ValueType: Hashable, Sendable, CustomStringConvertible {
    case bool
    case int
    /// `decimal(2)`: money to the cent. Scale 1...Limits.decimalScaleMax; scale 0 is `int`.
    case decimal(scale: Int)
    case text
    /// Milliseconds since 1970, UTC.
    case timestamp
    /// Milliseconds.
    case duration

    package var isNumber: Bool {
        switch self {
        case .int, .decimal: true
        default: false
        }
    }

    /// Digits after the point; 0 for everything but decimals.
    package var scale: Int {
        if case .decimal(let scale) = self { scale } else { 0 }
    }

    package static func number(scale: Int) -> ValueType { scale == 0 ? .int : .decimal(scale: scale) }

    package var description: String {
        switch self {
        case .bool: "bool"
        case .int: "int"
        case .decimal(let scale): "decimal(\(scale))"
        case .text: "text"
        case .timestamp: "timestamp"
        case .duration: "duration"
        }
    }
}

/// One value outside the data path: a literal, a parameter, an expected value of a test.
package enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    /// In units of 10^-scale.
    case number(Int64, scale: Int)
    case text(String)
    case timestamp(Int64)
    case duration(Int64)
}

package struct Field: Hashable, Sendable {
    package var name: String
    package var type: ValueType
    /// Declared with `?`: a record without it is good, and its value is null.
    package var isOptional: Bool

    package init(name: String, type: ValueType, isOptional: Bool = false) {
        self.name = name
        self.type = type
        self.isOptional = isOptional
    }
}

/// The columns of a record stream, in order.
package struct Schema: Hashable, Sendable {
    package var fields: [Field]
    package init(_ fields: [Field]) { self.fields = fields }
    package func index(of name: String) -> Int? { fields.firstIndex { $0.name == name } }
}
