import Base
import Records
import Topology

/// `sequence_of: { fields: [orders, amount], steps: 60 }`: each record with the last N of its key, itself the
/// last, as one text.
package struct SequenceOfSpec: RunnableOperator {
    /// Columns of the input, and their names.
    package var fields: [Int]
    package var fieldNames: [String]
    package var steps: Int
    /// With fewer rows there is no sequence.
    package var least: Int
    package var fieldCount: Int

    package static var place: OperatorPlace {
        .step(key: "sequence_of") { SequenceOfReader(step: $0).read($1) }
    }
    package static let reference = """
        **`sequence_of: { fields: [F, …], steps: N }`.** Every record of a key makes a row once event time has passed it: its own fields, and `sequence`, the `fields` (numbers,
        bools, durations) of the last N records of the key, itself the last, as a text: `[[12,340.50],[9,null]]`, the oldest first. `sequence_rows` says how many of them there
        were; where they are fewer than N the text begins with rows of nulls, and where they are fewer than `least` (N, unless it is said) `sequence` is null. Records
        of one instant come in an order of their contents. A key's records are kept for good. Read from a window's step it is the last N closed windows that had records.
        `limit: { memory }` bounds the rows that wait for event time.
        """

    package var name: String { "sequence of" }
    package var order: RowOrder { .eventTime }
    package var definition: String? {
        "the last \(steps) \(fieldNames.joined(separator: ", ")) as a sequence"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        let record = 48 + 10 * Int64(fields.count)
        bound.lines.append(
            figures.per(
                "key", "the records before", OperatorBound.keyBytes + 32 + Int64(steps) * record, figures.keys
            ))
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String { text.dump(self, columns: ["fields": 0]) }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        SequenceOfOperator(self, context)
    }
}
