import Base

/// Money that moves without a loan: settlements, suppliers, salaries, persons; and what no reader should
/// stumble on.
extension LibraryMoney {
    /// Days of ordinary business, by the balances that they leave.
    mutating func trade(_ sales: [[Int64]]) {
        var balances = Array(repeating: Int64(0), count: accounts.count)
        // What suppliers get out of loans, they spend like the rest.
        var loaned = Array(repeating: [Transfer](), count: options.days)
        for transfer in transfers where suppliers.contains(transfer.to) {
            let day = Int((transfer.time - LibraryOptions.start) / Marketplace.day)
            if day < options.days { loaned[day].append(transfer) }
        }
        for day in 0..<options.days {
            let morning = options.midnight(day) + 8 * Marketplace.hour
            for merchant in cast.shops.indices {
                if day > 0 { settle(merchant, sales[merchant][day - 1], morning, &balances) }
                spend(merchant, morning, &balances)
            }
            for supplier in suppliers {
                if below(2) == 0 { pay(supplier, makers, 600...900, morning, &balances) }
                if below(5) == 0 { paySalaries(supplier, morning, &balances) }
            }
            for maker in makers where below(5) == 0 { paySalaries(maker, morning, &balances) }
            for person in persons where below(10) < 4 {
                let time = morning + below(14 * Marketplace.hour)
                send(time, person, anyone(in: persons), draw(20...400) * 100, .card)
            }
            for transfer in loaned[day] { balances[transfer.to] += transfer.amount }
        }
    }

    /// A platform pays for yesterday's orders in two parts, less its fee.
    private mutating func settle(_ merchant: Int, _ sold: Int64, _ morning: Int64, _ balances: inout [Int64])
    {
        let account = Self.operatingAccount(of: merchant)
        let income = sold * 97 / 100
        send(morning + below(Marketplace.hour), Self.settlement, account, income * 6 / 10)
        send(morning + below(Marketplace.hour), Self.settlement, account, income * 4 / 10, .card)
        balances[account] += income
    }

    private mutating func spend(_ merchant: Int, _ morning: Int64, _ balances: inout [Int64]) {
        let account = Self.operatingAccount(of: merchant)
        guard balances[account] > 500_00 else { return }
        if below(10) < 7 {
            let target = supplier(of: merchant, Int(below(3)))
            let amount = balances[account] * draw(600...900) / 1000
            send(morning + draw(3...10) * Marketplace.hour + below(Marketplace.hour), account, target, amount)
            balances[account] -= amount
            balances[target] += amount
        }
        if below(7) == 0 { paySalaries(account, morning, &balances) }
    }

    private mutating func pay(
        _ account: Int,
        _ targets: Range<Int>,
        _ share: ClosedRange<Int64>,
        _ morning: Int64,
        _ balances: inout [Int64]
    ) {
        guard balances[account] > 1000_00 else { return }
        let target = anyone(in: targets)
        let amount = balances[account] * draw(share) / 1000
        send(morning + draw(2...10) * Marketplace.hour + below(Marketplace.hour), account, target, amount)
        balances[account] -= amount
        balances[target] += amount
    }

    /// Up to three salaries in one batch, that is at one millisecond: 1 % of what is there, 1,500 at most.
    private mutating func paySalaries(_ account: Int, _ morning: Int64, _ balances: inout [Int64]) {
        let time = morning + draw(1...9) * Marketplace.hour + below(Marketplace.hour)
        for _ in 0..<draw(1...3) {
            let amount = min(balances[account] * 10 / 1000, 1500_00)
            guard amount >= 20_00 else { return }
            send(time, account, anyone(in: persons), amount)
            balances[account] -= amount
        }
    }

    /// Transfers that no case needs and every reader must bear: to the same account, in and out at one
    /// millisecond, from and to accounts that nobody knows, more than there is.
    mutating func addOddities() {
        let borrowers = Set(loans.map(\.merchant))
        let others = cast.shops.indices.filter { !borrowers.contains($0) }
        for number in 0..<24 {
            let time = options.midnight(5 + number) + 12 * Marketplace.hour + below(Marketplace.hour)
            let account = Self.operatingAccount(of: others[number * 3 % others.count])
            let unknown = Self.unknownAccount + number % 5
            switch number % 4 {
            case 0: send(time, account, account, 1000_00)
            case 1:
                send(time, unknown, account, 800_00)
                send(time, account, unknown, 800_00)
            case 2:
                send(time, account, unknown, 450_00)
                send(time + Marketplace.hour, unknown, anyone(in: persons), 300_00, .card)
            default: send(time, account, anyone(in: suppliers), 60_000_00)
            }
        }
        // A borrower moves a part of its loan to where it is.
        for loan in loans.prefix(2) {
            send(loan.time + 15 * 60_000, loan.account, loan.account, loan.amount / 10)
        }
    }
}
