import Records
import Topology

/// `from: [a, b]`: the rows of all inputs, as they come.
package struct UnionSpec: RunnableOperator {
    /// For each input, the columns of its schema that become those of the union, in their order.
    package var columns: [[Int]]

    package static var place: OperatorPlace { .several { UnionReader(step: $0).read() } }
    package static let reference = """
        **`from: [a, b]`.** The rows of all inputs, as they come, under the fields of the first: each input needs all of them, by name and type, and its event
        time under the same name. A field that is optional in one is optional in the union.
        """

    package var name: String { "union" }
    package var order: RowOrder { .asTheyCome }
    package var definition: String? { nil }

    package func logic(_ text: LogicText) -> String {
        "\(columns.enumerated().map { input, columns in text.list(columns, input: input) })"
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { UnionOperator(self) }
}
