import Base

/// A schema of Avro's, its types in a table in which one that has a name stands once, however often it is
/// used: it may contain itself.
package struct AvroSchema: Sendable {
    package var types: [AvroType]
    /// Index of the whole.
    package var root: Int
}

package struct AvroType: Sendable {
    package enum Kind: Sendable {
        case null, boolean, int, long, float, double, bytes, string
        case fixed(size: Int)
        /// `fallback`: what a reader takes an unknown symbol as.
        case enumeration(symbols: [String], fallback: String?)
        case array(items: Int)
        case map(values: Int)
        case union(branches: [Int])
        case record(fields: [AvroField])
    }

    package enum Logical: Sendable, Equatable {
        case decimal(precision: Int, scale: Int)
        case uuid
        case date
        case timeMillis, timeMicros
        /// Digits of a second's fraction that the number counts: 3, 6 or 9.
        case timestamp(digits: Int)
        /// As clocks show it, without a zone.
        case localTimestamp(digits: Int)
        /// Months, days and milliseconds, which no duration of ours is.
        case duration
        case bigDecimal
    }

    package var kind: Kind
    /// With its namespace; of a type without a name, what it is called.
    package var name: String
    package var aliases: [String] = []
    package var logical: Logical?

    /// `timestamp-micros`, `decimal(12, 2)`, `record shop.Order`, for messages.
    package var shown: String {
        switch logical {
        case .decimal(let precision, let scale): return "decimal(\(precision), \(scale))"
        case .uuid: return "uuid"
        case .date: return "date"
        case .timeMillis: return "time-millis"
        case .timeMicros: return "time-micros"
        case .timestamp(let digits): return "timestamp-\(Self.unit(digits))"
        case .localTimestamp(let digits): return "local-timestamp-\(Self.unit(digits))"
        case .duration: return "duration"
        case .bigDecimal: return "big-decimal"
        case nil: break
        }
        switch kind {
        case .record: return "record \(name)"
        case .enumeration: return "enum \(name)"
        case .fixed(let size): return "fixed of \(size) bytes"
        case .array: return "array"
        case .map: return "map"
        case .union: return "union"
        default: return name
        }
    }

    private static func unit(_ digits: Int) -> String {
        digits == 3 ? "millis" : digits == 6 ? "micros" : "nanos"
    }
}

package struct AvroField: Sendable {
    package var name: String
    package var aliases: [String]
    package var type: Int
    /// What a reader takes where the writer has no such field; nil: such a record cannot be read.
    package var fallback: SchemaText?
}
