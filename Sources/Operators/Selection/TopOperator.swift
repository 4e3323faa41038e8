import Base
import Records
import State
import Topology

/// What `TopSpec` says. A key's best records of the current instant wait as one side of a join whose interval is that
/// instant.
final class TopOperator: OrderedOperator {
    private let spec: TopSpec
    private let kept: KeptRow

    init(_ spec: TopSpec, _ step: StepPlan) {
        self.spec = spec
        kept = KeptRow(step.spec.schema)
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        JoinState(before: 0, after: 0, rowsPerKey: spec.count + 1, tracksChanges: tracksChanges)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? JoinState, input.columns[spec.by].valid[row] == 1 else { return }
        let key = input.key(of: row)
        _ = state.insert(key, input.bytes(of: row), isRight: false, isMatched: false, time: input.times[row])
        let best = best(key, state)
        if best.count > spec.count, let worst = best.last { state.removeEarly(worst) }
    }

    /// A key's records, best first; of equal ones the older first.
    private func best(_ key: UnsafeBufferPointer<UInt8>, _ state: JoinState) -> [Int32] {
        var found: [(value: Int64, slot: Int32)] = []
        state.forEach(key, isRight: false, since: .min) { slot in
            kept.decode(state.bytes(of: slot))
            let value = kept.batch.columns[spec.by].values[0]
            let place = found.firstIndex { spec.isLeast ? value < $0.value : value > $0.value } ?? found.count
            found.insert((value, slot), at: place)
        }
        return found.map(\.slot)
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? JoinState else { return }
        var over: [Int32] = []
        var instant: Int64?
        while let (slot, due) = state.nextOver(before: time) {
            if let before = instant, before != due {
                write(over, at: before, state, into: maker, task)
                over.removeAll()
            }
            instant = due
            over.append(slot)
        }
        if let instant { write(over, at: instant, state, into: maker, task) }
    }

    /// The records of one instant, by key.
    private func write(_ slots: [Int32], at time: Int64, _ state: JoinState, into maker: RowMaker, _ task: TaskState) {
        maker.setOrder(passing: time)
        let keys = Dictionary(grouping: slots) { Array(state.key(of: $0)) }
        for (key, _) in keys.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let best = key.withUnsafeBufferPointer { self.best($0, state) }
            for (index, slot) in best.enumerated() {
                kept.decode(state.bytes(of: slot))
                maker.begin(time: time, watermark: time, origin: kept.decoder.origins[0], task)
                for (column, from) in kept.batch.columns.enumerated() { maker.copy(from, 0, kept.batch.arena, to: column) }
                maker.set(spec.fieldCount, Int64(index + 1))
            }
        }
        for slot in slots { state.removeOver(slot) }
    }
}
