import Base
import Formats
import Records
import State
import Topology

/// Patterns in the records of a key: what `SequenceSpec` says. Records that wait for another are kept as the buffer has
/// encoded them.
final class SequenceOperator: OrderedOperator {
    private let spec: SequenceSpec
    private let first: Program
    private let second: Program?
    private var isFirst: Column?
    private var isSecond: Column?
    private let kept: KeptRow
    private let key = Arena(capacity: 256)

    init(_ spec: SequenceSpec, _ step: StepPlan, capacity: Int, zones: ZoneTables) {
        self.spec = spec
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
        if case .repeated = spec.pattern { return RunState(within: spec.within, gap: spec.gap, tracksChanges: tracksChanges) }
        return WaitingRows(within: spec.within, tracksChanges: tracksChanges)
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
            let (run, isComplete) = state.extend(key, at: time, times: Int64(times))
            guard isComplete else { return }
            maker.begin(time: time, origin: input.origin(of: row), task)
            copy(input.columns, row, input.arena, to: 0, into: maker)
            maker.set(spec.fieldCount, run.count)
            maker.set(spec.fieldCount + 1, run.start)
        case .then:
            guard let state = state as? WaitingRows else { return }
            if Self.holds(isSecond, row) { complete(input, row, key, time, state, into: maker, task) }
            if isFirst { open(input, row, key, time, state, into: maker, task) }
        case .without:
            guard let state = state as? WaitingRows else { return }
            if Self.holds(isSecond, row) {
                while let (slot, _) = state.oldest(of: key, before: time) { state.remove(slot) }
            }
            if isFirst { open(input, row, key, time, state, into: maker, task) }
        }
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        if let state = state as? RunState { return state.advance(to: time) }
        guard let state = state as? WaitingRows else { return }
        while !maker.isFull, let (slot, due, row) = state.nextOver(before: time) {
            maker.setOrder(passing: due)
            leave(row, at: due, into: maker, task)
            state.remove(slot)
        }
    }

    // MARK: Pairs

    /// The record goes with the oldest that waits; whose time is over, waits no more.
    private func complete(
        _ input: OrderedInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ state: WaitingRows,
        into maker: RowMaker, _ task: TaskState
    ) {
        guard let (slot, first) = state.oldest(of: key, before: time) else { return }
        kept.decode(first)
        maker.begin(time: time, origin: input.origin(of: row), task)
        copy(input.columns, row, input.arena, to: 0, into: maker)
        copy(kept.batch.columns, 0, kept.batch.arena, to: spec.fieldCount, into: maker)
        state.remove(slot)
    }

    private func open(
        _ input: OrderedInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ state: WaitingRows,
        into maker: RowMaker, _ task: TaskState
    ) {
        guard state.add(key, input.bytes(of: row), at: time), let (slot, first) = state.oldest(of: key, before: .max)
        else { return }
        leave(first, at: time, into: maker, task)
        state.displace(slot)
    }

    /// A record's time is over.
    private func leave(
        _ row: UnsafeBufferPointer<UInt8>, at time: Int64, into maker: RowMaker, _ task: TaskState
    ) {
        guard case .without = spec.pattern else { return }
        kept.decode(row)
        maker.begin(time: time, origin: kept.decoder.origins[0], task)
        copy(kept.batch.columns, 0, kept.batch.arena, to: 0, into: maker)
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
