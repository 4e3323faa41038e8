import Base
import Records

/// How an operator is given the rows of its inputs.
package enum RowOrder: Sendable {
    /// At once: what it makes of a row depends on no row that may still come before it.
    case asTheyCome
    /// A row waits until event time has passed it, and comes behind all that are before it.
    case eventTime
}

/// An operator as a part of the language: what a step says of it, what follows from that for its proofs, and
/// how it is told to people. Columns are those of its inputs' schemas, of which none is pruned.
package protocol OperatorPart: Sendable {
    /// Where it stands in a step, and what reads it there.
    static var place: OperatorPlace { get }
    /// For the language's page: what it does, its keys and their limits, as Markdown below a heading of its
    /// own.
    static var reference: String { get }
    /// Names of steps that stand in a step beside those of its `from`.
    static func otherInputs(of step: MappingReader) -> [OtherInput]

    /// `fund flow`, for people.
    var name: String { get }
    var order: RowOrder { get }
    /// Of an operator that takes rows as they come: rows behind event time are late records, and no rows of
    /// its own.
    var dropsLate: Bool { get }
    /// All that gives its state a meaning beside its inputs' fields and keys, for a person to compare; nil:
    /// it remembers nothing.
    var definition: String? { get }
    /// How long a row may wait for another one, as far as that has a bound, milliseconds.
    var reach: Int64 { get }
    /// True if what it remembers of one key changes with rows of others, so that all rows must come to one
    /// task.
    var isWhole: Bool { get }
    /// All that it computes of a row.
    var expressions: [Expression] { get }
    /// Those of them that it computes of the rows of its inputs, with the input's place and the name that a
    /// dead letter gives them.
    var computed: [(input: Int, name: String, expression: Expression)] { get }
    /// What it keeps in a task beside the rows that wait for event time.
    func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures)
    /// Its results, where they are those of aggregates.
    var results: (aggregates: [AggregateCall], outputs: [DerivedField])? { get }
    /// What it computes, with everything under its name instead of its place, so that two texts are equal
    /// where two steps compute the same.
    func logic(_ text: LogicText) -> String
}

extension OperatorPart {
    package static func otherInputs(of step: MappingReader) -> [OtherInput] { [] }
    package var reach: Int64 { 0 }
    package var isWhole: Bool { false }
    package var dropsLate: Bool { false }
    package var expressions: [Expression] { [] }
    package var computed: [(input: Int, name: String, expression: Expression)] { [] }
    package var results: (aggregates: [AggregateCall], outputs: [DerivedField])? { nil }
    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {}
    package func logic(_ text: LogicText) -> String { text.dump(self) }
}

/// Where an operator stands in a step.
package enum OperatorPlace {
    /// Several names in `from`.
    case several((OperatorReader) -> StepReader.Input)
    /// Under a key; it makes what the step's `where` and all behind it see.
    case before(key: String, (OperatorReader, YamlNode, StepReader.Input) -> StepReader.Input)
    /// Under a key; what it makes of the step's records is the step's rows. `takesOne`: it reads one step or
    /// source in `from`.
    case step(key: String, takesOne: Bool = false, (OperatorReader, YamlNode) -> Void)
    /// Under `stream` of `join`: what it makes is what the step's own parts see.
    case join((OperatorReader, YamlNode) -> Void)
    /// A `window` with a gap.
    case gap((OperatorReader, StepDraft) -> Void)

    /// The key of a step under which it stands; nil: it has none of its own.
    package var key: String? {
        switch self {
        case .before(let key, _), .step(let key, _, _): key
        case .several, .join, .gap: nil
        }
    }
}

/// The name of a step under another key than `from`.
package struct OtherInput {
    let node: YamlNode
    let key: String
    let example: String

    package init(_ node: YamlNode, _ key: String, example: String) {
        (self.node, self.key, self.example) = (node, key, example)
    }
}

/// An operator of a step: takes the rows of one or more steps and makes rows of its own.
package struct OperatorSpec: Sendable {
    /// Steps whose rows it takes; each has the key that the operator works by, or none if it needs none.
    package var inputs: [Int]
    /// Steps with a window, all of the first input's key, which it looks at as of the rows of that.
    package var views: [Int] = []
    package var part: any OperatorPart
    /// The rows that it makes.
    package var schema: Schema
    /// Index in `schema` of their event time, a timestamp.
    package var timeField: Int
    package var limits: OperatorLimits

    package init(
        inputs: [Int], part: any OperatorPart, schema: Schema, timeField: Int,
        limits: OperatorLimits = OperatorLimits()
    ) {
        self.inputs = inputs
        self.part = part
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

extension TopologySpec {
    /// The stream that a step makes, as an index of `sources`; nil: nobody reads it.
    package func stream(of step: Int) -> Int? {
        sources.firstIndex { source in
            if case .stream(step) = source.origin { true } else { false }
        }
    }

    /// Steps whose rows an operator takes.
    package var operatorInputs: Set<Int> { Set(steps.flatMap { $0.operation?.inputs ?? [] }) }
}
