/// Dates of the proleptic Gregorian calendar, and timestamps as ISO 8601 texts.
package enum CivilTime {
    package static let dayMilliseconds: Int64 = 86_400_000
    /// A hundred million days on either side of 1970 (ECMAScript's range): far from where sums overflow.
    package static let millisecondsMax: Int64 = 8_640_000_000_000_000

    /// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    /// days_from_civil).
    package static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Year, month 1-12 and day 1-31 of a day since 1970-01-01 (civil_from_days).
    package static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1)
    }

    // MARK: Reading

    /// A timestamp as written. Without a zone, `milliseconds` is local time.
    package struct Parsed {
        package var milliseconds: Int64
        package var hasZone: Bool
    }

    /// Reads `2011-01-05T10:15:00Z`, with `+08:00`, `+0800` or `+08`, a space before these, or ` UTC` or `
    /// GMT`, any fraction (cut to milliseconds), a space for the T, without seconds, or the date alone; nil
    /// if it is none of these.
    package static func parse(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Parsed? {
        guard count >= 10, let year = digits(bytes, 4), bytes[4] == 0x2D, let month = digits(bytes + 5, 2),
            bytes[7] == 0x2D, let dayOfMonth = digits(bytes + 8, 2)
        else { return nil }
        guard month >= 1, month <= 12, dayOfMonth >= 1, dayOfMonth <= length(ofMonth: month, year: year)
        else {
            return nil
        }
        var result = day(year: year, month: month, day: dayOfMonth) * dayMilliseconds
        if count == 10 { return Parsed(milliseconds: result, hasZone: false) }
        guard count >= 16, bytes[10] == 0x54 || bytes[10] == 0x20 || bytes[10] == 0x74,
            let hour = digits(bytes + 11, 2), bytes[13] == 0x3A, let minute = digits(bytes + 14, 2),
            hour < 24, minute < 60
        else { return nil }
        result += (hour * 60 + minute) * 60_000
        var at = 16
        if at < count, bytes[at] == 0x3A {
            // 60 is a leap second; it counts as the next second.
            guard at + 3 <= count, let second = digits(bytes + at + 1, 2), second <= 60 else { return nil }
            result += second * 1000
            at += 3
            if at < count, bytes[at] == 0x2E || bytes[at] == 0x2C {
                at += 1
                let start = at
                var unit: Int64 = 100
                while at < count, bytes[at] &- 0x30 <= 9 {
                    result += Int64(bytes[at] &- 0x30) * unit
                    unit /= 10
                    at += 1
                }
                guard at > start else { return nil }
            }
        }
        if at == count { return Parsed(milliseconds: result, hasZone: false) }
        if bytes[at] == 0x20 {
            at += 1
            if at + 3 == count, isUtc(bytes + at) { return Parsed(milliseconds: result, hasZone: true) }
            if at == count { return nil }
        }
        if bytes[at] | 0x20 == 0x7A, at + 1 == count { return Parsed(milliseconds: result, hasZone: true) }
        guard let offset = offset(bytes + at, count - at) else { return nil }
        return Parsed(milliseconds: result - offset, hasZone: true)
    }

    /// `UTC` or `GMT`
    private static func isUtc(_ word: UnsafePointer<UInt8>) -> Bool {
        (word[0] == 0x55 && word[1] == 0x54 && word[2] == 0x43)
            || (word[0] == 0x47 && word[1] == 0x4D && word[2] == 0x54)
    }

    private static func offset(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
        guard count >= 3, bytes[0] == 0x2B || bytes[0] == 0x2D, let hours = digits(bytes + 1, 2), hours < 24
        else {
            return nil
        }
        var minutes: Int64 = 0
        switch count {
        case 3: break
        case 5:
            guard let parsed = digits(bytes + 3, 2) else { return nil }
            minutes = parsed
        case 6:
            guard bytes[3] == 0x3A, let parsed = digits(bytes + 4, 2) else { return nil }
            minutes = parsed
        default: return nil
        }
        guard minutes < 60 else { return nil }
        let magnitude = (hours * 60 + minutes) * 60_000
        return bytes[0] == 0x2D ? -magnitude : magnitude
    }

    @inline(__always)
    private static func digits(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for position in 0..<count {
            let digit = bytes[position] &- 0x30
            if digit > 9 { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    /// nil: there are no two digits at `at`.
    static func twoDigits(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: Int) -> Int64? {
        at + 2 <= count ? digits(bytes + at, 2) : nil
    }

    static func length(ofMonth month: Int64, year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        default: 31
        }
    }

    package static func parse(_ text: String) -> Parsed? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { parse($0, buffer.count) }
        }
    }

    // MARK: Writing

    /// Of what `write` writes.
    package static let bytesMax = 40

    /// Writes `2011-01-05T10:15:00Z`, with `.123` where the milliseconds are not 0, and returns the byte
    /// count.
    package static func write(_ milliseconds: Int64, to bytes: UnsafeMutablePointer<UInt8>) -> Int {
        let dayNumber = floorDivide(milliseconds, dayMilliseconds)
        // The first day of the 64-bit range begins before it; the difference is small all the same.
        let time = milliseconds &- dayNumber &* dayMilliseconds
        var at = writeDate(day: dayNumber, to: bytes)
        bytes[at] = 0x54
        at += 1
        at += put(time / 3_600_000, digits: 2, before: 0x3A, to: bytes + at)
        at += put(time / 60_000 % 60, digits: 2, before: 0x3A, to: bytes + at)
        let fraction = time % 1000
        at += put(time / 1000 % 60, digits: 2, before: fraction == 0 ? 0x5A : 0x2E, to: bytes + at)
        return fraction == 0 ? at : at + put(fraction, digits: 3, before: 0x5A, to: bytes + at)
    }

    /// `2011-01-05T10:15:00Z`
    package static func string(_ milliseconds: Int64) -> String {
        string { write(milliseconds, to: $0) }
    }

    /// `2011-01-05`
    package static func dateString(day: Int64) -> String {
        string { writeDate(day: day, to: $0) }
    }

    private static func writeDate(day: Int64, to bytes: UnsafeMutablePointer<UInt8>) -> Int {
        let date = civil(day: day)
        var at: Int
        if date.year < 0 || date.year > 9999 {
            at = Decimal.write(Int128(date.year), scale: 0, to: bytes)
            bytes[at] = 0x2D
            at += 1
        } else {
            at = put(date.year, digits: 4, before: 0x2D, to: bytes)
        }
        at += put(date.month, digits: 2, before: 0x2D, to: bytes + at)
        return at + put(date.day, digits: 2, before: nil, to: bytes + at)
    }

    /// Writes a number with leading zeros and the byte that stands after it.
    @inline(__always)
    private static func put(
        _ value: Int64, digits: Int, before separator: UInt8?, to bytes: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var rest = value
        for place in stride(from: digits - 1, through: 0, by: -1) {
            bytes[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        guard let separator else { return digits }
        bytes[digits] = separator
        return digits + 1
    }

    private static func string(_ write: (UnsafeMutablePointer<UInt8>) -> Int) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bytesMax) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            return String(decoding: UnsafeBufferPointer(start: start, count: write(start)), as: UTF8.self)
        }
    }
}

/// Division rounded down; `divisor` is positive.
@inlinable @inline(__always)
package func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
