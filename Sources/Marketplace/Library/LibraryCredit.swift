import Base
import Records

/// What buyers owe to platforms that let them buy now and pay later.
struct LibraryCredit {
    private static let platforms = ["creditgo", "monthly", "paylater", "splitly", "fourparts"]

    private struct Debt {
        var time: Int64
        var buyer: UInt64
        var platform: Int
        /// Cents; below zero: repaid.
        var amount: Int64
    }

    private let options: LibraryOptions
    private var random: SplitMix64
    private var debts: [Debt] = []

    init(_ options: LibraryOptions, _ trade: LibraryTrade) {
        self.options = options
        random = options.random(.credit)
        for order in trade.orders where order.isFinanced { finance(order) }
        for plant in trade.cast.plants where plant.rule == .stackedDebt { stack(plant) }
    }

    /// The 10 to 12 buyers of a case.
    static func buyers(of plant: LibraryPlant) -> Range<UInt64> {
        plant.firstBuyer..<plant.firstBuyer + 10 + plant.firstBuyer / 200 % 3
    }

    private mutating func below(_ bound: Int64) -> Int64 {
        Int64(Marketplace.below(UInt64(bound), random.next()))
    }

    /// A buyer has one platform that it buys with.
    private func platform(_ buyer: UInt64) -> Int {
        Int(hashWord(buyer, seed: 3) % UInt64(Self.platforms.count))
    }

    private mutating func finance(_ order: LibraryOrder) {
        let taken = order.paid + 1000 + below(60_000)
        let platform = platform(order.buyer)
        debts.append(Debt(time: taken, buyer: order.buyer, platform: platform, amount: order.amount))
        let repaid = taken + 7 * Marketplace.day + below(13 * Marketplace.day)
        if below(10) < 7, repaid < options.end {
            debts.append(Debt(time: repaid, buyer: order.buyer, platform: platform, amount: -order.amount))
        }
    }

    /// Over 4,000 owed to 3 platforms is too much for a buyer. Planted is 6,000 and more on 3 or 4; near
    /// misses owe as much to one platform, or repay each debt before the next.
    private mutating func stack(_ plant: LibraryPlant) {
        let from = options.midnight(plant.firstDay) + 8 * Marketplace.hour
        let isOnOnePlatform = plant.isNearMiss && plant.number % 2 == 0
        let isRepaid = plant.isNearMiss && !isOnOnePlatform
        for buyer in Self.buyers(of: plant) {
            let count = plant.isNearMiss ? 4 : 3 + below(2)
            for number in 0..<count {
                let time = from + number * 16 * Marketplace.hour + below(6 * Marketplace.hour)
                let platform = (platform(buyer) + (isOnOnePlatform ? 0 : Int(number))) % Self.platforms.count
                let amount = isRepaid ? 1000_00 + below(200_00) : (6000_00 + below(3000_00)) / count
                debts.append(Debt(time: time, buyer: buyer, platform: platform, amount: amount))
                guard isRepaid else { continue }
                let repaid = time + 2 * Marketplace.hour + below(4 * Marketplace.hour)
                debts.append(Debt(time: repaid, buyer: buyer, platform: platform, amount: -amount))
            }
        }
    }

    /// Writes debts.jsonl.
    func write(to folder: inout LibraryFolder) throws(Fault) {
        try folder.write("debts", times: debts.map(\.time)) { index, line in
            let debt = debts[index]
            line.id("buyer_id", "B", debt.buyer, digits: 8)
            line.text("platform", Self.platforms[debt.platform])
            line.money("amount", cents: debt.amount)
            line.time("event_time", debt.time)
        }
    }
}
