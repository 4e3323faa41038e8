import Records
import State
import Topology

/// What `DeduplicateSpec` says. A run of records is one that passed and its duplicates.
final class DeduplicateOperator: OrderedOperator {
    private let spec: DeduplicateSpec

    init(_ spec: DeduplicateSpec) { self.spec = spec }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        RunState(within: spec.within, tracksChanges: tracksChanges)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? RunState else { return }
        let time = input.times[row]
        guard state.begin(input.key(of: row), at: time) else { return }
        maker.begin(time: time, watermark: time, origin: input.origin(of: row), task)
        for (column, from) in input.columns.enumerated() { maker.copy(from, row, input.arena, to: column) }
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        (state as? RunState)?.advance(to: time)
    }
}
