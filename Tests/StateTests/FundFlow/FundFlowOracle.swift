import Records
import State

/// The definitions of `FundFlowStore` with every unit of money an element of an array. No bounds.
struct FundFlowOracle {
    struct Unit: Equatable {
        var loan: String?
        var disbursed: Int64 = 0
        var hop = 0
        var path = ""
        /// Units of one lot have one number.
        var lot = 0

        static let clean = Unit(loan: nil)
    }

    struct Part: Equatable {
        var loan: String
        var amount: Int64
        var disbursed: Int64
        var hop: Int
        var fate: FundFate
        var path: String
    }

    struct Send: Equatable {
        var parts: [Part] = []
        var clean: Int64 = 0
        var left: Int64 = 0
        var unknown: Int64 = 0
    }

    struct Account {
        var units: [Unit]
        var touched: Int64?
    }

    let rules: FundRules
    var accounts: [String: Account] = [:]
    var disbursed: [String: Int] = [:]
    var left: [String: Int] = [:]
    var expired: [String: Int] = [:]
    var lots = 0

    init(rules: FundRules) { self.rules = rules }

    /// Runs of units of one lot.
    static func runs(_ units: [Unit]) -> [(unit: Unit, amount: Int64)] {
        var runs: [(unit: Unit, amount: Int64)] = []
        for unit in units {
            if runs.last?.unit != unit { runs.append((unit, 0)) }
            runs[runs.count - 1].amount += 1
        }
        return runs
    }

    func isOver(_ unit: Unit, _ time: Int64) -> Bool {
        unit.loan != nil && time - unit.disbursed > rules.within
    }

    private mutating func open(_ name: String, _ time: Int64) -> Account {
        var account = accounts[name] ?? Account(units: Array(repeating: .clean, count: Int(rules.opening)))
        for index in account.units.indices where isOver(account.units[index], time) {
            expired[account.units[index].loan ?? "", default: 0] += 1
            account.units[index] = .clean
        }
        if let touched = account.touched, time - touched > rules.within,
            account.units.allSatisfy({ $0.loan == nil })
        {
            account.units = Array(repeating: .clean, count: Int(rules.opening))
        }
        account.touched = max(account.touched ?? time, time)
        return ordered(account)
    }

    private func ordered(_ account: Account) -> Account {
        guard rules.method == .proRata else { return account }
        let units = account.units.filter { $0.loan == nil } + account.units.filter { $0.loan != nil }
        return Account(units: units, touched: account.touched)
    }

    private mutating func add(_ amount: Int64, _ unit: Unit, to account: inout Account, _ time: Int64) {
        var unit = unit
        if isOver(unit, time) {
            expired[unit.loan ?? "", default: 0] += Int(amount)
            unit = .clean
        } else if unit.loan != nil {
            unit.lot = account.units.last?.lot ?? 0
            if account.units.last != unit {
                lots += 1
                unit.lot = lots
            }
        }
        for _ in 0..<amount { account.units.append(unit) }
        account = ordered(account)
    }

    mutating func disburse(_ name: String, loan: String, amount: Int64, time: Int64) {
        guard amount > 0 else { return }
        var account = open(name, time)
        disbursed[loan, default: 0] += Int(amount)
        add(amount, Unit(loan: loan, disbursed: time, hop: 0, path: name), to: &account, time)
        accounts[name] = account
    }

    mutating func receive(_ name: String, _ parts: [Part], clean: Int64, time: Int64) {
        var account = open(name, time)
        for part in parts where part.fate == .carried {
            let unit = Unit(loan: part.loan, disbursed: part.disbursed, hop: part.hop, path: part.path)
            add(part.amount, unit, to: &account, time)
        }
        add(clean, .clean, to: &account, time)
        accounts[name] = account
    }

