import Base
import Glibc
import Records

/// Follows the money of loans over the accounts of one task. Pure: no clock, no I/O; the same operations in
/// the same order give the same parts and the same bytes.
///
/// **Accounts.** An account is a list of lots, in the order in which they came. A lot is an amount of clean
/// money, or of tainted money with its loan, the loan's time of disbursement, the number of transfers since
/// and their path. Clean money is one number where nothing on the account is tainted (and always under
/// `proRata`, where its place does not matter). An account that was never seen has `FundRules.opening` of
/// clean money, and so has one that nothing touched for longer than `within`: it is forgotten.
///
/// **Operations.** Each touches one account, since accounts are spread over tasks: `send` takes money and
/// names its parts, the caller brings them to the target's task, where `receive` puts them. Their order on an
/// account, given by the caller, is the order of its money; what one `receive` brings comes as the parts in
/// their order, then the clean rest. The caller leaves duplicates of a transfer out, and gives no time before
/// the last `advance`.
///
/// **More is sent than is known.** All that is known is taken; the rest is clean money from before. Taint is
/// never more than what is on the account: `tainted <= balance`, and nothing becomes negative.
///
/// **Refunds** are transfers: taint goes back with one hop more, and the path names the account twice. A
/// transfer to the same account changes nothing.
///
/// **Taint ends** in two ways, counted for each loan. It *leaves* with a part of a transfer that goes
/// outside, that would be hop `hops + 1`, or that is below `least`, in that order; the target has that money
/// as clean. It *expires* on an account when `within` has passed since the disbursement: found at the
/// account's next operation, or by `advance`.
///
/// **Bounds.** Lots that came one after the other and agree in everything are one lot. Over `FundRules.lots`
/// per account, lots of one loan are merged, neighbours first and the oldest of these: the merged lot has
/// fewer hops and the later disbursement of the two, so that nothing ends sooner, and what their paths have
/// in common, then a gap. If no two are of one loan, the oldest tainted lot leaves. Clean money above 2^63-1
/// units is not counted; of tainted money what would be above that leaves.
///
/// Used by one thread.
package final class FundFlowStore {
    private struct Transfer {
        var source: UnsafeBufferPointer<UInt8>
        var target: UnsafeBufferPointer<UInt8>
        var amount: Int64
        var time: Int64
        var toOutside: Bool
    }

    package let rules: FundRules
    private let accounts = FundAccounts()
    private let loans = FundLoans()
    private let room: FundRoom
    private let entries: FundEntries
    private let scratch = Arena(capacity: 2 * Limits.fundPathBytesMax)
    private var sweepDue: Int64?

    /// Lots that were merged with another since the start, that left since no room could be made, and paths
    /// that lost their middle.
    package var merged: Int { room.merged }
    package var displaced: Int { room.displaced }
    package private(set) var shortened = 0

    package init(rules: FundRules) {
        self.rules = rules
        room = FundRoom(rules, accounts, loans)
        entries = FundEntries(rules, accounts, loans)
    }

    package var accountCount: Int { accounts.count }
    package var taintedCount: Int { accounts.taintedCount }

    package var memoryBytes: Int {
        accounts.memoryBytes + loans.memoryBytes + loans.lotCount * (MemoryLayout<FundLot>.stride + 32)
            + loans.pathBytes
    }

    /// A loan is paid out to an account.
    package func disburse(
        _ account: UnsafeBufferPointer<UInt8>, loan: UnsafeBufferPointer<UInt8>, amount: Int64, time: Int64
    ) -> FundStatus {
        guard Self.isName(account), Self.isName(loan) else { return .malformed }
        guard amount > 0 else { return .notPositive }
        let id = accounts.open(account, opening: rules.opening)
        touch(id, time)
        let loan = loans.intern(loan)
        loans.noteDirty(loan)
        loans.rows[Int(loan)].ledger.disbursed += Int128(amount)
        let path = FundPath(start: account, scratch: scratch)
        add(FundLot(amount: amount, disbursed: time, loan: loan, hop: 0, path: path), to: id, at: time)
        return .done
    }

    /// A transfer takes money from its source. `toOutside`: money is not followed to the target.
    package func send(
        from source: UnsafeBufferPointer<UInt8>, to target: UnsafeBufferPointer<UInt8>, amount: Int64,
        time: Int64,
        toOutside: Bool = false
    ) -> FundSend {
        guard Self.isName(source), Self.isName(target) || toOutside && target.isEmpty else {
            return FundSend(status: .malformed)
        }
        guard amount > 0 else { return FundSend(status: .notPositive) }
        guard !Self.same(source, target) else { return FundSend(status: .sameAccount) }
        var result = FundSend(status: .done)
        result.clean = amount
        guard let id = known(source) else {
            result.unknown = amount
            return result
        }
        touch(id, time)
        if accounts.rows[id].book == 0 {
            let taken = min(amount, accounts.rows[id].clean)
            accounts.rows[id].clean -= taken
            result.unknown = amount - taken
        } else {
            take(
                Transfer(source: source, target: target, amount: amount, time: time, toOutside: toOutside),
                from: id,
                into: &result)
        }
        return result
    }

    /// Money of a transfer comes to its target: the parts of a `send` that are carried, and its clean money.
    /// Parts that are not carried are passed over, so that all of a `send` may be given.
    package func receive(
        _ account: UnsafeBufferPointer<UInt8>, parts: [FundPart] = [], clean: Int64 = 0, time: Int64
    ) -> FundStatus {
        guard Self.isName(account) else { return .malformed }
        for part in parts where !part.isPlausible { return .malformed }
        guard clean > 0 || clean == 0 && !parts.isEmpty else { return .notPositive }
        let id = accounts.open(account, opening: rules.opening)
        touch(id, time)
        for part in parts where part.fate == .carried {
            let loan = loans.intern(part.loan)
            loans.noteDirty(loan)
            loans.rows[Int(loan)].ledger.received += Int128(part.amount)
            add(
                FundLot(
                    amount: part.amount, disbursed: part.disbursed, loan: loan, hop: Int32(part.hop),
                    path: part.path),
                to: id, at: time)
        }
        if clean > 0 { addClean(clean, to: id) }
        return .done
    }

    /// Finds what expired and forgets what may be forgotten, now and then: `watermark` says that no operation
    /// comes with a time before it.
    package func advance(to watermark: Int64) {
        guard let due = sweepDue else {
            sweepDue = watermark
            return
        }
        guard watermark >= due else { return }
        let (next, overflow) = watermark.addingReportingOverflow(max(rules.within / 16, 1))
        sweepDue = overflow ? .max : next
        accounts.names.forEach { id in
            let row = accounts.rows[Int(id)]
            guard row.book != 0 ? accounts.book(row).end < watermark : rules.end(of: row.touched) < watermark
            else { return }
            accounts.noteDirty(Int(id))
            room.settle(Int(id), at: watermark)
        }
        loans.close(before: watermark, rules: rules)
    }

    package func removeAll() {
        accounts.removeAll()
        loans.removeAll()
        sweepDue = nil
    }

    // MARK: Rows

    private static func isName(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bytes.count > 0 && bytes.count <= Limits.fundNameBytesMax
    }

    private static func same(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool
    {
        guard left.count == right.count, let first = left.baseAddress, let second = right.baseAddress else {
            return false
        }
        return memcmp(first, second, left.count) == 0
    }

    /// Nil for an account of which there is nothing to take.
    private func known(_ account: UnsafeBufferPointer<UInt8>) -> Int? {
        guard rules.opening == 0, let start = account.baseAddress else {
            return accounts.open(account, opening: rules.opening)
        }
        return accounts.names.find(start, account.count).map { Int($0) }
    }

    @inline(__always)
    private func touch(_ id: Int, _ time: Int64) {
        accounts.noteDirty(id)
        room.settle(id, at: time)
        if time > accounts.rows[id].touched { accounts.rows[id].touched = time }
    }

    // MARK: Taking

    private func take(_ transfer: Transfer, from id: Int, into send: inout FundSend) {
        let book = accounts.book(id)
        switch rules.method {
        case .fifo: takeOldest(transfer, book, id, into: &send)
        case .proRata: takeShares(transfer, book, id, into: &send)
        }
        if book.tainted == 0 { accounts.close(id, loans) }
    }

    private func takeOldest(_ transfer: Transfer, _ book: FundBook, _ id: Int, into send: inout FundSend) {
        var rest = transfer.amount
        while rest > 0, book.head < book.lots.count {
            let lot = book.lots[book.head]
            let taken = min(rest, lot.amount)
            rest -= taken
            if lot.isClean {
                accounts.rows[id].clean -= taken
            } else {
                book.tainted -= taken
                carry(lot, taken, transfer, into: &send)
            }
            if taken < lot.amount {
                book.lots[book.head].amount -= taken
            } else {
                loans.drop(lot)
                book.lots[book.head] = .clean(0)
                book.head += 1
            }
        }
        send.unknown = rest
        if book.head > 16, book.head * 2 > book.lots.count {
            book.lots.removeFirst(book.head)
            book.head = 0
        }
    }

    private func takeShares(_ transfer: Transfer, _ book: FundBook, _ id: Int, into send: inout FundSend) {
        let balance = UInt64(accounts.rows[id].clean) + UInt64(book.tainted)
        let amount = min(UInt64(transfer.amount), balance)
        send.unknown = transfer.amount - Int64(amount)
        /// amount x sum / balance. Neither factor is above the balance, nor then is the quotient.
        func share(_ sum: UInt64) -> UInt64 {
            balance.dividingFullWidth(amount.multipliedFullWidth(by: sum)).quotient
        }
        var sum = UInt64(accounts.rows[id].clean)
        var given = share(sum)
        accounts.rows[id].clean -= Int64(given)
        var kept = 0
        for index in book.lots.indices {
            let lot = book.lots[index]
            sum += UInt64(lot.amount)
            let givenNow = share(sum)
            let taken = Int64(givenNow - given)
            given = givenNow
            if taken > 0 {
                book.tainted -= taken
                carry(lot, taken, transfer, into: &send)
            }
            if taken == lot.amount {
                loans.drop(lot)
                continue
            }
            if taken > 0 || kept < index {
                book.lots[kept] = lot
                book.lots[kept].amount -= taken
            }
            kept += 1
        }
        book.lots.removeLast(book.lots.count - kept)
    }

    /// A tainted part goes with a transfer.
    private func carry(_ lot: FundLot, _ amount: Int64, _ transfer: Transfer, into send: inout FundSend) {
        loans.noteDirty(lot.loan)
        let hop = Int(lot.hop) + 1
        let fate: FundFate =
            transfer.toOutside
            ? .outside : hop > rules.hops ? .hops : amount < rules.least ? .small : .carried
        if fate == .carried {
            loans.rows[Int(lot.loan)].ledger.sent += Int128(amount)
            send.clean -= amount
        } else {
            loans.rows[Int(lot.loan)].ledger.left += Int128(amount)
            send.left += amount
        }
        let path = lot.path.moved(
            amount, at: transfer.time, from: transfer.source, to: transfer.target, scratch: scratch,
            shortened: &shortened)
        send.parts.append(
            FundPart(
                loan: loans.name(of: lot.loan), amount: amount, disbursed: lot.disbursed, hop: hop,
                fate: fate,
                path: path))
    }

    // MARK: Coming

    /// Tainted money comes to an account.
    private func add(_ lot: FundLot, to id: Int, at time: Int64) {
        let loan = Int(lot.loan)
        loans.rows[loan].newest = max(loans.rows[loan].newest, lot.disbursed)
        guard rules.end(of: lot.disbursed) >= time else {
            loans.rows[loan].ledger.expired += Int128(lot.amount)
            return addClean(lot.amount, to: id)
        }
        let book = openBook(of: id)
        guard book.tainted <= Int64.max - lot.amount else {
            room.overflow(lot)
            return addClean(lot.amount, to: id)
        }
        book.tainted += lot.amount
        book.end = min(book.end, rules.end(of: lot.disbursed))
        if let last = book.lots.last, book.count > 0, last.loan == lot.loan, last.disbursed == lot.disbursed,
            last.hop == lot.hop, last.path == lot.path
        {
            book.lots[book.lots.count - 1].amount += lot.amount
        } else {
            loans.keep(lot)
            book.lots.append(lot)
            if book.count > rules.lots { room.makeRoom(book, id) }
        }
    }

    private func addClean(_ amount: Int64, to id: Int) {
        let added = min(amount, Int64.max - accounts.rows[id].clean)
        accounts.rows[id].clean += added
        guard rules.method == .fifo, accounts.rows[id].book != 0, added > 0 else { return }
        let book = accounts.book(id)
        if let last = book.lots.last, book.count > 0, last.isClean {
            book.lots[book.lots.count - 1].amount += added
        } else {
            loans.keep(.clean(added))
            book.lots.append(.clean(added))
            if book.count > rules.lots { room.makeRoom(book, id) }
        }
    }

    private func openBook(of id: Int) -> FundBook {
        if accounts.rows[id].book != 0 { return accounts.book(id) }
        let book = accounts.newBook(of: id)
        if rules.method == .fifo, accounts.rows[id].clean > 0 {
            loans.keep(.clean(accounts.rows[id].clean))
            book.lots.append(.clean(accounts.rows[id].clean))
        }
        return book
    }

    // MARK: What is on the accounts

    /// The account's lots as of its last operation, the oldest first; none if it has no money that is known.
    package func holdings(of account: UnsafeBufferPointer<UInt8>) -> [FundHolding] {
        guard let start = account.baseAddress, let id = accounts.names.find(start, account.count) else {
            return rules.opening > 0 ? [Self.clean(rules.opening)] : []
        }
        let row = accounts.rows[Int(id)]
        guard row.book != 0 else { return row.clean > 0 ? [Self.clean(row.clean)] : [] }
        let book = accounts.book(row)
        let lots = book.lots[book.head...].map { lot in
            FundHolding(
                loan: lot.isClean ? nil : loans.name(of: lot.loan), amount: lot.amount,
                disbursed: lot.disbursed,
                hop: Int(lot.hop), path: lot.path)
        }
        return rules.method == .proRata && row.clean > 0 ? [Self.clean(row.clean)] + lots : lots
    }

    private static func clean(_ amount: Int64) -> FundHolding {
        FundHolding(loan: nil, amount: amount, disbursed: 0, hop: 0, path: FundPath(bytes: []))
    }

    /// What this task saw of a loan. Kept until the loan is on no account here and `within` has passed since
    /// its newest disbursement, then part of `total` only.
    package func ledger(of loan: UnsafeBufferPointer<UInt8>) -> FundLedger {
        guard let start = loan.baseAddress, let id = loans.names.find(start, loan.count) else {
            return FundLedger()
        }
        return loans.rows[Int(id)].ledger
    }

    /// Of all loans that this task ever saw.
    package var total: FundLedger {
        var sum = loans.closed
        loans.names.forEach { sum += loans.rows[Int($0)].ledger }
        return sum
    }

    /// Counts every lot and compares: per loan with `held` of its ledger, per account with its sums. Nil, or
    /// what does not agree.
    package func verify() -> String? { FundProof.mistake(in: accounts, loans, rules) }

    // MARK: Entries

    package var hasChanges: Bool { entries.hasChanges }

    /// What changed since the last call, as `FundEntries` writes it. What is gone is forgotten here.
    package func drainChanges(into bytes: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>?) -> Void) {
        entries.drainChanges(into: bytes, body)
    }

    /// All entries. Only while nothing has changed since it was drained.
    package func forEachEntry(into bytes: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void) {
        entries.forEach(into: bytes, body)
    }

    /// Puts an entry back, or takes one back (`value` nil), into a store without operations of its own. False
    /// if the bytes are not of a store with these rules.
    package func restore(_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        entries.restore(key, value)
    }

    /// After the last entry.
    package func finishRestore() { loans.removeUnused() }
}
