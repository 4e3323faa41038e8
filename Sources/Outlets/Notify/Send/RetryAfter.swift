import Records

/// The header `Retry-After` (RFC 9110): seconds, or a date.
package enum RetryAfter {
    /// Milliseconds from `now` on; nil: it is neither.
    package static func milliseconds(_ text: String, now: Int64) -> Int64? {
        if let seconds = Int64(text) { return seconds < 0 || seconds > 31_536_000 ? nil : seconds * 1000 }
        // Sun, 06 Nov 1994 08:49:37 GMT
        let words = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 6, words[5] == "GMT", let day = Int64(words[1]),
            let month = months.firstIndex(of: String(words[2])),
            let year = Int64(words[3]), (1970...9999).contains(year), (1...31).contains(day)
        else { return nil }
        let clock = words[4].split(separator: ":").compactMap { Int64($0) }
        guard clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]),
            (0...60).contains(clock[2])
        else { return nil }
        let date = CivilTime.day(year: year, month: Int64(month) + 1, day: day) * CivilTime.dayMilliseconds
        return max(0, date + ((clock[0] * 60 + clock[1]) * 60 + clock[2]) * 1000 - now)
    }
}
