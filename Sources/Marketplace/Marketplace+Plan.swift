import Base

extension Marketplace {
    /// Draws the shops: sizes by a log-normal law, from a seventh to twelve times the middle.
    static func makeMerchants(
        _ options: MarketplaceOptions,
        _ random: inout SplitMix64
    ) -> [MarketplaceMerchant] {
        var merchants = (0..<options.merchants).map { _ in
            var merchant = MarketplaceMerchant()
            let size = IntegerTables.logNormal(&random, sigmaThousandths: 900)
            merchant.weight = min(max(size, IntegerTables.one / 7), 12 * IntegerTables.one)
            let price = IntegerTables.logNormal(&random, sigmaThousandths: 800)
            merchant.medianAmount = min(max((80_00 * price) >> 16, 15_00), 2_000_00)
            merchant.spread = Int(random.next() % 3)
            // 2 to 6 %.
            merchant.refundShare = (20 + random.next() % 41) * 65_536 / 1000
            merchant.platform = UInt8(random.next() % UInt64(EventWriter.platforms.count))
            let place = random.next() % 100
            merchant.country = place < 70 ? 0 : UInt8(1 + place % UInt64(EventWriter.countries.count - 1))
            return merchant
        }
        let total = merchants.reduce(Int128(0)) { $0 + Int128($1.weight) }
        for index in merchants.indices {
            let share = Int128(merchants[index].weight) * Int128(options.ordersPerDay) / total
            merchants[index].ordersPerDay = Int64(share)
            merchants[index].buyers = UInt64(min(max(share * 20, 50), 4_000_000))
        }
        return merchants
    }

    /// Multipliers of the middle amount: three spreads, narrow to wide.
    static func makeAmounts(_ random: inout SplitMix64) -> [Int64] {
        var amounts: [Int64] = []
        for sigma: Int64 in [350, 550, 750] {
            for _ in 0..<amountTableCount {
                amounts.append(IntegerTables.logNormal(&random, sigmaThousandths: sigma))
            }
        }
        return amounts
    }

    /// Refunds wait 17 hours on average, deliveries 20 and then 36: shrunk so that they fit in
    /// `Limits.marketplacePendingMax` with room to spare.
    static func delayShare(_ options: MarketplaceOptions) -> Int64 {
        let perOrder = 17 * 40 + 56 * Int64(options.fulfilledPerMille)
        let waiting = Int128(options.ordersPerDay) * Int128(perOrder) / (24 * 1000)
        let room = Int128(Limits.marketplacePendingMax / 2)
        return waiting <= room ? 1 << 16 : Int64((room << 16) / waiting)
    }

    /// Plants the period that begins: a fraud of each kind in turn, then near misses, each in its own shop.
    mutating func plan() {
        let periodStart = periodEnd
        let isFirst = periodStart == options.startMilliseconds
        periodEnd = options.durationMilliseconds == nil ? periodStart + 10 * Self.day : Int64.max
        for index in merchants.indices { merchants[index].exception = -1 }
        exceptions.removeAll()
        campaigns.removeAll { $0.to <= periodStart }
        // Whole local days: midnights within the period that have their day before its end.
        let earliest = periodStart + (isFirst ? options.warmUpMilliseconds : 0)
        let local = earliest + Self.zoneOffset
        let firstDay = (local + Self.day - 1) / Self.day * Self.day - Self.zoneOffset
        let days = Int((min(periodEnd, end) - firstDay) / Self.day)
        guard days > 0 else { return }

        var candidates = merchants.indices.filter { merchants[$0].ordersPerDay >= 30 }
        for index in candidates.indices.dropFirst() {
            candidates.swapAt(index, Int(random.next() % UInt64(index + 1)))
        }
        let frauds = options.merchants * options.fraudPerMille / 1000
        let misses = options.merchants * options.nearMissPerMille / 1000
        for number in 0..<frauds + misses {
            let isNearMiss = number >= frauds
            let turn = (isNearMiss ? number - frauds : number) % MarketplaceLabel.Scheme.allCases.count
            let scheme = MarketplaceLabel.Scheme.allCases[turn]
            // Below a limit by its mean only counts where chance moves the mean little.
            let least: Int64 = isNearMiss ? 80 : 30
            let place = candidates.lastIndex { merchants[$0].ordersPerDay >= least }
            guard let place else { continue }
            let merchant = candidates.remove(at: place)
            let midnight = firstDay + Int64(random.next() % UInt64(days)) * Self.day
            plant(scheme, merchant, midnight: midnight, last: firstDay + Int64(days) * Self.day, isNearMiss)
        }
    }

