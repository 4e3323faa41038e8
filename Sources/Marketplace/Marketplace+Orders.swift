import Base
import Records

extension Marketplace {
    static let amountTableCount = 4096
    /// The longest that a refund or a delivery may wait: two days and the rest of a night.
    static let delayMax = 62 * hour
    /// Orders of a local hour and of a weekday (Monday first) against the mean, in thousandths.
    static let hourShares: [Int64] = [
        450, 250, 140, 90, 90, 130, 300, 560, 900, 1200, 1450, 1450,
        1350, 1350, 1400, 1400, 1350, 1200, 1150, 1400, 1700, 1800, 1600, 1290,
    ]
    static let weekdayShares: [Int64] = [930, 930, 950, 970, 1020, 1120, 1080]

    /// Fills the next slot.
    mutating func advance() {
        if slotStart >= periodEnd { plan() }
        slot.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        position = 0
        wheel.take(slotStart: slotStart, into: &slot)
        let waited = slot.count
        for index in 0..<waited where slot[index].kind == .shipped { sign(slot[index]) }
        for _ in 0..<ordersOfSlot() { makeOrder() }
        for index in campaigns.indices { advanceCampaign(index) }
        for index in slot.indices {
            order.append(UInt64(slot[index].due - slotStart) << 32 | UInt64(index))
        }
        order.sort()
        slotStart += slotLength
    }

    /// A share of 2^16 as a draw: true that often.
    @inline(__always)
    static func happens(_ share: UInt64, _ word: UInt64) -> Bool { word & 0xFFFF < share }

    /// 0..<bound from the upper half of a word.
    @inline(__always)
    static func below(_ bound: UInt64, _ word: UInt64) -> UInt64 { ((word >> 32) &* bound) >> 32 }

    static func localHour(_ time: Int64) -> Int { Int((time + zoneOffset) % day / hour) }

    private mutating func ordersOfSlot() -> Int64 {
        let hourShare = Self.hourShares[Self.localHour(slotStart)]
        // 1970 began on a Thursday.
        let weekday = Int(((slotStart + Self.zoneOffset) / Self.day + 3) % 7)
        let share = Int128(slotLength * hourShare * Self.weekdayShares[weekday])
        let product = Int128(options.ordersPerDay) * share
        ordersOwed += Int64((product << 16) / Int128(Self.day * 1_000_000))
        defer { ordersOwed &= 0xFFFF }
        return ordersOwed >> 16
    }

    /// One order of ordinary trade in this slot.
    private mutating func makeOrder() {
        let index = orderedMerchants.draw(random.next())
        let time = slotStart + Int64(Self.below(UInt64(slotLength), random.next()))
        let exception = merchants[index].exception
        if exception >= 0 {
            let exception = exceptions[Int(exception)]
            if time >= exception.keepFrom, time < exception.keepTo, Self.localHour(time) >= 6,
                !Self.happens(exception.keepShare, random.next())
            {
                return
            }
        }
        let word = random.next()
        let buyer = Self.below(merchants[index].buyers, word)
        pay(index, time, buyer: ordinaryBuyer(index, buyer), word: word)
    }

    /// The number of the shop's `buyer`th customer.
    private func ordinaryBuyer(_ merchant: Int, _ buyer: UInt64) -> UInt64 {
        hashWord(UInt64(merchant) << 32 | buyer, seed: options.seed) % 89_999_999 + 1
    }

    /// Makes an order's paid event, and has what follows from it wait. A campaign's orders are never
    /// refunded, so that one planted fraud does not look like another one too.
    private mutating func pay(
        _ merchant: Int,
        _ time: Int64,
        buyer: UInt64,
        word: UInt64,
        campaign: (created: Int64?, amountShare: Int64)? = nil
    ) {
        let shop = merchants[merchant]
        let draw = amounts[shop.spread * Self.amountTableCount + Int(word & 0xFFF)]
        let usual = (shop.medianAmount * draw) >> 16
        // Accounts are up to three years old when the marketplace opens.
        let age = Int64(hashWord(buyer, seed: 1) % UInt64(1000 * Self.day)) + Self.day
        let opened = max(options.startMilliseconds - age, 0)
        let paid = MarketplaceEntry(
            due: 0,
            time: time,
            order: ordersMade,
            buyer: buyer,
            buyerCreated: campaign?.created ?? opened,
            amount: max((usual * (campaign?.amountShare ?? 256)) >> 8, 1),
            merchant: Int32(merchant),
            kind: .paid
        )
        ordersMade += 1
        add(paid)
        let chance = random.next()
        if campaign == nil, let refundTime = refundTime(shop, time, chance) {
            follow(paid, .refunded, at: refundTime)
        } else if Self.happens(UInt64(options.fulfilledPerMille) * 65_536 / 1000, chance >> 32) {
            follow(paid, .shipped, at: delayed(time, 4 * Self.hour, 32 * Self.hour, random.next()))
        }
    }

