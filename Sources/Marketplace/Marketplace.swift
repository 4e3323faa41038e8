import Base
import Records

/// A synthetic marketplace: order events of many shops with daily and weekly rhythm, refunds and
/// deliveries, planted fraud and near misses with labels. Integers and tables only: the same options
/// give the same bytes everywhere.
///
/// Time moves in slots. A slot's events are its new orders, those that campaigns add, and the refunds and
/// deliveries that wait for it on a timing wheel (Varghese and Lauck 1987); they are sorted by arrival,
/// which is event time plus what makes an event late.
package struct Marketplace {
    package static let hour: Int64 = 3_600_000
    package static let day: Int64 = 24 * hour
    /// Shops live by China's clock, which has no summer time.
    package static let zoneOffset: Int64 = 8 * hour
    /// 9000-01-01.
    package static let timeMax: Int64 = 221_845_392_000_000

    let options: MarketplaceOptions
    let end: Int64
    var random: SplitMix64
    var merchants: [MarketplaceMerchant] = []
    let orderedMerchants: AliasTable
    /// `amountTableCount` draws of each spread, in units of 2^-16.
    let amounts: [Int64]

    // What is planted in this period; labels that were not taken yet.
    var exceptions: [MarketplaceException] = []
    var campaigns: [MarketplaceCampaign] = []
    var labels: [MarketplaceLabel] = []
    var periodEnd: Int64
    var buyersInvented: UInt64 = 0

    // The slot being read out.
    let slotLength: Int64
    var slotStart: Int64
    var slot: [MarketplaceEntry] = []
    /// (arrival in the slot << 32 | index in `slot`), sorted.
    var order: [UInt64] = []
    var position = 0
    /// Parts of 2^16 of an order that the slots so far still owe.
    var ordersOwed: Int64 = 0
    var ordersMade: Int64 = 0
    var eventsMade = 0

    var wheel: TimingWheel
    /// Delays of refunds and deliveries times this, of 2^16: less than 1 where days of them would not fit.
    let delayShare: Int64
    var writer = EventWriter()

    package init(_ options: MarketplaceOptions) throws(Fault) {
        try options.check()
        self.options = options
        var random = SplitMix64(seed: options.seed)
        merchants = Self.makeMerchants(options, &random)
        orderedMerchants = AliasTable(weights: merchants.map(\.weight))
        amounts = Self.makeAmounts(&random)
        self.random = random
        // About 256 orders a slot, so that what is done once a slot does not count.
        slotLength = min(max(256 * Self.day / Int64(options.ordersPerDay), 1000), 60_000)
        slotStart = options.startMilliseconds
        end = min(options.startMilliseconds + (options.durationMilliseconds ?? Self.timeMax), Self.timeMax)
        periodEnd = options.startMilliseconds
        delayShare = Self.delayShare(options)
        wheel = TimingWheel(
            origin: slotStart,
            slotLength: slotLength,
            horizon: Self.delayMax + 2 * Self.hour
        )
        plan()
    }

    /// Adds the next events, `eventsMax` at most, in the order of their arrival. Returns how many; 0: the
    /// end.
    package mutating func next(into events: MarketplaceEvents, eventsMax: Int) -> Int {
        var made = 0
        while made < eventsMax, eventsMade < options.eventsMax {
            while position == order.count {
                guard slotStart < end else { return made }
                advance()
            }
            let count = min(
                order.count - position,
                min(eventsMax - made, options.eventsMax - eventsMade)
            )
            events.reserve(count)
            for index in position..<position + count {
                write(slot[Int(order[index] & 0xFFFF_FFFF)], to: events)
            }
            position += count
            made += count
            eventsMade += count
        }
        return made
    }

    /// What was planted since the last call.
    package mutating func takeLabels() -> [MarketplaceLabel] {
        defer { labels.removeAll() }
        return labels
    }

    /// One JSON object and a line feed for each label:
    /// `{"merchant_id":"M000007","kind":"refund-wave","from":"…","to":"…","rule":"refund-wave"}`.
    package static func write(_ labels: [MarketplaceLabel], to bytes: Arena) {
        var writer = EventWriter()
        for label in labels {
            bytes.reserve(EventWriter.bytesMax)
            let start = bytes.base + bytes.count
            var out = Appender(at: start)
            out.append("{\"merchant_id\":\"")
            out.appendMerchant(Int32(label.merchant))
            out.append("\",\"kind\":\"")
            out.append(label.isNearMiss ? "near-miss" : label.scheme.risk)
            out.append("\",\"from\":\"")
            writer.appendTime(label.from, to: &out)
            out.append("\",\"to\":\"")
            writer.appendTime(label.to, to: &out)
            out.append("\",\"rule\":\"")
            out.append(label.scheme.rule)
            out.append("\"}\n")
            bytes.count += out.at - start
        }
    }

    @inline(__always)
    private mutating func write(_ entry: MarketplaceEntry, to events: MarketplaceEvents) {
        let merchant = merchants[Int(entry.merchant)]
        let offset = events.bytes.count
        let written = writer.write(
            entry,
            platform: merchant.platform,
            country: merchant.country,
            to: events.bytes.base + offset
        )
        events.bytes.count = offset + written.count
        events.append(
            MarketplaceEvent(
                valueOffset: offset,
                valueCount: Int32(written.count - 1),
                keyOffset: offset + written.keyOffset,
                keyCount: 7,
                time: entry.time
            )
        )
    }
}

/// An event before it is written.
struct MarketplaceEntry {
    enum Kind: UInt8 { case paid, refunded, shipped, signed }

    /// When it arrives and when it happened, milliseconds.
    var due: Int64
    var time: Int64
    var order: Int64
    var buyer: UInt64
    var buyerCreated: Int64
    /// Cents.
    var amount: Int64
    var merchant: Int32
    var kind: Kind
}
