import Base

/// How the money of loans is spent: each case, and then the suppliers.
extension LibraryMoney {
    private static let minute: Int64 = 60_000

    mutating func spendLoans() {
        var free = Array(loans.indices)
        for index in free.indices.dropFirst() { free.swapAt(index, Int(below(Int64(index) + 1))) }
        for rule in LibraryLabel.Rule.ofLoans {
            for number in 0..<options.planted + options.nearMisses {
                guard let loan = free.popLast() else { continue }
                let isNearMiss = number >= options.planted
                let left = plant(rule, isNearMiss ? number - options.planted : number, loan, isNearMiss)
                paySuppliers(loan, left)
                let to = rule == .unrelatedTransfer ? loans[loan].time + Marketplace.day : options.end
                labels.append(
                    LibraryLabel(
                        rule: rule,
                        key: .loan(loan + 1),
                        isNearMiss: isNearMiss,
                        from: loans[loan].time,
                        to: to
                    )
                )
            }
        }
        for loan in free { paySuppliers(loan, loans[loan].amount) }
    }

    /// Spends what the case needs; what is left of the loan.
    private mutating func plant(_ rule: LibraryLabel.Rule, _ number: Int, _ loan: Int, _ isNearMiss: Bool)
        -> Int64
    {
        switch rule {
        case .divertedShare: divert(loan, number, isNearMiss)
        case .unrelatedTransfer: payUnrelated(loan, number, isNearMiss)
        case .roundTrip: circle(loan, number, isNearMiss)
        default: cashOut(loan, number, isNearMiss)
        }
    }

    /// Share of a loan that goes from companies to persons and brokers: too much is 30 %. Planted are 55 to
    /// 70 % over 1 to 3 hops in pieces below 40,000; near misses 6 to 8 % in small payments, or 12 % to the
    /// owner.
    private mutating func divert(_ loan: Int, _ number: Int, _ isNearMiss: Bool) -> Int64 {
        let amount = loans[loan].amount
        var time = loans[loan].time + draw(10...120) * Self.minute
        if isNearMiss {
            let isSmall = number % 2 == 0
            let pieces: Int64 = isSmall ? 6 : 2
            let each = amount * (isSmall ? draw(10...13) : 60) / 1000
            for _ in 0..<pieces {
                send(time, loans[loan].account, isSmall ? anyone(in: persons) : ownerAccounts[loan], each)
                time += draw(60...400) * Self.minute
            }
            return amount - pieces * each
        }
        let moved = amount * draw(550...700) / 1000
        var source = loans[loan].account
        for company in 0..<number % 3 { hand(moved, &source, to: company, of: loan, &time) }
        let nominees = [
            ownerAccounts[loan], open("nominee \(loan + 1)", .personal, since: time - Marketplace.day),
        ]
        let pieces = moved / 35_000_00 + 1
        for piece in 0..<pieces {
            let target = number % 3 == 0 ? nominees[Int(piece) % 2] : nominees[1]
            send(time, source, target, moved / pieces)
            // The last hop of the longest: on to a broker, a part at a time.
            if number % 3 == 2 {
                send(time + 5 * Self.minute, target, anyone(in: brokers), moved / pieces - 50_00)
            }
            time += draw(20...90) * Self.minute
        }
        return amount - moved
    }

    /// One transfer to a person or broker who is not the borrower's: too much is 50,000. Planted are 60,000
    /// to 75,000; near misses 38,000 to 42,000, or 90,000 to a supplier. The loans are large, so that the
    /// share says nothing.
    private mutating func payUnrelated(_ loan: Int, _ number: Int, _ isNearMiss: Bool) -> Int64 {
        setAmount(loan, draw(450...550) * 1000_00)
        let time = loans[loan].time + draw(5...180) * Self.minute
        let amount: Int64
        let target: Int
        if isNearMiss {
            let isSmall = number % 2 == 0
            amount = isSmall ? draw(38_000...42_000) * 100 : 90_000_00
            target = isSmall ? anyone(in: persons) : supplier(of: loans[loan].merchant, 0)
        } else {
            amount = draw(60_000...75_000) * 100
            target = anyone(in: number % 3 == 2 ? brokers : persons)
        }
        send(time, loans[loan].account, target, amount)
        return loans[loan].amount - amount
    }

