import Base
import Engine
import Records
import Topology

/// The records of a topic: what distinguishes one topic of the benches from another.
struct BenchInput: Hashable {
    var keys = 10_000
    /// Half of the records are of one merchant.
    var hasHotKey = false
    var partitions = 4
    /// Bytes of a text beside the order's own.
    var padding = 0
    var codec = "lz4"
    /// One in ten is not JSON or has a text where the amount should be.
    var hasBad = false
    /// One in ten is an hour older than those around it.
    var hasLate = false
    /// So many times the records of the others.
    var times = 1
}

/// What is drained: a topic and a topology. The others of `all` differ from the first in one thing.
struct BenchShape {
    struct Window {
        var sizeSeconds: Int64
        var slideSeconds: Int64

        var text: String {
            let day: Int64 = 86_400
            return slideSeconds % day == 0
                ? "{ size: \(sizeSeconds / day)d, slide: \(slideSeconds / day)d }"
                : "{ size: \(sizeSeconds)s, slide: \(slideSeconds)s }"
        }
    }

    var name: String
    var input = BenchInput()
    /// A step each, all with the same key.
    var windows = [Window(sizeSeconds: 300, slideSeconds: 10)]
    /// On each window.
    var rules = 1
    var guarantee = TopologySpec.Guarantee.exactlyOnce
    /// False: no changelog, tasks in memory only.
    var keepsState = true

    init(_ name: String, _ change: (inout BenchShape) -> Void = { _ in }) {
        self.name = name
        change(&self)
    }

    /// Those with one topic stand together.
    static let all = [
        BenchShape("base"),
        BenchShape("slide-1s") { $0.windows = [Window(sizeSeconds: 300, slideSeconds: 1)] },
        BenchShape("windows-3") {
            $0.windows += [
                Window(sizeSeconds: 86_400, slideSeconds: 3600),
                Window(sizeSeconds: 30 * 86_400, slideSeconds: 86_400),
            ]
        },
        BenchShape("rules-10") { $0.rules = 10 },
        BenchShape("rules-100") { $0.rules = 100 },
        BenchShape("at-least-once") { $0.guarantee = .atLeastOnce },
        BenchShape("keys-1") { $0.input.keys = 1 },
        BenchShape("keys-1k") { $0.input.keys = 1000 },
        BenchShape("keys-1m") { $0.input.keys = 1_000_000 },
        BenchShape("hot-key") { $0.input.hasHotKey = true },
        BenchShape("bytes-2k") { $0.input.padding = 1800 },
        BenchShape("zstd") { $0.input.codec = "zstd" },
        BenchShape("uncompressed") { $0.input.codec = "none" },
        BenchShape("partitions-1") { $0.input.partitions = 1 },
        BenchShape("partitions-32") { $0.input.partitions = 32 },
        BenchShape("bad-10") { $0.input.hasBad = true },
        BenchShape("late-10") { $0.input.hasLate = true },
        BenchShape("lag") { $0.input.times = 10 },
    ]

    static func named(_ name: String) throws(Fault) -> BenchShape {
        if let shape = all.first(where: { $0.name == name }) { return shape }
        throw Fault(.user, "unknown shape '\(name)'; there is \(all.map(\.name).joined(separator: ", "))")
    }

    /// One of `all`, in words.
    var text: String {
        switch name {
        case "base": "10,000 merchants, 4 partitions, lz4, 5 min / 10 s, one rule, exactly once"
        case "slide-1s": "5 min / 1 s"
        case "windows-3": "5 min / 10 s, 1 day / 1 h and 30 days / 1 day on one key"
        case "rules-10", "rules-100": "\(rules) rules"
        case "at-least-once": "at least once"
        case "keys-1": "one merchant"
        case "keys-1k", "keys-1m": "\(input.keys) merchants"
        case "hot-key": "half of the records of one merchant"
        case "bytes-2k": "records of 2 KB"
        case "partitions-1", "partitions-32": "\(input.partitions) partitions"
        case "bad-10": "1 in 10 bad: dead letters"
        case "late-10": "1 in 10 late by an hour"
        case "lag": "ten times as many to catch up with"
        default: name
        }
    }

    /// `limits`: by window and rule, in cents.
    func spec(_ name: String, topic: String, limits: [[Int64]]) throws(Fault) -> TopologySpec {
        var steps = ""
        var rules = ""
        for (index, window) in windows.enumerated() {
            steps += """

                  turnover\(index):
                    from: paid
                    key: merchant_id
                    window: \(window.text)
                    aggregate: { n: count(), amount: sum(amount), least: min(amount), largest: max(amount) }
                """
            for (number, limit) in limits[index].enumerated() {
                rules += """

                      high\(index)_\(number):
                        on: turnover\(index)
                        when: amount > \(Decimal.string(limit, scale: 2)) and n > 0 and least <= largest
                        clear: amount < 0.00
                        risk: bench
                        severity: low
                    """
            }
        }
        let text = """
            topology: \(name)
            guarantee: \(guarantee.rawValue)
            zone: UTC
            sources:
              orders:
                kafka: { topic: \(topic) }
                time: { field: event_time, out_of_order: 1s, idle: 60s }
                schema: { merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              paid: { from: orders, where: kind == "paid" }\(steps)
            rules:\(rules)
            sinks:
              alerts: { kafka: { topic: \(name)-alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "bench")
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "; ")) }
        return spec
    }
}
