import Base

/// Writes order events as JSON by hand: every member has a fixed place, so an event is a few copies and
/// some digits.
struct EventWriter {
    /// No event is longer, line feed included.
    static let bytesMax = 288

    static let kinds: [StaticString] = ["paid", "refunded", "shipped", "signed"]
    static let platforms: [StaticString] = ["bay", "live", "mall", "plaza"]
    static let countries: [StaticString] = ["CN", "US", "DE", "GB", "JP", "SG"]

    /// The day that `date` is for, in days since 1970.
    private var day = Int64.min
    private var date: InlineArray<10, UInt8> = .init(repeating: 0x30)

    /// Writes `entry` and a line feed at `start`; returns the byte count and where the merchant's id is.
    mutating func write(
        _ entry: MarketplaceEntry,
        platform: UInt8,
        country: UInt8,
        to start: UnsafeMutablePointer<UInt8>
    ) -> (count: Int, keyOffset: Int) {
        var out = Appender(at: start)
        out.append("{\"order_id\":\"O")
        out.appendNumber(UInt64(entry.order))
        out.append("\",\"merchant_id\":\"")
        let key = out.at
        out.appendMerchant(entry.merchant)
        out.append("\",\"buyer_id\":\"B")
        out.appendDigits(UInt64(entry.buyer), count: 8)
        out.append("\",\"kind\":\"")
        out.append(Self.kinds[Int(entry.kind.rawValue)])
        out.append("\",\"amount\":")
        out.appendMoney(UInt64(entry.amount))
        out.append(",\"event_time\":\"")
        appendTime(entry.time, to: &out)
        out.append("\",\"platform\":\"")
        out.append(Self.platforms[Int(platform)])
        out.append("\",\"country\":\"")
        out.append(Self.countries[Int(country)])
        out.append("\",\"buyer_created\":")
        out.appendNumber(UInt64(entry.buyerCreated))
        out.append("}\n")
        return (out.at - start, key - start)
    }

    /// `2026-03-02T08:00:00.000Z`.
    mutating func appendTime(_ milliseconds: Int64, to out: inout Appender) {
        let today = milliseconds / Marketplace.day
        if today != day {
            day = today
            setDate(today)
        }
        for index in 0..<10 { out.append(byte: date[index]) }
        var rest = UInt64(milliseconds - today * Marketplace.day)
        let fraction = rest % 1000
        rest /= 1000
        out.append(byte: 0x54)
        out.appendDigits(rest / 3600, count: 2)
        out.append(byte: 0x3A)
        out.appendDigits(rest / 60 % 60, count: 2)
        out.append(byte: 0x3A)
        out.appendDigits(rest % 60, count: 2)
        out.append(byte: 0x2E)
        out.appendDigits(fraction, count: 3)
        out.append(byte: 0x5A)
    }

    /// Days to a date of the Gregorian calendar after Howard Hinnant, "chrono-compatible low-level date
    /// algorithms" (`civil_from_days`), for days from 1970 on.
    private mutating func setDate(_ days: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        var number = year * 10_000 + month * 100 + day
        for index in [9, 8, 6, 5, 3, 2, 1, 0] {
            date[index] = 0x30 + UInt8(number % 10)
            number /= 10
        }
        date[4] = 0x2D
        date[7] = 0x2D
    }
}

/// Appends bytes at a place that has room for them.
struct Appender {
    private(set) var at: UnsafeMutablePointer<UInt8>

    init(at start: UnsafeMutablePointer<UInt8>) { at = start }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        let count = text.utf8CodeUnitCount
        at.update(from: text.utf8Start, count: count)
        at += count
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        at.pointee = byte
        at += 1
    }

    /// The last `count` digits of `value`, with leading zeros.
    @inline(__always)
    mutating func appendDigits(_ value: UInt64, count: Int) {
        var rest = value
        var place = count
        while place > 0 {
            place &-= 1
            at[place] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        at += count
    }

    @inline(__always)
    mutating func appendNumber(_ value: UInt64) {
        var digits = 1
        var bound: UInt64 = 10
        while digits < 19, value >= bound {
            digits &+= 1
            bound &*= 10
        }
        appendDigits(value, count: digits)
    }

    /// Cents as `12.50`.
    @inline(__always)
    mutating func appendMoney(_ cents: UInt64) {
        appendNumber(cents / 100)
        append(byte: 0x2E)
        appendDigits(cents % 100, count: 2)
    }

    /// A merchant by its index: `M000001` is 0.
    @inline(__always)
    mutating func appendMerchant(_ index: Int32) {
        append(byte: 0x4D)
        appendDigits(UInt64(index) + 1, count: 6)
    }
}
