import Base

/// A shop of the library month: drawn once, read for every order and document.
struct LibraryShop {
    /// Orders of a mean day, in thousandths.
    var dailyThousandths: Int64 = 0
    /// The middle amount, in cents.
    var medianAmount: Int64 = 0
    var refundPerMille: Int64 = 0
    /// Buyers that come here.
    var buyers: UInt64 = 0
    var platform = 0
    var category = 0
    /// Index in `EventWriter.countries`; 0 sells at home, all others need customs.
    var country = 0
    var city = 0
    var industry = 0
    var years: Int64 = 0
    /// The first day with orders.
    var firstDay = 0
    /// Index in `LibraryCast.plants`, -1: nothing is planted here.
    var plant = -1
}

/// One planted case of a merchant's rule, or a near miss.
struct LibraryPlant {
    var rule: LibraryLabel.Rule
    var merchant: Int
    var isNearMiss: Bool
    /// Of its rule and kind, from 0.
    var number: Int
    /// Local midnights.
    var firstDay: Int
    var days: Int
    /// Invented buyers have numbers of their own, 200 for each case.
    var firstBuyer: UInt64

    func label(from: Int64, to: Int64) -> LibraryLabel {
        LibraryLabel(rule: rule, key: .merchant(merchant), isNearMiss: isNearMiss, from: from, to: to)
    }
}

/// The shops, and which of them has which case. Each case has a shop of its own, so that a plant of one rule
/// does not look like one of another.
struct LibraryCast {
    static let platforms = ["bay", "live", "mall", "plaza", "corner"]
    static let categories = ["apparel", "beauty", "electronics", "food", "home", "sports", "tools", "toys"]
    static let countries = ["CN", "US", "DE", "GB", "JP", "SG"]
    static let cities = [
        "Hangzhou", "Shenzhen", "Guangzhou", "Yiwu", "Ningbo", "Suzhou", "Xiamen", "Qingdao", "Chengdu",
        "Wuhan",
    ]
    static let cornerPlatform = 4

    private(set) var shops: [LibraryShop]
    private(set) var plants: [LibraryPlant] = []

    init(_ options: LibraryOptions) {
        var random = options.random(.shops)
        shops = (0..<options.merchants).map { _ in Self.makeShop(&random) }
        var free = Array(shops.indices)
        for index in free.indices.dropFirst() { free.swapAt(index, Int(random.next() % UInt64(index + 1))) }
        // Policies find their merchants by platform and category.
        for rule in LibraryLabel.Rule.ofMerchants where rule != .policyChange {
            for number in 0..<options.planted + options.nearMisses {
                guard let merchant = free.popLast() else { continue }
                let isNearMiss = number >= options.planted
                cast(
                    rule, isNearMiss ? number - options.planted : number, merchant, isNearMiss, options,
                    &random)
            }
        }
        share(options.ordersPerDay, among: free, &random)
    }

    private static func makeShop(_ random: inout SplitMix64) -> LibraryShop {
        var shop = LibraryShop()
        shop.medianAmount = 60_00 + Int64(random.next() % 240_01)
        shop.refundPerMille = 20 + Int64(random.next() % 31)
        let place = random.next() % 100
        // `corner` is small: a rule for all of it touches few.
        shop.platform = place < 96 ? Int(place % 4) : cornerPlatform
        shop.category = Int(random.next() % UInt64(categories.count))
        shop.country = random.next() % 2 == 0 ? 0 : 1 + Int(random.next() % UInt64(countries.count - 1))
        shop.city = Int(random.next() % UInt64(cities.count))
        shop.industry = Int(random.next() % UInt64(TradeDocuments.ordinaryIndustries))
        shop.years = 2 + Int64(random.next() % 9)
        return shop
    }

    /// Gives the shop `merchant` a case, and makes it the kind of shop that the case needs.
    private mutating func cast(
        _ rule: LibraryLabel.Rule,
        _ number: Int,
        _ merchant: Int,
        _ isNearMiss: Bool,
        _ options: LibraryOptions,
        _ random: inout SplitMix64
    ) {
        let days = rule.plantDays
        let first = LibraryOptions.firstPlantDay
        let room = options.days - first - days - 1
        let plant = LibraryPlant(
            rule: rule,
            merchant: merchant,
            isNearMiss: isNearMiss,
            number: number,
            firstDay: first + Int(random.next() % UInt64(room)),
            days: days,
            firstBuyer: 90_000_000 + UInt64(plants.count) * 200
        )
        shops[merchant].dailyThousandths = 24_000 + Int64(random.next() % 5000)
        switch rule {
        case .declaredValue, .missingCustoms, .valueMismatch:
            shops[merchant].country = 1 + Int(random.next() % UInt64(Self.countries.count - 1))
        case .tooYoung:
            // Planted: over 180 orders a week within the first year, too many are 100. Near misses: 30 to 40
            // a week, or as many in the second year.
            let isSmall = isNearMiss && number % 2 == 0
            shops[merchant].years = isNearMiss && !isSmall ? 1 : 0
            shops[merchant].dailyThousandths = isSmall ? 5000 : 27_000 + Int64(random.next() % 3000)
            shops[merchant].firstDay = plant.firstDay
        case .negativeIndustry:
            shops[merchant].industry = TradeDocuments.industry(of: plant)
        default:
            break
        }
        shops[merchant].plant = plants.count
        plants.append(plant)
    }

    /// Shares what is left of the orders of a day among the shops without a case, 6 a day at least.
    private mutating func share(_ ordersPerDay: Int, among free: [Int], _ random: inout SplitMix64) {
        let taken = shops.reduce(0) { $0 + $1.dailyThousandths }
        let weights = free.map { _ in
            let size = IntegerTables.logNormal(&random, sigmaThousandths: 500)
            return min(max(size, IntegerTables.one / 3), 3 * IntegerTables.one)
        }
        let total = weights.reduce(0, +)
        let rest = max(Int64(ordersPerDay) * 1000 - taken, 0)
        for (index, merchant) in free.enumerated() {
            shops[merchant].dailyThousandths = max(
                Int64(Int128(rest) * Int128(weights[index]) / Int128(total)), 6000)
        }
        for merchant in shops.indices {
            shops[merchant].buyers = UInt64(shops[merchant].dailyThousandths / 50)
        }
    }
}

extension LibraryLabel.Rule {
    /// How long a case lasts.
    fileprivate var plantDays: Int {
        switch self {
        case .volumeSpike, .fewBuyers, .youngBuyers: 1
        case .priceJump: 2
        case .oddHours: 3
        case .returnsRunning, .categoryJump: 4
        case .stackedDebt: 6
        case .platformViolations: 12
        default: 8
        }
    }
}
