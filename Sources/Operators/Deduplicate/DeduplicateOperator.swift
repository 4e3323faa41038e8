import Records
import State
import Topology

/// What `DeduplicateSpec` says. A run of records is one that passed and its duplicates.
final class DeduplicateOperator: StreamOperator {
    private let spec: DeduplicateSpec

    init(_ spec: DeduplicateSpec) { self.spec = spec }

    func makeState(tracksChanges: Bool) -> RunState {
        RunState(within: spec.within, tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: RunState, into out: RowBuffer) {
        let time = input.times[row]
        guard state.begin(input.key(of: row), at: time) else { return }
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
    }

    func advance(to time: Int64, _ state: RunState, into out: RowBuffer) {
        state.advance(to: time)
    }
}