    mutating func send(
        from source: String, to target: String, amount: Int64, time: Int64, toOutside: Bool
    ) -> Send {
        guard amount > 0, source != target else { return Send() }
        var account = open(source, time)
        let balance = account.units.count
        let known = min(Int(amount), balance)
        var taken: [Unit] = []
        var kept: [Unit] = []
        for (index, unit) in account.units.enumerated() {
            let isTaken =
                rules.method == .fifo
                ? index < known : (index + 1) * known / balance > index * known / balance
            if isTaken { taken.append(unit) } else { kept.append(unit) }
        }
        account.units = kept
        accounts[source] = account
        var send = Send(clean: amount, unknown: amount - Int64(known))
        for (unit, part) in Self.runs(taken) {
            guard let loan = unit.loan else { continue }
            let fate: FundFate =
                toOutside ? .outside : unit.hop == rules.hops ? .hops : part < rules.least ? .small : .carried
            if fate == .carried {
                send.clean -= part
            } else {
                send.left += part
                left[loan, default: 0] += Int(part)
            }
            let path = unit.path + " -\(part)@\(CivilTime.string(time))-> " + target
            send.parts.append(
                Part(
                    loan: loan, amount: part, disbursed: unit.disbursed, hop: unit.hop + 1, fate: fate,
                    path: path))
        }
        return send
    }

    func held(_ loan: String) -> Int {
        accounts.values.reduce(0) { $0 + $1.units.filter { $0.loan == loan }.count }
    }
}

/// Names as texts.
extension FundFlowStore {
    static func with<T>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
        Array(text.utf8).withUnsafeBufferPointer(body)
    }

    func disburse(_ account: String, loan: String, amount: Int64, time: Int64) -> FundStatus {
        Self.with(account) { account in
            Self.with(loan) { disburse(account, loan: $0, amount: amount, time: time) }
        }
    }

    func send(
        from source: String, to target: String, amount: Int64, time: Int64, toOutside: Bool = false
    ) -> FundSend {
        Self.with(source) { source in
            Self.with(target) { send(from: source, to: $0, amount: amount, time: time, toOutside: toOutside) }
        }
    }

    func receive(_ account: String, parts: [FundPart] = [], clean: Int64 = 0, time: Int64) -> FundStatus {
        Self.with(account) { receive($0, parts: parts, clean: clean, time: time) }
    }

    func holdings(of account: String) -> [FundHolding] { Self.with(account) { holdings(of: $0) } }
    func ledger(of loan: String) -> FundLedger { Self.with(loan) { ledger(of: $0) } }

    /// A transfer of which both accounts are here.
    func move(from source: String, to target: String, amount: Int64, time: Int64) -> FundSend {
        let sent = send(from: source, to: target, amount: amount, time: time)
        _ = receive(target, parts: sent.parts, clean: sent.clean, time: time)
        return sent
    }

    /// `clean 30, L1 70/0`: of tainted lots loan, amount and hop.
    func shown(_ account: String) -> String {
        holdings(of: account)
            .map { lot in
                lot.loan.map { "\(String(decoding: $0, as: UTF8.self)) \(lot.amount)/\(lot.hop)" }
                    ?? "clean \(lot.amount)"
            }
            .joined(separator: ", ")
    }
}

/// What a changelog would hold.
struct FundFlowLog {
    var entries: [[UInt8]: [UInt8]] = [:]

    mutating func drain(_ store: FundFlowStore) {
        let bytes = Arena(capacity: 1024)
        store.drainChanges(into: bytes) { key, value in
            entries[Self.copy(bytes, key)] = value.map { Self.copy(bytes, $0) }
        }
    }

    static func snapshot(_ store: FundFlowStore) -> [[UInt8]: [UInt8]] {
        let bytes = Arena(capacity: 1024)
        var entries: [[UInt8]: [UInt8]] = [:]
        store.forEachEntry(into: bytes) { entries[copy(bytes, $0)] = copy(bytes, $1) }
        return entries
    }

    /// Nil if an entry is refused.
    func restored(_ rules: FundRules) -> FundFlowStore? {
        let store = FundFlowStore(rules: rules)
        for (key, value) in entries {
            let isRight = key.withUnsafeBufferPointer { key in
                value.withUnsafeBufferPointer { store.restore(key, $0) }
            }
            if !isRight { return nil }
        }
        store.finishRestore()
        return store
    }

    private static func copy(_ bytes: Arena, _ range: Range<Int>) -> [UInt8] {
        Array(UnsafeBufferPointer(start: bytes.base + range.lowerBound, count: range.count))
    }
}
