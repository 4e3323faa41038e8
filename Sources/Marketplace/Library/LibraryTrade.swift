import Base
import Records

/// An order, and everything that follows from it. Times in milliseconds, 0: does not happen.
struct LibraryOrder {
    var number: Int64 = 0
    var merchant: Int32
    var buyer: UInt64
    var buyerCreated: Int64
    /// Cents.
    var amount: Int64
    var isFinanced: Bool
    var category: UInt8
    var city: UInt8
    var paid: Int64
    var shipped: Int64
    var signed: Int64 = 0
    var refunded: Int64 = 0
    var declared: Int64 = 0
    var declaredValue: Int64 = 0
    var delivered: Int64 = 0
    var parcelValue: Int64 = 0
    /// The platform's own word; the carrier's record may be missing.
    var isSigned = false
}

/// The orders of the library month: ordinary trade of every shop, and what cases add to it or take from it.
struct LibraryTrade {
    let options: LibraryOptions
    let cast: LibraryCast
    private(set) var orders: [LibraryOrder] = []
    private(set) var labels: [LibraryLabel] = []
    private var random: SplitMix64
    private let hours = AliasTable(weights: Marketplace.hourShares)

    init(_ options: LibraryOptions, _ cast: LibraryCast) {
        self.options = options
        self.cast = cast
        random = options.random(.trade)
        orders.reserveCapacity(options.ordersPerDay * options.days * 9 / 8)
        for day in 0..<options.days {
            for merchant in cast.shops.indices { trade(merchant, day) }
        }
        for plant in cast.plants { self.plant(plant) }
        for index in orders.indices { orders[index].number = Int64(index) }
        orders.sort { $0.paid != $1.paid ? $0.paid < $1.paid : $0.number < $1.number }
        for index in orders.indices { orders[index].number = Int64(index) + 1 }
        runReturns()
    }

    /// Sold on each local day by each shop, in cents.
    func sales() -> [[Int64]] {
        var sales = Array(repeating: Array(repeating: Int64(0), count: options.days), count: cast.shops.count)
        for order in orders {
            sales[Int(order.merchant)][Int((order.paid - LibraryOptions.start) / Marketplace.day)] +=
                order.amount
        }
        return sales
    }

    private mutating func below(_ bound: Int64) -> Int64 {
        Int64(Marketplace.below(UInt64(bound), random.next()))
    }
    private mutating func happens(_ perMille: Int64) -> Bool { below(1000) < perMille }
    private mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// A shop's ordinary day.
    private mutating func trade(_ merchant: Int, _ day: Int) {
        let shop = cast.shops[merchant]
        guard day >= shop.firstDay else { return }
        let habits = habits(merchant, day)
        let usual = shop.dailyThousandths * Marketplace.weekdayShares[day % 7] / 1000
        let count = (usual * draw(850...1150) / 1000 + below(1000)) / 1000
        for _ in 0..<count {
            let hour = Int64(hours.draw(random.next()))
            let time = options.midnight(day) + hour * Marketplace.hour + below(Marketplace.hour)
            if hour >= 6, habits.kept < 1000, !happens(habits.kept) { continue }
            let buyer = hashWord(
                UInt64(merchant) << 32 | UInt64(below(Int64(shop.buyers))), seed: options.seed)
            let isFinanced = happens(50) && habits.price <= 2000
            add(merchant, time, habits, buyer: buyer % 89_999_999 + 1, isFinanced: isFinanced)
        }
    }

    private func habits(_ merchant: Int, _ day: Int) -> TradeHabits {
        let shop = cast.shops[merchant]
        guard shop.plant >= 0 else { return TradeHabits(shop) }
        let plant = cast.plants[shop.plant]
        guard plant.firstDay..<plant.firstDay + plant.days ~= day else { return TradeHabits(shop) }
        return TradeHabits(shop, plant)
    }

    /// Accounts are 30 to 1030 days old when the month begins.
    static func opened(_ buyer: UInt64) -> Int64 {
        LibraryOptions.start - 30 * Marketplace.day
            - Int64(hashWord(buyer, seed: 1) % UInt64(1000 * Marketplace.day))
    }

