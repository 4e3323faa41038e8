import Base
import Connectors
import Foundation
import Marketplace
import Records
import Testing

/// A marketplace small enough to look at every event: ten days, 120 shops, 64 orders a shop and day.
private func small(seed: UInt64 = 3) -> MarketplaceOptions {
    var options = MarketplaceOptions(seed: seed, merchants: 120, ordersPerDay: 7680)
    options.fraudPerMille = 100
    options.nearMissPerMille = 70
    return options
}

@Suite struct MarketplaceTests {
    @Test func aSeedRepeatsItsBytes() throws {
        // Goal: same options, same bytes, however many events a call asks for; another seed, others.
        var options = small()
        options.eventsMax = 20_000
        let whole = try bytes(options, step: 20_000)
        #expect(whole.count > 20_000 * 170)
        #expect(try bytes(options, step: 777) == whole)
        options.seed = 4
        #expect(try bytes(options, step: 20_000) != whole)
    }

    @Test func theBytesAreTheSameOnEveryMachine() throws {
        // Goal: no binary floating point and no library on the way. Method: a hash of earlier bytes, fixed.
        var options = small()
        options.eventsMax = 5000
        let all = try bytes(options, step: 1000)
        let hash = all.withUnsafeBufferPointer { foldBytes($0.baseAddress!, $0.count) }
        #expect(hash == 8_645_139_577_430_350_543)
    }

    @Test func everyEventIsGoodAndComesNearlyInOrder() throws {
        // Goal: an event parses, has every field, its ranges point at the right bytes, and none is later
        // than promised.
        var options = small()
        options.eventsMax = 10_000
        options.outOfOrderMilliseconds = 700
        var marketplace = try Marketplace(options)
        let events = MarketplaceEvents()
        #expect(marketplace.next(into: events, eventsMax: 10_000) == 10_000)
        #expect(marketplace.next(into: events, eventsMax: 10_000) == 0)
        var newest = Int64.min
        var late = 0
        for event in events.events {
            let value = Data(bytes: events.bytes.base + event.valueOffset, count: Int(event.valueCount))
            let parsed = try #require(try JSONSerialization.jsonObject(with: value) as? [String: Any])
            #expect(parsed.count == 9)
            let key = Data(bytes: events.bytes.base + event.keyOffset, count: Int(event.keyCount))
            #expect(parsed["merchant_id"] as? String == String(decoding: key, as: UTF8.self))
            #expect(events.bytes.base[event.valueOffset + Int(event.valueCount)] == 0x0A)
            let time = try #require(parsed["event_time"] as? String)
            #expect(try milliseconds(time) == event.time)
            let created = try #require(parsed["buyer_created"] as? Int64)
            #expect(created < event.time && created > event.time - 1100 * Marketplace.day)
            newest = max(newest, event.time)
            #expect(event.time >= newest - 700)
            if event.time < newest { late += 1 }
        }
        #expect(late > 0)
        let mean = events.bytes.count / 10_000
        #expect((180...210).contains(mean), "\(mean) bytes an event")
    }

    @Test func ordinaryTradeHasItsRatesAndRhythm() throws {
        // Goal: orders a day, refunds, deliveries, nights and amounts are what the options say.
        var options = small(seed: 11)
        options.fraudPerMille = 0
        options.nearMissPerMille = 0
        var marketplace = try Marketplace(options)
        #expect(marketplace.takeLabels().isEmpty)
        let events = try read(&marketplace)
        let paid = events.filter { $0.kind == "paid" }
        #expect(abs(Double(paid.count) / 76_800 - 1) < 0.05)
        let refunds = Double(events.count { $0.kind == "refunded" }) / Double(paid.count)
        #expect((0.03...0.05).contains(refunds))
        let shipped = Double(events.count { $0.kind == "shipped" }) / Double(paid.count)
        #expect((0.15...0.2).contains(shipped))
        let night = Double(paid.count { $0.localHour < 6 }) / Double(paid.count)
        #expect((0.04...0.06).contains(night))
        let orders = Set(paid.map(\.order))
        #expect(orders.count == paid.count)
        // What follows an order names it, and carries its amount.
        let amounts = Dictionary(uniqueKeysWithValues: paid.map { ($0.order, $0.cents) })
        #expect(events.allSatisfy { amounts[$0.order] == $0.cents })
        let sizes = Dictionary(grouping: paid, by: \.merchant).mapValues(\.count)
        #expect(sizes.count == 120)
        #expect((sizes.values.max() ?? 0) > 5 * (sizes.values.sorted()[60]))
    }

