import Base
import Records

/// An operator that takes the rows of one or more steps and makes rows of its own.
package struct OperatorSpec: Sendable {
    /// Steps whose rows it takes; each has the key that the operator works by, or none if it needs none.
    package var inputs: [Int]
    package var kind: any OperatorKind
    /// The rows that it makes.
    package var schema: Schema
    /// Index in `schema` of their event time, a timestamp.
    package var timeField: Int
    package var limits: OperatorLimits

    package init(
        inputs: [Int], kind: any OperatorKind, schema: Schema, timeField: Int, limits: OperatorLimits = OperatorLimits()
    ) {
        self.inputs = inputs
        self.kind = kind
        self.schema = schema
        self.timeField = timeField
        self.limits = limits
    }
}

/// `limit:` in an operator: how much it may keep in each task. State outlives a change of it.
package struct OperatorLimits: Hashable, Sendable {
    /// Bytes of rows that wait for others, and once more of those that wait until event time has passed them.
    package var memory = Limits.stepMemoryBytes
    /// Rows of one key that wait on one side.
    package var rowsPerKey = Limits.rowsPerKeyDefault
    /// Open sessions.
    package var sessions = Limits.sessionsPerTaskMax
    /// Items of a key of levels, and suppressions.
    package var items = Limits.levelItemsDefault

    package init() {}
}

/// What an operator does. Columns are those of its inputs' schemas, of which none is pruned.
package protocol OperatorKind: Sendable {
    /// `union`, for people.
    var name: String { get }
    /// True if a row waits until event time has passed it, since it may have to go before others that come later.
    var waitsForEventTime: Bool { get }
    /// All that gives its state a meaning beside its inputs' fields and keys, for a person to compare; nil: it
    /// remembers nothing.
    var definition: String? { get }
    /// True if what it remembers of one key changes with rows of others, so that all rows must come to one task.
    var isWhole: Bool { get }
    /// All that it computes of a row.
    var expressions: [Expression] { get }
    /// Those of them that it computes of the rows of its inputs, with the input's place and the name that a dead letter
    /// gives them.
    var computed: [(input: Int, name: String, expression: Expression)] { get }
}

extension OperatorKind {
    package var isWhole: Bool { false }
    package var expressions: [Expression] { [] }
    package var computed: [(input: Int, name: String, expression: Expression)] { [] }
}

/// `from: [a, b]`: the rows of all inputs, as they come.
package struct UnionSpec: OperatorKind {
    /// For each input, the columns of its schema that become those of the union, in their order.
    package var columns: [[Int]]

    package init(columns: [[Int]]) { self.columns = columns }

    package var name: String { "union" }
    package var waitsForEventTime: Bool { false }
    package var definition: String? { nil }
}

extension TopologySpec {
    /// The stream that a step makes, as an index of `sources`; nil: nobody reads it.
    package func stream(of step: Int) -> Int? {
        sources.firstIndex { source in
            if case .stream(step) = source.origin { true } else { false }
        }
    }

    /// Steps whose rows an operator takes.
    package var operatorInputs: Set<Int> { Set(steps.flatMap { $0.maker?.inputs ?? [] }) }
}
