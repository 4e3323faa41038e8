import Models
import Records
import Topology

/// `score: { model: default-risk, reasons: 3 }`: each row with what a model says of it.
package struct ScoreSpec: RunnableOperator {
    /// What the model takes, of a row.
    package enum Intake: Sendable {
        /// A column for each of its features.
        case features([(column: Int, input: ModelInput)])
        /// The text of a `sequence_of`, with so many rows.
        case sequence(column: Int, rows: Int)
    }

    package var model: ModelSpec
    package var intake: Intake
    /// How many of them an alert has.
    package var reasons: Int
    package var fieldCount: Int

    package static var place: OperatorPlace { .step(key: "score") { ScoreReader(step: $0).read($1) } }
    package static let reference = """
        **`score: { model: M, reasons: 3 }`.** Each row as it comes, with what a model of `models:` says of it: `score` (decimal(6)), `margin` (decimal(9), before
        calibration and link), `band` where the card has bands, `model`, `model_version`, `model_sha256`. A model with several outputs makes `score.0`, `margin.0` and so
        on. The row's columns are the model's features by the card's names; `features: { amount: daily_amount, age: { field: shop_age, unit: days } }` names others, and
        units that the card must agree with. A feature that is a `number` is an int, decimal or bool, or a duration in the card's unit; a `category` is a text, where the model
        knows the texts, or its code. Null is missing, not zero; a text that the model does not know is missing. A number that does not fit is null. `score_before` and so on
        is what another `score` said.

        An LSTM takes the rows of a `sequence_of` whose fields are its channels, with as many steps. One that forecasts takes one step more: its `score` is how far that
        last row lies from the forecast, as the root of the mean square over channels, in standard deviations of each. Where there is no sequence the score is null.

        A rule on the step, or on one that has its rows, tells in its alerts `model`, `score` and the `reasons` (3, at most 20, 0: none) that push most: exact Shapley values of
        the trees (`feature`, `value`, `contribution` to the margin, `percentile` of the value in training); of an LSTM, whose `step` counts from 1, the values that lie
        furthest from what is usual, in standard deviations.
        """

    package var name: String { "score" }
    package var order: RowOrder { .asTheyCome }
    package var definition: String? { nil }

    package func logic(_ text: LogicText) -> String {
        let inputs: [String] =
            switch intake {
            case .features(let features): features.map { "\($0.column) \($0.input)" }
            case .sequence(let column, let rows): ["\(column) \(rows)"]
            }
        return "\(model.logic) reasons \(reasons) of \(inputs)"
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        ScoreOperator(self, context)
    }

    /// Names of what it adds to a row, in order.
    static func fields(of model: ModelSpec) -> [Field] {
        let outputs = model.model.outputs
        var fields: [Field] = []
        func add(_ name: String, _ type: ValueType) {
            fields.append(Field(name: name, type: type, isOptional: true))
        }
        if outputs == 1 || model.isForecast {
            add("score", .decimal(scale: scoreScale))
            if !model.isForecast { add("margin", .decimal(scale: marginScale)) }
            if !model.card.bands.isEmpty { add("band", .text) }
        } else {
            for output in 0..<outputs { add("score.\(output)", .decimal(scale: scoreScale)) }
            for output in 0..<outputs { add("margin.\(output)", .decimal(scale: marginScale)) }
        }
        for name in ["model", "model_version", "model_sha256"] {
            fields.append(Field(name: name, type: .text))
        }
        return fields
    }

    static let scoreScale = 6
    static let marginScale = 9
}

extension ModelSpec {
    /// A network that says what comes next.
    var isForecast: Bool { card.network.map { !$0.isProbability } ?? false }
}
