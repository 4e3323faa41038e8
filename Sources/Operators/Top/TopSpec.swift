import Records
import Topology

/// `top: { count: 10, by: amount }`: of the records of one key and one event time, which is what windows that
/// close together make, those with the greatest values of a field (`order: least`: the least), as rows with
/// their `rank` from 1, once event time has passed them. Of equal values the first by content. Records whose
/// value is null take no part. Nothing is remembered of an instant that is over.
///
/// Columns: the record's, and `rank`; where the record has one, from another `top`, that is `rank_before`.
package struct TopSpec: RunnableOperator {
    package var count: Int
    /// Column of the input, and its name.
    package var by: Int
    package var byName: String
    package var isLeast: Bool
    package var fieldCount: Int

    package static var place: OperatorPlace { .step(key: "top") { TopReader(step: $0).read($1) } }
    package static let reference = """
        **`top: { count: N, by: F }`.** Of the records of one key and one event time (such as windows that close together make), the N with the greatest values of F
        (`order: least`: the least), once event time has passed them, as rows with their `rank` from 1. Of equal values the first by content. Records whose F is null
        take no part. A `rank` that the record has already becomes `rank_before`. `limit: { memory }`.
        """

    package var name: String { "top" }
    package var order: RowOrder { .eventTime }
    package var definition: String? { "the \(count) \(isLeast ? "least" : "greatest") by \(byName)" }

    package func logic(_ text: LogicText) -> String { text.dump(self, columns: ["by": 0]) }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { TopOperator(self, context) }
}
