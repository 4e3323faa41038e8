import Base
import Records
import Topology

/// `lag: { fields: [amount], count: 2 }`: each record with what the records of its key before it had.
package struct LagSpec: RunnableOperator {
    /// So many records back, at most.
    static let countMax = 100

    /// Columns of the input, and their names.
    package var fields: [Int]
    package var fieldNames: [String]
    package var count: Int
    /// Milliseconds; nil: however long ago.
    package var within: Int64?
    package var fieldCount: Int

    package static var place: OperatorPlace { .step(key: "lag") { LagReader(step: $0).read($1) } }
    package static let reference = """
        **`lag: { fields: [F, …], count: N }`.** Every record of a key makes a row once event time has passed it: its own fields, and those of `fields` of the N records
        of the key before it, as `lag1.F` (of the one just before), `lag2.F` and so on up to N (1 where it is left out, at most 100). Where there are fewer, they are
        null, and a null stays one. Before means at an event time that is not greater; records of one instant come in an order of their contents. `within: W`: records
        more than W before it do not count, and a key of which none came for W is forgotten; without it keys are remembered for good. A field `lag1.F` that the record
        has already becomes `lag1.F_before`. `limit: { memory }` bounds the rows that wait for event time.
        """

    package var reach: Int64 { within ?? 0 }
    package var name: String { "lag" }
    package var order: RowOrder { .eventTime }
    package var definition: String? {
        "the last \(count) \(fieldNames.joined(separator: ", "))\(within.map { " within \(ValueText.duration($0))" } ?? "")"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        let texts = Int64(fields.count { figures.schema.fields[$0].type == .text }) * OperatorBound.textBytes
        let record = 48 + 10 * Int64(fields.count) + texts
        bound.lines.append(
            figures.per(
                "key", "the records before", OperatorBound.keyBytes + 32 + Int64(count) * record, figures.keys
            ))
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String { text.dump(self, columns: ["fields": 0]) }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { LagOperator(self, context) }
}
