import Base
import Records

/// What ends on an account without a transfer: time passes, or there are too many lots. Counts what that
/// costs.
final class FundRoom {
    private let rules: FundRules
    private let accounts: FundAccounts
    private let loans: FundLoans
    private let scratch = Arena(capacity: 2 * Limits.fundPathBytesMax)
    /// Lots that were merged with another, and that left since no room could be made.
    private(set) var merged = 0
    private(set) var displaced = 0

    init(_ rules: FundRules, _ accounts: FundAccounts, _ loans: FundLoans) {
        self.rules = rules
        self.accounts = accounts
        self.loans = loans
    }

    /// What an operation at `time` finds: tainted lots whose time is over are clean, and an account that
    /// nothing touched for too long is as it was at first.
    @inline(__always)
    func settle(_ id: Int, at time: Int64) {
        if accounts.rows[id].book != 0, accounts.book(id).end < time { expire(id, time) }
        if accounts.rows[id].book == 0, accounts.rows[id].touched != .min,
            rules.end(of: accounts.rows[id].touched) < time
        {
            accounts.rows[id].clean = rules.opening
        }
    }

    private func expire(_ id: Int, _ time: Int64) {
        let book = accounts.book(id)
        var kept = book.head
        book.end = .max
        for index in book.head..<book.lots.count {
            var lot = book.lots[index]
            if !lot.isClean {
                let end = rules.end(of: lot.disbursed)
                if end < time {
                    loans.noteDirty(lot.loan)
                    loans.rows[Int(lot.loan)].ledger.expired += Int128(lot.amount)
                    lot = clear(lot, book, id)
                } else {
                    book.end = min(book.end, end)
                }
            }
            kept = put(lot, at: kept, book)
        }
        book.lots.removeLast(book.lots.count - kept)
        if book.tainted == 0 { accounts.close(id, loans) }
    }

    /// A tainted lot becomes clean.
    private func clear(_ lot: FundLot, _ book: FundBook, _ id: Int) -> FundLot {
        loans.drop(lot)
        book.tainted -= lot.amount
        let added = min(lot.amount, Int64.max - accounts.rows[id].clean)
        accounts.rows[id].clean += added
        let cleared = FundLot.clean(rules.method == .fifo ? added : 0)
        loans.keep(cleared)
        return cleared
    }

    /// Puts a lot behind the `end` first ones, of which the last may take it up; gives the new end.
    private func put(_ lot: FundLot, at end: Int, _ book: FundBook) -> Int {
        if lot.isClean, lot.amount == 0 || end > book.head && book.lots[end - 1].isClean {
            loans.drop(lot)
            if lot.amount > 0 { book.lots[end - 1].amount += lot.amount }
            return end
        }
        book.lots[end] = lot
        return end + 1
    }

    /// A lot for which there is no room among what can be counted leaves.
    func overflow(_ lot: FundLot) {
        displaced += 1
        loans.rows[Int(lot.loan)].ledger.left += Int128(lot.amount)
    }

    /// Merges lots, or lets taint leave, until the account has no more of them than it may.
    func makeRoom(_ book: FundBook, _ id: Int) {
        while book.count > rules.lots {
            if let (older, younger) = pair(in: book) {
                merge(younger, into: older, book, id)
            } else {
                displace(book, id)
            }
        }
    }

    /// The oldest neighbours of one loan; if there are none, the oldest lot that has one of its kind before
    /// it, and the nearest such one. Clean lots are of one kind.
    private func pair(in book: FundBook) -> (older: Int, younger: Int)? {
        let lots = book.lots
        for index in book.head + 1..<lots.count where lots[index].loan == lots[index - 1].loan {
            return (index - 1, index)
        }
        var found: (older: Int, younger: Int)?
        var clean = -1
        var seen = book.head
        while seen < lots.count, found == nil {
            let loan = lots[seen].loan
            let before = loan == FundLot.clean ? clean : Int(loans.rows[Int(loan)].position)
            if before >= 0 { found = (before, seen) }
            if loan == FundLot.clean { clean = seen } else { loans.rows[Int(loan)].position = Int32(seen) }
            seen += 1
        }
        for index in book.head..<seen where !lots[index].isClean {
            loans.rows[Int(lots[index].loan)].position = -1
        }
        return found
    }

    private func merge(_ younger: Int, into older: Int, _ book: FundBook, _ id: Int) {
        let (first, second) = (book.lots[older], book.lots[younger])
        loans.drop(first)
        loans.drop(second)
        var lot = first
        lot.amount += second.amount
        if !lot.isClean {
            merged += 1
            lot.hop = min(first.hop, second.hop)
            lot.disbursed = max(first.disbursed, second.disbursed)
            lot.path = first.path.merged(
                second.path,
                at: accounts.names.key(of: UInt32(id)),
                scratch: scratch
            )
        }
        loans.keep(lot)
        book.lots[older] = lot
        book.lots.remove(at: younger)
    }

    /// The oldest tainted lot leaves, and is clean money in its place.
    private func displace(_ book: FundBook, _ id: Int) {
        guard let index = book.lots[book.head...].firstIndex(where: { !$0.isClean }) else { return }
        displaced += 1
        let lot = book.lots[index]
        loans.noteDirty(lot.loan)
        loans.rows[Int(lot.loan)].ledger.left += Int128(lot.amount)
        let cleared = clear(lot, book, id)
        var kept = index
        kept = put(cleared, at: kept, book)
        for next in index + 1..<book.lots.count { kept = put(book.lots[next], at: kept, book) }
        book.lots.removeLast(book.lots.count - kept)
    }
}
