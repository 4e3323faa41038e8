import Base
import Records
import Topology

/// `last: { count: 20, aggregate: { mean: avg(amount) } }`: each record with what the last N of its key,
/// itself the last, come to.
package struct LastSpec: AggregatingOperator {
    /// So many records, at most: each is gone through for every record.
    static let countMax = 1_000

    package var count: Int
    /// Milliseconds; nil: however long ago.
    package var within: Int64?
    /// As those of a step with a window; their scope is the input's schema.
    package var aggregates: [AggregateCall]
    package var outputs: [DerivedField]
    /// The aggregates, for people to compare.
    package var aggregateText: String
    package var fieldCount: Int

    package static var place: OperatorPlace { .step(key: "last") { LastReader(step: $0).read($1) } }
    package static let reference = """
        **`last: { count: N, aggregate: { R: … } }`.** Every record of a key makes a row once event time has passed it: its own fields, and the results of aggregates over
        the last N records of the key (at most 1,000), itself the last. Aggregates are those of windows, but for `days`, `window_start` and `window_end`; `distinct`
        and `quantile` are exact, as N is small. Records of one instant come in an order of their contents. `within: W`: records more than W before it do not count, and a
        key of which none came for W is forgotten; without it keys are remembered for good. A result that does not fit in 64 bits is null. A field that has the name of a
        result becomes `R_before`. `limit: { memory }` bounds the rows that wait for event time.
        """

    package var reach: Int64 { within ?? 0 }
    package var name: String { "last" }
    package var order: RowOrder { .eventTime }
    package var definition: String? {
        "the last \(count)\(within.map { " within \(ValueText.duration($0))" } ?? ""): \(aggregateText)"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        let texts = Int64(aggregates.count { $0.argument?.type == .text }) * OperatorBound.textBytes
        let record = 48 + 11 * Int64(aggregates.count) + texts
        bound.lines.append(
            figures.per(
                "key", "the last records", OperatorBound.keyBytes + 32 + Int64(count) * record, figures.keys))
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String {
        "\(count) \(within.map { "\($0)" } ?? "") \(text.results(outputs, of: aggregates, input: 0))"
    }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        LastOperator(self, context)
    }
}
