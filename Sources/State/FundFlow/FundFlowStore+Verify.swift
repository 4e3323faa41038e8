import Base
import Records

/// One lot of an account.
package struct FundHolding: Equatable, Sendable {
    /// Nil: clean money.
    package var loan: [UInt8]?
    package var amount: Int64
    package var disbursed: Int64
    package var hop: Int
    package var path: FundPath
}

/// What is on the accounts, and the proof that nothing is lost.
extension FundFlowStore {
    /// The account's lots as of its last operation, the oldest first; none if it has no money that is known.
    package func holdings(of account: UnsafeBufferPointer<UInt8>) -> [FundHolding] {
        guard let start = account.baseAddress, let id = accounts.find(start, account.count) else {
            return rules.opening > 0 ? [Self.clean(rules.opening)] : []
        }
        let row = rows[Int(id)]
        guard row.book != 0 else { return row.clean > 0 ? [Self.clean(row.clean)] : [] }
        let book = books[Int(row.book) - 1]
        let lots = book.lots[book.head...].map { lot in
            FundHolding(
                loan: lot.isClean ? nil : loans.name(of: lot.loan), amount: lot.amount, disbursed: lot.disbursed,
                hop: Int(lot.hop), path: lot.path)
        }
        return rules.method == .proRata && row.clean > 0 ? [Self.clean(row.clean)] + lots : lots
    }

    private static func clean(_ amount: Int64) -> FundHolding {
        FundHolding(loan: nil, amount: amount, disbursed: 0, hop: 0, path: FundPath(bytes: []))
    }

    /// What this task saw of a loan. Kept until the loan is on no account here and `within` has passed since its
    /// newest disbursement, then part of `total` only.
    package func ledger(of loan: UnsafeBufferPointer<UInt8>) -> FundLedger {
        guard let start = loan.baseAddress, let id = loans.names.find(start, loan.count) else { return FundLedger() }
        return loans.rows[Int(id)].ledger
    }

    /// Of all loans that this task ever saw.
    package var total: FundLedger {
        var sum = loans.closed
        loans.names.forEach { sum += loans.rows[Int($0)].ledger }
        return sum
    }

    /// Counts every lot and compares: per loan with `held` of its ledger, per account with its sums. Nil, or what
    /// does not agree.
    package func verify() -> String? {
        var held = ContiguousArray<Int128>(repeating: 0, count: loans.names.idLimit)
        var lots = ContiguousArray<Int32>(repeating: 0, count: loans.names.idLimit)
        var mistake: String?
        var (count, bytes) = (0, 0)
        accounts.forEach { id in
            let row = rows[Int(id)]
            let name = String(decoding: accounts.key(of: id), as: UTF8.self)
            if row.clean < 0 { mistake = "\(name) has \(row.clean) of clean money" }
            guard row.book != 0 else { return }
            let book = books[Int(row.book) - 1]
            var (clean, tainted) = (Int64(0), Int64(0))
            for lot in book.lots[book.head...] {
                count += 1
                bytes += lot.path.bytes.count
                if lot.amount <= 0 { mistake = "\(name) has a lot of \(lot.amount)" }
                if lot.isClean {
                    clean += lot.amount
                } else {
                    tainted += lot.amount
                    held[Int(lot.loan)] += Int128(lot.amount)
                    lots[Int(lot.loan)] += 1
                    if rules.end(of: lot.disbursed) < book.end { mistake = "\(name) has a lot past its end" }
                }
            }
            if tainted != book.tainted || tainted <= 0 {
                mistake = "\(name) has \(tainted) tainted, not \(book.tainted)"
            }
            if clean != (rules.method == .fifo ? row.clean : 0) { mistake = "\(name) has \(clean), not \(row.clean)" }
            if book.count > rules.lots { mistake = "\(name) has \(book.count) lots" }
        }
        loans.names.forEach { id in
            let row = loans.rows[Int(id)]
            let name = String(decoding: loans.names.key(of: id), as: UTF8.self)
            if row.ledger.held != held[Int(id)] {
                mistake = "loan \(name): \(held[Int(id)]) on accounts, not \(row.ledger.held)"
            }
            if row.lots != lots[Int(id)] { mistake = "loan \(name): \(lots[Int(id)]) lots, not \(row.lots)" }
        }
        if count != lotCount || bytes != pathBytes { mistake = "\(count) lots, not \(lotCount)" }
        // Of a closed ledger nothing is on an account here.
        if loans.closed.held != 0 { mistake = "closed ledgers hold \(loans.closed.held)" }
        return mistake
    }
}
