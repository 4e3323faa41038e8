/// Reads times by patterns, tried in order: the first that fits a whole text says what it means.
package final class TimeProgram: @unchecked Sendable {
    // Written once, in `init`.
    private let steps: UnsafeMutablePointer<TimePattern.Step>
    private let count: Int
    /// Where each pattern's steps end.
    private let ends: UnsafeMutablePointer<Int>
    private let endCount: Int

    package init(_ patterns: [TimePattern]) {
        let all = patterns.flatMap(\.steps)
        count = all.count
        steps = .allocate(capacity: max(1, all.count))
        for (index, step) in all.enumerated() { (steps + index).initialize(to: step) }
        endCount = patterns.count
        ends = .allocate(capacity: max(1, patterns.count))
        var end = 0
        for (index, pattern) in patterns.enumerated() {
            end += pattern.steps.count
            (ends + index).initialize(to: end)
        }
    }

    deinit {
        steps.deinitialize(count: count)
        steps.deallocate()
        ends.deallocate()
    }

    /// nil: no pattern fits, or what it says is no date.
    package func parse(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CivilTime.Parsed? {
        var first = 0
        for index in 0..<endCount {
            if let parsed = parse(bytes, count, first..<ends[index]) { return parsed }
            first = ends[index]
        }
        return nil
    }

    package func parse(_ text: String) -> CivilTime.Parsed? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { parse($0, buffer.count) }
        }
    }

    /// What a text said; -1: nothing.
    private struct Parts {
        var year: Int64 = -1
        var month: Int64 = 1
        var day: Int64 = 1
        var dayOfYear: Int64 = -1
        var hour: Int64 = 0
        var minute: Int64 = 0
        var second: Int64 = 0
        var fraction: Int64 = 0
        /// 0 for AM, 1 for PM.
        var half: Int64 = -1
        /// 0 is Monday.
        var weekday: Int64 = -1
        var offset: Int64 = 0
        var hasOffset = false
    }

    private func parse(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ program: Range<Int>) -> CivilTime
        .Parsed?
    {
        var parts = Parts()
        var at = 0
        for index in program {
            switch steps[index] {
            case .byte(let byte):
                guard at < count, bytes[at] == byte else { return nil }
                at &+= 1
            case .blanks:
                let start = at
                while at < count, bytes[at] == 0x20 || bytes[at] == 0x09 { at &+= 1 }
                if at == start { return nil }
            case .number(let part, let least, let most):
                let start = at
                var value: Int64 = 0
                while at < count, at &- start < most, bytes[at] &- 0x30 <= 9 {
                    value = value &* 10 &+ Int64(bytes[at] &- 0x30)
                    at &+= 1
                }
                guard at &- start >= least, Self.set(part, value, &parts) else { return nil }
            case .fraction:
                let start = at
                var unit: Int64 = 100
                while at < count, bytes[at] &- 0x30 <= 9 {
                    parts.fraction &+= Int64(bytes[at] &- 0x30) &* unit
                    unit /= 10
                    at &+= 1
                }
                if at == start { return nil }
            case .half:
                guard let half = TimeWords.half(bytes, count, &at) else { return nil }
                parts.half = half
            case .monthName:
                guard let month = TimeWords.month(bytes, count, &at) else { return nil }
                parts.month = month
            case .weekdayName:
                guard let weekday = TimeWords.weekday(bytes, count, &at) else { return nil }
                parts.weekday = weekday
            case .offset:
                guard let offset = TimeWords.offset(bytes, count, &at) else { return nil }
                parts.offset = offset
                parts.hasOffset = true
            case .iso:
                return CivilTime.parse(bytes, count)
            }
        }
        return at == count ? Self.time(parts) : nil
    }

    @inline(__always)
    private static func set(_ part: TimePattern.Part, _ value: Int64, _ parts: inout Parts) -> Bool {
        switch part {
        case .year: parts.year = value
        // As POSIX has it.
        case .shortYear: parts.year = value + (value < 69 ? 2000 : 1900)
        case .month: parts.month = value
        case .day: parts.day = value
        case .dayOfYear: parts.dayOfYear = value
        case .hour:
            parts.hour = value
            return value < 24
        case .halfHour:
            parts.hour = value == 12 ? 0 : value
            return value >= 1 && value <= 12
        case .minute:
            parts.minute = value
            return value < 60
        case .second:
            // 60 is a leap second; it counts as the next second.
            parts.second = value
            return value <= 60
        }
        return true
    }

    private static func time(_ parts: Parts) -> CivilTime.Parsed? {
        guard parts.month >= 1, parts.month <= 12, parts.day >= 1,
            parts.day <= CivilTime.length(ofMonth: parts.month, year: parts.year)
        else { return nil }
        var day = CivilTime.day(year: parts.year, month: parts.month, day: parts.day)
        if parts.dayOfYear >= 0 {
            let length: Int64 = CivilTime.length(ofMonth: 2, year: parts.year) == 29 ? 366 : 365
            guard parts.dayOfYear >= 1, parts.dayOfYear <= length else { return nil }
            day += parts.dayOfYear - 1
        }
        // 1970-01-01 was a Thursday. A weekday that is not the date's says that the date is not what was
        // meant.
        if parts.weekday >= 0, parts.weekday != ((day + 3) % 7 + 7) % 7 { return nil }
        let hour = parts.hour + (parts.half == 1 ? 12 : 0)
        let seconds = (hour * 60 + parts.minute) * 60 + parts.second
        let local = day * CivilTime.dayMilliseconds + seconds * 1000 + parts.fraction
        return CivilTime.Parsed(milliseconds: local - parts.offset, hasZone: parts.hasOffset)
    }
}
