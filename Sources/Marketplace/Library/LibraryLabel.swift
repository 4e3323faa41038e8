/// A planted case, or one that stays on the right side of a limit: what an evaluation of the rules compares
/// alerts with.
package struct LibraryLabel: Equatable, Sendable {
    package enum Rule: String, Sendable, CaseIterable {
        case addressMismatch = "address-mismatch"
        case signoffReturns = "signoff-returns"
        case declaredValue = "declared-value"
        case missingCustoms = "missing-customs"
        case missingLogistics = "missing-logistics"
        case valueMismatch = "value-mismatch"
        case taxGap = "tax-gap"
        case negativeIndustry = "negative-industry"
        case platformViolations = "platform-violations"
        case tooYoung = "too-young"

        case volumeSpike = "volume-spike"
        case returnsRunning = "returns-running"
        case oddHours = "odd-hours"
        case fewBuyers = "few-buyers"
        case youngBuyers = "young-buyers"
        case priceJump = "price-jump"
        case categoryJump = "category-jump"
        case policyChange = "policy-change"
        case stackedDebt = "stacked-debt"

        case divertedShare = "diverted-share"
        case unrelatedTransfer = "unrelated-transfer"
        case roundTrip = "round-trip"
        case cashOut = "cash-out"

        case slowSource = "slow-source"
        case silentSource = "silent-source"
        case incompleteSource = "incomplete-source"
        case nullSource = "null-source"

        package var topology: String {
            switch self {
            case .addressMismatch, .signoffReturns, .declaredValue, .missingCustoms, .missingLogistics,
                .valueMismatch, .taxGap, .negativeIndustry, .platformViolations, .tooYoung:
                "before-the-loan"
            case .volumeSpike, .returnsRunning, .oddHours, .fewBuyers, .youngBuyers, .priceJump,
                .categoryJump,
                .policyChange, .stackedDebt:
                "during-the-loan"
            case .divertedShare, .unrelatedTransfer, .roundTrip, .cashOut:
                "fund-flow"
            case .slowSource, .silentSource, .incompleteSource, .nullSource:
                "data-sources"
            }
        }

        static let ofMerchants = allCases.filter {
            ["before-the-loan", "during-the-loan"].contains($0.topology)
        }
        static let ofLoans = allCases.filter { $0.topology == "fund-flow" }
        static let ofFeeds = allCases.filter { $0.topology == "data-sources" }
    }

    /// What the alert is about.
    package enum Key: Equatable, Sendable {
        /// By index, from 0.
        case merchant(Int)
        /// By number, from 1.
        case loan(Int)
        case feed(LibraryFeed)
    }

    package var rule: Rule
    package var key: Key
    package var isNearMiss: Bool
    /// An alert's event time lies within this time, or within a day after it.
    package var from: Int64
    package var to: Int64

    func write(to line: inout LineWriter) {
        line.text("topology", rule.topology)
        line.text("rule", rule.rawValue)
        switch key {
        case .merchant(let index): line.merchant("key", index)
        case .loan(let number): line.id("key", "L", number)
        case .feed(let feed): line.text("key", feed.rawValue)
        }
        line.text("kind", isNearMiss ? "near-miss" : "planted")
        line.time("from", from)
        line.time("to", to)
    }
}
