import Base

/// A feed that data comes by.
package enum LibraryFeed: String, Sendable, CaseIterable {
    case orders, customs, logistics, taxes, transfers, violations

    /// Records of a mean minute, and milliseconds of a usual response.
    fileprivate var usual: (records: Int64, response: Int64) {
        switch self {
        case .orders: (240, 90)
        case .customs: (80, 140)
        case .logistics: (90, 120)
        case .taxes: (60, 150)
        case .transfers: (120, 80)
        case .violations: (60, 110)
        }
    }
}

/// How the feeds do, minute by minute: arrivals.jsonl.
struct LibraryFeeds {
    private static let minute: Int64 = 60_000

    private struct Minute {
        var feed: LibraryFeed
        var time: Int64
        var records: Int64
        var nulls: Int64
        var response: Int64
    }

    private struct Trouble {
        var label: LibraryLabel
        var number: Int
    }

    private let options: LibraryOptions
    private var random: SplitMix64
    private var minutes: [Minute] = []
    private var troubles: [Trouble] = []
    var labels: [LibraryLabel] { troubles.map(\.label) }

    init(_ options: LibraryOptions) {
        self.options = options
        random = options.random(.feeds)
        plan()
        for minute in 0..<options.days * 24 * 60 {
            for feed in LibraryFeed.allCases {
                observe(feed, LibraryOptions.start + Int64(minute) * Self.minute)
            }
        }
    }

    private mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound
            + Int64(Marketplace.below(UInt64(range.upperBound - range.lowerBound + 1), random.next()))
    }

    /// A day for each case: 3 and 2 of each rule, whatever the number of shops.
    private mutating func plan() {
        for rule in LibraryLabel.Rule.ofFeeds {
            for number in 0..<5 {
                let isNearMiss = number >= 3
                let day = LibraryOptions.firstPlantDay + troubles.count
                let length = isNearMiss && rule == .silentSource ? 4 : draw(25...40)
                let from = options.midnight(day) + draw(10 * 60...19 * 60) * Self.minute
                let feed = LibraryFeed.allCases[troubles.count % LibraryFeed.allCases.count]
                troubles.append(
                    Trouble(
                        label: LibraryLabel(
                            rule: rule,
                            key: .feed(feed),
                            isNearMiss: isNearMiss,
                            from: from,
                            to: from + length * Self.minute
                        ),
                        number: isNearMiss ? number - 3 : number
                    )
                )
            }
        }
    }

    /// One minute of one feed: from 3/4 to 6/5 of the usual over the day.
    private mutating func observe(_ feed: LibraryFeed, _ time: Int64) {
        let pattern = 750 + Marketplace.hourShares[Marketplace.localHour(time)] / 4
        let records = feed.usual.records * pattern * draw(900...1100) / 1_000_000
        var minute = Minute(
            feed: feed,
            time: time,
            records: records,
            nulls: records * draw(0...20) / 1000,
            response: feed.usual.response * pattern * draw(850...1150) / 1_000_000
        )
        for trouble in troubles where trouble.label.key == .feed(feed) {
            guard disturb(&minute, trouble) else { return }
        }
        minutes.append(minute)
    }

    /// Has `trouble` change the minute; false: no line at all.
    private mutating func disturb(_ minute: inout Minute, _ trouble: Trouble) -> Bool {
        let label = trouble.label
        if minute.time >= label.to {
            // What waited comes at once.
            let isBurst = label.rule == .silentSource && !label.isNearMiss && trouble.number == 2
            if isBurst, minute.time < label.to + 5 * Self.minute { minute.records *= 3 }
            return true
        }
        guard minute.time >= label.from else { return true }
        switch label.rule {
        case .slowSource:
            // Mean response of 5 minutes: too much is 1,000 ms.
            minute.response *= label.isNearMiss ? 2 : 20
        case .silentSource:
            // Nothing for 10 minutes is too long; near misses are silent for 4.
            guard trouble.number == 0 else { return false }
            (minute.records, minute.nulls) = (0, 0)
        case .incompleteSource:
            // Records of a minute against the mean of 24 hours: too few are half.
            minute.records = minute.records * (label.isNearMiss ? 780 : 250) / 1000
            minute.nulls = min(minute.nulls, minute.records)
        default:
            // Nulls of 15 minutes: too many are 20 % of the records.
            minute.nulls = minute.records * (label.isNearMiss ? 80 : draw(400...500)) / 1000
        }
        return true
    }

    /// Writes arrivals.jsonl.
    func write(to folder: inout LibraryFolder) throws(Fault) {
        try folder.write("arrivals", times: minutes.map(\.time)) { index, line in
            let minute = minutes[index]
            line.text("source", minute.feed.rawValue)
            line.number("records", minute.records)
            line.number("nulls", minute.nulls)
            line.number("response_ms", minute.response)
            line.time("event_time", minute.time)
        }
    }
}
