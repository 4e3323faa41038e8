import Base
import Connectors
import Engine

/// The records of an input, the same every time; half an hour of event time, or `times` as much, so that as
/// many fall into a pane whatever their number.
struct BenchRecords {
    let input: BenchInput
    let count: Int
    private var orders: BenchOrders
    private var number = 0

    /// From the first to where the next would be.
    var eventMilliseconds: Int64 { Int64(count) * 1000 / orders.recordsPerSecond }

    struct Record {
        var order: BenchOrders.Order
        var mistake = BenchWriter.Mistake.none
        var isLate = false
    }

    init(_ input: BenchInput, records: Int) {
        self.input = input
        count = records * input.times
        orders = BenchOrders(keys: input.keys, recordsPerSecond: max(1, Int64(records) / 1800), seed: 99)
        orders.hasHotKey = input.hasHotKey
    }

    mutating func next() -> Record {
        var record = Record(order: orders.next())
        if input.hasBad, number % 10 == 3 { record.mistake = number % 20 == 3 ? .notJson : .wrongType }
        // None in the first tenth, where a partition may have no watermark yet; one in nine of the others.
        if input.hasLate, number >= count / 10, number % 9 == 0 {
            record.isLate = true
            record.order.time -= 3_600_000
            // What a filter drops is late for nobody.
            record.order.kind = .paid
        }
        number += 1
        return record
    }

    /// Makes the topic and sends all of them; the mean bytes of a record.
    static func fill(
        _ settings: KafkaSettings, _ admin: KafkaAdmin, topic: String, _ input: BenchInput, records: Int
    ) throws(Fault) -> Int {
        try admin.create([KafkaTopicPlan(name: topic, partitions: input.partitions)])
        var settings = settings
        settings.raw["compression.codec"] = input.codec
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        let writer = BenchWriter(padding: input.padding)
        var source = BenchRecords(input, records: records)
        var bytes = 0
        for number in 0..<source.count {
            let record = source.next()
            writer.write(record.order, number: number, record.mistake)
            bytes += writer.value.count
            try feeder.send(to: target, key: writer.key, value: writer.value)
            if number % 1000 == 0 { feeder.poll() }
        }
        try feeder.flush()
        return bytes / source.count
    }
}

/// What a shape must come out as, by the plainest computation over the same records.
struct BenchAnswer {
    /// By window and rule, in cents; a tenth of the merchants, but at most 1,000, get above that of a
    /// window's rules together, so that what is measured are conditions and not alerts.
    var limits: [[Int64]] = []
    var alerts = 0
    var dead = 0
    var late = 0

    init(_ shape: BenchShape, records: Int) {
        var windows = shape.windows.map { Running(keys: shape.input.keys, $0) }
        var source = BenchRecords(shape.input, records: records)
        for _ in 0..<source.count {
            let record = source.next()
            if record.mistake != .none {
                dead += 1
            } else if record.isLate {
                late += 1
            } else if record.order.isPaid {
                for index in windows.indices { windows[index].add(record.order) }
            }
        }
        for window in windows {
            let sorted = window.highest.sorted()
            let mean = Double(min(sorted.count / 10, 1000)) / Double(shape.rules)
            // No two are alike, or one might be computed for both.
            let limits = (0..<shape.rules).map { rule in
                let above = max(1, Int(mean * Double(2 * rule + 1) / Double(shape.rules)))
                return max(
                    0, (sorted.count > above ? sorted[sorted.count - 1 - above] : sorted[0] - 1) - Int64(rule)
                )
            }
            self.limits.append(limits)
            for limit in limits { alerts += window.highest.count { $0 > limit } }
        }
    }

    /// The turnover of each merchant in a window that ends with the slide of its last order.
    private struct Running {
        private let slide: Int64
        private let span: Int64
        private var orders: [(merchant: Int32, cents: Int32, pane: Int64)] = []
        private var oldest = 0
        private var running: [Int64]
        /// The most that it ever was.
        private(set) var highest: [Int64]

        init(keys: Int, _ window: BenchShape.Window) {
            slide = window.slideSeconds * 1000
            span = window.sizeSeconds / window.slideSeconds
            running = Array(repeating: 0, count: keys)
            highest = running
        }

        /// Orders come in the order of their times.
        mutating func add(_ order: BenchOrders.Order) {
            let pane = order.time / slide
            while oldest < orders.count, orders[oldest].pane <= pane - span {
                running[Int(orders[oldest].merchant)] -= Int64(orders[oldest].cents)
                oldest += 1
            }
            orders.append((Int32(order.merchant), Int32(order.cents), pane))
            running[order.merchant] += order.cents
            highest[order.merchant] = max(highest[order.merchant], running[order.merchant])
        }
    }
}
