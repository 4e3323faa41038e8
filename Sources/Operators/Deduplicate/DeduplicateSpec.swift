import Records
import Topology

/// `deduplicate: { by: order_id, within: 1h }`: of the records that agree in these fields, one passes and
/// those within `within` after it do not. Records are taken in event-time order, so which one passes does not
/// depend on how they came; of one instant it is the first by content. Comes before the step's `where`.
package struct DeduplicateSpec: RunnableOperator {
    /// Milliseconds.
    package var within: Int64

    package static var place: OperatorPlace {
        .before(key: "deduplicate") { DeduplicateReader(step: $0).read($1, $2) }
    }
    package static let reference = """
        **`deduplicate: { by: K, within: W }`.** Of the records that agree in the fields `by`, one passes and those that come at most W after it do not; one that comes
        later passes again. Records are taken in event-time order, so which one passes does not depend on how they came; of one instant it is the first by content. It
        stands before the step's `where`. `limit: { memory }`.
        """

    package var reach: Int64 { within }
    package var name: String { "deduplicate" }
    package var order: RowOrder { .eventTime }
    package var definition: String? { "one within \(ValueText.duration(within))" }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        bound.lines.append(
            figures.per("value", "values that passed", OperatorBound.keyBytes + 96, figures.keys))
        bound.bytesMax = nil
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { DeduplicateOperator(self) }
}
