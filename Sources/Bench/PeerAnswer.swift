import Base
import Connectors
import Engine
import Records
import Topology

/// The orders that peers are compared on, and the alerts that they must come to, by the plainest computation.
struct PeerAnswer {
    /// An alert: the first window above the limit.
    struct Edge: Hashable, CustomStringConvertible {
        var merchant: String
        /// End of the window, milliseconds.
        var end: Int64
        var count: Int64
        var cents: Int64

        var description: String { "\(merchant) at \(CivilTime.string(end)): \(count) orders, \(cents) cents" }
    }

    private static let size: Int64 = 300_000
    private static let slide: Int64 = 10_000
    private let input: BenchInput
    /// Of half an hour.
    private let records: Int
    /// Without those at the end.
    private let count: Int
    /// In cents; what one merchant in ten passes at least once.
    let limit: Int64
    let edges: Set<Edge>
    /// Event time of the orders, a whole number of slides.
    private let duration: Int64
    /// Small orders of other merchants at the end, in every partition, a slide apart, which let all windows
    /// before them close. Not one far ahead: of a window store that keeps records for a bounded time it would
    /// push out what was not emitted yet.
    private static let lastMerchants = 64
    private static let lastSlides = 36
    var sent: Int { count + Self.lastMerchants * Self.lastSlides }

    init(_ input: BenchInput, records: Int) {
        self.input = input
        self.records = records
        var source = BenchRecords(input, records: records)
        count = source.count
        // A little more than half an hour where the records do not divide by its seconds.
        duration = (source.eventMilliseconds / Self.slide + 1) * Self.slide
        let base = BenchOrders.start / Self.slide
        let span = Int(Self.size / Self.slide)
        let slides = Int(duration / Self.slide)
        // By merchant, then by slide.
        var counts = [Int64](repeating: 0, count: input.keys * slides)
        var cents = counts
        for _ in 0..<count {
            let order = source.next().order
            guard order.isPaid else { continue }
            let slot = order.merchant * slides + Int(order.time / Self.slide - base)
            counts[slot] += 1
            cents[slot] += order.cents
        }
        /// Every window of a merchant in the order of their ends.
        func forEachWindow(_ merchant: Int, _ body: (_ end: Int64, _ count: Int64, _ cents: Int64) -> Void) {
            var window = (count: Int64(0), cents: Int64(0))
            for last in 0..<slides + span {
                if last < slides {
                    window.count += counts[merchant * slides + last]
                    window.cents += cents[merchant * slides + last]
                }
                if last >= span, last - span < slides {
                    window.count -= counts[merchant * slides + last - span]
                    window.cents -= cents[merchant * slides + last - span]
                }
                body((base + Int64(last) + 1) * Self.slide, window.count, window.cents)
            }
        }
        var highest = [Int64](repeating: 0, count: input.keys)
        for merchant in highest.indices {
            forEachWindow(merchant) { highest[merchant] = max(highest[merchant], $2) }
        }
        let limit = highest.sorted()[highest.count * 9 / 10]
        var edges: Set<Edge> = []
        for merchant in highest.indices where highest[merchant] > limit {
            var isAbove = false
            forEachWindow(merchant) { end, count, cents in
                if cents > limit, !isAbove {
                    edges.insert(
                        Edge(merchant: BenchOrders.merchant(merchant), end: end, count: count, cents: cents))
                }
                isAbove = cents > limit
            }
        }
        self.limit = limit
        self.edges = edges
    }

    func fill(_ settings: KafkaSettings, _ admin: KafkaAdmin, _ topic: String) throws(Fault) {
        var settings = settings
        // What a broker that has just started refuses is sent again: not behind what came later, or that
        // would be late.
        settings.raw["max.in.flight"] = "1"
        _ = try BenchRecords.fill(settings, admin, topic: topic, input, records: records)
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        let writer = BenchWriter()
        var number = count
        for slide in 1...Self.lastSlides {
            for merchant in 0..<Self.lastMerchants {
                let time = BenchOrders.start + duration + Int64(slide) * Self.slide
                writer.write(
                    BenchOrders.Order(merchant: 900_000 + merchant, cents: 1, time: time, kind: .paid),
                    number: number)
                try feeder.send(to: target, key: writer.key, value: writer.value)
                number += 1
            }
        }
        try feeder.flush()
    }

    func check(_ found: [Edge], _ who: String) throws(Fault) {
        let set = Set(found)
        if set == edges, found.count == edges.count { return }
        let missing = edges.subtracting(set)
        let strange = set.subtracting(edges)
        throw Fault(
            .defect,
            "\(who): \(found.count) alerts, \(edges.count) are right; \(missing.count) are missing"
                + (missing.first.map { ", such as \($0)" } ?? "") + "; \(strange.count) are strange"
                + (strange.first.map { ", such as \($0)" } ?? ""))
    }
}

extension PeerAnswer.Edge {
    /// An alert of Millrace.
    init?(alert: String) {
        guard let members = YamlText.read(alert)?.mapping else { return nil }
        func member(_ name: String, of entries: [YamlEntry]) -> YamlNode? {
            entries.first { $0.key == name }?.value
        }
        guard let merchant = member("customer", of: members)?.scalar?.text,
            let window = member("window", of: members)?.mapping,
            let values = member("values", of: members)?.mapping,
            let end = member("end", of: window)?.scalar.flatMap({ CivilTime.parse($0.text)?.milliseconds }),
            let count = member("turnover.n", of: values)?.scalar.flatMap({ Int64($0.text) }),
            let amount = member("turnover.amount", of: values)?.scalar?.text
        else { return nil }
        let digits = amount.filter { $0 != "." }
        guard let cents = Int64(digits) else { return nil }
        self.init(merchant: merchant, end: end, count: count, cents: cents)
    }

    /// One of the peer's: end, count and cents.
    init?(merchant: String, fields: String) {
        let parts = fields.split(separator: ",").compactMap { Int64($0) }
        guard parts.count == 3 else { return nil }
        self.init(merchant: merchant, end: parts[0], count: parts[1], cents: parts[2])
    }
}
