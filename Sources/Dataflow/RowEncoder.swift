import Records

/// Writes rows as the values of records: what a sink gets of a step's records and of closed windows, and what
/// a dead letter or a late record has of a row that is no record. Used by one thread.
package protocol RowEncoder: AnyObject {
    /// Appends row `row` of the columns that its members take, in their order; texts lie in `arena`. What is
    /// not valid is null.
    func encode(_ row: Int, of columns: [Column], arena: Arena, into bytes: Arena)
}

/// What the value of a record consists of, in order.
package enum RowMember: Sendable {
    /// The next of the row's columns.
    case column(String)
    /// A text that is the same in every row.
    case constant(String, String)
    case group(String, [RowMember])

    package static func columns(_ fields: [Field]) -> [RowMember] { fields.map { .column($0.name) } }
}
