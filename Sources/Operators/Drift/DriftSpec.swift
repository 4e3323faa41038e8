import Records
import Topology

/// The second half of `drift: { model: default-risk, size: 1d }`: the counts of all tasks as one, a row for
/// each window and each thing that is watched.
package struct DriftSpec: RunnableOperator {
    package var measure: DriftMeasure
    /// The step whose rows are watched, for whoever makes the next training set.
    package var step: String

    package static var place: OperatorPlace { .step(key: "drift") { DriftReader(step: $0).read($1) } }
    package static let reference = """
        **`drift: { model: M, size: 1d }`.** How far the rows' features and `score` have moved from those that the model was trained on, over windows of `size` (at multiples of it,
        UTC; 7d begin on Thursdays): a row for each feature of the card that has a histogram and for `score`, once event time has passed the end. Rows of all tasks count together. Features
        are the step's columns as for `score`, with `features` alike.

        `psi` is the sum of (q - p) ln(q / p) over the card's bins and one for missing values, shares no less than 0.0001; `chance` what drift-free data exceed
        in one window of twenty (chi-square, 95 %); `n` the rows. `level`: `few` below 500 rows, `major` from 0.25, `moderate` from 0.10, else `none`, and `none` where `psi` is not
        above `chance`. `missing` and `missing_trained` are shares, `outside` that of values beyond the training rows' least and greatest, `unknown` that of texts the model does not know; `counts` and `trained` the bins,
        missing values last. `running` counts the windows in a row that were `major`; with the second, and no other, `retrain` is true, and `command` makes the next training set.
        Another model begins with new counts.
        A sink takes those rows to `<topology>-retrain`: `needed: { from: watch, where: retrain }`. `limit: { memory }`.
        """

    package var name: String { "drift" }
    package var order: RowOrder { .eventTime }
    package var definition: String? {
        "windows in a row of \(ValueText.duration(measure.size)) that were major"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        bound.add(bytes: 32 * Int64(measure.items.count))
    }
    package func logic(_ text: LogicText) -> String { "\(measure.logic) sums for \(step)" }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { DriftOperator(self) }

    static let shareScale = 6
    static let share = ValueType.decimal(scale: shareScale)
    static let fields: [Field] = [
        Field(name: "feature", type: .text), Field(name: "n", type: .int),
        Field(name: "psi", type: share, isOptional: true),
        Field(name: "chance", type: share, isOptional: true), Field(name: "level", type: .text),
        Field(name: "missing", type: share), Field(name: "missing_trained", type: share),
        Field(name: "outside", type: share),
        Field(name: "unknown", type: share), Field(name: "counts", type: .text),
        Field(name: "trained", type: .text),
        Field(name: "running", type: .int), Field(name: "retrain", type: .bool),
        Field(name: "command", type: .text, isOptional: true),
        Field(name: "model", type: .text), Field(name: "model_version", type: .text),
        Field(name: "model_sha256", type: .text),
        Field(name: "window_start", type: .timestamp), Field(name: "window_end", type: .timestamp),
        Field(name: "window_time", type: .timestamp),
    ]
}
