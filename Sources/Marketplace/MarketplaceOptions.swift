import Base
import Records

/// What a synthetic marketplace is made of. The same options give the same bytes on every machine.
package struct MarketplaceOptions: Sendable {
    package var seed: UInt64
    /// Shops, M000001 and on.
    package var merchants: Int
    /// Paid orders of a mean day over all shops; refunds and deliveries come on top.
    package var ordersPerDay: Int
    /// First event time, milliseconds since 1970. The default is a midnight of the marketplace's clock.
    package var startMilliseconds: Int64 = 1_772_380_800_000
    /// Event time that is covered; nil: without end.
    package var durationMilliseconds: Int64? = 10 * Marketplace.day
    /// Events in all; the marketplace ends at whichever comes first.
    package var eventsMax = Int.max
    /// Fraud begins after this, so that the rules know what is usual.
    package var warmUpMilliseconds: Int64 = 4 * Marketplace.day
    /// Shops of a thousand that commit one fraud in each period (the duration, or 10 days without end).
    package var fraudPerMille = 40
    /// Shops of a thousand that do something near a limit, which must not raise an alert.
    package var nearMissPerMille = 20
    /// Orders of a thousand that also have a shipped and a signed event.
    package var fulfilledPerMille = 200
    /// How much later than a younger event an event may come.
    package var outOfOrderMilliseconds: Int64 = 1000

    package init(seed: UInt64 = 1, merchants: Int = 500, ordersPerDay: Int = 32_000) {
        self.seed = seed
        self.merchants = merchants
        self.ordersPerDay = ordersPerDay
    }

    package init(seed: UInt64, merchants: Int, ordersPerSecond: Int) {
        let (perDay, overflow) = ordersPerSecond.multipliedReportingOverflow(by: 86_400)
        self.init(seed: seed, merchants: merchants, ordersPerDay: overflow ? Int.max : perDay)
    }

    /// Throws what a person must change.
    package func check() throws(Fault) {
        func demand(_ holds: Bool, _ message: String) throws(Fault) {
            if !holds { throw Fault(.user, message) }
        }
        let merchantsMax = Limits.marketplaceMerchantsMax
        let ordersMax = Limits.marketplaceOrdersPerSecondMax * 86_400
        try demand(1...merchantsMax ~= merchants, "merchants must be 1 to \(merchantsMax), not \(merchants)")
        try demand(
            1...ordersMax ~= ordersPerDay,
            "orders per day must be 1 to \(ordersMax), not \(ordersPerDay)"
        )
        try demand(
            0...Marketplace.timeMax ~= startMilliseconds,
            "the first event time must be between 1970 and 9000"
        )
        if let durationMilliseconds {
            try demand(1...Marketplace.timeMax ~= durationMilliseconds, "the duration must be above zero")
        }
        try demand(0...Marketplace.timeMax ~= warmUpMilliseconds, "the warm-up must not be negative")
        try demand(eventsMax >= 0, "the number of events must not be negative")
        try demand(
            fraudPerMille >= 0 && nearMissPerMille >= 0 && fraudPerMille + nearMissPerMille <= 1000,
            "fraud and near misses must be 0 to 1000 in a thousand, together"
        )
        try demand(0...1000 ~= fulfilledPerMille, "fulfilled orders must be 0 to 1000 in a thousand")
        try demand(
            0...Marketplace.hour ~= outOfOrderMilliseconds,
            "events may be out of order by 0 to 1 hour, not \(outOfOrderMilliseconds) ms"
        )
    }
}

/// Events of a marketplace, one JSON object and a line feed each, flat: `next` adds, the reader takes
/// and empties.
package final class MarketplaceEvents {
    package let bytes = Arena(capacity: 1 << 20)
    package private(set) var events: [MarketplaceEvent] = []

    package init() {}

    package func removeAll() {
        bytes.removeAll()
        events.removeAll(keepingCapacity: true)
    }

    func reserve(_ count: Int) {
        bytes.reserve(count * EventWriter.bytesMax)
        events.reserveCapacity(events.count + count)
    }

    @inline(__always)
    func append(_ event: MarketplaceEvent) { events.append(event) }
}

/// Where one event stands in `MarketplaceEvents.bytes`.
package struct MarketplaceEvent: Sendable {
    package var valueOffset: Int
    /// Without the line feed that follows.
    package var valueCount: Int32
    /// The merchant's id, within the value.
    package var keyOffset: Int
    package var keyCount: Int32
    /// Event time, milliseconds.
    package var time: Int64
}
