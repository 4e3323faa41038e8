import Base
import Records
import Topology

/// `features: { of: [month, prior], every: 1m, fields: { … } }`: at a record, what is known of its key.
package struct FeaturesSpec: RunnableOperator {
    /// Milliseconds of event time in which a key makes one row at most; nil: every record makes one.
    package var every: Int64?
    /// Names of the windows, in the order of the operator's views.
    package var windows: [String]
    /// Names of the windows' results, as the fields' scope has them behind those of the input.
    package var resultNames: [String]
    /// Their scope: the fields of the input, then the results of each window in turn.
    package var fields: [DerivedField]
    /// Columns of the input that are the row's first: its key.
    package var key: [Int]

    package static var place: OperatorPlace {
        .step(key: "features", takesOne: true) { FeaturesReader(step: $0).read($1) }
    }
    package static let reference = """
        **`features: { of: [W, …], every: 1m, fields: { F: … } }`.** At a record, as it comes, what is known of its key: a row of the key, the `fields` and the event time.
        Expressions see the record's own fields (a table's with `join` in the step or before it) and, as `W.result`, those of the windows of the same key that are current
        as of the record's event time: the record is in them where it belongs to them, a window of another source is as far as that source has come. A window in which nothing
        is has the results of an empty one. `every`: after a row of a key, records of it make none until that much event time has passed. A record behind event time goes to the late
        records: what windows were then is not known any more.
        """

    package var name: String { "features" }
    package var order: RowOrder { .asTheyCome }
    package var dropsLate: Bool { true }
    package var definition: String? { every.map { "one row every \(ValueText.duration($0))" } }
    package var expressions: [Expression] { fields.map(\.expression) }

    package static func otherInputs(of step: MappingReader) -> [OtherInput] {
        let example = "of: [month, prior]"
        guard let node = step["features"]?.mapping?.first(where: { $0.key == "of" })?.value else { return [] }
        guard case .sequence(let nodes) = node.content else {
            return [OtherInput(node, "of", example: example)]
        }
        return nodes.map { OtherInput($0, "of", example: example) }
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        bound.lines.append(
            figures.per("key", "when it made its last row", OperatorBound.keyBytes + 80, figures.keys))
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String {
        "\(every ?? 0) of \(windows) makes \(text.fields(fields, input: 0, more: resultNames))"
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        FeaturesOperator(self, context)
    }
}