    @Test func labelsAgreeWithALookAtTheEvents() throws {
        // Goal: the planted shops, and only they, break the rules of Topologies/marketplace; a near miss
        // does not. Method: the rules by brute force over every shop's events, on three seeds.
        for seed: UInt64 in [3, 5, 8] {
            var marketplace = try Marketplace(small(seed: seed))
            let labels = marketplace.takeLabels()
            let events = try read(&marketplace)
            let shops = Dictionary(grouping: events, by: \.merchant)
            var found: Set<String> = []
            for (merchant, events) in shops {
                let events = events.sorted { $0.time < $1.time }
                if findsVolumeSpike(events) { found.insert("\(merchant) fabricatedVolume") }
                if findsRefundWave(events) { found.insert("\(merchant) refundWave") }
                if findsOddHours(events) { found.insert("\(merchant) oddHours") }
                if findsOneBuyer(events) { found.insert("\(merchant) oneBuyer") }
            }
            let planted = labels.filter { !$0.isNearMiss }
            #expect(planted.count == 12)
            #expect(labels.count == 20)
            #expect(Set(labels.map(\.merchant)).count == labels.count)
            let expected = Set(planted.map { "\($0.merchant) \($0.scheme)" })
            #expect(found == expected, "seed \(seed)")
        }
    }

    @Test func labelsAreWritten() throws {
        var marketplace = try Marketplace(small())
        let labels = marketplace.takeLabels()
        #expect(marketplace.takeLabels().isEmpty)
        let bytes = Arena(capacity: 64)
        Marketplace.write(labels, to: bytes)
        let lines = text(bytes).split(separator: "\n")
        #expect(lines.count == labels.count)
        for (line, label) in zip(lines, labels) {
            let parsed = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
            #expect(Set(parsed.keys) == ["merchant_id", "kind", "from", "to", "rule"])
            #expect((parsed["kind"] == "near-miss") == label.isNearMiss)
            #expect(try milliseconds(parsed["from"] ?? "") == label.from)
        }
    }

    @Test func aMarketplaceWithoutEndPlantsAgain() throws {
        // Goal: each ten days have fraud of their own.
        var options = small()
        options.durationMilliseconds = nil
        var marketplace = try Marketplace(options)
        #expect(marketplace.takeLabels().count == 20)
        let events = MarketplaceEvents()
        for _ in 0..<12 {
            events.removeAll()
            #expect(marketplace.next(into: events, eventsMax: 10_000) == 10_000)
        }
        let again = marketplace.takeLabels()
        #expect(again.count == 20)
        #expect(again.allSatisfy { $0.from >= options.startMilliseconds + 10 * Marketplace.day })
    }

    @Test func wrongOptionsAreRefused() {
        for change: (inout MarketplaceOptions) -> Void in [
            { $0.merchants = 0 }, { $0.merchants = 1_000_000 }, { $0.ordersPerDay = 0 },
            { $0.startMilliseconds = -1 }, { $0.durationMilliseconds = 0 }, { $0.fraudPerMille = 990 },
            { $0.outOfOrderMilliseconds = -1 }, { $0.fulfilledPerMille = 1001 },
        ] {
            var options = small()
            change(&options)
            #expect(throws: Fault.self) { try Marketplace(options) }
        }
    }

    @Test func everyRateAndShopCountRuns() throws {
        // Goal: one order a day or ten thousand a second, one shop or many: events, and no stop.
        for (merchants, perDay) in [(1, 1), (1, 500), (5000, 864_000_000), (999_999, 86_400)] {
            var options = MarketplaceOptions(seed: 1, merchants: merchants, ordersPerDay: perDay)
            options.durationMilliseconds = perDay == 1 ? 20 * Marketplace.day : nil
            options.eventsMax = 20_000
            var marketplace = try Marketplace(options)
            let events = MarketplaceEvents()
            let count = marketplace.next(into: events, eventsMax: 20_000)
            #expect(perDay == 1 ? (10...70).contains(count) : count == 20_000)
        }
    }
}
