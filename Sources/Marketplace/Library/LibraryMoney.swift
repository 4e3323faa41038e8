import Base

/// Loans, the accounts that money moves between, and the transfers. Business as usual flows one way: the
/// platforms settle with merchants, who pay suppliers, who pay makers; salaries go to persons, who pay each
/// other. Money of a loan comes back to its borrower only where that is planted.
struct LibraryMoney {
    enum AccountKind: String { case operating, personal, broker, cash }
    enum Channel: String { case bank, cash, card }

    struct Account {
        var owner: String
        var kind: AccountKind
        /// The merchant it belongs to, by index; -1: none.
        var related: Int
        var since: Int64
    }

    struct Loan {
        var merchant: Int
        var account: Int
        var amount: Int64
        var purpose: String
        var time: Int64
    }

    struct Transfer {
        var time: Int64
        /// Indices of accounts; above `unknownAccount`: one that the table does not know.
        var from: Int
        var to: Int
        /// Cents.
        var amount: Int64
        var channel: Channel
    }

    /// A900001 and on are not in accounts.jsonl.
    static let unknownAccount = 900_000
    static let settlement = 0
    private static let purposes = ["stock", "equipment", "advertising", "payroll"]

    let options: LibraryOptions
    let cast: LibraryCast
    var random: SplitMix64
    private(set) var accounts: [Account] = []
    private(set) var loans: [Loan] = []
    var transfers: [Transfer] = []
    var labels: [LibraryLabel] = []
    // Ranges of `accounts`.
    private(set) var suppliers = 0..<0
    private(set) var makers = 0..<0
    private(set) var persons = 0..<0
    private(set) var cashDesks = 0..<0
    private(set) var brokers = 0..<0
    /// By loan: the borrower's second account, and the owner's own.
    private(set) var secondAccounts: [Int] = []
    private(set) var ownerAccounts: [Int] = []

    init(_ options: LibraryOptions, _ cast: LibraryCast, sales: [[Int64]]) {
        self.options = options
        self.cast = cast
        random = options.random(.money)
        openAccounts()
        makeLoans()
        spendLoans()
        random = options.random(.transfers)
        trade(sales)
        addOddities()
    }

    mutating func below(_ bound: Int64) -> Int64 { Int64(Marketplace.below(UInt64(bound), random.next())) }
    mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    static func operatingAccount(of merchant: Int) -> Int { 1 + merchant }

    /// Opens an account; its index.
    mutating func open(_ owner: String, _ kind: AccountKind, related: Int = -1, since: Int64? = nil) -> Int {
        let age = Marketplace.hour + below(20 * Marketplace.day)
        accounts.append(
            Account(owner: owner, kind: kind, related: related, since: since ?? LibraryOptions.start - age))
        return accounts.count - 1
    }

    mutating func open(_ count: Int, _ kind: AccountKind, _ owner: String) -> Range<Int> {
        let first = accounts.count
        for number in 1...count { _ = open("\(owner) \(number)", kind) }
        return first..<accounts.count
    }

    private mutating func openAccounts() {
        _ = open("platform settlement", .operating)
        for (merchant, shop) in cast.shops.enumerated() {
            _ = open(TradeDocuments.company(merchant, shop), .operating, related: merchant)
        }
        let merchants = cast.shops.count
        suppliers = open(merchants * 3 / 10, .operating, "supplier")
        makers = open(merchants / 10, .operating, "maker")
        persons = open(merchants / 2, .personal, "person")
        brokers = open(5, .broker, "securities")
        cashDesks = open(5, .cash, "cash desk")
    }

    /// 60 loans for 200 merchants, one each, in the order of their time.
    private mutating func makeLoans() {
        var borrowers = Array(cast.shops.indices.filter { cast.shops[$0].firstDay == 0 })
        for index in borrowers.indices.dropFirst() { borrowers.swapAt(index, Int(below(Int64(index) + 1))) }
        let cases = LibraryLabel.Rule.ofLoans.count * (options.planted + options.nearMisses)
        let count = max(cast.shops.count * 3 / 10, cases)
        borrowers.removeLast(max(borrowers.count - count, 0))
        var times = borrowers.map { _ in
            // Office hours, from when a case has its days to when its days still fit.
            let day =
                LibraryOptions.firstPlantDay
                + Int(below(Int64(options.days - LibraryOptions.firstPlantDay - 9)))
            return options.midnight(day) + 10 * Marketplace.hour + below(6 * Marketplace.hour)
        }
        times.sort()
        for (merchant, time) in zip(borrowers, times) {
            loans.append(
                Loan(
                    merchant: merchant,
                    account: Self.operatingAccount(of: merchant),
                    amount: draw(150...300) * 1000_00,
                    purpose: Self.purposes[Int(below(4))],
                    time: time
                )
            )
            let company = TradeDocuments.company(merchant, cast.shops[merchant])
            secondAccounts.append(open(company, .operating, related: merchant))
            ownerAccounts.append(open("owner of M\(merchant + 1)", .personal, related: merchant))
        }
    }

    /// Changes a loan's amount to what its case needs.
    mutating func setAmount(_ loan: Int, _ amount: Int64) { loans[loan].amount = amount }

    /// Writes loans.jsonl, accounts.jsonl and transfers.jsonl.
    func write(to folder: inout LibraryFolder) throws(Fault) {
        try folder.write("loans", times: loans.map(\.time)) { index, line in
            let loan = loans[index]
            line.id("loan_id", "L", index + 1)
            line.merchant("merchant_id", loan.merchant)
            line.id("account", "A", loan.account + 1)
            line.money("amount", cents: loan.amount)
            line.text("purpose", loan.purpose)
            line.time("event_time", loan.time)
        }
        try folder.write("accounts", times: accounts.map(\.since), isTable: true) { index, line in
            let account = accounts[index]
            line.id("account", "A", index + 1)
            line.text("owner", account.owner)
            line.text("kind", account.kind.rawValue)
            if account.related >= 0 {
                line.merchant("related", account.related)
            } else {
                line.null("related")
            }
            line.time("since", account.since)
        }
        let order = transfers.indices.sorted {
            transfers[$0].time != transfers[$1].time ? transfers[$0].time < transfers[$1].time : $0 < $1
        }
        try folder.write("transfers", times: order.map { transfers[$0].time }) { index, line in
            let transfer = transfers[order[index]]
            line.id("transfer_id", "T", index + 1, digits: 8)
            line.id("from_account", "A", transfer.from + 1)
            line.id("to_account", "A", transfer.to + 1)
            line.money("amount", cents: transfer.amount)
            line.text("channel", transfer.channel.rawValue)
            line.time("event_time", transfer.time)
        }
    }
}
