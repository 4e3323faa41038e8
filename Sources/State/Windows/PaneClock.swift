import Base
import Records

/// Cuts time into panes, numbered from 1970: fixed lengths in UTC, or calendar days of a zone. The pane of a
/// time is the one whose bounds hold it, so panes are in the order of time; a day that the clocks skip is a
/// pane that holds nothing. Remembers the pane it was last asked for, since records of a batch mostly fall
/// into one or two.
package struct PaneClock {
    package enum Length {
        case milliseconds(Int64)
        case days(Int64, TimeZoneTable)
        /// Weeks, which begin on Mondays, and months of the calendar.
        case weeks(Int64, TimeZoneTable)
        case months(Int64, TimeZoneTable)
    }

    package let length: Length
    private var index: Int64 = 0
    private var start: Int64 = 0
    private var end: Int64 = 0

    package init(_ length: Length) { self.length = length }

    /// The pane that `time` lies in.
    @inline(__always)
    package mutating func pane(of time: Int64) -> Int64 {
        if time >= start && time < end { return index }
        return find(time)
    }

    @inline(never)
    private mutating func find(_ time: Int64) -> Int64 {
        switch length {
        case .milliseconds(let width):
            index = floorDivide(time, width)
        case .days(let days, let zone):
            var cursor = zone.cursor()
            index = floorDivide(zone.dayBegun(at: time, &cursor), days)
        case .weeks(let weeks, let zone):
            var cursor = zone.cursor()
            index = floorDivide(zone.dayBegun(at: time, &cursor) + 3, 7 * weeks)
        case .months(let months, let zone):
            var cursor = zone.cursor()
            let date = CivilTime.civil(day: zone.dayBegun(at: time, &cursor))
            index = floorDivide((date.year - 1970) * 12 + date.month - 1, months)
        }
        start = startOfPane(index)
        end = startOfPane(index + 1)
        return index
    }

    /// When a pane begins, which is when the one before it ends.
    package func startOfPane(_ pane: Int64) -> Int64 {
        switch length {
        case .milliseconds(let width):
            let (product, overflow) = pane.multipliedReportingOverflow(by: width)
            return overflow ? (pane < 0 ? .min : .max) : product
        case .days(let days, let zone):
            return zone.startOfDay(ordinal: pane * days)
        // 1970-01-01 was a Thursday.
        case .weeks(let weeks, let zone): return zone.startOfDay(ordinal: pane * weeks * 7 - 3)
        case .months(let months, let zone):
            let month = pane * months
            let first = CivilTime.day(
                year: 1970 + floorDivide(month, 12), month: month - floorDivide(month, 12) * 12 + 1, day: 1)
            return zone.startOfDay(ordinal: first)
        }
    }

    /// No pane is shorter, milliseconds: days have 23 hours at least, and months 28 of them.
    var paneMilliseconds: Int64 {
        switch length {
        case .milliseconds(let width): width
        case .days(let days, _): days * 82_800_000
        case .weeks(let weeks, _): weeks * 7 * 82_800_000
        case .months(let months, _): months * 28 * 82_800_000
        }
    }
}
