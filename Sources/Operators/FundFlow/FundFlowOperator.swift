import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Follows money over accounts: what `FundFlowSpec` says, on the lots that `FundFlowStore` keeps.
final class FundFlowOperator: StreamOperator {
    private let spec: FundFlowSpec
    private let outside: Program?
    private var isOutside: Column?
    private let resultStart: Int
    private let arena = Arena(capacity: 1 << 12)
    /// Position of the transfers among the inputs.
    private static let transfers = 1

    init(_ spec: FundFlowSpec, _ context: OperatorContext) {
        self.spec = spec
        outside = spec.outside.map { Program($0, capacity: context.capacity, zones: context.zones) }
        resultStart = context.result.fields.count - FundFlowSpec.resultFields(spec.amountType).count
    }

    func makeState(tracksChanges: Bool) -> FundFlowState {
        let rules = FundRules(
            method: spec.method == .fifo ? .fifo : .proRata, within: spec.within, hops: spec.hops,
            least: spec.least,
            opening: spec.opening)
        return FundFlowState(rules, tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        guard input.index == Self.transfers else { return }
        isOutside = outside?.run(input.columns, arena: input.arena, rows: input.rows)
    }

    func take(_ input: OperatorInput, row: Int, _ state: FundFlowState, into out: RowBuffer) {
        let time = input.times[row]
        if input.index == 0 {
            let (account, loan) = (input.text(spec.account, row), input.text(spec.loan, row))
            let amount = input.columns[spec.disbursed]
            guard isNamed(account, "account", input, row, out), isNamed(loan, "loan", input, row, out),
                hasAmount(amount, input, row, out)
            else { return }
            _ = state.store.disburse(account, loan: loan, amount: amount.values[row], time: time)
            noteLimits(state, account, out)
        } else {
            receive(before: time + 1, state, out)
            send(input, row, state, time, into: out)
        }
    }

    func advance(to time: Int64, _ state: FundFlowState, into out: RowBuffer) {
        receive(before: time, state, out)
        state.store.advance(to: time)
    }

    private func receive(before time: Int64, _ state: FundFlowState, _ out: RowBuffer) {
        while let account = state.receiveFirst(before: time) { noteLimits(state, account, out) }
    }

    // MARK: What cannot be followed

    /// False after a dead letter.
    private func isNamed(
        _ name: UnsafeBufferPointer<UInt8>, _ what: StaticString, _ input: OperatorInput, _ row: Int,
        _ out: RowBuffer
    ) -> Bool {
        if name.count > 0, name.count <= Limits.fundNameBytesMax { return true }
        if name.isEmpty {
            out.refuse(input, row, .missingField, "it names no \(what)")
        } else {
            out.refuse(
                input, row, .nameTooLong, .fundNameBytes, "the name of its \(what) has \(name.count) bytes")
        }
        return false
    }

    private func hasAmount(_ amount: Column, _ input: OperatorInput, _ row: Int, _ out: RowBuffer) -> Bool {
        if amount.valid[row] == 1 { return true }
        out.refuse(input, row, .missingField, "it has no amount")
        return false
    }

    /// An account may have had to give parcels or parts of paths up.
    private func noteLimits(_ state: FundFlowState, _ account: UnsafeBufferPointer<UInt8>, _ out: RowBuffer) {
        let store = state.store
        let lots = store.merged + store.displaced - state.toldLots
        let paths = store.shortened - state.toldPaths
        if lots > 0 { out.note(.fundLots, account, count: Int64(lots)) }
        if paths > 0 { out.note(.fundPathBytes, account, count: Int64(paths)) }
        (state.toldLots, state.toldPaths) = (store.merged + store.displaced, store.shortened)
    }

    // MARK: Transfers

    private func send(
        _ input: OperatorInput, _ row: Int, _ state: FundFlowState, _ time: Int64, into out: RowBuffer
    ) {
        let amount = input.columns[spec.amount]
        let (source, target) = (input.text(spec.source, row), input.text(spec.target, row))
        let goesOut = isOutside.map { $0.valid[row] == 1 && $0.values[row] != 0 } ?? false
        // Cash may be paid to nobody.
        guard isNamed(source, "source", input, row, out),
            target.isEmpty && goesOut || isNamed(target, "target", input, row, out),
            hasAmount(amount, input, row, out)
        else { return }
        let sent = state.store.send(
            from: source, to: target, amount: amount.values[row], time: time, toOutside: goesOut)
        guard sent.status == .done else { return }
        noteLimits(state, source, out)
        for part in sent.parts { write(part, input, row, time, into: out) }
        if target.isEmpty { return }
        deliver(sent, to: target, at: time + spec.settle, state)
    }

    private func write(
        _ part: FundPart, _ input: OperatorInput, _ row: Int, _ time: Int64, into out: RowBuffer
    ) {
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        var column = resultStart
        func next() -> Int {
            defer { column += 1 }
            return column
        }
        part.loan.withUnsafeBufferPointer { out.set(next(), text: $0) }
        out.set(next(), part.amount)
        out.set(next(), Int64(part.hop))
        (part.path.steps.first?.account ?? []).withUnsafeBufferPointer { out.set(next(), text: $0) }
        out.set(next(), text: part.path.text(scale: spec.amountType.scale))
        out.set(next(), part.disbursed)
        out.set(next(), part.fate == .carried ? 0 : 1)
    }

    /// Money on its way to its target.
    private func deliver(
        _ sent: FundSend, to target: UnsafeBufferPointer<UInt8>, at time: Int64, _ state: FundFlowState
    ) {
        arena.removeAll()
        for part in sent.parts where part.fate == .carried { part.append(to: arena) }
        let parts = UnsafeBufferPointer(start: UnsafePointer(arena.base), count: arena.count)
        state.deliver(target, clean: sent.clean, parts, at: time)
    }

    // MARK: Proof

    /// Every unit that was disbursed is on an account, on its way, left or expired; nil: none was.
    func proof(_ state: FundFlowState) -> StateProof? {
        let (sum, mistake) = (state.store.total, state.store.verify())
        if sum.disbursed == 0, mistake == nil { return nil }
        func money(_ amount: Int128) -> String { Decimal.string(amount, scale: spec.amountType.scale) }
        return StateProof(
            text:
                "\(money(sum.disbursed)) disbursed = \(money(sum.held)) on accounts + \(money(sum.inFlight)) on its way + "
                + "\(money(sum.left)) left + \(money(sum.expired)) expired; "
                + (mistake.map { "it does not agree: \($0)" } ?? "the lots on the accounts agree"),
            holds: mistake == nil && sum.held >= 0 && sum.inFlight >= 0)
    }
}
