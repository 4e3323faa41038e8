import Base
import Formats
import Records
import State
import Topology

/// Pairs of two streams: what `StreamJoinSpec` says. Rows wait in `PairingState` as the buffer has encoded them, left ones
/// on its first side.
final class StreamJoinOperator: StreamOperator {
    private let spec: StreamJoinSpec
    private let limits: OperatorLimits
    /// One row of each side that was kept, in columns again.
    private let kept: [KeptRow]
    /// The last column of the result.
    private let joinedAt: Int

    init(_ spec: StreamJoinSpec, _ context: OperatorContext) {
        self.spec = spec
        limits = context.limits
        kept = context.inputs.map { KeptRow($0.schema) }
        joinedAt = context.result.fields.count - 1
    }

    func makeState(tracksChanges: Bool) -> PairingState {
        PairingState(
            waits: [spec.after, spec.before], limits: RowLimits(rowsPerKey: limits.rowsPerKey, bytes: limits.memory),
            tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: PairingState, into out: RowBuffer) {
        let (key, time, side) = (input.key(of: row), input.times[row], input.index)
        let others = state.sides[1 - side]
        var isMatched = false
        // The partner is older: it has been taken before. All that still waits is near enough.
        others.forEach(of: key) { slot in
            isMatched = true
            if spec.isLeft, side == 1 { others.setMatched(slot) }
            let partner = kept[1 - side]
            partner.decode(others.row(slot))
            out.begin(time: time, origin: input.origin(of: row))
            out.copy(partner.batch.columns, 0, partner.batch.arena, to: start(of: 1 - side))
            out.copy(input.columns, row, input.arena, to: start(of: side))
            finish(found: true, at: time, into: out)
        }
        if let limit = state.add(key, input.bytes(of: row), side: side, isMatched: isMatched, at: time) {
            out.refuse(input, row, for: limit, limits)
            lose(input, key, at: time, now: time, state)
        }
    }

    func lose(
        _ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: PairingState
    ) {
        guard spec.isLeft, input.index == 1 else { return }
        state.lost.note(key, at: time, now: now)
    }

    func advance(to time: Int64, _ state: PairingState, into out: RowBuffer) {
        while !out.isFull, let (side, slot, due) = state.nextOver(before: time) {
            if side == 0, spec.isLeft, !state.sides[0].isMatched(slot) {
                out.setOrder(passing: due)
                tellMissing(slot, at: due, state, into: out)
            }
            state.sides[side].remove(slot)
        }
    }

    /// A left row's time is over, and it has found nobody; unless somebody was refused whom it might have found.
    private func tellMissing(_ slot: Int32, at time: Int64, _ state: PairingState, into out: RowBuffer) {
        let (left, row) = (state.sides[0], kept[0])
        row.decode(left.row(slot))
        if !state.lost.isEmpty, state.lost.latest(left.key(of: slot)) >= left.time(of: slot) - spec.before {
            return out.refuse(row, at: left.time(of: slot))
        }
        out.begin(time: time, origin: row.decoder.origins[0])
        out.copy(row.batch.columns, 0, row.batch.arena, to: start(of: 0))
        finish(found: false, at: time, into: out)
    }

    private func start(of side: Int) -> Int { side == 0 ? 0 : spec.leftCount }

    private func finish(found: Bool, at time: Int64, into out: RowBuffer) {
        if spec.isLeft { out.set(joinedAt - 1, found ? 1 : 0) }
        out.set(joinedAt, time)
    }
}
