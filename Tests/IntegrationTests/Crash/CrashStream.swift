import Base

/// A seeded stream of orders for the crash suite: planted bursts that raise alerts and quiet after them that
/// clears these, some records out of order within the bound, a few late, a few malformed.
struct CrashStream {
    struct Order {
        var partition: Int32
        var merchant: Int
        var buyer: Int
        var isPaid: Bool
        /// Hundredths.
        var amount: Int64
        var time: Int64
        var id: String
        /// nil: a good order. Otherwise what stands in the topic instead.
        var malformed: String?

        var merchantName: String { CrashStream.name(merchant) }

        /// One line, as it stands in the topic.
        var text: String {
            if let malformed { return malformed }
            return "{\"order_id\":\"\(id)\",\"merchant_id\":\"\(merchantName)\",\"buyer_id\":\"b\(buyer)\","
                + "\"kind\":\"\(isPaid ? "paid" : "refunded")\",\"amount\":\(CrashStream.decimal(amount)),"
                + "\"event_time\":\(time)}"
        }
    }

    static let partitions: Int32 = 8
    static let merchants = 240
    static let outOfOrderMilliseconds: Int64 = 2000
    /// Event time between two orders of the stream.
    private static let stepMilliseconds: Int64 = 540
    /// 2026-01-06T16:00:00Z, midnight in Shanghai; the stream's middle.
    private static let midnight: Int64 = 1_767_715_200_000

    let seed: UInt64
    /// In the order in which they are sent.
    private(set) var orders: [Order] = []
    private var random: SplitMix64
    /// Of each partition, the greatest event time so far.
    private var greatest = [Int64](repeating: .min, count: Int(partitions))

    static func name(_ merchant: Int) -> String { "M\(merchant)" }
    static func partition(ofMerchant merchant: Int) -> Int32 { Int32(merchant) % partitions }

    static func decimal(_ hundredths: Int64) -> String {
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    init(seed: UInt64, orders count: Int) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        orders.reserveCapacity(count + Int(Self.partitions))
        var time = Self.midnight - Int64(count) * Self.stepMilliseconds / 2
        // Merchants that are in a burst: orders left, buyers that they come from.
        var bursts: [(merchant: Int, left: Int, buyers: Int)] = []
        while orders.count < count {
            time += Self.stepMilliseconds
            if bursts.count < 3, chance(0.004) {
                bursts.append((pick(Self.merchants), 6 + pick(14), chance(0.4) ? 1 : 12))
            }
            var merchant = pick(Self.merchants)
            var buyers = 20
            if !bursts.isEmpty, chance(0.12) {
                let index = pick(bursts.count)
                (merchant, buyers) = (bursts[index].merchant, bursts[index].buyers)
                bursts[index].left -= 1
                if bursts[index].left == 0 { bursts.remove(at: index) }
            }
            append(merchant, buyers: buyers, time)
        }
    }

    private mutating func append(_ merchant: Int, buyers: Int, _ now: Int64) {
        let partition = Self.partition(ofMerchant: merchant)
        var order = Order(
            partition: partition, merchant: merchant, buyer: pick(buyers), isPaid: !chance(0.04),
            amount: 100 + Int64(pick(20_000)), time: now, id: "o\(orders.count)", malformed: nil)
        if chance(0.004) { order.amount = 500_000 + Int64(pick(100_000)) }
        let reached = greatest[Int(partition)]
        let luck = pick(10_000)
        if luck < 600, reached != .min {
            order.time = reached - Int64(pick(Int(Self.outOfOrderMilliseconds) + 1))
        } else if luck < 615 {
            // Late for the windows of five minutes, not always for the hour and the day.
            order.time = now - 400_000 - Int64(pick(1_500_000))
        } else if luck < 625 {
            // Late for all of them.
            order.time = now - 3 * 86_400_000
        } else if luck < 640 {
            order.malformed = malformed(order)
        } else if luck < 650,
            let last = orders.last(where: { $0.merchant == merchant && $0.malformed == nil })
        {
            // Two large orders at one instant: ids differ by an ordinal.
            order.time = max(last.time, reached - Self.outOfOrderMilliseconds)
            order.amount = 700_000
        }
        if order.malformed == nil { greatest[Int(partition)] = max(reached, order.time) }
        orders.append(order)
    }

    private mutating func malformed(_ order: Order) -> String {
        switch pick(4) {
        case 0: "not JSON \(order.id)"
        case 1: "{\"order_id\":\"\(order.id)\",\"merchant_id\":\"M1\",\"kind\":\"paid\",\"amount\":\"many\"}"
        case 2:
            "{\"order_id\":\"\(order.id)\",\"buyer_id\":\"b1\",\"kind\":\"paid\",\"amount\":1.00,\"event_time\":1}"
        default:
            "{\"order_id\":\"\(order.id)\",\"merchant_id\":\"M1\",\"buyer_id\":\"b1\",\"kind\":\"paid\","
                + "\"amount\":1.00,\"event_time\":\"2199-13-01T00:00:00Z\"}"
        }
    }

    /// One large order for each partition, whose alert tells that everything before it was processed. They
    /// lie `aheadMilliseconds` after all others: far enough, and every window before them closes.
    static func markers(after stream: CrashStream, aheadMilliseconds: Int64, number: Int) -> [Order] {
        let last = stream.orders.filter { $0.malformed == nil }.map(\.time).max() ?? 0
        return (0..<partitions).map { partition in
            Order(
                partition: partition, merchant: (number + 1) * 1_000_000 + Int(partition), buyer: 0,
                isPaid: true,
                amount: 999_900, time: last + aheadMilliseconds, id: "marker-\(number)-\(partition)",
                malformed: nil)
        }
    }

    private mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    private mutating func chance(_ share: Double) -> Bool { Double(random.next() >> 11) * 0x1p-53 < share }
}
