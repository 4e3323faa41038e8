import Records

/// `deduplicate: { by: order_id, within: 1h }`: of the records that agree in these fields, one passes and those within
/// `within` after it do not. Records are taken in event-time order, so which one passes does not depend on how they
/// came; of one instant it is the first by content. Comes before the step's `where`.
package struct DeduplicateSpec: OperatorKind {
    /// Milliseconds.
    package var within: Int64

    package var name: String { "deduplicate" }
    package var waitsForEventTime: Bool { true }
    package var definition: String? { "one within \(ValueText.duration(within))" }
}

/// `top: { count: 10, by: amount }`: of the records of one key and one event time, which is what windows that close
/// together make, those with the greatest values of a field (`order: least`: the least), as rows with their `rank`
/// from 1, once event time has passed them. Of equal values the first by content. Records whose value is null take no
/// part. Nothing is remembered of an instant that is over.
///
/// Columns: the record's, and `rank`; where the record has one, from another `top`, that is `rank_before`.
package struct TopSpec: OperatorKind {
    package var count: Int
    /// Column of the input, and its name.
    package var by: Int
    package var byName: String
    package var isLeast: Bool
    package var fieldCount: Int

    package var name: String { "top" }
    package var waitsForEventTime: Bool { true }
    package var definition: String? { "the \(count) \(isLeast ? "least" : "greatest") by \(byName)" }
}
