import Records
import State
import Topology

/// The first half of `drift`: what a task has seen of each bin, a row for each window.
package struct DriftCountSpec: RunnableOperator {
    package var measure: DriftMeasure

    package static var place: OperatorPlace { DriftSpec.place }
    package static let reference = ""
    /// The model is the key, by which the counts of all tasks come together.
    static let fields = [
        Field(name: "model", type: .text), Field(name: "counts", type: .text),
        Field(name: "window_time", type: .timestamp),
    ]
    package var name: String { "drift" }
    package var order: RowOrder { .eventTime }
    package var definition: String? { "counts of bins in windows of \(ValueText.duration(measure.size))" }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        bound.add(bytes: 16 * Int64(measure.slots))
    }
    package func logic(_ text: LogicText) -> String { measure.logic }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator { DriftCountOperator(self) }
}

/// Counts rows of the window that is open, which is one, since rows come in the order of their times.
final class DriftCountOperator: StreamOperator {
    private let measure: DriftMeasure
    private let readers: [ModelInputReader]
    private var text = JsonWriter()

    init(_ spec: DriftCountSpec) {
        measure = spec.measure
        readers = measure.items.map { ModelInputReader($0.input) }
    }

    func makeState(tracksChanges: Bool) -> NumbersState {
        NumbersState(
            Array(repeating: 0, count: measure.slots), of: measure.logic, tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: NumbersState, into out: RowBuffer) {
        state.due = measure.end(of: input.times[row])
        var place = 0
        for (item, reader) in zip(measure.items, readers) {
            let bins = item.histogram.counts.count
            let value = reader.read(input.columns[item.column], row, input.arena)
            if value.isNaN {
                state.add(place + bins)
                if input.columns[item.column].valid[row] == 1 { state.add(place + bins + 2) }
            } else {
                state.add(
                    place + (item.histogram.edges.firstIndex { value < $0 } ?? item.histogram.edges.count))
                if value < item.least ?? value || value > item.greatest ?? value {
                    state.add(place + bins + 1)
                }
            }
            place += item.slots
        }
    }

    func advance(to time: Int64, _ state: NumbersState, into out: RowBuffer) {
        guard state.due != .min, state.due <= time else { return }
        out.setOrder(passing: state.due - 1)
        out.begin(time: state.due - 1)
        out.set(0, text: measure.model.card.name)
        text.removeAll()
        for (index, number) in state.numbers.enumerated() {
            if index > 0 { text.raw(" ") }
            text.number(Int128(number), scale: 0)
        }
        out.set(1, text: UnsafeBufferPointer(start: UnsafePointer(text.bytes.base), count: text.bytes.count))
        state.reset()
    }
}