    private mutating func add(
        _ merchant: Int,
        _ time: Int64,
        _ habits: TradeHabits,
        buyer: UInt64,
        opened: Int64? = nil,
        isFinanced: Bool = false
    ) {
        let shop = cast.shops[merchant]
        let spread = min(max(IntegerTables.logNormal(&random, sigmaThousandths: 300), 1 << 15), 2 << 16)
        let amount = max(((shop.medianAmount * spread) >> 16) * habits.price / 1000, 1_00)
        let other =
            happens(habits.otherCategory) ? 1 + Int(below(Int64(LibraryCast.categories.count - 1))) : 0
        let away = happens(habits.otherCity) ? 1 + Int(below(Int64(LibraryCast.cities.count - 1))) : 0
        var order = LibraryOrder(
            merchant: Int32(merchant),
            buyer: buyer,
            buyerCreated: opened ?? Self.opened(buyer),
            amount: amount,
            isFinanced: isFinanced,
            category: UInt8((shop.category + other) % LibraryCast.categories.count),
            city: UInt8((shop.city + away) % LibraryCast.cities.count),
            paid: time,
            shipped: time + draw(4 * Marketplace.hour...30 * Marketplace.hour)
        )
        if happens(habits.refunded) {
            order.refunded = time + draw(36 * Marketplace.hour...84 * Marketplace.hour)
        }
        TradeDocuments.declare(&order, shop, habits, &random)
        orders.append(order)
    }

    /// What the case `plant` adds to its shop's trade, and its label where the trade says it all.
    private mutating func plant(_ plant: LibraryPlant) {
        let midnight = options.midnight(plant.firstDay)
        let isNearMiss = plant.isNearMiss
        let daily = cast.shops[plant.merchant].dailyThousandths / 1000
        let workday = midnight + 9 * Marketplace.hour
        var to = midnight + Int64(plant.days) * Marketplace.day
        switch plant.rule {
        case .volumeSpike:
            // Today against a day of the week before: too much is 5 times.
            let length = isNearMiss ? 13 * Marketplace.hour : draw(4...8) * Marketplace.hour
            let orders = isNearMiss ? daily * 3 / 2 : daily * draw(8...10)
            burst(plant, orders: orders, workday...workday + length)
        case .oddHours:
            for night in plant.firstDay..<plant.firstDay + plant.days {
                let from = options.midnight(night)
                let orders = isNearMiss ? daily * 2 / 5 : daily * 3 / 2
                burst(plant, orders: orders, from...from + 6 * Marketplace.hour - 1)
            }
        case .fewBuyers:
            // Orders of an hour: too many are 30, and 6 for each of their buyers. Cheap, so that the day's
            // turnover says nothing.
            let orders: Int64 = isNearMiss ? (plant.number % 2 == 0 ? 14 : 50) : 80
            let buyers: UInt64 = isNearMiss ? (plant.number % 2 == 0 ? 1 : 30) : 2
            let from = workday + below(10) * Marketplace.hour
            burst(plant, orders: orders, from...from + 40 * 60_000, buyers: buyers, price: 300)
        case .youngBuyers:
            // Accounts below 3 days old, over 24 hours and 20 of their orders: too many are 40 %. The near
            // misses: few of them; and many that are some weeks old and were not opened together.
            let isFew = isNearMiss && plant.number % 2 == 0
            let together = midnight - Marketplace.day...midnight - 22 * Marketplace.hour
            let apart = midnight - 60 * Marketplace.day...midnight - 15 * Marketplace.day
            burst(
                plant,
                orders: isFew ? daily / 4 : daily * 6 / 5,
                workday...workday + 12 * Marketplace.hour,
                buyers: UInt64(isFew ? daily / 5 : daily),
                opened: isNearMiss && !isFew ? apart : together
            )
        case .stackedDebt:
            // Buyers that owe over 4,000 to 3 or more platforms: too many are 5 a week. What they owe is in
            // `LibraryCredit`; here they buy on credit.
            let from = options.midnight(plant.firstDay + 3) + 9 * Marketplace.hour
            for buyer in LibraryCredit.buyers(of: plant) {
                let habits = TradeHabits(cast.shops[plant.merchant])
                let time = from + below(36 * Marketplace.hour)
                add(plant.merchant, time, habits, buyer: buyer, isFinanced: true)
            }
        case .tooYoung:
            // It stays as it is.
            to = options.endOfTail
        case .missingCustoms, .declaredValue, .addressMismatch:
            // An order of the last day ships a day later, and is found missing after another.
            to += 3 * Marketplace.day
        case .missingLogistics, .signoffReturns, .valueMismatch:
            to += 6 * Marketplace.day
        case .taxGap, .negativeIndustry, .platformViolations, .returnsRunning, .policyChange:
            return
        default:
            break
        }
        labels.append(plant.label(from: midnight, to: to))
    }

