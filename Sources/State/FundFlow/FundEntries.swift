import Base
import Records

/// A task's fund flow as entries, for a changelog and for snapshots: one for each account, one for each
/// loan's ledger, and one for the ledgers that were closed. Keys begin with a byte that says which.
///
/// An account's entry holds all its lots, so that any entry alone says how the account is.
struct FundEntries {
    private enum Entry: UInt8 { case closed, loan, account }

    private let rules: FundRules
    private let accounts: FundAccounts
    private let loans: FundLoans

    init(_ rules: FundRules, _ accounts: FundAccounts, _ loans: FundLoans) {
        self.rules = rules
        self.accounts = accounts
        self.loans = loans
    }

    var hasChanges: Bool { !accounts.dirty.isEmpty || !loans.dirty.isEmpty || loans.closedIsDirty }

    /// Appends every entry that changed since the last call to `bytes` and calls `body` with where its key
    /// and its value stand there; no value: the entry is gone. What is gone is forgotten here.
    func drainChanges(into bytes: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>?) -> Void) {
        if loans.closedIsDirty {
            let key = appendKey(.closed, nil, to: bytes)
            loans.closed.append(to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
        loans.drain { id, isGone in
            let key = appendKey(.loan, loans.names.key(of: id), to: bytes)
            if isGone { return body(key, nil) }
            write(loan: id, to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
        accounts.drain(opening: rules.opening) { id, row, isGone in
            let key = appendKey(.account, accounts.names.key(of: id), to: bytes)
            if isGone { return body(key, nil) }
            write(account: row, to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
    }

    /// All entries, in an order that depends on the operations alone. `body` may empty `bytes`. Only while
    /// nothing has changed since it was drained.
    func forEach(into bytes: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void) {
        require(!hasChanges, "a snapshot between commits")
        if loans.closed != FundLedger() {
            let key = appendKey(.closed, nil, to: bytes)
            loans.closed.append(to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
        loans.names.forEach { id in
            let key = appendKey(.loan, loans.names.key(of: id), to: bytes)
            write(loan: id, to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
        accounts.names.forEach { id in
            let key = appendKey(.account, accounts.names.key(of: id), to: bytes)
            write(account: accounts.rows[Int(id)], to: bytes)
            body(key, key.upperBound..<bytes.count)
        }
    }

    private func appendKey(_ entry: Entry, _ name: UnsafeBufferPointer<UInt8>?, to bytes: Arena) -> Range<Int>
    {
        let start = bytes.count
        bytes.appendByte(entry.rawValue)
        if let name, let base = name.baseAddress { _ = bytes.append(base, name.count) }
        return start..<bytes.count
    }

    private func write(loan id: UInt32, to bytes: Arena) {
        bytes.appendZigzag(loans.rows[Int(id)].newest)
        loans.rows[Int(id)].ledger.append(to: bytes)
    }

    /// Clean money, newest event time, how many lots; of each: loan (empty: clean), amount, and for tainted
    /// ones disbursement, hop and path.
    private func write(account row: FundAccounts.Row, to bytes: Arena) {
        bytes.appendZigzag(row.clean)
        bytes.appendZigzag(row.touched)
        guard row.book != 0 else { return bytes.appendVarint(0) }
        let book = accounts.book(row)
        bytes.appendVarint(UInt64(book.count))
        for index in book.head..<book.lots.count {
            let lot = book.lots[index]
            if lot.isClean {
                bytes.appendVarint(0)
                bytes.appendZigzag(lot.amount)
                continue
            }
            bytes.appendBlob(loans.names.key(of: lot.loan))
            bytes.appendZigzag(lot.amount)
            bytes.appendZigzag(lot.disbursed)
            bytes.appendVarint(UInt64(lot.hop))
            lot.path.bytes.withUnsafeBufferPointer { bytes.appendBlob($0) }
        }
    }

    // MARK: Restoring

    /// Puts an entry back, or takes one back (`value` nil), into a store without operations of its own. Of
    /// each key the newest entry counts; the order of keys does not matter. `FundLoans.removeUnused` comes
    /// after the last. False if the bytes are not of a store with these rules.
    func restore(_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        guard let tag = key.first, let entry = Entry(rawValue: tag) else { return false }
        let name = UnsafeBufferPointer(rebasing: key[1...])
        guard entry == .closed ? name.isEmpty : 1...Limits.fundNameBytesMax ~= name.count else {
            return false
        }
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        switch entry {
        case .closed:
            loans.closed = value == nil ? FundLedger() : FundLedger(&reader)
        case .loan:
            let id = Int(loans.intern(name))
            loans.rows[id].newest = value == nil ? .min : reader.zigzag()
            loans.rows[id].ledger = value == nil ? FundLedger() : FundLedger(&reader)
            loans.rows[id].isStored = value != nil
        case .account:
            let id = accounts.open(name, opening: rules.opening)
            if accounts.rows[id].book != 0 { accounts.close(id, loans) }
            guard value != nil else {
                accounts.names.remove(UInt32(id))
                return true
            }
            accounts.rows[id].isStored = true
            return readAccount(id, &reader) && reader.isValid && reader.isAtEnd
        }
        return reader.isValid && reader.isAtEnd
    }

    private func readAccount(_ id: Int, _ reader: inout BinaryReader) -> Bool {
        accounts.rows[id].clean = reader.zigzag()
        accounts.rows[id].touched = reader.zigzag()
        let count = reader.count(below: Limits.fundLotsPerAccountMax + 1)
        guard reader.isValid, accounts.rows[id].clean >= 0 else { return false }
        guard count > 0 else { return true }
        let book = accounts.newBook(of: id)
        var clean: Int64 = 0
        for _ in 0..<count {
            let name = reader.blob()
            let amount = reader.zigzag()
            guard reader.isValid, amount > 0, name.count <= Limits.fundNameBytesMax else { return false }
            if name.isEmpty {
                guard amount <= accounts.rows[id].clean - clean else { return false }
                clean += amount
                loans.keep(.clean(amount))
                book.lots.append(.clean(amount))
                continue
            }
            let disbursed = reader.zigzag()
            let hop = reader.count(below: Limits.fundHopsMax + 1)
            let path = FundPath(bytes: Array(reader.blob()))
            guard reader.isValid, path.isWellFormed, amount <= Int64.max - book.tainted else { return false }
            let lot = FundLot(
                amount: amount,
                disbursed: disbursed,
                loan: loans.intern(name),
                hop: Int32(hop),
                path: path
            )
            loans.keep(lot)
            book.lots.append(lot)
            book.tainted += amount
            book.end = min(book.end, rules.end(of: disbursed))
        }
        return book.tainted > 0 && clean == (rules.method == .fifo ? accounts.rows[id].clean : 0)
    }
}