    private mutating func plant(
        _ scheme: MarketplaceLabel.Scheme,
        _ merchant: Int,
        midnight: Int64,
        last: Int64,
        _ isNearMiss: Bool
    ) {
        let daily = merchants[merchant].ordersPerDay
        var from = midnight
        var to = midnight + Self.day
        switch scheme {
        case .fabricatedVolume:
            // 8 to 11 usual days within hours by invented buyers; or a promotion day of two and a half.
            from += Int64(9 + random.next() % 5) * Self.hour
            to = isNearMiss ? midnight + Self.day : from + Int64(4 + random.next() % 5) * Self.hour
            let orders = isNearMiss ? daily * 3 / 2 : daily * Int64(8 + random.next() % 4)
            let buyers = isNearMiss ? 0 : UInt64(orders) * 2 / 3 + 1
            campaign(merchant, from, to, orders: orders, buyers: buyers, amountShare: 256)
        case .refundWave:
            from += Int64(8 + random.next() % 3) * Self.hour
            to = from + Int64(6 + random.next() % 5) * Self.hour
            var exception = MarketplaceException()
            exception.waveFrom = from
            exception.waveTo = to
            exception.waveShare = (isNearMiss ? 70 : 650) * 65_536 / 1000
            except(merchant, exception)
        case .oddHours:
            // Up to three days that trade at 0 to 6 o'clock; or nights that are only busy.
            to = min(midnight + 3 * Self.day, last)
            if !isNearMiss {
                var exception = MarketplaceException()
                exception.keepFrom = from
                exception.keepTo = to
                exception.keepShare = 250 * 65_536 / 1000
                except(merchant, exception)
            }
            for night in stride(from: from, to: to, by: Int(Self.day)) {
                let orders = isNearMiss ? daily * 2 / 5 : daily * 4 / 5
                campaign(merchant, night, night + 6 * Self.hour, orders: orders, buyers: 0, amountShare: 256)
            }
        case .oneBuyer:
            // Cheap orders, so that the day's turnover says nothing.
            from += Int64(9 + random.next() % 12) * Self.hour
            to = from + Int64(20 + random.next() % 21) * 60_000
            let orders = isNearMiss ? 12 : 60 + daily * 30 / 24
            campaign(merchant, from, to, orders: orders, buyers: 1, amountShare: isNearMiss ? 256 : 40)
        }
        labels.append(
            MarketplaceLabel(merchant: merchant, scheme: scheme, isNearMiss: isNearMiss, from: from, to: to)
        )
    }

    private mutating func except(_ merchant: Int, _ exception: MarketplaceException) {
        merchants[merchant].exception = Int32(exceptions.count)
        exceptions.append(exception)
    }

    private mutating func campaign(
        _ merchant: Int,
        _ from: Int64,
        _ to: Int64,
        orders: Int64,
        buyers: UInt64,
        amountShare: Int64
    ) {
        var campaign = MarketplaceCampaign(merchant: Int32(merchant), from: from, to: to, orders: orders)
        campaign.amountShare = amountShare
        campaign.buyers = buyers
        // Invented buyers have numbers of their own, far above the ordinary ones.
        campaign.firstBuyer = 90_000_000 + buyersInvented % 5_000_000
        buyersInvented += buyers
        campaigns.append(campaign)
    }
}
