/// What stands in times beside numbers: names of months and weekdays, halves of days, offsets. Letters may be
/// of any case.
enum TimeWords {
    private static let months = [
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november",
        "december",
    ].map { Array($0.utf8) }
    private static let weekdays = [
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    ].map { Array($0.utf8) }
    private static let chineseDays = ["一", "二", "三", "四", "五", "六", "日", "天"].map { Array($0.utf8) }
    private static let chineseWeeks = ["星期", "周", "礼拜"].map { Array($0.utf8) }
    private static let halves: [(text: [UInt8], half: Int64)] = [
        ("am", 0), ("pm", 1), ("a.m.", 0), ("p.m.", 1), ("上午", 0), ("下午", 1),
    ].map { (Array($0.0.utf8), $0.1) }
    private static let sept = Array("sept".utf8)
    private static let zeros: [[UInt8]] = ["z", "utc", "gmt"].map { Array($0.utf8) }

    /// True if the word stands at `at`; letters of the alphabet in any case.
    private static func stands(
        _ word: ArraySlice<UInt8>, _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: Int
    ) -> Bool {
        guard at + word.count <= count else { return false }
        var place = at
        for letter in word {
            let byte = bytes[place]
            guard byte == letter || (byte &- 0x41 < 26 && byte | 0x20 == letter) else { return false }
            place += 1
        }
        return true
    }

    private static func stands(_ word: [UInt8], _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: Int)
        -> Bool
    {
        stands(word[...], bytes, count, at)
    }

    /// The number of the name in full, or else of its first three letters.
    private static func name(
        _ names: [[UInt8]], _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int
    ) -> Int64? {
        for (index, name) in names.enumerated() where stands(name.prefix(3), bytes, count, at) {
            at += stands(name, bytes, count, at) ? name.count : 3
            return Int64(index)
        }
        return nil
    }

    /// 1 to 12: `May`, `january`, `Sept`.
    static func month(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> Int64? {
        let start = at
        guard let index = name(months, bytes, count, &at) else { return nil }
        if index == 8, at == start + 3, stands(sept, bytes, count, start) { at += 1 }
        return index + 1
    }

    /// 0 (Monday) to 6: `Thu`, `Thursday`, `星期四`, `周四`.
    static func weekday(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> Int64? {
        if let index = name(weekdays, bytes, count, &at) { return index }
        for week in chineseWeeks where stands(week, bytes, count, at) {
            for (index, day) in chineseDays.enumerated() where stands(day, bytes, count, at + week.count) {
                at += week.count + day.count
                return Int64(min(index, 6))
            }
        }
        return nil
    }

    /// 0 for the first half of the day, 1 for the second.
    static func half(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> Int64? {
        for (text, half) in halves where stands(text, bytes, count, at) {
            at += text.count
            return half
        }
        return nil
    }

    /// Milliseconds that the clocks are ahead of UTC.
    static func offset(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> Int64? {
        for word in zeros where stands(word, bytes, count, at) {
            at += word.count
            // `GMT+08:00`
            guard word.count == 3, at < count, bytes[at] == 0x2B || bytes[at] == 0x2D else { return 0 }
            break
        }
        guard at < count, bytes[at] == 0x2B || bytes[at] == 0x2D else { return nil }
        let isBehind = bytes[at] == 0x2D
        guard let hours = CivilTime.twoDigits(bytes, count, at + 1), hours < 24 else { return nil }
        at += 3
        var minutes: Int64 = 0
        let colon = at < count && bytes[at] == 0x3A ? 1 : 0
        if let written = CivilTime.twoDigits(bytes, count, at + colon) {
            minutes = written
            at += 2 + colon
        }
        guard minutes < 60 else { return nil }
        let magnitude = (hours * 60 + minutes) * 60_000
        return isBehind ? -magnitude : magnitude
    }

    static func monthName(_ month: Int64) -> String {
        let name = String(decoding: months[Int(month - 1)].prefix(3), as: UTF8.self)
        return name.prefix(1).uppercased() + name.dropFirst()
    }

    static func weekdayName(_ weekday: Int64) -> String {
        let name = String(decoding: weekdays[Int(weekday)].prefix(3), as: UTF8.self)
        return name.prefix(1).uppercased() + name.dropFirst()
    }
}
