import Base

/// What the platforms say: violations, policies and which shops they touch.
struct LibraryPlatform {
    private struct Policy {
        var platform: Int
        /// nil: all of them.
        var category: Int?
        var kind: String

        func touches(_ shop: LibraryShop) -> Bool {
            platform == shop.platform && (category == nil || category == shop.category)
        }
    }

    private let options: LibraryOptions
    private let cast: LibraryCast
    private var random: SplitMix64
    private(set) var labels: [LibraryLabel] = []

    init(_ options: LibraryOptions, _ cast: LibraryCast) {
        self.options = options
        self.cast = cast
        random = options.random(.platform)
    }

    private mutating func below(_ bound: Int64) -> Int64 {
        Int64(Marketplace.below(UInt64(bound), random.next()))
    }

    /// Writes violations.jsonl. Points within 90 days: too many are 24. Planted are 30 to 36, near misses
    /// have 18, every third shop has up to 6.
    mutating func writeViolations(to folder: inout LibraryFolder) throws(Fault) {
        var violations: [(merchant: Int, points: Int64)] = []
        var times: [Int64] = []
        for (merchant, shop) in cast.shops.enumerated() {
            let plant = shop.plant < 0 ? nil : cast.plants[shop.plant]
            if let plant, plant.rule == .platformViolations {
                let last = 10 + below(3) * 3
                let points = plant.isNearMiss ? [8, 6, 4] : [12, 8, last]
                for (number, points) in points.enumerated() {
                    let day = options.midnight(plant.firstDay + number * 4)
                    violations.append((merchant, points))
                    times.append(day + 10 * Marketplace.hour + below(8 * Marketplace.hour))
                }
                let from = plant.isNearMiss ? options.midnight(plant.firstDay) : times[times.count - 1]
                labels.append(plant.label(from: from, to: options.end))
            } else if below(3) == 0 {
                for _ in 0...below(2) {
                    violations.append((merchant, 1 + below(3)))
                    times.append(
                        options.midnight(shop.firstDay) + below(options.end - options.midnight(shop.firstDay))
                    )
                }
            }
        }
        try folder.write("violations", times: times) { index, line in
            let violation = violations[index]
            line.merchant("merchant_id", violation.merchant)
            line.text("platform", LibraryCast.platforms[cast.shops[violation.merchant].platform])
            line.number("points", violation.points)
            line.time("event_time", times[index])
        }
    }

    /// Writes shops.jsonl, a table with one shop for each merchant.
    mutating func writeShops(to folder: inout LibraryFolder) throws(Fault) {
        let times = cast.shops.map { shop in
            shop.firstDay > 0
                ? options.midnight(shop.firstDay) - Marketplace.hour
                : LibraryOptions.start - Marketplace.hour - below(20 * Marketplace.day)
        }
        try folder.write("shops", times: times, isTable: true) { index, line in
            line.merchant("merchant_id", index)
            line.text("platform", LibraryCast.platforms[cast.shops[index].platform])
            line.text("category", LibraryCast.categories[cast.shops[index].category])
            line.time("since", times[index])
        }
    }

    /// Writes policies.jsonl: a policy touches every merchant with its platform and category, and nobody
    /// else. One is for all of a small platform, one touches nobody. Near misses share the platform or the
    /// category only.
    mutating func writePolicies(to folder: inout LibraryFolder) throws(Fault) {
        var pairs: [(platform: Int, category: Int)] = []
        for platform in 0..<LibraryCast.cornerPlatform {
            for category in LibraryCast.categories.indices where count(platform, category) >= 3 {
                pairs.append((platform, category))
            }
        }
        for index in pairs.indices.dropFirst() { pairs.swapAt(index, Int(below(Int64(index) + 1))) }
        var policies: [Policy] = []
        for (pair, kind) in zip(pairs, ["traffic", "deposit", "ban"]) {
            policies.append(Policy(platform: pair.platform, category: pair.category, kind: kind))
        }
        policies.append(Policy(platform: LibraryCast.cornerPlatform, category: nil, kind: "deposit"))
        let empty = LibraryCast.categories.indices.first { count(LibraryCast.cornerPlatform, $0) == 0 }
        if let empty {
            policies.append(Policy(platform: LibraryCast.cornerPlatform, category: empty, kind: "traffic"))
        }

        // After the last shop has opened.
        let first = Int64(options.days - 9)
        let times = policies.indices.map { index in
            options.midnight(Int(first) + index) + 10 * Marketplace.hour + below(6 * Marketplace.hour)
        }
        var missed = Set<Int>()
        for (policy, time) in zip(policies, times) {
            var misses = 0
            for (merchant, shop) in cast.shops.enumerated() {
                let isTouched = policy.touches(shop)
                if !isTouched {
                    let isAlike = policy.platform == shop.platform || policy.category == shop.category
                    let isFree = !policies.contains { $0.touches(shop) }
                    guard isAlike, isFree, misses < 4, missed.insert(merchant).inserted else { continue }
                    misses += 1
                }
                labels.append(
                    LibraryLabel(
                        rule: .policyChange,
                        key: .merchant(merchant),
                        isNearMiss: !isTouched,
                        from: time,
                        to: time + Marketplace.day
                    )
                )
            }
        }
        try folder.write("policies", times: times) { index, line in
            line.id("policy_id", "P", index + 1)
            line.text("platform", LibraryCast.platforms[policies[index].platform])
            line.text("category", policies[index].category.map { LibraryCast.categories[$0] } ?? "*")
            line.text("kind", policies[index].kind)
            line.time("event_time", times[index])
        }
    }

    private func count(_ platform: Int, _ category: Int) -> Int {
        cast.shops.count { $0.platform == platform && $0.category == category }
    }
}
