import Records

/// When a person is not to be disturbed: hours of each day, whole days of the week, and holidays, in their
/// zone.
package struct QuietHours: Sendable {
    package var zone: TimeZoneTable
    /// Minutes of the day; the end may lie before the start, in the next morning. Equal: no hours.
    package var from: Int
    package var to: Int
    /// 0 Monday … 6 Sunday.
    package var days: Set<Int> = []
    /// Days since 1970-01-01.
    package var holidays: Set<Int64> = []

    package init(zone: TimeZoneTable, from: Int, to: Int, days: Set<Int> = [], holidays: Set<Int64> = []) {
        (self.zone, self.from, self.to, self.days, self.holidays) = (zone, from, to, days, holidays)
    }

    private func isQuiet(day: Int64) -> Bool {
        // 1970-01-01 was a Thursday.
        holidays.contains(day) || days.contains(Int(((day + 3) % 7 + 7) % 7))
    }

    package func isQuiet(at now: Int64) -> Bool {
        var cursor = zone.cursor()
        let local = now + zone.offset(atMilliseconds: now, &cursor)
        let day = floorDivide(local, CivilTime.dayMilliseconds)
        if isQuiet(day: day) { return true }
        let minute = Int((local - day * CivilTime.dayMilliseconds) / 60_000)
        return from <= to ? minute >= from && minute < to : minute >= from || minute < to
    }

    private static let daysLookedAt: Int64 = 400

    /// The first instant after `now` at which it is not quiet; nil: it is not quiet now. Where there is none
    /// within 400 days, the last that was looked at.
    package func end(after now: Int64) -> Int64? {
        guard isQuiet(at: now) else { return nil }
        var cursor = zone.cursor()
        let first = zone.localDay(containing: now, &cursor)
        for day in first..<(first + Self.daysLookedAt) {
            // It can only end at a day's start, or at the end of its hours; or where the clocks are changed.
            for local in [
                day * CivilTime.dayMilliseconds, day * CivilTime.dayMilliseconds + Int64(to) * 60_000,
            ] {
                for time in [zone.utc(local: local), zone.startOfDay(ordinal: day)]
                where time > now && !isQuiet(at: time) { return time }
            }
        }
        return zone.startOfDay(ordinal: first + Self.daysLookedAt)
    }
}
