import Base
import Formats
import Records
import State
import Topology

/// Patterns in the records of a key: what `SequenceSpec` says. Records that wait for another are kept as the buffer has
/// encoded them.
final class SequenceOperator: OrderedOperator {
    private let spec: SequenceSpec
    private let limits: OperatorLimits
    private let first: Program
    private let second: Program?
    private var isFirst: Column?
    private var isSecond: Column?
    private let kept: KeptRow
    private let key = Arena(capacity: 256)

    init(_ spec: SequenceSpec, _ step: StepPlan, _ limits: OperatorLimits, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.limits = limits
        kept = KeptRow(step.spec.schema)
        switch spec.pattern {
        case .repeated(let holds, _):
            first = Program(holds, capacity: capacity, zones: zones)
            second = nil
        case .then(let first, let second), .without(let first, let second):
            self.first = Program(first, capacity: capacity, zones: zones)
            self.second = Program(second, capacity: capacity, zones: zones)
        }
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        if case .repeated(_, let times) = spec.pattern {
            return RunState(times: times, within: spec.within, gap: spec.gap, tracksChanges: tracksChanges)
        }
        return PairingState(
            waits: [spec.within], limits: RowLimits(rowsPerKey: limits.rowsPerKey, bytes: limits.memory),
            tracksChanges: tracksChanges)
    }

    func prepare(_ inputs: [OrderedInput]) {
        let input = inputs[0]
        isFirst = first.run(input.columns, arena: input.arena, rows: input.rows)
        isSecond = second?.run(input.columns, arena: input.arena, rows: input.rows)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        let key = key(of: input, row)
        let time = input.times[row]
        let isFirst = Self.holds(isFirst, row)
        switch spec.pattern {
        case .repeated(_, let times):
            guard let state = state as? RunState else { return }
            guard isFirst else { return state.end(key) }
            guard let start = state.extend(key, at: time) else { return }
            maker.begin(time: time, origin: input.origin(of: row), task)
            copy(input.columns, row, input.arena, to: 0, into: maker)
            maker.set(spec.fieldCount, Int64(times))
            maker.set(spec.fieldCount + 1, start)
        case .then:
            guard let state = state as? PairingState else { return }
            if Self.holds(isSecond, row) { complete(input, row, key, time, state, into: maker, task) }
            if isFirst { open(input, row, key, time, state, into: maker, task) }
        case .without:
            guard let state = state as? PairingState else { return }
            if Self.holds(isSecond, row) {
                while let (slot, _) = state.sides[0].oldest(of: key, before: time) { state.sides[0].remove(slot) }
            }
            if isFirst { open(input, row, key, time, state, into: maker, task) }
        }
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        if let state = state as? RunState { return state.advance(to: time) }
        guard let state = state as? PairingState else { return }
        while !maker.isFull, let (_, slot, due) = state.nextOver(before: time) {
            maker.setOrder(passing: due)
            leave(slot, at: due, state, into: maker, task)
            state.sides[0].remove(slot)
        }
    }

    func lose(
        _ input: OrderedInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64, _ state: any OperatorState
    ) {
        // Whatever it was, it may have been the record that others wait for in vain.
        guard case .without = spec.pattern, let state = state as? PairingState else { return }
        state.lost.note(key, at: time, now: now)
    }

    // MARK: Pairs

    /// The record goes with the oldest that waits; whose time is over, waits no more.
    private func complete(
        _ input: OrderedInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ state: PairingState,
        into maker: RowMaker, _ task: TaskState
    ) {
        guard let (slot, first) = state.sides[0].oldest(of: key, before: time) else { return }
        kept.decode(first)
        maker.begin(time: time, origin: input.origin(of: row), task)
        copy(input.columns, row, input.arena, to: 0, into: maker)
        copy(kept.batch.columns, 0, kept.batch.arena, to: spec.fieldCount, into: maker)
        state.sides[0].remove(slot)
    }

    private func open(
        _ input: OrderedInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ state: PairingState,
        into maker: RowMaker, _ task: TaskState
    ) {
        guard let limit = state.add(key, input.bytes(of: row), side: 0, at: time) else { return }
        maker.refuse(input, row, for: limit, limits)
    }

    /// A record's time is over.
    private func leave(_ slot: Int32, at time: Int64, _ state: PairingState, into maker: RowMaker, _ task: TaskState) {
        guard case .without = spec.pattern else { return }
        let waiting = state.sides[0]
        kept.decode(waiting.row(slot))
        if !state.lost.isEmpty, state.lost.latest(ownKey(waiting.key(of: slot))) > waiting.time(of: slot) {
            return maker.refuse(kept, at: waiting.time(of: slot))
        }
        maker.begin(time: time, origin: kept.decoder.origins[0], task)
        copy(kept.batch.columns, 0, kept.batch.arena, to: 0, into: maker)
    }

    /// The step's key of one that `key` made.
    private func ownKey(_ key: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        if spec.by.isEmpty { return key }
        var reader = BinaryReader(key)
        return reader.blob()
    }

    // MARK: Rows

    private static func holds(_ column: Column?, _ row: Int) -> Bool {
        column.map { $0.valid[row] == 1 && $0.values[row] != 0 } ?? false
    }

    /// The step's key and the columns that narrow it. A null is a value like any other here.
    private func key(of input: OrderedInput, _ row: Int) -> UnsafeBufferPointer<UInt8> {
        let own = input.key(of: row)
        if spec.by.isEmpty { return own }
        key.removeAll()
        key.appendBlob(own)
        for column in spec.by {
            let from = input.columns[column]
            key.appendByte(from.valid[row])
            guard from.valid[row] == 1 else { continue }
            if from.type == .text { key.appendBlob(input.text(column, row)) } else { key.appendZigzag(from.values[row]) }
        }
        return UnsafeBufferPointer(start: UnsafePointer(key.base), count: key.count)
    }

    private func copy(_ columns: [Column], _ row: Int, _ arena: Arena, to start: Int, into maker: RowMaker) {
        for (index, column) in columns.enumerated() { maker.copy(column, row, arena, to: start + index) }
    }
}
