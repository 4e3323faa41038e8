import Base
import Records

/// A field of the records that were looked at, and what it could be.
struct GuessedColumn {
    let path: [String]
    /// Records that have it, with a value or without.
    private(set) var seen = 0
    var missing = 0
    private var values: [String] = []
    /// Values that stand in JSON without quotes.
    private var bare = 0
    private var distinct: Set<String> = []

    /// What the field is, as YAML behind its name, and what may be otherwise.
    struct Guess {
        var type = "text"
        var options: [String] = []
        var doubts: [String] = []
        /// The times of a timestamp, and whether they say their offset.
        var times: [Int64] = []
        var hasZone = true
        var isOptional = false

        var isTime: Bool { type == "timestamp" }
    }

    init(_ path: [String]) { self.path = path }

    var name: String { path.joined(separator: ".") }
    var distinctCount: Int { distinct.count }
    var valueCount: Int { values.count }

    mutating func add(_ text: String, isBare: Bool = false) {
        seen += 1
        if isBare { bare += 1 }
        values.append(text)
        distinct.insert(text)
    }

    mutating func addMissing() {
        seen += 1
        missing += 1
    }

    /// As it stands in YAML.
    static func quoted(_ name: String) -> String { quoted(name, always: false) }

    static func quoted(_ name: String, always: Bool) -> String {
        let isPlain =
            !name.isEmpty
            && name.utf8.allSatisfy {
                ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5F
            }
        let words: Set<String> = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        if isPlain, !always, name.utf8.first.map({ $0 < 0x30 || $0 > 0x39 }) == true,
            !words.contains(name.lowercased())
        {
            return name
        }
        var json = JsonWriter()
        json.text(name)
        return json.string
    }

