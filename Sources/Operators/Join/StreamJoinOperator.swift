import Base
import Formats
import Records
import State
import Topology

/// Pairs of two streams: what `StreamJoinSpec` says. Rows wait in `JoinState` as the buffer has encoded them.
final class StreamJoinOperator: OrderedOperator {
    private let spec: StreamJoinSpec
    /// One row of each side that was kept, in columns again.
    private let kept: [KeptRow]
    /// The last column of the result.
    private let joinedAt: Int
    private var inputs: [OrderedInput] = []

    init(_ spec: StreamJoinSpec, _ steps: [StepPlan], resultCount: Int) {
        self.spec = spec
        kept = steps.map { KeptRow($0.spec.schema) }
        joinedAt = resultCount - 1
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        JoinState(before: spec.before, after: spec.after, tracksChanges: tracksChanges)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? JoinState else { return }
        let (key, time) = (input.key(of: row), input.times[row])
        let isRight = input.index == 1
        var isMatched = false
        // The partner is older: it has been taken before.
        state.forEach(key, isRight: !isRight, since: time - (isRight ? spec.after : spec.before)) { slot in
            isMatched = true
            if isRight { state.setMatched(slot) }
            let partner = kept[isRight ? 0 : 1]
            partner.decode(state.bytes(of: slot))
            maker.begin(time: time, watermark: time, origin: input.origin(of: row), task)
            copy(partner.batch.columns, 0, partner.batch.arena, isRight: !isRight, into: maker)
            copy(input.columns, row, input.arena, isRight: isRight, into: maker)
            finish(found: true, at: time, into: maker)
        }
        let displaced = state.insert(key, input.bytes(of: row), isRight: isRight, isMatched: isMatched, time: time)
        if let displaced {
            leave(displaced, at: time, state, into: maker, task)
            state.removeEarly(displaced)
        }
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? JoinState else { return }
        while !maker.isFull, let (slot, due) = state.nextOver(before: time) {
            maker.setOrder(passing: due)
            leave(slot, at: due, state, into: maker, task)
            state.removeOver(slot)
        }
    }

    /// A row's time is over; if it should have found somebody and has not, that is a row.
    private func leave(_ slot: Int32, at time: Int64, _ state: JoinState, into maker: RowMaker, _ task: TaskState) {
        guard spec.isLeft, !state.isRight(slot), !state.isMatched(slot) else { return }
        let row = kept[0]
        row.decode(state.bytes(of: slot))
        maker.begin(time: time, watermark: time, origin: row.decoder.origins[0], task)
        copy(row.batch.columns, 0, row.batch.arena, isRight: false, into: maker)
        finish(found: false, at: time, into: maker)
    }

    private func copy(_ columns: [Column], _ row: Int, _ arena: Arena, isRight: Bool, into maker: RowMaker) {
        let start = isRight ? spec.leftCount : 0
        for (index, column) in columns.enumerated() { maker.copy(column, row, arena, to: start + index) }
    }

    private func finish(found: Bool, at time: Int64, into maker: RowMaker) {
        if spec.isLeft { maker.set(joinedAt - 1, found ? 1 : 0) }
        maker.set(joinedAt, time)
    }
}
