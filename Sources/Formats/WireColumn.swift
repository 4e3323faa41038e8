import Base
import Records

/// One column as it stands in a record: what it is called there and how its text is read.
package struct WireColumn {
    /// Names from the outside in; for CSV the whole path joined with dots is the column's name.
    package var path: [String]
    package var field: Field
    /// The zone of timestamps that are written without one; nil: such a timestamp is wrong.
    package var zone: TimeZoneTable?
    /// More places than the scale are rounded half to even instead of refused.
    package var isRounded: Bool
    package var reading: FieldReading
    /// What it is of the record that is not in its value.
    package var part: RecordPart?

    package init(
        path: [String], field: Field, zone: TimeZoneTable?, isRounded: Bool,
        reading: FieldReading = FieldReading(),
        part: RecordPart? = nil
    ) {
        self.part = part
        self.path = path
        self.field = field
        self.zone = zone
        self.isRounded = isRounded
        self.reading = reading
    }

    /// `customer.id`, in CSV a column's name; `items[0].price`.
    var name: String { path.joined(separator: ".").replacing(".[", with: "[") }
}

/// A member of a record before its type is looked at. The same layout as the shim's `mr_token`.
struct Token {
    enum Kind: UInt32 {
        case missing = 0
        case null = 1
        case `false` = 2
        case `true` = 3
        case number = 4
        case string = 5
        case object = 6
        case array = 7
        /// The path leads on from an array, or from a text, a number or a boolean; `count` tells how many of
        /// its names led there.
        case throughArray = 8
        case throughValue = 9
    }

    var start: UnsafePointer<UInt8>?
    var count: UInt32
    var kind: UInt32
}
