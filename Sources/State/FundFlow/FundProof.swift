import Base
import Records

/// The proof that no money is lost.
enum FundProof {
    /// Counts every lot and compares: per loan with `held` of its ledger, per account with its sums. Nil, or
    /// what does not agree.
    static func mistake(in accounts: FundAccounts, _ loans: FundLoans, _ rules: FundRules) -> String? {
        var held = ContiguousArray<Int128>(repeating: 0, count: loans.names.idLimit)
        var lots = ContiguousArray<Int32>(repeating: 0, count: loans.names.idLimit)
        var mistake: String?
        var (count, bytes) = (0, 0)
        accounts.names.forEach { id in
            let row = accounts.rows[Int(id)]
            let name = String(decoding: accounts.names.key(of: id), as: UTF8.self)
            if row.clean < 0 { mistake = "\(name) has \(row.clean) of clean money" }
            guard row.book != 0 else { return }
            let book = accounts.book(row)
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
            if clean != (rules.method == .fifo ? row.clean : 0) {
                mistake = "\(name) has \(clean), not \(row.clean)"
            }
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
        if count != loans.lotCount || bytes != loans.pathBytes {
            mistake = "\(count) lots, not \(loans.lotCount)"
        }
        // Of a closed ledger nothing is on an account here.
        if loans.closed.held != 0 { mistake = "closed ledgers hold \(loans.closed.held)" }
        return mistake
    }
}
