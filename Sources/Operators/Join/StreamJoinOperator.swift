import Base
import Formats
import Records
import State
import Topology

/// Pairs of two streams: what `StreamJoinSpec` says. Rows wait in `PairingState` as the buffer has encoded
/// them, left ones on its first side.
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
            waits: [spec.after, spec.before],
            limits: RowLimits(rowsPerKey: limits.rowsPerKey, bytes: limits.memory),
            tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: PairingState, into out: RowBuffer) {
        let (key, time, side) = (input.key(of: row), input.times[row], input.index)
        let others = state.sides[1 - side]
        var isMatched = false
        // The partner is older: it has been taken before. All that still waits is near enough.
        others.forEach(of: key) { slot in
            isMatched = true
            if spec.isFull || (spec.isLeft && side == 1) { others.setMatched(slot) }
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
        _ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64,
        _ state: PairingState
    ) {
        guard spec.isFull || (spec.isLeft && input.index == 1) else { return }
        state.lost.note(key, at: time, now: now)
    }

    func advance(to time: Int64, _ state: PairingState, into out: RowBuffer) {
        while !out.isFull, let (side, slot, due) = state.nextOver(before: time) {
            if spec.isFull || (side == 0 && spec.isLeft), !state.sides[side].isMatched(slot) {
                out.setOrder(passing: due)
                tellMissing(slot, of: side, at: due, state, into: out)
            }
            state.sides[side].remove(slot)
        }
    }

    /// A row's time is over, and it has found nobody; unless somebody was refused whom it might have found.
    /// Of which side that was is not remembered.
    private func tellMissing(
        _ slot: Int32, of side: Int, at time: Int64, _ state: PairingState, into out: RowBuffer
    ) {
        let (rows, row) = (state.sides[side], kept[side])
        row.decode(rows.row(slot))
        let reach = side == 0 ? spec.before : spec.after
        if !state.lost.isEmpty, state.lost.latest(rows.key(of: slot)) >= rows.time(of: slot) - reach {
            return out.refuse(row, at: rows.time(of: slot))
        }
        out.begin(time: time, origin: row.decoder.origins[0])
        out.copy(row.batch.columns, 0, row.batch.arena, to: start(of: side))
        if side == 1 {
            for (left, right) in zip(spec.leftKey, spec.rightKey) {
                out.copy(row.batch.columns[right], 0, row.batch.arena, to: left)
            }
        }
        finish(found: side == 1, hasInput: side == 0, at: time, into: out)
    }

    private func start(of side: Int) -> Int { side == 0 ? 0 : spec.leftCount }

    private func finish(found: Bool, hasInput: Bool = true, at time: Int64, into out: RowBuffer) {
        if spec.isFull {
            out.set(joinedAt - 2, found ? 1 : 0)
            out.set(joinedAt - 1, hasInput ? 1 : 0)
        } else if spec.isLeft {
            out.set(joinedAt - 1, found ? 1 : 0)
        }
        out.set(joinedAt, time)
    }
}
