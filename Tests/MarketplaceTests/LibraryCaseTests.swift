import Connectors
import Foundation
import Marketplace
import Testing

/// Goal: what is planted can be found, and near misses and ordinary traffic stay away from the limit. Method:
/// the rules' conditions by plain sums over the files.
@Suite struct LibraryCaseTests {
    private func month() throws -> LibraryFiles { try LibraryFiles.small.get() }

    private func cases(_ rule: LibraryLabel.Rule) throws -> [LibraryLabel] {
        try month().summary.labels.filter { $0.rule == rule }
    }

    private func orders(_ label: LibraryLabel, _ kind: String) throws -> [LibraryRow] {
        let rows = try month().rows("orders", containing: "\"merchant_id\":\"\(label.keyText)\"")
        return rows.filter { $0.text("kind") == kind }
    }

    private func localDay(_ row: LibraryRow) throws -> Int64 {
        try (row.time + Marketplace.zoneOffset) / Marketplace.day
    }

    @Test func moneyOfLoansIsFoundWhereItWent() throws {
        // Goal: no cent of a loan is lost on the way, and the four rules of fund-flow tell planted loans from
        // all others.
        let files = try month()
        let trail = try MoneyTrail(files)
        #expect(trail.sums.count >= 20)
        for (loan, sums) in trail.sums {
            #expect(sums.held == sums.disbursed, "\(loan)")
            let planted = Set(
                files.summary.labels.filter { $0.keyText == loan && !$0.isNearMiss }.map(\.rule))
            func judge(_ rule: LibraryLabel.Rule, _ value: Int, over limit: Int, ordinary: Int) {
                let isPlanted = planted.contains(rule)
                #expect(isPlanted ? value > limit : value < ordinary, "\(rule.rawValue) of \(loan): \(value)")
            }
            judge(
                .divertedShare, sums.diverted, over: sums.disbursed * 45 / 100,
                ordinary: sums.disbursed * 20 / 100)
            judge(
                .roundTrip, sums.returned, over: sums.disbursed * 45 / 100,
                ordinary: sums.disbursed * 12 / 100)
            judge(.cashOut, sums.cash, over: sums.disbursed * 35 / 100, ordinary: sums.disbursed * 12 / 100)
            judge(.unrelatedTransfer, sums.largestUnrelated, over: 59_000_00, ordinary: 43_000_00)
        }
    }

    @Test func lowDeclaredValuesAreFound() throws {
        let files = try month()
        for label in try cases(.declaredValue) {
            var declared: [String: Int] = [:]
            for row in try files.rows("customs", containing: "\"merchant_id\":\"\(label.keyText)\"") {
                declared[row.text("order_id")] = row.cents("declared_value")
            }
            var (count, sold, told) = (0, 0, 0)
            for order in try orders(label, "paid") {
                let time = try order.time
                guard time >= label.from, time < label.from + 8 * Marketplace.day else { continue }
                guard let value = declared[order.text("order_id")] else { continue }
                count += 1
                sold += order.cents("amount")
                told += value
            }
            #expect(count > 120)
            let share = told * 100 / sold
            #expect(label.isNearMiss ? (80...90).contains(share) : share < 52, "\(label.keyText): \(share) %")
        }
    }

    @Test func daysOfReturnsFollowEachOther() throws {
        for label in try cases(.returnsRunning) {
            var paid: [Int64: Int] = [:]
            var refunded: [Int64: Int] = [:]
            for row in try orders(label, "paid") {
                paid[try localDay(row), default: 0] += row.cents("amount")
            }
            for row in try orders(label, "refunded") {
                refunded[try localDay(row), default: 0] += row.cents("amount")
            }
            var (run, longest) = (0, 0)
            for day in paid.keys.sorted() {
                run = refunded[day, default: 0] * 100 > 30 * (paid[day] ?? 0) ? run + 1 : 0
                longest = max(longest, run)
            }
            #expect(label.isNearMiss ? longest <= 2 : longest == 4, "\(label.keyText): \(longest) days")
        }
    }

    @Test func aPolicyTouchesEveryShopOfItsPlatformAndCategory() throws {
        let files = try month()
        let policies = try files.rows("policies")
        #expect(Set(policies.map { $0.text("kind") }) == ["traffic", "deposit", "ban"])
        #expect(policies.contains { $0.text("category") == "*" })
        var touched = Set<String>()
        for policy in policies {
            for shop in try files.rows("shops") where shop.text("platform") == policy.text("platform") {
                guard ["*", shop.text("category")].contains(policy.text("category")) else { continue }
                touched.insert(shop.text("merchant_id"))
            }
        }
        #expect(Set(files.labels(.policyChange, isNearMiss: false).map(\.keyText)) == touched)
        #expect(touched.isDisjoint(with: files.labels(.policyChange, isNearMiss: true).map(\.keyText)))
    }

    @Test func taxesDeclareWhatWasSold() throws {
        // Local March begins with the month, and is declared on the first of April.
        let files = try month()
        for label in try cases(.taxGap) {
            let declared = try #require(files.rows("taxes", containing: label.keyText).first)
            #expect(declared.text("month") == "2026-03")
            let end = LibraryOptions.start + 30 * Marketplace.day
            let sold = try orders(label, "paid").filter { try $0.time < end }.reduce(0) {
                $0 + $1.cents("amount")
            }
            let share = declared.cents("declared_sales") * 100 / sold
            #expect(label.isNearMiss ? (74...81).contains(share) : (29...41).contains(share), "\(share) %")
        }
    }

    @Test func feedsFailAndRecover() throws {
        let files = try month()
        for rule in [LibraryLabel.Rule.slowSource, .silentSource, .incompleteSource, .nullSource] {
            for label in files.labels(rule, isNearMiss: false) {
                let rows = try files.rows("arrivals", containing: "{\"source\":\"\(label.keyText)\"")
                func within(_ from: Int64, _ to: Int64) throws -> [LibraryRow] {
                    try rows.filter { from..<to ~= (try $0.time) }
                }
                let during = try within(label.from, label.to)
                let after = try within(label.to, label.to + Marketplace.hour)
                func sum(_ rows: [LibraryRow], _ name: String) -> Int {
                    rows.reduce(0) { $0 + $1.number(name) }
                }
                switch rule {
                case .slowSource: #expect(during.allSatisfy { $0.number("response_ms") > 1000 })
                case .silentSource: #expect(sum(during, "records") == 0)
                case .incompleteSource:
                    #expect(sum(during, "records") * 60 < sum(after, "records") * during.count / 2)
                default: #expect(sum(during, "nulls") * 10 > 3 * sum(during, "records"))
                }
                #expect(after.count == 60 && sum(after, "nulls") * 10 < sum(after, "records"))
                #expect(after.allSatisfy { $0.number("response_ms") < 500 && $0.number("records") > 0 })
            }
        }
    }
}
