import Base
import Records
import State
import Topology

/// What runs an operator in one lane: takes rows of its inputs, one after the other, and makes rows. What it
/// remembers is in its task's state; it knows nothing of the pipeline around it.
///
/// With `RowOrder.eventTime` rows come in the order of their event times, and what it makes has that order;
/// with `.asTheyCome` they come as they are read, and a row that it makes has the time of the one that
/// brought it about.
package protocol StreamOperator: AnyObject {
    associatedtype State: OperatorState

    func makeState(tracksChanges: Bool) -> State
    /// Some rows of an input are about to be taken; what can be computed for all of them at once is.
    func prepare(_ input: OperatorInput)
    /// Takes row `row` of an input. In event-time order, its time is not before that of any row before it; of
    /// one instant, rows of an input come before those of the inputs after it.
    func take(_ input: OperatorInput, row: Int, _ state: State, into out: RowBuffer)
    /// Does what is due before event time `time`, in the order of due times, until nothing is left or `out`
    /// is full; then it is called again. In event-time order, called before each row with its time, and with
    /// the watermark after the last one.
    func advance(to time: Int64, _ state: State, into out: RowBuffer)
    /// A row of an input is refused and never comes: whoever would tell that there was none remembers that.
    /// `now`: how far event time has come.
    func lose(
        _ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: State)
    /// That nothing of what it remembers was lost, for a person to read; nil: it has no such proof.
    func proof(_ state: State) -> StateProof?
}

extension StreamOperator {
    package func prepare(_ input: OperatorInput) {}
    package func advance(to time: Int64, _ state: State, into out: RowBuffer) {}
    package func lose(
        _ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: State
    ) {}
    package func proof(_ state: State) -> StateProof? { nil }
}

extension StreamOperator where State == NoState {
    package func makeState(tracksChanges: Bool) -> NoState { NoState() }
}

/// What must hold of all that an operator has taken in.
package struct StateProof: Sendable {
    package var text: String
    package var holds: Bool
}

/// A part of the language with what runs it.
package protocol RunnableOperator: OperatorPart {
    func makeOperator(_ context: OperatorContext) -> any StreamOperator
}

/// What an operator is compiled for.
package struct OperatorContext {
    package struct Input {
        package var schema: Schema
        /// Columns of `schema`.
        package var key: [Int]
    }

    package var inputs: [Input]
    /// The rows that it makes.
    package var result: Schema
    package var limits: OperatorLimits
    /// Rows that it is given at a time, at most.
    package var capacity: Int
    package var zones: ZoneTables
    /// Windows that it looks at as of rows of its input; nil: none.
    var views: WindowViews?
}
