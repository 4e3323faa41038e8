import Base

/// What others say of the trade: customs, carriers, the registry, the tax office.
struct TradeDocuments {
    static let ordinaryIndustries = 10
    /// Ordinary ones first; then those that banks do not lend to, and one of a similar name.
    static let industries = [
        "clothing", "cosmetics", "electronics", "furniture", "groceries", "household goods", "shoes",
        "sporting goods",
        "stationery", "toys", "gambling", "tobacco", "fireworks", "e-cigarettes", "game consoles",
    ]
    private static let gambling = 10
    private static let eCigarettes = 13
    private static let gameConsoles = 14
    /// E-cigarettes are listed on this day, at noon.
    private static let listingDay = 13

    /// Months from March 2026 on: lengths, and what is left of the first.
    private static let monthLengths = [30, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28]

    private let options: LibraryOptions
    private let cast: LibraryCast
    private var random: SplitMix64
    private(set) var labels: [LibraryLabel] = []

    init(_ options: LibraryOptions, _ cast: LibraryCast) {
        self.options = options
        self.cast = cast
        random = options.random(.documents)
    }

    private mutating func draw(_ range: ClosedRange<Int64>) -> Int64 { Self.draw(range, &random) }

    private static func draw(_ range: ClosedRange<Int64>, _ random: inout SplitMix64) -> Int64 {
        range.lowerBound
            + Int64(Marketplace.below(UInt64(range.upperBound - range.lowerBound + 1), random.next()))
    }

    /// Adds what customs and the carrier record of an order.
    static func declare(
        _ order: inout LibraryOrder,
        _ shop: LibraryShop,
        _ habits: TradeHabits,
        _ random: inout SplitMix64
    ) {
        let declaredAfter = draw(habits.declaredAfter, &random)
        if shop.country != 0, draw(0...999, &random) >= habits.undeclared {
            order.declared = order.shipped + declaredAfter
            order.declaredValue = order.amount * draw(habits.declared, &random) / 1000
        }
        let delivered = order.shipped + draw(habits.deliveredAfter, &random)
        order.isSigned = draw(0...999, &random) < habits.signed
        if order.isSigned { order.signed = delivered + draw(1000...60_000, &random) }
        let isMisvalued = draw(0...999, &random) < habits.misvalued
        let parcelValue = isMisvalued ? habits.parcelValue : 970...1030
        order.parcelValue = order.amount * draw(parcelValue, &random) / 1000
        if draw(0...999, &random) >= habits.unrecorded { order.delivered = delivered }
    }

    /// Writes customs.jsonl and logistics.jsonl.
    func write(_ orders: [LibraryOrder], to folder: inout LibraryFolder) throws(Fault) {
        let declared = orders.indices.filter { orders[$0].declared > 0 }
        try folder.write("customs", times: declared.map { orders[$0].declared }) { index, line in
            let order = orders[declared[index]]
            line.order(order.number)
            line.merchant("merchant_id", order.merchant)
            line.money("declared_value", cents: order.declaredValue)
            line.time("event_time", order.declared)
        }
        let delivered = orders.indices.filter { orders[$0].delivered > 0 }
        try folder.write("logistics", times: delivered.map { orders[$0].delivered }) { index, line in
            let order = orders[delivered[index]]
            line.order(order.number)
            line.merchant("merchant_id", order.merchant)
            line.money("parcel_value", cents: order.parcelValue)
            line.text("city", LibraryCast.cities[Int(order.city)])
            line.bool("signed", order.isSigned)
            line.time("event_time", order.delivered)
        }
    }

