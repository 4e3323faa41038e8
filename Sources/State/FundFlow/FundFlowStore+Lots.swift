import Base
import Records

/// Lots come, are split, expire and are merged.
extension FundFlowStore {
    struct Transfer {
        var source: UnsafeBufferPointer<UInt8>
        var target: UnsafeBufferPointer<UInt8>
        var amount: Int64
        var time: Int64
        var toOutside: Bool
    }

    // MARK: Taking

    func take(_ transfer: Transfer, from id: Int, into send: inout FundSend) {
        let book = books[Int(rows[id].book) - 1]
        switch rules.method {
        case .fifo: takeOldest(transfer, book, id, into: &send)
        case .proRata: takeShares(transfer, book, id, into: &send)
        }
        if book.tainted == 0 { close(book, of: id) }
    }

    private func takeOldest(_ transfer: Transfer, _ book: Book, _ id: Int, into send: inout FundSend) {
        var rest = transfer.amount
        while rest > 0, book.head < book.lots.count {
            let lot = book.lots[book.head]
            let taken = min(rest, lot.amount)
            rest -= taken
            if lot.isClean {
                rows[id].clean -= taken
            } else {
                book.tainted -= taken
                carry(lot, taken, transfer, into: &send)
            }
            if taken < lot.amount {
                book.lots[book.head].amount -= taken
            } else {
                drop(lot)
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

    private func takeShares(_ transfer: Transfer, _ book: Book, _ id: Int, into send: inout FundSend) {
        let balance = UInt64(rows[id].clean) + UInt64(book.tainted)
        let amount = min(UInt64(transfer.amount), balance)
        send.unknown = transfer.amount - Int64(amount)
        /// amount x sum / balance. Neither factor is above the balance, nor then is the quotient.
        func share(_ sum: UInt64) -> UInt64 {
            balance.dividingFullWidth(amount.multipliedFullWidth(by: sum)).quotient
        }
        var sum = UInt64(rows[id].clean)
        var given = share(sum)
        rows[id].clean -= Int64(given)
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
                drop(lot)
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
    private func carry(_ lot: Lot, _ amount: Int64, _ transfer: Transfer, into send: inout FundSend) {
        loans.noteDirty(lot.loan)
        let hop = Int(lot.hop) + 1
        let fate: FundFate =
            transfer.toOutside ? .outside : hop > rules.hops ? .hops : amount < rules.least ? .small : .carried
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
                loan: loans.name(of: lot.loan), amount: amount, disbursed: lot.disbursed, hop: hop, fate: fate,
                path: path))
    }

    // MARK: Coming

    /// Tainted money comes to an account.
    func add(_ lot: Lot, to id: Int, at time: Int64) {
        let loan = Int(lot.loan)
        loans.rows[loan].newest = max(loans.rows[loan].newest, lot.disbursed)
        guard rules.end(of: lot.disbursed) >= time else {
            loans.rows[loan].ledger.expired += Int128(lot.amount)
            return addClean(lot.amount, to: id)
        }
        let book = openBook(of: id)
        guard book.tainted <= Int64.max - lot.amount else {
            displaced += 1
            loans.rows[loan].ledger.left += Int128(lot.amount)
            return addClean(lot.amount, to: id)
        }
        book.tainted += lot.amount
        book.end = min(book.end, rules.end(of: lot.disbursed))
        if let last = book.lots.last, book.count > 0, last.loan == lot.loan, last.disbursed == lot.disbursed,
            last.hop == lot.hop, last.path == lot.path
        {
            book.lots[book.lots.count - 1].amount += lot.amount
        } else {
            keep(lot)
            book.lots.append(lot)
            if book.count > rules.lots { makeRoom(book, id) }
        }
    }

    func addClean(_ amount: Int64, to id: Int) {
        let added = min(amount, Int64.max - rows[id].clean)
        rows[id].clean += added
        guard rules.method == .fifo, rows[id].book != 0, added > 0 else { return }
        let book = books[Int(rows[id].book) - 1]
        if let last = book.lots.last, book.count > 0, last.isClean {
            book.lots[book.lots.count - 1].amount += added
        } else {
            keep(.clean(added))
            book.lots.append(.clean(added))
            if book.count > rules.lots { makeRoom(book, id) }
        }
    }

    private func openBook(of id: Int) -> Book {
        if rows[id].book != 0 { return books[Int(rows[id].book) - 1] }
        let book = newBook(of: id)
        if rules.method == .fifo, rows[id].clean > 0 {
            keep(.clean(rows[id].clean))
            book.lots.append(.clean(rows[id].clean))
        }
        return book
    }

    func newBook(of id: Int) -> Book {
        let book = Book()
        if let free = freeBooks.popLast() {
            books[Int(free)] = book
            rows[id].book = free + 1
        } else {
            books.append(book)
            rows[id].book = Int32(books.count)
        }
        return book
    }

    /// Nothing on the account is tainted any more.
    func close(_ book: Book, of id: Int) {
        for index in book.head..<book.lots.count { drop(book.lots[index]) }
        book.lots = []
        freeBooks.append(rows[id].book - 1)
        rows[id].book = 0
    }

    func keep(_ lot: Lot) {
        lotCount += 1
        pathBytes += lot.path.bytes.count
        if !lot.isClean { loans.rows[Int(lot.loan)].lots += 1 }
    }

    func drop(_ lot: Lot) {
        lotCount -= 1
        pathBytes -= lot.path.bytes.count
        if !lot.isClean { loans.rows[Int(lot.loan)].lots -= 1 }
    }
}
