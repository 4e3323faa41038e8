import Base
import Records

/// What a shop is like: drawn once, read for every order.
struct MarketplaceMerchant {
    /// Share of all orders, in any unit.
    var weight: Int64 = 0
    /// Orders of a mean day.
    var ordersPerDay: Int64 = 0
    /// The middle amount, in cents, and which of the amount tables spreads it.
    var medianAmount: Int64 = 0
    var spread: Int = 0
    /// Of 2^16.
    var refundShare: UInt64 = 0
    /// Buyers that come here.
    var buyers: UInt64 = 0
    var platform: UInt8 = 0
    var country: UInt8 = 0
    /// What is out of the ordinary here: index in `MarketplacePlan.exceptions`, -1: nothing.
    var exception: Int32 = -1
}

/// Ordinary trade of one shop that changes for a while.
struct MarketplaceException {
    /// Daytime orders within this time stay with this share of 2^16.
    var keepFrom: Int64 = 0
    var keepTo: Int64 = 0
    var keepShare: UInt64 = 1 << 16
    /// Orders within a day before the wave, and within it, come back in the wave with this share of 2^16.
    var waveFrom: Int64 = 0
    var waveTo: Int64 = 0
    var waveShare: UInt64 = 0
}

/// Orders on top of a shop's ordinary trade, evenly spread over a time.
struct MarketplaceCampaign {
    var merchant: Int32
    var from: Int64
    var to: Int64
    var orders: Int64
    /// Made so far.
    var made: Int64 = 0
    /// Made-up buyers by number, young accounts; 0: the shop's own buyers.
    var firstBuyer: UInt64 = 0
    var buyers: UInt64 = 0
    /// The usual amount times this, of 2^8.
    var amountShare: Int64 = 256
}

/// One planted fraud, or something near one.
package struct MarketplaceLabel: Equatable, Sendable {
    package enum Scheme: Int, Sendable, CaseIterable {
        case fabricatedVolume, refundWave, oddHours, oneBuyer

        /// The risk, as rules of `Topologies/marketplace` name it.
        var risk: StaticString {
            switch self {
            case .fabricatedVolume: "fabricated-volume"
            case .refundWave: "refund-wave"
            case .oddHours: "odd-hours"
            case .oneBuyer: "one-buyer"
            }
        }

        /// The rule of `Topologies/marketplace` that is to find it.
        package var rule: StaticString {
            switch self {
            case .fabricatedVolume: "volume-spike"
            case .refundWave: "refund-wave"
            case .oddHours: "odd-hours"
            case .oneBuyer: "one-buyer"
            }
        }
    }

    package var merchant: Int
    package var scheme: Scheme
    package var isNearMiss: Bool
    /// The alert's event time lies within this time, or within a day after it.
    package var from: Int64
    package var to: Int64
}
