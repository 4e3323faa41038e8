import Base
import Formats
import Records
import State
import Topology

/// Pairs of two streams: what `StreamJoinSpec` says. Rows wait in `PairingState` as the buffer has encoded them, left ones
/// on its first side.
final class StreamJoinOperator: OrderedOperator {
    private let spec: StreamJoinSpec
    private let limits: OperatorLimits
    /// One row of each side that was kept, in columns again.
    private let kept: [KeptRow]
    /// The last column of the result.
    private let joinedAt: Int

    init(_ spec: StreamJoinSpec, _ steps: [StepPlan], _ limits: OperatorLimits, resultCount: Int) {
        self.spec = spec
        self.limits = limits
        kept = steps.map { KeptRow($0.spec.schema) }
        joinedAt = resultCount - 1
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        PairingState(
            waits: [spec.after, spec.before], limits: RowLimits(rowsPerKey: limits.rowsPerKey, bytes: limits.memory),
            tracksChanges: tracksChanges)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? PairingState else { return }
        let (key, time, side) = (input.key(of: row), input.times[row], input.index)
        let others = state.sides[1 - side]
        var isMatched = false
        // The partner is older: it has been taken before. All that still waits is near enough.
        others.forEach(of: key) { slot in
            isMatched = true
            if spec.isLeft, side == 1 { others.setMatched(slot) }
            let partner = kept[1 - side]
            partner.decode(others.row(slot))
            maker.begin(time: time, watermark: time, origin: input.origin(of: row), task)
            copy(partner.batch.columns, 0, partner.batch.arena, side: 1 - side, into: maker)
            copy(input.columns, row, input.arena, side: side, into: maker)
            finish(found: true, at: time, into: maker)
        }
        if let limit = state.add(key, input.bytes(of: row), side: side, isMatched: isMatched, at: time) {
            maker.refuse(input, row, for: limit, limits)
            lose(input, key, at: time, now: time, state)
        }
    }

    func lose(
        _ input: OrderedInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: any OperatorState
    ) {
        guard spec.isLeft, input.index == 1, let state = state as? PairingState else { return }
        state.lost.note(key, at: time, now: now)
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? PairingState else { return }
        while !maker.isFull, let (side, slot, due) = state.nextOver(before: time) {
            if side == 0, spec.isLeft, !state.sides[0].isMatched(slot) {
                maker.setOrder(passing: due)
                tellMissing(slot, at: due, state, into: maker, task)
            }
            state.sides[side].remove(slot)
        }
    }

    /// A left row's time is over, and it has found nobody; unless somebody was refused whom it might have found.
    private func tellMissing(_ slot: Int32, at time: Int64, _ state: PairingState, into maker: RowMaker, _ task: TaskState) {
        let (left, row) = (state.sides[0], kept[0])
        row.decode(left.row(slot))
        if !state.lost.isEmpty, state.lost.latest(left.key(of: slot)) >= left.time(of: slot) - spec.before {
            return maker.refuse(row, at: left.time(of: slot))
        }
        maker.begin(time: time, watermark: time, origin: row.decoder.origins[0], task)
        copy(row.batch.columns, 0, row.batch.arena, side: 0, into: maker)
        finish(found: false, at: time, into: maker)
    }

    private func copy(_ columns: [Column], _ row: Int, _ arena: Arena, side: Int, into maker: RowMaker) {
        let start = side == 0 ? 0 : spec.leftCount
        for (index, column) in columns.enumerated() { maker.copy(column, row, arena, to: start + index) }
    }

    private func finish(found: Bool, at time: Int64, into maker: RowMaker) {
        if spec.isLeft { maker.set(joinedAt - 1, found ? 1 : 0) }
        maker.set(joinedAt, time)
    }
}
