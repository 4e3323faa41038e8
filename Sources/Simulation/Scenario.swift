import Base
import Topology

/// A topology with what is fed to it, both from a seed.
struct Scenario {
    struct Fed {
        var source: String
        var partition: Int32
        var key: String
        var value: String
        /// Event time, milliseconds.
        var time: Int64
    }

    var name: String
    var topology: String
    /// Texts that become the rules while the feed lasts, one after the other.
    var variants: [String] = []
    var partitions: Int32
    /// In the order in which they are published.
    var feed: [Fed]
    /// Tables that are there before anything else.
    var tables: [Fed] = []
    /// Each partition by itself, in its order; otherwise all records in one task, in the order of event time.
    var isSeparate: Bool
    /// What is written to a repartition topic since the last commit comes again at least once, and is counted
    /// again.
    var mayRepeat = true
    /// Outputs of one key are in one order, whatever rule or step made them.
    var isOrdered = false
    /// Members of results that depend on how records are spread over partitions and time.
    var ignored = ["detected_at", "cause", "completeness"]

    static let start: Int64 = 1_600_000_000_000

    typealias Maker = @Sendable (inout SplitMix64) -> Scenario

    static let all: [(name: String, make: Maker)] = [
        ("windows", windows), ("operators", operators), ("repartition", repartition), ("tables", tables),
        ("fundFlow", fundFlow), ("rules", rules),
    ]

    static func partition(of key: String, _ partitions: Int32) -> Int32 {
        SimulatedSink.partition(of: Array(key.utf8), among: partitions)
    }

    static func pick(_ count: Int, _ random: inout SplitMix64) -> Int { Int(random.next() % UInt64(count)) }

    /// Far behind everything else, so that all windows close.
    static func flush(
        _ source: String, _ partitions: Int32, at time: Int64, _ value: (String) -> String
    ) -> [Fed] {
        (0..<partitions).map { partition in
            var number = 0
            while Self.partition(of: "flush-\(number)", partitions) != partition { number += 1 }
            let key = "flush-\(number)"
            return Fed(source: source, partition: partition, key: key, value: value(key), time: time)
        }
    }

    /// Windows and rules of one source, with records that are out of order, late, or none.
    @Sendable static func windows(_ random: inout SplitMix64) -> Scenario {
        let partitions = Int32(1 + pick(4, &random))
        let shops = 1 + pick(6, &random)
        var feed: [Fed] = []
        var time = start
        for _ in 0..<(60 + pick(200, &random)) {
            time += Int64(pick(900, &random))
            if pick(40, &random) == 0 { time += 30_000 }
            var own = time - Int64(pick(2500, &random))
            if pick(25, &random) == 0 { own -= 40_000 }
            let shop = "shop-\(pick(shops, &random))"
            let kind = ["paid", "paid", "paid", "refunded"][pick(4, &random)]
            let value =
                pick(30, &random) == 0
                ? "{\"shop\":\"\(shop)\""
                : """
                {"shop":"\(shop)","buyer":"b\(pick(9, &random))","kind":"\(kind)","amount":\(pick(9000, &random)),"t":\(own)}
                """
            feed.append(
                Fed(
                    source: "orders", partition: partition(of: shop, partitions), key: shop, value: value,
                    time: own))
        }
        feed += flush("orders", partitions, at: time + 500_000) {
            "{\"shop\":\"\($0)\",\"buyer\":\"b\",\"kind\":\"flush\",\"amount\":1,\"t\":\(time + 500_000)}"
        }
        return Scenario(
            name: "windows",
            topology: """
                topology: simulated-windows
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 3s, idle: 1h }
                    schema: { shop: text, buyer: text, kind: text, amount: int, t: timestamp }
                steps:
                  paid: { from: orders, where: kind == "paid" }
                  pace:
                    from: paid
                    key: shop
                    window: { size: 10s, slide: 2s }
                    aggregate: { n: count(), total: sum(amount), least: min(amount), most: max(amount), buyers: distinct(buyer), newest: last(buyer) }
                  round:
                    from: orders
                    key: shop
                    window: { size: 20s }
                    aggregate: { n: count(), back: count(kind == "refunded"), opening: first(buyer) }
                  usual:
                    from: paid
                    key: shop
                    window: { size: 40s, slide: 10s, until: previous }
                    aggregate: { n: count() }
                  large: { from: paid, key: shop, where: amount > 8000 }
                rules:
                  burst:
                    on: pace
                    when: n >= 5
                    clear: n < 3
                    risk: r
                    severity: high
                    message: "{n} {total} {least} {most} {buyers} {newest}"
                  back:
                    on: round
                    at: close
                    when: back >= 2
                    clear: back == 0
                    risk: r
                    severity: low
                    message: "{n} {back} {opening}"
                  more:
                    on: { pace, usual }
                    when: pace.n > usual.n + 2
                    clear: pace.n <= usual.n
                    risk: r
                    severity: low
                    message: "{pace.n} {usual.n}"
                  large: { on: large, when: amount > 8000, risk: r, severity: low, message: "{amount}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                  rounds: { kafka: { topic: rounds }, from: [round, pace] }
                """,
            partitions: partitions, feed: feed, isSeparate: true, isOrdered: true, ignored: ["detected_at"])
    }

