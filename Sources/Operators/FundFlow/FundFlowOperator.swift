import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Follows money over accounts: what `FundFlowSpec` says, on the lots that `FundFlowStore` keeps.
final class FundFlowOperator: OrderedOperator {
    private let spec: FundFlowSpec
    private let step: StepPlan
    private let outside: Program?
    private var isOutside: Column?
    private let resultStart: Int
    private let arena = Arena(capacity: 1 << 12)
    /// Position of the transfers among the inputs.
    private static let transfers = 1

    init(_ spec: FundFlowSpec, _ step: StepPlan, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.step = step
        outside = spec.outside.map { Program($0, capacity: capacity, zones: zones) }
        resultStart = (step.spec.maker?.schema.fields.count ?? 0) - FundFlowSpec.resultFields(spec.amountType).count
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        let rules = FundRules(
            method: spec.method == .fifo ? .fifo : .proRata, within: spec.within, hops: spec.hops, least: spec.least,
            opening: spec.opening)
        return FundFlowState(rules, tracksChanges: tracksChanges)
    }

    func prepare(_ inputs: [OrderedInput]) {
        let transfers = inputs[Self.transfers]
        isOutside = outside?.run(transfers.columns, arena: transfers.arena, rows: transfers.rows)
    }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? FundFlowState else { return }
        let time = input.times[row]
        if input.index == 0 {
            let (account, loan) = (input.text(spec.account, row), input.text(spec.loan, row))
            let amount = input.columns[spec.disbursed]
            guard isNamed(account, "account", input, row, maker), isNamed(loan, "loan", input, row, maker),
                hasAmount(amount, input, row, maker)
            else { return }
            _ = state.store.disburse(account, loan: loan, amount: amount.values[row], time: time)
            noteLimits(state, account, maker)
        } else {
            receive(before: time + 1, state, maker)
            send(input, row, state, time, into: maker, task)
        }
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? FundFlowState else { return }
        receive(before: time, state, maker)
        state.store.advance(to: time)
    }

    private func receive(before time: Int64, _ state: FundFlowState, _ maker: RowMaker) {
        while let account = state.receiveFirst(before: time) { noteLimits(state, account, maker) }
    }

    // MARK: What cannot be followed

    /// False after a dead letter.
    private func isNamed(
        _ name: UnsafeBufferPointer<UInt8>, _ what: StaticString, _ input: OrderedInput, _ row: Int, _ maker: RowMaker
    ) -> Bool {
        if name.count > 0, name.count <= Limits.fundNameBytesMax { return true }
        if name.isEmpty {
            maker.refuse(input, row, .missingField, "it names no \(what)")
        } else {
            maker.refuse(input, row, .nameTooLong, .fundNameBytes, "the name of its \(what) has \(name.count) bytes")
        }
        return false
    }

    private func hasAmount(_ amount: Column, _ input: OrderedInput, _ row: Int, _ maker: RowMaker) -> Bool {
        if amount.valid[row] == 1 { return true }
        maker.refuse(input, row, .missingField, "it has no amount")
        return false
    }

    /// An account may have had to give parcels or parts of paths up.
    private func noteLimits(_ state: FundFlowState, _ account: UnsafeBufferPointer<UInt8>, _ maker: RowMaker) {
        let store = state.store
        let lots = store.merged + store.displaced - state.toldLots
        let paths = store.shortened - state.toldPaths
        if lots > 0 { maker.note(.fundLots, account, count: Int64(lots)) }
        if paths > 0 { maker.note(.fundPathBytes, account, count: Int64(paths)) }
        (state.toldLots, state.toldPaths) = (store.merged + store.displaced, store.shortened)
    }

    // MARK: Transfers

    private func send(
        _ input: OrderedInput, _ row: Int, _ state: FundFlowState, _ time: Int64, into maker: RowMaker, _ task: TaskState
    ) {
        let amount = input.columns[spec.amount]
        let (source, target) = (input.text(spec.source, row), input.text(spec.target, row))
        let goesOut = isOutside.map { $0.valid[row] == 1 && $0.values[row] != 0 } ?? false
        // Cash may be paid to nobody.
        guard isNamed(source, "source", input, row, maker),
            target.isEmpty && goesOut || isNamed(target, "target", input, row, maker), hasAmount(amount, input, row, maker)
        else { return }
        let sent = state.store.send(
            from: source, to: target, amount: amount.values[row], time: time, toOutside: goesOut)
        guard sent.status == .done else { return }
        noteLimits(state, source, maker)
        for part in sent.parts { write(part, input, row, time, into: maker, task) }
        if target.isEmpty { return }
        deliver(sent, to: target, at: time + spec.settle, state)
    }

    private func write(
        _ part: FundPart, _ input: OrderedInput, _ row: Int, _ time: Int64, into maker: RowMaker, _ task: TaskState
    ) {
        maker.begin(time: time, watermark: time, origin: input.origin(of: row), task)
        for (column, from) in input.columns.enumerated() { maker.copy(from, row, input.arena, to: column) }
        var column = resultStart
        func next() -> Int {
            defer { column += 1 }
            return column
        }
        part.loan.withUnsafeBufferPointer { maker.set(next(), text: $0) }
        maker.set(next(), part.amount)
        maker.set(next(), Int64(part.hop))
        (part.path.steps.first?.account ?? []).withUnsafeBufferPointer { maker.set(next(), text: $0) }
        maker.set(next(), text: part.path.text(scale: spec.amountType.scale))
        maker.set(next(), part.disbursed)
        maker.set(next(), part.fate == .carried ? 0 : 1)
    }

    /// Money on its way to its target.
    private func deliver(_ sent: FundSend, to target: UnsafeBufferPointer<UInt8>, at time: Int64, _ state: FundFlowState) {
        arena.removeAll()
        for part in sent.parts where part.fate == .carried { part.append(to: arena) }
        let parts = UnsafeBufferPointer(start: UnsafePointer(arena.base), count: arena.count)
        state.deliver(target, clean: sent.clean, parts, at: time)
    }
}

extension OrderedInput {
    /// A text, without a copy; empty where it is null.
    func text(_ column: Int, _ row: Int) -> UnsafeBufferPointer<UInt8> {
        guard columns[column].valid[row] == 1 else { return UnsafeBufferPointer(start: nil, count: 0) }
        let text = TextReference(packed: columns[column].values[row])
        return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
    }
}
