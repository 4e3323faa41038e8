import Base
import Engine
import Glibc
import Records

/// Orders for the benches: merchants at random, event time `recordsPerSecond` apart, each about 184 bytes of
/// JSON.
struct BenchOrders {
    enum Kind { case paid, refunded, marked }

    struct Order {
        var merchant: Int
        var cents: Int64
        var time: Int64
        var kind: Kind
        var isPaid: Bool { kind == .paid }
    }

    static let start: Int64 = 1_767_225_600_000

    let keys: Int
    let recordsPerSecond: Int64
    /// Every other order is of merchant 0.
    var hasHotKey = false
    private var random: SplitMix64
    private var number: Int64 = 0

    init(keys: Int, recordsPerSecond: Int64, seed: UInt64) {
        self.keys = keys
        self.recordsPerSecond = recordsPerSecond
        random = SplitMix64(seed: seed)
    }

    mutating func next() -> Order {
        let draw = random.next()
        defer { number += 1 }
        return Order(
            merchant: hasHotKey && draw >> 24 & 1 == 0 ? 0 : Int(draw % UInt64(keys)),
            cents: Int64((draw >> 32) % 100_000) + 1,
            time: Self.start + number * 1000 / recordsPerSecond,
            kind: draw >> 20 & 15 != 0 ? .paid : .refunded
        )
    }

    static func merchant(_ index: Int) -> String {
        let text = "\(index)"
        return "M" + String(repeating: "0", count: max(0, 6 - text.count)) + text
    }
}

/// Writes orders as a platform would publish them, into one buffer: nothing is allocated for a record, so
/// that who sends at a high rate is not held up by it.
final class BenchWriter {
    /// What is wrong with a record; `notJson` breaks off in the middle.
    enum Mistake { case none, notJson, wrongType }

    private let base: UnsafeMutablePointer<UInt8>
    private var count = 0
    private var keyOffset = 0
    /// Text of the second that the last order was in.
    private var second: Int64 = .min
    private var secondText: [UInt8] = []
    private let padding: Padding?

    /// `padding`: bytes of a text that no schema names.
    init(padding: Int = 0) {
        base = .allocate(capacity: 512 + padding)
        self.padding = padding > 0 ? Padding(count: padding) : nil
    }

    deinit { base.deallocate() }

    /// Valid until the next order is written.
    var value: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base, count: count) }
    /// The merchant; valid as `value` is.
    var key: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base + keyOffset, count: 7) }

    func write(_ order: BenchOrders.Order, number: Int, _ mistake: Mistake = .none) {
        count = 0
        put("{\"order_id\":\"O")
        put(UInt64(number), digits: 10)
        put("\",\"merchant_id\":\"")
        keyOffset = count
        put("M")
        put(UInt64(order.merchant), digits: 6)
        put("\",\"buyer_id\":\"B")
        put(UInt64(number % 9_999_999), digits: 7)
        switch order.kind {
        case .paid: put("\",\"kind\":\"paid\",\"amount\":")
        case .refunded: put("\",\"kind\":\"refunded\",\"amount\":")
        case .marked: put("\",\"kind\":\"marked\",\"amount\":")
        }
        if mistake == .wrongType { put("\"much\"") } else { put(cents: order.cents) }
        put(",\"event_time\":\"")
        put(time: order.time)
        if let padding {
            put("Z\",\"note\":\"")
            padding.write(number, to: base + count)
            count += padding.count
            put("\",\"platform\":\"mall\",\"country\":\"CN\"}")
        } else {
            put("Z\",\"platform\":\"mall\",\"country\":\"CN\"}")
        }
        if mistake == .notJson { count /= 2 }
    }

    private func put(_ text: StaticString) {
        memcpy(base + count, text.utf8Start, text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    private func put(_ number: UInt64, digits: Int) {
        var rest = number
        for place in stride(from: digits - 1, through: 0, by: -1) {
            base[count + place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += digits
    }

    private func put(cents: Int64) {
        let whole = UInt64(cents / 100)
        put(whole, digits: whole < 10 ? 1 : whole < 100 ? 2 : whole < 1000 ? 3 : whole < 10_000 ? 4 : 12)
        put(".")
        put(UInt64(cents % 100), digits: 2)
    }

    /// Always with milliseconds.
    private func put(time: Int64) {
        if time / 1000 != second {
            second = time / 1000
            secondText = Array(CivilTime.string(second * 1000).utf8.dropLast())
        }
        secondText.withUnsafeBufferPointer { text in
            guard let start = text.baseAddress else { return }
            memcpy(base + count, start, text.count)
            count += text.count
        }
        put(".")
        put(UInt64(time % 1000), digits: 3)
    }

    /// Words in another order for every record: text that compresses as text does.
    private final class Padding {
        let count: Int
        private var pool: [UInt8] = []
        private static let poolBytes = 1 << 18

        init(count: Int) {
            self.count = count
            var random = SplitMix64(seed: 17)
            let words = (0..<512).map { _ in
                (0..<Int(4 + random.next() % 7)).map { _ in UInt8(0x61 + random.next() % 26) }
            }
            while pool.count < Self.poolBytes + count { pool += words[Int(random.next() % 512)] + [0x20] }
        }

        func write(_ number: Int, to target: UnsafeMutablePointer<UInt8>) {
            let from = number &* 7919 & (Self.poolBytes - 1)
            pool.withUnsafeBufferPointer { pool in
                guard let start = pool.baseAddress else { return }
                memcpy(target, start + from, count)
            }
        }
    }
}
