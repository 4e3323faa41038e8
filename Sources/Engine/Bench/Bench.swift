import Base
import Glibc
import Records

/// A measured figure with what it is held against. Printed only after its answer was checked.
package struct BenchReport: Sendable {
    package enum Value: Sendable {
        case number(Double, unit: String)
        case text(String)
    }

    package var name: String
    package var rows: [(name: String, value: Value)] = []

    package init(_ name: String) { self.name = name }

    package mutating func add(_ name: String, _ number: Double, _ unit: String) { rows.append((name, .number(number, unit: unit))) }
    package mutating func add(_ name: String, _ text: String) { rows.append((name, .text(text))) }

    package var text: String {
        let width = rows.map(\.name.count).max() ?? 0
        let lines = rows.map { row in
            let value =
                switch row.value {
                case .number(let number, let unit): "\(Self.shown(number)) \(unit)"
                case .text(let text): text
                }
            return "  \(row.name)\(String(repeating: " ", count: width - row.name.count + 2))\(value)"
        }
        return ([name] + lines).joined(separator: "\n")
    }

    /// One object; names in snake case.
    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("bench", name)
        for row in rows {
            let name = String(row.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
            json.name(name)
            switch row.value {
            case .number(let number, _): json.raw("\(number)")
            case .text(let text): json.text(text)
            }
        }
        json.endObject()
        return json.string
    }

    private static func shown(_ number: Double) -> String {
        if abs(number) >= 1000 { return "\(Int64(number.rounded()))" }
        let scaled = (number * 1000).rounded() / 1000
        return "\(scaled)"
    }
}

package enum BenchClock {
    package static func cpuNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// Orders for the benches: merchants at random, event time `recordsPerSecond` apart, every 184 bytes of JSON.
struct BenchOrders {
    let keys: Int
    let recordsPerSecond: Int64
    private var random: SplitMix64
    private var number: Int64 = 0
    static let start: Int64 = 1_767_225_600_000

    struct Order {
        var merchant: Int
        var cents: Int64
        var time: Int64
        var isPaid: Bool
    }

    init(keys: Int, recordsPerSecond: Int64, seed: UInt64) {
        self.keys = keys
        self.recordsPerSecond = recordsPerSecond
        random = SplitMix64(seed: seed)
    }

    mutating func next() -> Order {
        let draw = random.next()
        defer { number += 1 }
        return Order(
            merchant: Int(draw % UInt64(keys)),
            cents: Int64((draw >> 32) % 100_000) + 1,
            time: Self.start + number * 1000 / recordsPerSecond,
            isPaid: draw >> 20 & 15 != 0
        )
    }

    /// The order as a platform would publish it.
    static func write(_ order: Order, number: Int, to json: inout JsonWriter) {
        json.removeAll()
        json.beginObject()
        json.member("order_id", "O" + padded(number, 10))
        json.member("merchant_id", merchant(order.merchant))
        json.member("buyer_id", "B" + padded(number % 9_999_999, 7))
        json.member("kind", order.isPaid ? "paid" : "refunded")
        json.name("amount")
        json.number(Int128(order.cents), scale: 2)
        json.name("event_time")
        json.text(timestamp(order.time))
        json.member("platform", "mall")
        json.member("country", "CN")
        json.endObject()
    }

    /// Always with milliseconds, so that every record is as long as the next.
    private static func timestamp(_ time: Int64) -> String {
        let whole = CivilTime.string(time / 1000 * 1000)
        return whole.dropLast() + "." + padded(Int(time % 1000), 3) + "Z"
    }

    static func merchant(_ index: Int) -> String { "M" + padded(index, 6) }

    private static func padded(_ number: Int, _ digits: Int) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
