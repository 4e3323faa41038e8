import Base
import Records
import Topology

/// `levels:` grades the response to a key's items: each item has a weight, their sum is the key's score, and
/// the score says which level the key is on.
///
/// **Items.** A row names an item (`item`) and says whether it is active and what it weighs; the newest row
/// of an item, by event time, counts. Rows without an item are passed over; an `active` that is null is
/// false, a weight that is null is 0. An item counts up to `expire` after its newest row, that instant
/// included. With `group`, a further active row that comes less than that time after the row that counts
/// changes nothing but `repeats`, not even when the item expires, unless it is heavier; one that comes then,
/// or later, counts. Rows of one instant come in the order of their input (controls first), then of their
/// content.
///
/// A key has as many items as `limit` says, and names of at most `Limits.levelItemBytesMax` bytes. A row that
/// is beyond that goes to the dead letters, and the key, whose score is not known then, comes down no more
/// until the item would have expired.
///
/// **Levels.** A key without a level is on `none`. It goes up at once, to the highest level of which the
/// score is at least `at` or the `or` holds (so many items of at least that weight), in one row. It comes
/// down by one level where it has been on its level for `hold` and the score is less than `below` and the
/// `or` does not hold. Levels that have no `hold` may be passed in one instant, each with a row of its own.
///
/// **Time.** What is due at an instant happens after the rows of that instant, when event time goes beyond
/// it: items expire, suppressions and snoozes end, and then the level is looked at once.
///
/// **Controls.** `suppress`: the item (null: every item of the key) counts no longer until `until`, or until
/// it is resumed; its rows are taken and expire all the same, and `items` lists it as suppressed. `snooze`:
/// the level stays until `until`; then it is where the score says, in one row, though not below a level whose
/// `hold` is not over, which goes on meanwhile. `resume` ends the suppression of the item, or without an item
/// all suppressions and the snooze. Each control makes a row (direction `control`, `cause` the action),
/// before the row of what it brings about. One that cannot be followed makes a row with the cause `refused:
/// …` and changes nothing.
package struct LevelsSpec: RunnableOperator {
    package struct Level: Sendable {
        package var name: String
        /// Units of the weight's scale; milliseconds.
        package var at: Int64
        package var below: Int64
        package var hold: Int64
        package var many: (count: Int, weight: Int64)?
        package var measure: String?
    }

    /// Columns of the control records, which are the first input where there are any.
    package struct Control: Sendable {
        package var action: Int
        package var item: Int?
        package var until: Int?
        package var reason: Int
        package var owner: Int
    }

    package var item: Expression
    package var active: Expression
    package var weight: Expression
    /// From the lowest up.
    package var levels: [Level]
    package var expire: Int64
    /// 0: every row counts.
    package var group: Int64
    package var control: Control?

    /// The level of keys that are on none of those declared.
    package static let none = "none"

    package static var place: OperatorPlace { .step(key: "levels") { LevelsReader(step: $0).read($1) } }

    /// The step that control records come from.
    package static func otherInputs(of step: MappingReader) -> [OtherInput] {
        step["levels"]?.mapping?.first { $0.key == "control" }.map {
            [OtherInput($0.value, "control", example: "control: response-control")]
        } ?? []
    }

    package static let reference = """
        **`levels: { item, active, weight, expire: E, steps: { NAME: { at, below, hold, or, measure } } }`.** Grades the response to a key's items: the sum of the active
        items' weights is the key's score, and the score says which level the key is on. The newest row of an item, by event time, counts, up to E after it. Rows
        without an item are passed over; an `active` that is null is false, a weight that is null is 0.

        A key without a level is on `none`. It goes up at once, to the highest level of which the score is at least `at` or `or: { count, weight }` holds (so many items
        of at least that weight). It comes down by one level where it has been on its level for `hold` and the score is less than `below` and the `or` does not hold.
        What is due at an instant happens after the rows of that instant.

        **`group: G`.** An active row that comes less than G after the row of its item that counts changes nothing but `repeats`, not even when
        the item expires, unless it is heavier. One that comes G after it, or later, counts.

        **`control: S`.** A step whose rows have `action`, `reason`, `owner`, and may have `item`, `until`: `suppress` (the item, or every item, counts no longer),
        `snooze` (the level stays until `until`), `resume`. Each control makes a row (`direction` is `control`), before that of what it brings about; one that cannot
        be followed has the cause `refused: …` and changes nothing. `limit: { memory, items }`.
        """

    package var name: String { "levels" }
    package var order: RowOrder { .eventTime }
    package var expressions: [Expression] { [item, active, weight] }

    package var computed: [(input: Int, name: String, expression: Expression)] {
        let items = control == nil ? 0 : 1
        return [(items, "item", item), (items, "active", active), (items, "weight", weight)]
    }

    package var definition: String? {
        "levels \(levels.map(\.name).joined(separator: ", ")) by weights of \(weight.type)"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        let items = Int64(figures.limits.items)
        bound.lines.append(
            figures.per("key", "keys", OperatorBound.keyBytes + 160, figures.keys)
                + ", and for each item and suppression at most \(StateBound.size(64 + Int64(Limits.levelItemBytesMax))): "
                + "\(StateBound.grouped(items)) of a key, each; limit: { items }")
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String {
        text.dump(self, columns: ["action": 0, "item": 0, "until": 0, "reason": 0, "owner": 0])
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        LevelsOperator(self, context)
    }

    /// Columns of a row after the key's.
    package enum Column: Int, CaseIterable {
        case level, previous, direction, score, items, repeats, measure, cause, item, until, reason, owner,
            changedAt
    }

    package static func resultFields(_ weight: ValueType) -> [Field] {
        Column.allCases.map { column in
            switch column {
            case .level: Field(name: "level", type: .text)
            case .previous: Field(name: "previous", type: .text)
            // up, down or control.
            case .direction: Field(name: "direction", type: .text)
            case .score: Field(name: "score", type: weight)
            // `volume-spike 5, odd-hours 2 (suppressed)`: the heaviest first, then by name.
            case .items: Field(name: "items", type: .text)
            // Rows that were grouped with others since the items listed became active.
            case .repeats: Field(name: "repeats", type: .int)
            // What the level asks for; null where a row changes no level.
            case .measure: Field(name: "measure", type: .text, isOptional: true)
            // The item whose row it was, `expiry`, `hold` or `control`; for controls the action or `refused:
            // …`.
            case .cause: Field(name: "cause", type: .text)
            // As the control says.
            case .item: Field(name: "item", type: .text, isOptional: true)
            case .until: Field(name: "until", type: .timestamp, isOptional: true)
            // Of the control record that makes the row, or brings it about.
            case .reason: Field(name: "reason", type: .text, isOptional: true)
            case .owner: Field(name: "owner", type: .text, isOptional: true)
            case .changedAt: Field(name: "changed_at", type: .timestamp)
            }
        }
    }
}