    /// Writes taxes.jsonl: what each shop declares of a month on the day after it, 09 to 18 o'clock.
    mutating func writeTaxes(_ sales: [[Int64]], to folder: inout LibraryFolder) throws(Fault) {
        var taxes: [(merchant: Int, month: Int, declared: Int64)] = []
        var times: [Int64] = []
        var first = 0
        for (month, length) in Self.monthLengths.enumerated() where first + length < options.days {
            let filing = options.midnight(first + length)
            for merchant in cast.shops.indices {
                let sold = sales[merchant][first..<first + length].reduce(0, +)
                guard sold > 0 else { continue }
                var share = draw(940...1010)
                if let plant = plant(of: merchant), plant.rule == .taxGap, month == 0 {
                    // Declared against sold: too little is 60 %.
                    share = plant.isNearMiss ? draw(750...800) : draw(300...400)
                    labels.append(plant.label(from: filing, to: filing + Marketplace.day))
                }
                taxes.append((merchant, month, sold * share / 1000))
                times.append(filing + 9 * Marketplace.hour + draw(0...9 * Marketplace.hour))
            }
            first += length
        }
        try folder.write("taxes", times: times) { index, line in
            let tax = taxes[index]
            let month = (tax.month + 2) % 12 + 1
            line.merchant("merchant_id", tax.merchant)
            line.text("month", "\(2026 + (tax.month + 2) / 12)-\(month < 10 ? "0" : "")\(month)")
            line.money("declared_sales", cents: tax.declared)
            line.time("event_time", times[index])
        }
    }

    private func plant(of merchant: Int) -> LibraryPlant? {
        let plant = cast.shops[merchant].plant
        return plant < 0 ? nil : cast.plants[plant]
    }

    static func company(_ merchant: Int, _ shop: LibraryShop) -> String {
        "\(LibraryCast.cities[shop.city]) \(LibraryCast.categories[shop.category]) trading \(merchant + 1)"
    }

    /// A shop in a listed industry is too much, at its next order. Planted: two that the list comes to, and
    /// one that turns to what is listed. Near misses: an industry of similar name; and one that is given up
    /// before it is listed.
    static func industry(of plant: LibraryPlant) -> Int {
        if plant.isNearMiss { return plant.number % 2 == 0 ? gameConsoles : eCigarettes }
        return plant.number % 3 == 2 ? 0 : eCigarettes
    }

    /// Writes registry.jsonl and negative.jsonl, both tables.
    mutating func writeRegistry(to folder: inout LibraryFolder) throws(Fault) {
        var rows: [(merchant: Int, industry: Int, since: Int64)] = []
        let listing = options.midnight(Self.listingDay) + 12 * Marketplace.hour
        for (merchant, shop) in cast.shops.enumerated() {
            // A shop that opens during the month is registered an hour before.
            let before = LibraryOptions.start - draw(Marketplace.hour...20 * Marketplace.day)
            let since = shop.firstDay > 0 ? options.midnight(shop.firstDay) - Marketplace.hour : before
            rows.append((merchant, shop.industry, since))
            guard let plant = plant(of: merchant), plant.rule == .negativeIndustry else { continue }
            var from = listing
            if shop.industry == Self.eCigarettes, plant.isNearMiss {
                rows.append((merchant, 5, listing - 3 * Marketplace.day))
            } else if !plant.isNearMiss, shop.industry != Self.eCigarettes {
                from = options.midnight(plant.firstDay) + 10 * Marketplace.hour
                rows.append((merchant, Self.gambling, from))
            }
            labels.append(plant.label(from: from, to: options.endOfTail))
        }
        try folder.write("registry", times: rows.map(\.since), isTable: true) { index, line in
            let row = rows[index]
            let shop = cast.shops[row.merchant]
            line.merchant("merchant_id", row.merchant)
            line.text("company", Self.company(row.merchant, shop))
            line.text("city", LibraryCast.cities[shop.city])
            line.text("industry", Self.industries[row.industry])
            line.number("years", shop.years)
            line.time("since", row.since)
        }
        let listed: [(industry: Int, reason: String, since: Int64)] = [
            (Self.gambling, "not legal", LibraryOptions.start - 20 * Marketplace.day),
            (11, "licensed trade", LibraryOptions.start - 20 * Marketplace.day),
            (12, "dangerous goods", LibraryOptions.start - 10 * Marketplace.day),
            (Self.eCigarettes, "licensed trade", listing),
        ]
        try folder.write("negative", times: listed.map(\.since), isTable: true) { index, line in
            line.text("industry", Self.industries[listed[index].industry])
            line.text("reason", listed[index].reason)
            line.time("since", listed[index].since)
        }
    }
}