    /// Operators that take rows in event-time order, of two sources.
    @Sendable private static func operators(_ random: inout SplitMix64) -> Scenario {
        let partitions = Int32(1 + pick(3, &random))
        let shops = 1 + pick(5, &random)
        var feed: [Fed] = []
        var time = start
        var number = 0
        for _ in 0..<(50 + pick(150, &random)) {
            time += Int64(1 + pick(1500, &random))
            let shop = "shop-\(pick(shops, &random))"
            let place = partition(of: shop, partitions)
            if pick(3, &random) < 2 {
                number += 1
                feed.append(
                    Fed(
                        source: "orders", partition: place, key: shop,
                        value:
                            "{\"shop\":\"\(shop)\",\"id\":\(number),\"kind\":\"k\(pick(3, &random))\",\"amount\":\(pick(100, &random)),\"t\":\(time)}",
                        time: time))
            } else {
                let other = max(1, number - pick(6, &random))
                feed.append(
                    Fed(
                        source: "arrivals", partition: place, key: shop,
                        value: "{\"shop\":\"\(shop)\",\"id\":\(other),\"t\":\(time)}", time: time))
            }
        }
        let end = time + 500_000
        feed += flush("orders", partitions, at: end) {
            "{\"shop\":\"\($0)\",\"id\":0,\"kind\":\"f\",\"amount\":1,\"t\":\(end)}"
        }
        feed += flush("arrivals", partitions, at: end + 1) {
            "{\"shop\":\"\($0)\",\"id\":-1,\"t\":\(end + 1)}"
        }
        return Scenario(
            name: "operators",
            topology: """
                topology: simulated-operators
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { shop: text, id: int, kind: text, amount: int, t: timestamp }
                  arrivals:
                    kafka: { topic: arrivals }
                    key: shop
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { shop: text, id: int, t: timestamp }
                steps:
                  matched: { from: orders, join: { stream: arrivals, on: [shop, id], within: 8s, kind: left, as: came } }
                  thrice: { from: orders, key: shop, sequence: { repeat: amount > 40, times: 3, within: 12s } }
                  unseen: { from: orders, key: shop, sequence: { first: amount > 60, without: amount < 20, within: 6s } }
                  then: { from: orders, key: shop, sequence: { first: amount > 70, then: amount < 30, within: 9s } }
                  once: { from: arrivals, key: shop, deduplicate: { by: [shop, id], within: 10s } }
                  visits: { from: orders, key: shop, window: { gap: 3s, max: 20s }, aggregate: { n: count(), total: sum(amount) } }
                  minute: { from: matched, key: shop, window: { size: 10s }, aggregate: { n: count(), seen: count(came.found) } }
                  few: { from: minute, where: seen < n }
                  best: { from: orders, key: shop, top: { count: 2, by: amount } }
                  graded:
                    from: orders
                    key: shop
                    levels:
                      { item: kind, active: amount > 30, weight: 1, expire: 20s, steps: { low: { at: 1, below: 1, hold: 5s }, high: { at: 3, below: 2, hold: 10s } } }
                rules:
                  thrice: { on: thrice, when: sequence.count >= 3, risk: r, severity: low, message: "{sequence.count}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                  matched: { kafka: { topic: matched }, from: [matched] }
                  unseen: { kafka: { topic: unseen }, from: [unseen] }
                  then: { kafka: { topic: then }, from: [then] }
                  once: { kafka: { topic: once }, from: [once] }
                  visits: { kafka: { topic: visits }, from: [visits] }
                  minute: { kafka: { topic: minute }, from: [minute] }
                  few: { kafka: { topic: few }, from: [few] }
                  best: { kafka: { topic: best }, from: [best] }
                  graded: { kafka: { topic: graded }, from: [graded] }
                """,
            partitions: partitions, feed: feed, isSeparate: true)
    }

