/// How a time is written, in the words of strptime: `%d.%m.%Y %H:%M`. Compiled once to steps over bytes,
/// which `TimeProgram` runs.
package struct TimePattern: Hashable, Sendable {
    package let text: String
    package let steps: [Step]

    package enum Step: Hashable, Sendable {
        /// A byte that stands there.
        case byte(UInt8)
        /// Blanks and tabs, one at least.
        case blanks
        /// So many digits.
        case number(Part, least: Int, most: Int)
        /// Digits of a second behind its point, at least one; what is below the millisecond is cut.
        case fraction
        /// AM or PM.
        case half
        case monthName, weekdayName
        /// `Z`, `UTC`, `GMT`, `+08`, `+0800` or `+08:00`.
        case offset
        /// A whole ISO 8601 text, as it is read without any pattern.
        case iso
    }

    package enum Part: Int, Hashable, Sendable {
        case year, shortYear, month, day, dayOfYear, hour, halfHour, minute, second
    }

    /// What is wrong with a pattern, for the person who wrote it.
    package struct Mistake: Error, Equatable {
        package let message: String
        init(_ message: String) { self.message = message }
    }

    /// Words that stand for patterns of their own.
    package static let names: [String: [String]] = [
        "iso": ["iso"],
        "rfc2822": [
            "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M %z", "%d %b %Y %H:%M %z",
        ],
    ]

    static let letters = "%Y %y %m %b %d %j %H %I %p %M %S %f %z %a %F %T %R %%"

    /// What reads times: it says a whole date, and nothing that has no meaning.
    package init(_ text: String) throws(Mistake) {
        try self.init(writing: text)
        try check()
    }

    /// What only writes times may leave out what it wants.
    package init(writing text: String) throws(Mistake) {
        self.text = text
        if text == "iso" {
            steps = [.iso]
            return
        }
        var steps: [Step] = []
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == 0x20 || byte == 0x09 {
                if steps.last != .blanks { steps.append(.blanks) }
                continue
            }
            guard byte == 0x25 else {
                steps.append(.byte(byte))
                continue
            }
            guard at < bytes.count else { throw Mistake("'%' stands at the end; '%%' is a percent sign") }
            steps += try Self.steps(of: bytes[at])
            at += 1
        }
        // Numbers that touch have as many digits as they may: 2023115 is nobody's date.
        for index in steps.indices {
            guard case .number(let part, _, let most) = steps[index] else { continue }
            let touches = [index - 1, index + 1].contains {
                steps.indices.contains($0) && Self.isDigits(steps[$0])
            }
            if touches { steps[index] = .number(part, least: most, most: most) }
        }
        self.steps = steps
    }

    private static func isDigits(_ step: Step) -> Bool {
        switch step {
        case .number, .fraction: true
        case .byte(let byte): byte &- 0x30 <= 9
        default: false
        }
    }

    private static func steps(of letter: UInt8) throws(Mistake) -> [Step] {
        let dash = Step.byte(0x2D)
        let colon = Step.byte(0x3A)
        let hour = Step.number(.hour, least: 1, most: 2)
        let minute = Step.number(.minute, least: 1, most: 2)
        switch UnicodeScalar(letter) {
        case "Y": return [.number(.year, least: 4, most: 4)]
        case "y": return [.number(.shortYear, least: 2, most: 2)]
        case "m": return [.number(.month, least: 1, most: 2)]
        case "d", "e": return [.number(.day, least: 1, most: 2)]
        case "j": return [.number(.dayOfYear, least: 1, most: 3)]
        case "H", "k": return [hour]
        case "I", "l": return [.number(.halfHour, least: 1, most: 2)]
        case "M": return [minute]
        case "S": return [.number(.second, least: 1, most: 2)]
        case "f": return [.fraction]
        case "p", "P": return [.half]
        case "b", "B", "h": return [.monthName]
        case "a", "A": return [.weekdayName]
        case "z": return [.offset]
        case "F":
            return [
                .number(.year, least: 4, most: 4), dash, .number(.month, least: 1, most: 2), dash,
                .number(.day, least: 1, most: 2),
            ]
        case "T": return [hour, colon, minute, colon, .number(.second, least: 1, most: 2)]
        case "R": return [hour, colon, minute]
        case "%": return [.byte(0x25)]
        case "Z":
            throw Mistake(
                "'%Z' is not read, since names like CST mean several zones; write %z for Z, UTC, GMT and offsets, or the "
                    + "letters as they stand, with zone: Asia/Shanghai")
        default:
            throw Mistake("no '%\(UnicodeScalar(letter))' in a time's format; there are \(letters)")
        }
    }

    /// A pattern says a whole date, and of the time of day nothing without what stands above it.
    private func check() throws(Mistake) {
        if steps == [.iso] { return }
        var counts: [String: Int] = [:]
        for step in steps {
            switch step {
            case .number(.year, _, _), .number(.shortYear, _, _): counts["year", default: 0] += 1
            case .number(.month, _, _), .monthName: counts["month", default: 0] += 1
            case .number(.day, _, _): counts["day", default: 0] += 1
            case .number(.dayOfYear, _, _): counts["day of the year", default: 0] += 1
            case .number(.hour, _, _), .number(.halfHour, _, _): counts["hour", default: 0] += 1
            case .number(.minute, _, _): counts["minute", default: 0] += 1
            case .number(.second, _, _): counts["second", default: 0] += 1
            case .fraction: counts["fraction", default: 0] += 1
            case .half: counts["AM or PM", default: 0] += 1
            case .offset: counts["offset", default: 0] += 1
            case .weekdayName: counts["weekday", default: 0] += 1
            case .byte, .blanks, .iso: break
            }
        }
        func has(_ what: String) -> Bool { counts[what] != nil }
        if let twice = counts.filter({ $0.value > 1 }).keys.sorted().first {
            throw Mistake("it has the \(twice) twice")
        }
        guard has("year") else { throw Mistake("it has no year; write %Y, or %y for two digits") }
        guard has("day of the year") || (has("month") && has("day")) else {
            throw Mistake(
                "it has no \(has("month") ? "day; write %d" : "month; write %m, or %b for its name")")
        }
        if has("day of the year"), has("month") || has("day") { throw Mistake("%j stands for month and day") }
        for (part, needed) in [
            ("minute", "hour"), ("second", "minute"), ("fraction", "second"), ("AM or PM", "hour"),
        ]
        where has(part) && !has(needed) {
            throw Mistake("it has the \(part) and no \(needed)")
        }
        let isHalf = steps.contains { if case .number(.halfHour, _, _) = $0 { true } else { false } }
        guard isHalf == has("AM or PM") else {
            throw Mistake(
                isHalf
                    ? "%I is an hour of half a day; write %p for AM or PM, or %H"
                    : "%p goes with %I, not with %H")
        }
        if case .byte(0x5A)? = steps.last, steps.count > 1, Self.isDigits(steps[steps.count - 2]) {
            throw Mistake(
                "'Z' at the end would be a letter without a meaning; write %z, which takes it as UTC")
        }
    }

    /// A text that one pattern reads as one time and another as another; nil: there is none of the common
    /// kind, where day and month, or day and year, change places.
    package static func confusion(_ first: TimePattern, _ second: TimePattern) -> String? {
        // 2005-06-07 and 2010-11-12: each part may be any other.
        for time in [1_118_106_183_000, 1_289_520_549_000] as [Int64] {
            let text = first.string(time, offset: 0)
            guard let one = TimeProgram([first]).parse(text), let other = TimeProgram([second]).parse(text)
            else { continue }
            if one.milliseconds != other.milliseconds { return text }
        }
        return nil
    }
}

extension TimePattern: CustomStringConvertible, CustomReflectable {
    /// Stands in texts that are compared with those of other builds.
    package var description: String { text.debugDescription }
    package var customMirror: Mirror { Mirror(self, children: ["text": text]) }
}
