/// A TZif file (RFC 8536): the 64-bit block and the footer.
struct TimeZoneFile {
    private var bytes: [UInt8]
    private var at = 0

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 44, bytes[0...3].elementsEqual("TZif".utf8), bytes[4] >= 0x32 else { return nil }
        self.bytes = bytes
    }

    func table(name: String) -> TimeZoneTable? {
        var reader = self
        guard let first = reader.header(), reader.skip(first.bytes(timeSize: 4)), let counts = reader.header()
        else {
            return nil
        }
        let block = reader.at
        guard reader.skip(counts.bytes(timeSize: 8)) else { return nil }
        var starts: [Int64] = [.min]
        var offsets: [Int64] = []
        let types = block + counts.transitions * 9
        func offset(ofType type: Int) -> Int64? {
            guard type < counts.types else { return nil }
            return Int64(Int32(truncatingIfNeeded: big(types + type * 6, 4))) * 1000
        }
        guard let initial = offset(ofType: 0) else { return nil }
        offsets.append(initial)
        for index in 0..<counts.transitions {
            let time = big(block + index * 8, 8)
            guard let next = offset(ofType: Int(bytes[block + counts.transitions * 8 + index])) else {
                return nil
            }
            let (milliseconds, overflow) = time.multipliedReportingOverflow(by: 1000)
            if overflow { continue }
            if offsets.last == next { continue }
            starts.append(milliseconds)
            offsets.append(next)
        }
        let footer = String(
            decoding: bytes[reader.at...].drop { $0 == 0x0A }.prefix { $0 != 0x0A }, as: UTF8.self)
        if !footer.isEmpty {
            guard let rule = PosixZone(footer) else { return nil }
            let last = starts.count > 1 ? starts[starts.count - 1] : Int64.min
            for change in rule.transitions(throughYear: 2200)
            where change.time > last && offsets.last != change.offset {
                starts.append(change.time)
                offsets.append(change.offset)
            }
        }
        return TimeZoneTable(name: name, starts: starts, offsets: offsets)
    }

    private struct Counts {
        var isUtc, isStandard, leaps, transitions, types, characters: Int
        func bytes(timeSize: Int) -> Int {
            transitions * (timeSize + 1) + types * 6 + characters + leaps * (timeSize + 4) + isStandard
                + isUtc
        }
    }

    private mutating func header() -> Counts? {
        guard at + 44 <= bytes.count else { return nil }
        func count(_ index: Int) -> Int { Int(big(at + 20 + index * 4, 4)) }
        let counts = Counts(
            isUtc: count(0), isStandard: count(1), leaps: count(2), transitions: count(3), types: count(4),
            characters: count(5))
        at += 44
        return counts
    }

    private mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, at + count <= bytes.count else { return false }
        at += count
        return true
    }

    private func big(_ start: Int, _ count: Int) -> Int64 {
        var value: UInt64 = 0
        for byte in bytes[start..<start + count] { value = value << 8 | UInt64(byte) }
        return Int64(bitPattern: value)
    }
}

/// A POSIX TZ string with RFC 8536's extensions: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct PosixZone {
    private var standard: Int64 = 0
    private var daylight: Int64?
    private var start = Rule(), end = Rule()

    private struct Rule {
        enum Day {
            case month(Int64, week: Int64, weekday: Int64)
            case julian(Int64)
            case ordinal(Int64)
        }
        var day = Day.ordinal(0)
        /// Seconds of local time.
        var time: Int64 = 7200

        /// The local midnight of the day in a year, in days since 1970-01-01.
        func date(in year: Int64) -> Int64 {
            let newYear = CivilTime.day(year: year, month: 1, day: 1)
            switch day {
            case .ordinal(let day): return newYear + day
            case .julian(let day):
                let isLeap = CivilTime.day(year: year, month: 3, day: 1) - newYear == 60
                return newYear + day - 1 + (isLeap && day >= 60 ? 1 : 0)
            case .month(let month, let week, let weekday):
                let first = CivilTime.day(year: year, month: month, day: 1)
                // 1970-01-01 was a Thursday; 0 is Sunday.
                let firstWeekday = ((first + 4) % 7 + 7) % 7
                var day = first + (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
                let next =
                    month == 12
                    ? CivilTime.day(year: year + 1, month: 1, day: 1)
                    : CivilTime.day(year: year, month: month + 1, day: 1)
                while day >= next { day -= 7 }
                return day
            }
        }
    }

    init?(_ text: String) {
        var rest = Substring(text)
        guard Self.name(&rest), let offset = Self.time(&rest) else { return nil }
        standard = -offset
        if rest.isEmpty { return }
        guard Self.name(&rest) else { return nil }
        daylight = standard + 3600
        if let first = rest.first, first != "," {
            guard let offset = Self.time(&rest) else { return nil }
            daylight = -offset
        }
        guard let start = Self.rule(&rest), let end = Self.rule(&rest), rest.isEmpty else { return nil }
        self.start = start
        self.end = end
    }

    func transitions(throughYear last: Int64) -> [(time: Int64, offset: Int64)] {
        guard let daylight else { return [(time: Int64.min + 1, offset: standard * 1000)] }
        var changes: [(time: Int64, offset: Int64)] = []
        for year in 1970...last {
            let on = start.date(in: year) * 86_400 + start.time - standard
            let off = end.date(in: year) * 86_400 + end.time - daylight
            changes.append((on * 1000, daylight * 1000))
            changes.append((off * 1000, standard * 1000))
        }
        return changes.sorted { $0.time < $1.time }
    }

    private static func name(_ rest: inout Substring) -> Bool {
        let before = rest.count
        if rest.first == "<" {
            guard let close = rest.firstIndex(of: ">") else { return false }
            rest = rest[rest.index(after: close)...]
        } else {
            rest = rest.drop { $0.isLetter }
        }
        return rest.count < before
    }

    private static func number(_ rest: inout Substring) -> Int64? {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        return Int64(digits)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private static func time(_ rest: inout Substring) -> Int64? {
        var sign: Int64 = 1
        if let first = rest.first, first == "+" || first == "-" {
            sign = first == "-" ? -1 : 1
            rest = rest.dropFirst()
        }
        guard var seconds = number(&rest).map({ $0 * 3600 }) else { return nil }
        for unit in [Int64(60), 1] where rest.first == ":" {
            rest = rest.dropFirst()
            guard let part = number(&rest) else { return nil }
            seconds += part * unit
        }
        return sign * seconds
    }

    private static func rule(_ rest: inout Substring) -> Rule? {
        guard rest.first == "," else { return nil }
        rest = rest.dropFirst()
        var rule = Rule()
        if rest.first == "M" {
            rest = rest.dropFirst()
            guard let month = number(&rest), rest.first == "." else { return nil }
            rest = rest.dropFirst()
            guard let week = number(&rest), rest.first == "." else { return nil }
            rest = rest.dropFirst()
            guard let weekday = number(&rest), (1...12).contains(month), (1...5).contains(week), weekday < 7
            else {
                return nil
            }
            rule.day = .month(month, week: week, weekday: weekday)
        } else if rest.first == "J" {
            rest = rest.dropFirst()
            guard let day = number(&rest) else { return nil }
            rule.day = .julian(day)
        } else {
            guard let day = number(&rest) else { return nil }
            rule.day = .ordinal(day)
        }
        if rest.first == "/" {
            rest = rest.dropFirst()
            guard let time = time(&rest) else { return nil }
            rule.time = time
        }
        return rule
    }
}