    /// Windows and operators by another key than the topic's.
    @Sendable private static func repartition(_ random: inout SplitMix64) -> Scenario {
        let partitions = Int32(1 + pick(3, &random))
        var feed: [Fed] = []
        var time = start
        for _ in 0..<(50 + pick(150, &random)) {
            time += Int64(1 + pick(1200, &random))
            let shop = "shop-\(pick(6, &random))"
            feed.append(
                Fed(
                    source: "orders", partition: partition(of: shop, partitions), key: shop,
                    value:
                        "{\"shop\":\"\(shop)\",\"buyer\":\"b\(pick(4, &random))\",\"amount\":\(pick(100, &random)),\"t\":\(time)}",
                    time: time))
        }
        for end in [time + 500_000, time + 1_000_000] {
            feed += flush("orders", partitions, at: end) {
                "{\"shop\":\"\($0)\",\"buyer\":\"\($0)\",\"amount\":1,\"t\":\(end)}"
            }
        }
        return Scenario(
            name: "repartition",
            topology: """
                topology: simulated-repartition
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { shop: text, buyer: text, amount: int, t: timestamp }
                steps:
                  spent:
                    from: orders
                    where: amount > 5
                    key: buyer
                    window: { size: 10s, slide: 5s }
                    aggregate: { n: count(), total: sum(amount), shops: distinct(shop) }
                  visits: { from: orders, key: buyer, window: { gap: 3s, max: 20s }, aggregate: { n: count() } }
                  hours: { from: spent, key: buyer, window: { size: 30s }, aggregate: { most: max(n) } }
                rules:
                  spender:
                    on: spent
                    at: close
                    when: total > 150
                    clear: total < 100
                    risk: r
                    severity: low
                    message: "{n} {total} {shops}"
                sinks:
                  alerts: { kafka: { topic: alerts } }
                  spent: { kafka: { topic: spent }, from: [spent] }
                  visits: { kafka: { topic: visits }, from: [visits] }
                  hours: { kafka: { topic: hours }, from: [hours] }
                """,
            partitions: partitions, feed: feed, isSeparate: false, mayRepeat: false)
    }

    /// A co-partitioned table and one that every lane has all of.
    @Sendable private static func tables(_ random: inout SplitMix64) -> Scenario {
        let partitions = Int32(1 + pick(3, &random))
        var tables: [Fed] = []
        for shop in 0..<6 {
            for version in 0..<(1 + pick(3, &random)) {
                let time = start - 100_000 + Int64(version) * 10_000
                tables.append(
                    Fed(
                        source: "shops", partition: partition(of: "shop-\(shop)", partitions),
                        key: "shop-\(shop)",
                        value:
                            "{\"shop\":\"shop-\(shop)\",\"city\":\"c\(pick(3, &random))\",\"since\":\(time)}",
                        time: time))
            }
        }
        for city in 0..<3 {
            let time = start - 200_000
            tables.append(
                Fed(
                    source: "cities", partition: Int32(pick(Int(partitions), &random)), key: "c\(city)",
                    value: "{\"city\":\"c\(city)\",\"size\":\(pick(100, &random)),\"since\":\(time)}",
                    time: time))
        }
        var feed: [Fed] = []
        var time = start
        for _ in 0..<(40 + pick(100, &random)) {
            time += Int64(1 + pick(1200, &random))
            let shop = "shop-\(pick(7, &random))"
            feed.append(
                Fed(
                    source: "orders", partition: partition(of: shop, partitions), key: shop,
                    value: "{\"shop\":\"\(shop)\",\"amount\":\(pick(100, &random)),\"t\":\(time)}", time: time
                ))
        }
        feed += flush("orders", partitions, at: time + 500_000) {
            "{\"shop\":\"\($0)\",\"amount\":1,\"t\":\(time + 500_000)}"
        }
        return Scenario(
            name: "tables",
            topology: """
                topology: simulated-tables
                sources:
                  shops:
                    kafka: { topic: shops }
                    table: { key: shop, versions: 30d }
                    time: { field: since, out_of_order: 2s }
                    schema: { shop: text, city: text, since: timestamp }
                  cities:
                    kafka: { topic: cities }
                    table: { key: city, versions: 30d, broadcast: true }
                    time: { field: since, out_of_order: 2s }
                    schema: { city: text, size: int, since: timestamp }
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { shop: text, amount: int, t: timestamp }
                steps:
                  listed: { from: orders, join: { table: shops, on: shop, kind: left, as: own } }
                  placed: { from: listed, join: { table: cities, on: own.city, kind: left, as: town } }
                  sold:
                    from: placed
                    key: shop
                    window: { size: 10s }
                    aggregate: { n: count(), big: "sum(amount, town.size > 50)", where_to: last(own.city) }
                rules:
                  much: { on: sold, at: close, when: n > 3, clear: n < 2, risk: r, severity: low, message: "{n} {big} {where_to}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                  rows: { kafka: { topic: rows }, from: [sold] }
                """,
            partitions: partitions, feed: feed, tables: tables, isSeparate: true)
    }
}