    /// Characters that YAML does not have.
    static func isWritable(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0xFEFF, 0xFFFE, 0xFFFF, 0x2028, 0x2029: false
        default: true
        }
    }

    // MARK: What it is

    private static let nulls: Set<String> = [
        "null", "nan", "n/a", "na", "none", "-", "--", "\\n", "#n/a", "(null)", "?",
    ]
    private static let idWords = [
        "id", "no", "nr", "code", "account", "card", "phone", "mobile", "zip", "postcode", "number", "编号",
        "订单号", "单号", "账号", "卡号", "号",
    ]

    /// True for a name by which people are told apart and nothing is added up.
    var isId: Bool {
        let name = (path.last ?? "").lowercased()
        return Self.idWords.contains { word in
            name == word || name.hasSuffix("_\(word)") || name.hasSuffix(" \(word)")
                || name.hasSuffix(".\(word)")
                || (word.utf8.count > 2 && name.hasSuffix(word))
                || (word == "id" && (path.last ?? "").hasSuffix("Id"))
        } || (path.last ?? "").hasSuffix("ID")
    }

    func guess(isJson: Bool) -> Guess {
        var guess = Guess()
        let nulls = Set(values.filter { Self.nulls.contains($0.lowercased()) || $0.isEmpty }).sorted()
        let kept = values.filter { !nulls.contains($0) }
        guess.isOptional = missing > 0 || kept.count < values.count
        guard !kept.isEmpty else {
            guess.isOptional = true
            guess.doubts.append("no value was seen")
            return guess
        }
        let isTyped =
            readTimes(kept, &guess) || readTruth(kept, &guess, isJson) || readNumbers(kept, &guess, isJson)
        if isTyped, !nulls.isEmpty {
            guess.options.append(
                "null: [\(nulls.map { Self.quoted($0, always: true) }.joined(separator: ", "))]")
        }
        if !isTyped {
            // What means nothing among numbers may be a text like others.
            guess.isOptional = missing > 0
            if isJson, bare > 0, !guess.options.contains("numbers: true") {
                guess.options.append("numbers: true")
            }
        }
        return guess
    }

    private func readTruth(_ kept: [String], _ guess: inout Guess, _ isJson: Bool) -> Bool {
        let found = Set(kept.map { $0.lowercased() })
        if found.isSubset(of: ["true", "false"]) {
            guess.type = "bool"
            return true
        }
        for (yes, no) in [("Y", "N"), ("y", "n"), ("yes", "no"), ("Yes", "No"), ("是", "否"), ("T", "F")]
        where Set(kept) == [yes, no] {
            guess.type = "bool"
            guess.options += ["\"true\": [\"\(yes)\"]", "\"false\": [\"\(no)\"]"]
            return true
        }
        return false
    }

    private func readNumbers(_ kept: [String], _ guess: inout Guess, _ isJson: Bool) -> Bool {
        let isPlain = kept.allSatisfy { Self.places(of: $0) != nil }
        let isCode = kept.contains {
            $0.count > 1 && $0.hasPrefix("0") && !$0.hasPrefix("0.") || ($0.count > 18 && !$0.contains("."))
        }
        if isPlain {
            let places = kept.reduce(0) { max($0, Self.places(of: $1) ?? 0) }
            if isCode || (places == 0 && isId) {
                return false
            }
            guess.type = places == 0 ? "int" : "decimal(\(min(max(places, 2), Limits.decimalScaleMax)))"
            if places > Limits.decimalScaleMax {
                guess.options.append("round: true")
                guess.doubts.append(
                    "up to \(places) places were seen; they are rounded to \(Limits.decimalScaleMax)")
            }
            return true
        }
        // A letter before digits is a part of a name, a currency is not.
        let options = NumeralGuess.options(of: kept).filter { $0.numerals.strips.allSatisfy(Self.isCurrency) }
        guard let (option, numerals) = options.first else { return false }
        guard !isId else { return false }
        let scale =
            (0...Limits.decimalScaleMax).first { scale in
                kept.allSatisfy {
                    if case .success = numerals.parse($0, scale: scale) { true } else { false }
                }
            } ?? Limits.decimalScaleMax
        // `60.00` is money, whatever it is worth.
        let mark = Character(UnicodeScalar(numerals.decimalMark))
        let isWhole = scale == 0 && !kept.contains { $0.contains(mark) }
        guess.type = isWhole ? "int" : "decimal(\(max(2, scale)))"
        guess.options.append(option)
        if options.count > 1 { guess.doubts.append("it could be \(options[1].option) as well") }
        return true
    }

    /// Digits behind the point; nil: no number of JSON.
    private static func isCurrency(_ text: String) -> Bool {
        let signs: Set<String> = [
            "¥", "￥", "$", "€", "£", "₹", "₽", "₩", "฿", "₫", "₺", "元", "円", "US$", "HK$", "NT$", "R$", "RMB",
            "kr", "zł", "Kč",
        ]
        let codes: Set<String> = [
            "CNY", "USD", "EUR", "GBP", "JPY", "HKD", "TWD", "KRW", "INR", "RUB", "CHF", "AUD", "CAD", "SGD",
            "SEK", "NOK", "DKK", "PLN", "CZK", "BRL", "MXN", "THB", "VND", "TRY", "ZAR", "AED",
        ]
        return signs.contains(text) || codes.contains(text)
    }

    private static func places(of text: String) -> Int? {
        if case .failure(.notANumber) = Decimal.parse(text, scale: 0) { return nil }
        guard !text.lowercased().contains("e") else { return Limits.decimalScaleMax + 1 }
        return text.split(separator: ".", omittingEmptySubsequences: false).dropFirst().first?.count ?? 0
    }

    // MARK: Times

    /// True for a name of times.
    var isTimeName: Bool {
        let name = (path.last ?? "").lowercased()
        let words = name.split { !($0.isLetter || $0.isNumber) }
        return ["time", "date", "datum", "zeit", "tag", "fecha", "created", "updated", "时间", "日期"].contains {
            name.contains($0)
        }
            || words.contains { ["ts", "t", "at", "day", "on", "when"].contains($0) }
            || (path.last ?? "").hasSuffix("At")
    }

    private func readTimes(_ kept: [String], _ guess: inout Guess) -> Bool {
        let iso = kept.map { CivilTime.parse($0) }
        if iso.allSatisfy({ $0 != nil }) {
            guess.type = "timestamp"
            guess.times = iso.compactMap { $0?.milliseconds }
            guess.hasZone = iso.allSatisfy { $0?.hasZone == true }
            return true
        }
        let isNumber = kept.allSatisfy { text in Self.places(of: text) != nil }
        if isNumber { return readEpoch(kept, &guess) }
        let patterns = TimeGuess.patterns(of: kept)
        guard let pattern = patterns.first else { return false }
        take(pattern, kept, &guess)
        if patterns.count > 1 {
            guess.doubts.append(
                "it could be \"\(patterns[1].text)\" as well: no value tells day and month apart")
        }
        return true
    }

    private func take(_ pattern: TimePattern, _ kept: [String], _ guess: inout Guess) {
        guess.type = "timestamp"
        guess.options.append("format: \"\(pattern.text)\"")
        let program = TimeProgram([pattern])
        let parsed = kept.compactMap { program.parse($0) }
        guess.times = parsed.map(\.milliseconds)
        guess.hasZone = parsed.allSatisfy(\.hasZone)
    }

    /// Numbers are times only where their name or their size says so.
    private func readEpoch(_ kept: [String], _ guess: inout Guess) -> Bool {
        func times(_ unit: EpochTime.Unit) -> [Int64]? {
            let found = kept.compactMap { text -> Int64? in
                let bytes = Array(text.utf8)
                let parsed = bytes.withUnsafeBufferPointer { buffer in
                    buffer.baseAddress.map { EpochTime.parse($0, buffer.count, unit: unit) }
                }
                guard case .success(let time) = parsed, EpochTime.plausible.contains(time),
                    time < 2_524_608_000_000
                else { return nil }
                return time
            }
            return found.count == kept.count ? found : nil
        }
        for unit in [EpochTime.Unit.ms, .us, .ns, .s] {
            guard let found = times(unit), isTimeName || (unit == .ms && !isId) else { continue }
            guess.type = "timestamp"
            guess.times = found
            if unit != .ms { guess.options.append("unit: \(unit.rawValue)") }
            return true
        }
        let patterns = TimeGuess.patterns(of: kept)
        if isTimeName, let pattern = patterns.first, distinct.count > 1 || kept[0].count == 8 {
            take(pattern, kept, &guess)
            return true
        }
        let days = kept.compactMap(Double.init)
        if isTimeName, days.count == kept.count, days.allSatisfy({ $0 > 32_874 && $0 < 60_000 }) {
            guess.type = "timestamp"
            guess.options += ["unit: d", "since: 1899-12-30"]
            guess.times = days.map { Int64(($0 - 25_569) * 86_400_000) }
            guess.hasZone = false
            guess.doubts.append("it is taken as the days of a spreadsheet")
            return true
        }
        return false
    }
}