    /// When the order of `time` is refunded, if it is.
    private mutating func refundTime(
        _ shop: MarketplaceMerchant,
        _ time: Int64,
        _ chance: UInt64
    ) -> Int64? {
        if shop.exception >= 0 {
            let exception = exceptions[Int(shop.exception)]
            if time >= exception.waveFrom - Self.day, time < exception.waveTo,
                Self.happens(exception.waveShare, chance >> 16)
            {
                let from = max(time + 60_000, exception.waveFrom)
                let length = max(exception.waveTo - from, 60_000)
                return from + Int64(Self.below(UInt64(length), random.next()))
            }
        }
        guard Self.happens(shop.refundShare, chance) else { return nil }
        // Squared, so that most refunds come within the first day.
        let word = random.next()
        let uniform = Int64(word & 0xFFFF)
        let delay = Self.hour + (((uniform * uniform) >> 16) * 47 * Self.hour) >> 16
        return delayed(time, delay, 1, word)
    }

    /// A signed event follows a shipped one.
    private mutating func sign(_ shipped: MarketplaceEntry) {
        follow(shipped, .signed, at: delayed(shipped.time, 20 * Self.hour, 32 * Self.hour, random.next()))
    }

    /// `time`, `least` and up to `more` later; what would fall in the night is done in the morning.
    private func delayed(_ time: Int64, _ least: Int64, _ more: Int64, _ word: UInt64) -> Int64 {
        let delay = ((least + Int64(Self.below(UInt64(more), word))) * delayShare) >> 16
        let result = time + max(delay, 1000)
        return Self.localHour(result) < 8 ? result + (8 * Self.hour * delayShare) >> 16 : result
    }

    private mutating func follow(_ paid: MarketplaceEntry, _ kind: MarketplaceEntry.Kind, at time: Int64) {
        var entry = paid
        entry.kind = kind
        entry.time = time
        add(entry)
    }

    /// Has `entry` arrive: one in eight comes later than it happened.
    private mutating func add(_ entry: MarketplaceEntry) {
        var entry = entry
        let word = random.next()
        let isLate = word & 7 == 0
        let lateness = isLate ? Self.below(UInt64(options.outOfOrderMilliseconds) + 1, word) : 0
        entry.due = entry.time + Int64(lateness)
        if entry.due < slotStart + slotLength { slot.append(entry) } else { wheel.add(entry) }
    }

    /// Makes what `campaigns[index]` owes in this slot.
    private mutating func advanceCampaign(_ index: Int) {
        let campaign = campaigns[index]
        let slotEnd = slotStart + slotLength
        guard slotEnd > campaign.from, slotStart < campaign.to else { return }
        let from = max(slotStart, campaign.from)
        let until = min(slotEnd, campaign.to)
        let due = Int64(
            Int128(campaign.orders) * Int128(until - campaign.from) / Int128(campaign.to - campaign.from)
        )
        campaigns[index].made = due
        let merchant = Int(campaign.merchant)
        for _ in 0..<due - campaign.made {
            let time = from + Int64(Self.below(UInt64(until - from), random.next()))
            let word = random.next()
            if campaign.buyers == 0 {
                let buyer = ordinaryBuyer(merchant, Self.below(merchants[merchant].buyers, word))
                pay(merchant, time, buyer: buyer, word: word, campaign: (nil, campaign.amountShare))
            } else {
                let buyer = campaign.firstBuyer + Self.below(campaign.buyers, word)
                let age = Int64(hashWord(buyer, seed: 2) % UInt64(2 * Self.day)) + Self.hour
                let created = max(campaign.from - age, 0)
                pay(merchant, time, buyer: buyer, word: word, campaign: (created, campaign.amountShare))
            }
        }
    }
}