    /// Orders on top of the ordinary ones, within `time`. They are never refunded or bought on credit, so
    /// that one plant does not look like another. `buyers`: so many invented ones; 0: the shop's own.
    private mutating func burst(
        _ plant: LibraryPlant,
        orders: Int64,
        _ time: ClosedRange<Int64>,
        buyers: UInt64 = 0,
        opened: ClosedRange<Int64>? = nil,
        price: Int64 = 1000
    ) {
        let shop = cast.shops[plant.merchant]
        var habits = TradeHabits(shop)
        habits.refunded = 0
        habits.price = price
        for number in 0..<orders {
            let own = hashWord(
                UInt64(plant.merchant) << 32 | UInt64(below(Int64(shop.buyers))), seed: options.seed)
            let buyer = buyers == 0 ? own % 89_999_999 + 1 : plant.firstBuyer + UInt64(number) % buyers
            // A buyer has one account, whenever it buys.
            let created = opened.map {
                $0.lowerBound + Int64(hashWord(buyer, seed: 2) % UInt64($0.upperBound - $0.lowerBound))
            }
            add(plant.merchant, draw(time), habits, buyer: buyer, opened: created)
        }
    }

    /// Refunds of 30 % of a day's orders on 3 days in a row, from 10 orders a day on, are too many. Planted
    /// are 4 days with at least 50 %, by count and amount; near misses 2 such days, or 4 days with 15 %.
    private mutating func runReturns() {
        for plant in cast.plants where plant.rule == .returnsRunning {
            let isShort = plant.isNearMiss && plant.number % 2 == 0
            let share: Int64 = plant.isNearMiss && !isShort ? 15 : 52
            let days = isShort ? 2 : plant.days
            let own = orders.indices.filter { Int(orders[$0].merchant) == plant.merchant }
            for day in plant.firstDay..<plant.firstDay + days {
                let today = options.midnight(day)..<options.midnight(day + 1)
                let sold = own.filter { today.contains(orders[$0].paid) }
                let amount = sold.reduce(0) { $0 + orders[$1].amount }
                let back = own.filter { today.contains(orders[$0].refunded) }
                var backCount = Int64(back.count)
                var backAmount = back.reduce(0) { $0 + orders[$1].amount }
                let recent =
                    today.lowerBound - 72 * Marketplace.hour..<today.lowerBound - 12 * Marketplace.hour
                for index in own where recent.contains(orders[index].paid) && orders[index].refunded == 0 {
                    let isEnough =
                        backCount * 100 >= share * Int64(sold.count) && backAmount * 100 >= share * amount
                    if isEnough { break }
                    orders[index].refunded =
                        today.lowerBound + draw(8 * Marketplace.hour...22 * Marketplace.hour)
                    backCount += 1
                    backAmount += orders[index].amount
                }
            }
            let to = options.midnight(plant.firstDay + days)
            labels.append(plant.label(from: options.midnight(plant.firstDay), to: to))
        }
    }

    /// Writes orders.jsonl.
    func write(to folder: inout LibraryFolder) throws(Fault) {
        var events: [(order: Int32, kind: MarketplaceEntry.Kind)] = []
        var times: [Int64] = []
        func add(_ index: Int, _ kind: MarketplaceEntry.Kind, _ time: Int64) {
            guard time > 0 else { return }
            events.append((Int32(index), kind))
            times.append(time)
        }
        for (index, order) in orders.enumerated() {
            add(index, .paid, order.paid)
            add(index, .shipped, order.shipped)
            add(index, .signed, order.signed)
            add(index, .refunded, order.refunded)
        }
        try folder.write("orders", times: times) { index, line in
            let event = events[index]
            let order = orders[Int(event.order)]
            let shop = cast.shops[Int(order.merchant)]
            line.order(order.number)
            line.merchant("merchant_id", order.merchant)
            line.id("buyer_id", "B", order.buyer, digits: 8)
            line.text("kind", LibraryTrade.kinds[Int(event.kind.rawValue)])
            line.money("amount", cents: order.amount)
            line.time("event_time", times[index])
            line.text("platform", LibraryCast.platforms[shop.platform])
            line.text("country", LibraryCast.countries[shop.country])
            line.number("buyer_created", order.buyerCreated)
            line.text("category", LibraryCast.categories[Int(order.category)])
            line.money("financed", cents: order.isFinanced ? order.amount : 0)
            if event.kind == .shipped { line.text("shipped_from", LibraryCast.cities[Int(order.city)]) }
        }
    }

    private static let kinds = ["paid", "refunded", "shipped", "signed"]
}