    /// Share of a loan that comes back to its borrower by way of others: too much is 20 %. Planted are 55 to
    /// 70 % over 1 to 3 companies within days; near misses a supplier's refund of 8 %, or the same way to
    /// somebody else.
    private mutating func circle(_ loan: Int, _ number: Int, _ isNearMiss: Bool) -> Int64 {
        let amount = loans[loan].amount
        var time = loans[loan].time + draw(30...300) * Self.minute
        if isNearMiss, number % 2 == 0 {
            let paid = amount * 40 / 100
            let supplier = supplier(of: loans[loan].merchant, 0)
            send(time, loans[loan].account, supplier, paid)
            send(time + 2 * Marketplace.day, supplier, loans[loan].account, amount * 8 / 100)
            return amount - paid
        }
        let moved = amount * draw(550...700) / 1000
        var source = loans[loan].account
        for company in 0...number % 3 { hand(moved, &source, to: company, of: loan, &time) }
        let other = open("company \(loan + 1)", .operating, since: time - 5 * Marketplace.day)
        // The last company keeps a fee.
        send(time, source, isNearMiss ? other : secondAccounts[loan], moved - moved / 50)
        return amount - moved
    }

    /// Share of a loan that is taken as cash: too much is 20 %. Planted are 45 to 60 % in pieces, one by way
    /// of another company; near misses 3 % of petty cash, or 8 %.
    private mutating func cashOut(_ loan: Int, _ number: Int, _ isNearMiss: Bool) -> Int64 {
        let amount = loans[loan].amount
        var time = loans[loan].time + draw(20...200) * Self.minute
        let taken = amount * (isNearMiss ? (number % 2 == 0 ? 30 : 80) : draw(450...600)) / 1000
        var source = loans[loan].account
        if !isNearMiss, number % 3 == 2 { hand(taken, &source, to: 0, of: loan, &time) }
        let pieces = isNearMiss ? 3 : taken / 18_000_00 + 1
        for _ in 0..<pieces {
            send(time, source, anyone(in: cashDesks), taken / pieces, .cash)
            time += draw(30...150) * Self.minute
        }
        return amount - taken
    }

    /// Hands `amount` from `source` on to a company that does nothing else, hours later.
    private mutating func hand(
        _ amount: Int64,
        _ source: inout Int,
        to company: Int,
        of loan: Int,
        _ time: inout Int64
    ) {
        let since = loans[loan].time - 3 * Marketplace.day
        let next = open("shell \(loan + 1)-\(company + 1)", .operating, since: since)
        send(time, source, next, amount)
        source = next
        time += draw(2...20) * Marketplace.hour
    }

    /// What is left of a loan goes to suppliers over 12 days; a tenth of it stays.
    private mutating func paySuppliers(_ loan: Int, _ left: Int64) {
        let payments = draw(6...9)
        for number in 0..<payments {
            let day = 12 * Marketplace.day * number / payments
            let time = loans[loan].time + 4 * Marketplace.hour + day + below(20 * Marketplace.hour)
            guard time < options.end else { return }
            let target = supplier(of: loans[loan].merchant, Int(number))
            send(time, loans[loan].account, target, left * 9 / 10 / payments)
        }
    }

    /// One of a merchant's three suppliers.
    func supplier(of merchant: Int, _ number: Int) -> Int {
        suppliers.lowerBound + (merchant * 7 + number % 3 * 11) % suppliers.count
    }

    mutating func anyone(in accounts: Range<Int>) -> Int {
        accounts.lowerBound + Int(below(Int64(accounts.count)))
    }

    mutating func send(_ time: Int64, _ from: Int, _ to: Int, _ amount: Int64, _ channel: Channel = .bank) {
        guard amount > 0 else { return }
        transfers.append(Transfer(time: time, from: from, to: to, amount: amount, channel: channel))
    }
}
