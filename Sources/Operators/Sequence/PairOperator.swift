import Base
import Records
import State
import Topology

/// A record and another after it, or without one: `then` and `without` of `SequenceSpec`. Records that wait
/// for another are kept as the buffer has encoded them.
final class PairOperator: StreamOperator {
    private let spec: SequenceSpec
    private let limits: OperatorLimits
    private let isAbsent: Bool
    private let first: Program
    private let second: Program
    private var isFirst: Column?
    private var isSecond: Column?
    private let kept: KeptRow
    private let keys: SequenceKeys

    /// `isAbsent`: rows are of records without another.
    init(
        _ spec: SequenceSpec, _ first: Expression, _ second: Expression, isAbsent: Bool,
        _ context: OperatorContext
    ) {
        (self.spec, self.isAbsent, limits) = (spec, isAbsent, context.limits)
        kept = KeptRow(context.inputs[0].schema)
        self.first = Program(first, capacity: context.capacity, zones: context.zones)
        self.second = Program(second, capacity: context.capacity, zones: context.zones)
        keys = SequenceKeys(by: spec.by)
    }

    func makeState(tracksChanges: Bool) -> PairingState {
        PairingState(
            waits: [spec.within], limits: RowLimits(rowsPerKey: limits.rowsPerKey, bytes: limits.memory),
            tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        isFirst = first.run(input.columns, arena: input.arena, rows: input.rows)
        isSecond = second.run(input.columns, arena: input.arena, rows: input.rows)
    }

    func take(_ input: OperatorInput, row: Int, _ state: PairingState, into out: RowBuffer) {
        let key = keys.key(of: input, row)
        let time = input.times[row]
        if isSecond?.isTrue(row) ?? false {
            if isAbsent {
                while let (slot, _) = state.sides[0].oldest(of: key, before: time) {
                    state.sides[0].remove(slot)
                }
            } else {
                complete(input, row, key, time, state, into: out)
            }
        }
        guard isFirst?.isTrue(row) ?? false,
            let limit = state.add(key, input.bytes(of: row), side: 0, at: time)
        else { return }
        out.refuse(input, row, for: limit, limits)
    }

    /// The record goes with the oldest that waits; whose time is over, waits no more.
    private func complete(
        _ input: OperatorInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64,
        _ state: PairingState,
        into out: RowBuffer
    ) {
        guard let (slot, first) = state.sides[0].oldest(of: key, before: time) else { return }
        kept.decode(first)
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        out.copy(kept.batch.columns, 0, kept.batch.arena, to: spec.fieldCount)
        state.sides[0].remove(slot)
    }

    func advance(to time: Int64, _ state: PairingState, into out: RowBuffer) {
        while !out.isFull, let (_, slot, due) = state.nextOver(before: time) {
            out.setOrder(passing: due)
            if isAbsent { tellAlone(slot, at: due, state, into: out) }
            state.sides[0].remove(slot)
        }
    }

    /// A record's time is over, and no other came; unless one was refused that might have been it.
    private func tellAlone(_ slot: Int32, at time: Int64, _ state: PairingState, into out: RowBuffer) {
        let waiting = state.sides[0]
        kept.decode(waiting.row(slot))
        if !state.lost.isEmpty, state.lost.latest(keys.ownKey(waiting.key(of: slot))) > waiting.time(of: slot)
        {
            return out.refuse(kept, at: waiting.time(of: slot))
        }
        out.begin(time: time, origin: kept.decoder.origins[0])
        out.copy(kept.batch.columns, 0, kept.batch.arena, to: 0)
    }

    func lose(
        _ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64,
        _ state: PairingState
    ) {
        // Whatever it was, it may have been the record that others wait for in vain.
        if isAbsent { state.lost.note(key, at: time, now: now) }
    }
}
