import Base
import Glibc
import Records

/// Follows the money of loans over the accounts of one task. Pure: no clock, no I/O; the same operations in the same
/// order give the same parts and the same bytes.
///
/// **Accounts.** An account is a list of lots, in the order in which they came. A lot is an amount of clean money, or
/// of tainted money with its loan, the loan's time of disbursement, the number of transfers since and their path.
/// Clean money is one number where nothing on the account is tainted (and always under `proRata`, where its place
/// does not matter). An account that was never seen has `FundRules.opening` of clean money, and so has one that
/// nothing touched for longer than `within`: it is forgotten.
///
/// **Operations.** Each touches one account, since accounts are spread over tasks: `send` takes money and names its
/// parts, the caller brings them to the target's task, where `receive` puts them. Their order on an account, given by
/// the caller, is the order of its money; what one `receive` brings comes as the parts in their order, then the
/// clean rest. The caller leaves duplicates of a transfer out, and gives no time before the last `advance`.
///
/// **More is sent than is known.** All that is known is taken; the rest is clean money from before. Taint is never
/// more than what is on the account: `tainted <= balance`, and nothing becomes negative.
///
/// **Refunds** are transfers: taint goes back with one hop more, and the path names the account twice. A transfer to
/// the same account changes nothing.
///
/// **Taint ends** in two ways, counted for each loan. It *leaves* with a part of a transfer that goes outside, that
/// would be hop `hops + 1`, or that is below `least`, in that order; the target has that money as clean. It *expires* on
/// an account when `within` has passed since the disbursement: found at the account's next operation, or by `advance`.
///
/// **Bounds.** Lots that came one after the other and agree in everything are one lot. Over `FundRules.lots` per
/// account, lots of one loan are merged, neighbours first and the oldest of these: the merged lot has fewer hops and
/// the later disbursement of the two, so that nothing ends sooner, and what their paths have in common, then a gap.
/// If no two are of one loan, the oldest tainted lot leaves. Clean money above 2^63-1 units is not counted; of
/// tainted money what would be above that leaves.
///
/// Used by one thread.
package final class FundFlowStore {
    struct Row {
        /// All clean money of the account.
        var clean: Int64
        /// Newest event time of an operation.
        var touched: Int64
        /// Index of its lots plus 1; 0: nothing tainted.
        var book: Int32 = 0
        var isDirty = false
        /// What was drained last is not a removal.
        var isStored = false
    }

    struct Lot {
        var amount: Int64
        var disbursed: Int64
        /// `clean`: no loan.
        var loan: UInt32
        var hop: Int32
        var path: FundPath

        static let clean = UInt32.max
        var isClean: Bool { loan == Self.clean }

        static func clean(_ amount: Int64) -> Lot {
            Lot(amount: amount, disbursed: 0, loan: clean, hop: 0, path: FundPath(bytes: []))
        }
    }

    /// The lots of an account that has tainted ones. Clean lots are among them under `fifo` only.
    final class Book {
        var lots: ContiguousArray<Lot> = []
        /// Lots before this one are gone.
        var head = 0
        var tainted: Int64 = 0
        /// No lot expires before this time has passed.
        var end = Int64.max

        var count: Int { lots.count - head }
    }

    package let rules: FundRules
    let accounts = KeyTable(rowsMax: 1)
    var rows: UnsafeMutablePointer<Row>
    var rowsCapacity = 512
    var books: ContiguousArray<Book> = []
    var freeBooks: [Int32] = []
    let loans = FundLoans()
    let scratch = Arena(capacity: 2 * Limits.fundPathBytesMax)
    var dirty: [UInt32] = []
    var sweepDue: Int64?
    var lotCount = 0
    var pathBytes = 0

    /// Lots that were merged with another since the start, that left since no room could be made, and paths that lost
    /// their middle.
    package internal(set) var merged = 0
    package internal(set) var displaced = 0
    package internal(set) var shortened = 0

    package init(rules: FundRules) {
        self.rules = rules
        rows = .allocate(capacity: rowsCapacity)
    }

    deinit { rows.deallocate() }

    package var accountCount: Int { accounts.count }
    package var taintedCount: Int { books.count - freeBooks.count }

    package var memoryBytes: Int {
        accounts.memoryBytes + rowsCapacity * MemoryLayout<Row>.stride + loans.memoryBytes + dirty.capacity * 4
            + books.count * 128 + lotCount * (MemoryLayout<Lot>.stride + 32) + pathBytes
    }

    /// A loan is paid out to an account.
    package func disburse(
        _ account: UnsafeBufferPointer<UInt8>, loan: UnsafeBufferPointer<UInt8>, amount: Int64, time: Int64
    ) -> FundStatus {
        guard Self.isName(account), Self.isName(loan) else { return .malformed }
        guard amount > 0 else { return .notPositive }
        let id = open(account)
        touch(id, time)
        let loan = loans.intern(loan)
        loans.noteDirty(loan)
        loans.rows[Int(loan)].ledger.disbursed += Int128(amount)
        let path = FundPath(start: account, scratch: scratch)
        add(Lot(amount: amount, disbursed: time, loan: loan, hop: 0, path: path), to: id, at: time)
        return .done
    }

    /// A transfer takes money from its source. `toOutside`: money is not followed to the target.
    package func send(
        from source: UnsafeBufferPointer<UInt8>, to target: UnsafeBufferPointer<UInt8>, amount: Int64, time: Int64,
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
        if rows[id].book == 0 {
            let taken = min(amount, rows[id].clean)
            rows[id].clean -= taken
            result.unknown = amount - taken
        } else {
            take(
                Transfer(source: source, target: target, amount: amount, time: time, toOutside: toOutside), from: id,
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
        let id = open(account)
        touch(id, time)
        for part in parts where part.fate == .carried {
            let loan = loans.intern(part.loan)
            loans.noteDirty(loan)
            loans.rows[Int(loan)].ledger.received += Int128(part.amount)
            add(
                Lot(
                    amount: part.amount, disbursed: part.disbursed, loan: loan, hop: Int32(part.hop), path: part.path),
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
        accounts.forEach { id in
            let row = rows[Int(id)]
            guard row.book != 0 ? books[Int(row.book) - 1].end < watermark : rules.end(of: row.touched) < watermark
            else { return }
            noteDirty(Int(id))
            settle(Int(id), at: watermark)
        }
        loans.close(before: watermark, rules: rules)
    }

    package func removeAll() {
        accounts.forEach { accounts.remove($0) }
        loans.names.forEach { loans.names.remove($0) }
        loans.removeAll()
        books = []
        freeBooks = []
        dirty = []
        sweepDue = nil
        (lotCount, pathBytes) = (0, 0)
    }

    // MARK: Rows

    private static func isName(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bytes.count > 0 && bytes.count <= Limits.fundNameBytesMax
    }

    private static func same(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        guard left.count == right.count, let first = left.baseAddress, let second = right.baseAddress else {
            return false
        }
        return memcmp(first, second, left.count) == 0
    }

    func open(_ account: UnsafeBufferPointer<UInt8>) -> Int {
        guard let start = account.baseAddress else { unreachable("an account without a name") }
        let known = accounts.count
        let id = Int(accounts.intern(start, account.count))
        if accounts.count > known {
            if id >= rowsCapacity { growRows() }
            rows[id] = Row(clean: rules.opening, touched: .min)
        }
        return id
    }

    /// Nil for an account of which there is nothing to take.
    private func known(_ account: UnsafeBufferPointer<UInt8>) -> Int? {
        guard rules.opening == 0, let start = account.baseAddress else { return open(account) }
        return accounts.find(start, account.count).map { Int($0) }
    }

    @inline(__always)
    private func touch(_ id: Int, _ time: Int64) {
        noteDirty(id)
        settle(id, at: time)
        if time > rows[id].touched { rows[id].touched = time }
    }

    @inline(__always)
    func noteDirty(_ id: Int) {
        if rows[id].isDirty { return }
        rows[id].isDirty = true
        dirty.append(UInt32(id))
    }

    private func growRows() {
        let larger = UnsafeMutablePointer<Row>.allocate(capacity: rowsCapacity * 2)
        larger.update(from: rows, count: rowsCapacity)
        rows.deallocate()
        rows = larger
        rowsCapacity *= 2
    }
}
