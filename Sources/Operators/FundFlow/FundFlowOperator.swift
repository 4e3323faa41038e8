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
    private let loop: RepartitionPlan?
    private let outside: Program?
    private var isOutside: Column?
    private let resultStart: Int
    /// Where the columns of a row for a target's task are put before they are encoded.
    private let row: [Column]
    private let arena = Arena(capacity: 1 << 12)
    /// Position of the transfers among the inputs; the loop's rows, where it goes through a topic, come before them.
    private var transfers: Int { loop == nil ? 1 : 2 }

    private enum Loop { static let account = 0, time = 1, piece = 2, clean = 3, parts = 4 }

    init(_ spec: FundFlowSpec, _ step: StepPlan, _ loop: RepartitionPlan?, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.step = step
        self.loop = loop
        outside = spec.outside.map { Program($0, capacity: capacity, zones: zones) }
        resultStart = (step.spec.maker?.schema.fields.count ?? 0) - FundFlowSpec.resultFields(spec.amountType).count
        row = loop?.row ?? []
        for column in row { column.valid[0] = 1 }
    }

    func makeState(tracksChanges: Bool) -> any OperatorState {
        let rules = FundRules(
            method: spec.method == .fifo ? .fifo : .proRata, within: spec.within, hops: spec.hops, least: spec.least,
            opening: spec.opening)
        return FundFlowState(rules, tracksChanges: tracksChanges)
    }

    func makeInputs(_ steps: [StepPlan], capacity: Int) -> [OrderedInput] {
        let order = loop == nil ? [steps[0], steps[1]] : [steps[0], steps[2], steps[1]]
        return order.enumerated().map { OrderedInput($1, index: $0, capacity: capacity) }
    }

    func prepare(_ inputs: [OrderedInput]) {
        let transfers = inputs[transfers]
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
        } else if input.index == transfers {
            receive(before: time + 1, state, maker)
            send(input, row, state, time, into: maker, task)
        } else {
            let account = input.text(Loop.account, row)
            state.receive(account, clean: input.columns[Loop.clean].values[row], input.text(Loop.parts, row), at: time)
            noteLimits(state, account, maker)
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
        deliver(sent, to: target, at: time + spec.settle, from: input.origin(of: row), state, into: maker, task)
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

    // MARK: The loop

    /// Money on its way to the target's task; where that is this one, since it is the only one, into its state. In pieces
    /// that a record takes: the parts in their order, the clean money with the last.
    private func deliver(
        _ sent: FundSend, to target: UnsafeBufferPointer<UInt8>, at time: Int64, from origin: RepartitionOrigin,
        _ state: FundFlowState, into maker: RowMaker, _ task: TaskState
    ) {
        arena.removeAll()
        var piece: Int64 = 0
        for part in sent.parts where part.fate == .carried {
            if arena.count > Limits.fundPartsBytesMax {
                deliver(piece, clean: 0, to: target, at: time, from: origin, state, into: maker, task)
                piece += 1
                arena.removeAll()
            }
            part.append(to: arena)
        }
        deliver(piece, clean: sent.clean, to: target, at: time, from: origin, state, into: maker, task)
    }

    /// The parts stand in `arena`.
    private func deliver(
        _ piece: Int64, clean: Int64, to target: UnsafeBufferPointer<UInt8>, at time: Int64, from origin: RepartitionOrigin,
        _ state: FundFlowState, into maker: RowMaker, _ task: TaskState
    ) {
        let partsCount = arena.count
        guard let loop else {
            let parts = UnsafeBufferPointer(start: UnsafePointer(arena.base), count: partsCount)
            return state.deliver(target, piece, clean: clean, parts, at: time)
        }
        row[Loop.parts].values[0] = TextReference(offset: 0, count: partsCount).packed
        row[Loop.time].values[0] = time
        row[Loop.piece].values[0] = piece
        row[Loop.clean].values[0] = clean
        guard let start = target.baseAddress else { return }
        row[Loop.account].values[0] = arena.append(start, target.count).packed
        var origin = origin
        origin.writer = task.partition
        origin.watermark = .min
        loop.encoder.encode(0, arena: arena, origin)
        var record = maker.outbox.begin(.repartition(loop.index), timestamp: 0)
        maker.outbox.setKey(start, target.count, of: &record)
        maker.outbox.setValue(loop.encoder.bytes.base, loop.encoder.bytes.count, of: &record)
        maker.outbox.end(record)
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
