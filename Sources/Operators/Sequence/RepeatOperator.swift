import Records
import State
import Topology

/// Runs of records of a key: `repeat` of `SequenceSpec`.
final class RepeatOperator: StreamOperator {
    private let spec: SequenceSpec
    private let times: Int
    private let program: Program
    private var holds: Column?
    private let keys: SequenceKeys

    init(_ spec: SequenceSpec, _ holds: Expression, times: Int, _ context: OperatorContext) {
        (self.spec, self.times) = (spec, times)
        program = Program(holds, capacity: context.capacity, zones: context.zones)
        keys = SequenceKeys(by: spec.by)
    }

    func makeState(tracksChanges: Bool) -> RunState {
        RunState(times: times, within: spec.within, gap: spec.gap, tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        holds = program.run(input.columns, arena: input.arena, rows: input.rows)
    }

    func take(_ input: OperatorInput, row: Int, _ state: RunState, into out: RowBuffer) {
        let key = keys.key(of: input, row)
        let time = input.times[row]
        guard holds?.isTrue(row) ?? false else { return state.end(key) }
        guard let start = state.extend(key, at: time) else { return }
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        out.set(spec.fieldCount, Int64(times))
        out.set(spec.fieldCount + 1, start)
    }

    func advance(to time: Int64, _ state: RunState, into out: RowBuffer) { state.advance(to: time) }
}
