import Base

/// What a generated month for the rule library is made of. The same options give the same bytes everywhere.
package struct LibraryOptions: Sendable {
    package var seed: UInt64 = 1
    /// Shops, M000001 and on.
    package var merchants = 200
    /// Days of orders; what follows from them (deliveries, refunds) goes on up to four days longer.
    package var days = 35
    /// Paid orders of a mean day over all shops.
    package var ordersPerDay = 4000

    /// 2026-03-02, a Monday, midnight of the shops' clock.
    package static let start: Int64 = 1_772_380_800_000
    /// Plants begin on this day, so that windows of a week know what is usual.
    package static let firstPlantDay = 10
    /// How much later than a younger record a record may come.
    package static let outOfOrderMilliseconds: Int64 = 1000
    /// A whole calendar month must be declared to the tax office, and every rule have its cases.
    package static let daysRange = 35...366
    package static let merchantsMin = 150
    /// Most rules judge shares only from some orders on.
    package static let ordersPerMerchantMin = 20

    package init() {}

    /// Orders end here, and what follows from them ends there.
    package var endOfTail: Int64 { end + 4 * Marketplace.day }
    package var end: Int64 { Self.start + Int64(days) * Marketplace.day }
    /// Midnight of the shops' clock.
    func midnight(_ day: Int) -> Int64 { Self.start + Int64(day) * Marketplace.day }

    /// Cases of each rule: 3 and 2 up to 200 shops, more with more shops.
    var planted: Int { max(3, merchants * 3 / 200) }
    var nearMisses: Int { max(2, merchants * 2 / 200) }

    /// A random sequence of its own for each domain: what one draws does not move the others.
    func random(_ domain: LibraryDomain) -> SplitMix64 {
        SplitMix64(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ domain.rawValue)
    }

    /// Throws what a person must change.
    package func check() throws(Fault) {
        func demand(_ holds: Bool, _ message: String) throws(Fault) {
            if !holds { throw Fault(.user, message) }
        }
        let range = Self.daysRange
        let shops = Self.merchantsMin...Limits.libraryMerchantsMax
        try demand(
            shops ~= merchants,
            "merchants must be \(shops.lowerBound) to \(shops.upperBound) with --library, not \(merchants)"
        )
        try demand(
            range ~= days,
            "days must be \(range.lowerBound) to \(range.upperBound) with --library, not \(days)"
        )
        let least = merchants * Self.ordersPerMerchantMin
        let most = Limits.libraryOrdersMax / days
        try demand(
            least <= most && least...most ~= ordersPerDay,
            "orders per day must be at least \(least), \(Self.ordersPerMerchantMin) a merchant, and at most \(most), "
                + "\(Limits.libraryOrdersMax) in all, not \(ordersPerDay)"
        )
    }
}

/// The parts of a library month, each with draws of its own.
enum LibraryDomain: UInt64 {
    case shops = 1
    case trade, returns, documents, platform, credit, money, transfers, feeds
}
