import Base
import Records
import Testing

/// Numbers as people write them: what is read, and what must not be guessed.
@Suite struct NumeralTests {
    static func style(
        _ mark: Character = ".", thousands: String? = nil, strip: [String] = [], parentheses: Bool = false,
        behind: Bool = false,
        negatives: [String] = [], percent: Bool = false
    ) -> Numerals {
        var numerals = Numerals()
        numerals.decimalMark = mark.asciiValue ?? 0
        numerals.thousands = thousands
        numerals.strips = strip
        numerals.takesParentheses = parentheses
        numerals.takesSignBehind = behind
        numerals.negatives = negatives
        numerals.isPercent = percent
        return numerals
    }

    @Test(
        arguments: [
            (style(), "+60.00", "60.00"), (style(), ".5", "0.50"), (style(), "-.5", "-0.50"),
            (style(), "60.", "60.00"), (style(), " 60 ", "60.00"), (style(), "−60", "-60.00"),
            (style(), "6e1", "60.00"), (style(), "", nil), (style(), ".", nil), (style(), "-", nil),
            (style(), "+-60", nil), (style(), "1,060", nil), (style(), "(60)", nil),
            (style(), "60-", nil), (style(), "60%", nil), (style(), "¥60", nil), (style(), "6 0", nil),
            (style(), "0x10", nil), (style(), "1.2.3", nil), (style(), "e5", nil),
            (style(thousands: ","), "1,060.00", "1060.00"),
            (style(thousands: ","), "1,234,567", "1234567.00"),
            (style(thousands: ","), "12,34,567.5", "1234567.50"),
            (style(thousands: ","), "1,06", nil), (style(thousands: ","), "1,0600", nil),
            (style(thousands: ","), ",060", nil), (style(thousands: ","), "1,,060", nil),
            (style(thousands: ","), "1234,567", nil), (style(thousands: ","), "1060.5", "1060.50"),
            (style(thousands: ","), "1.234,5", nil), (style(thousands: ","), "12,34,56", nil),
            (style(",", thousands: "."), "1.060,50", "1060.50"),
            (style(",", thousands: "."), "1.060", "1060.00"), (style(",", thousands: "."), "1.06", nil),
            (style(","), "60,5", "60.50"), (style(","), "60.5", nil),
            (style(",", thousands: "\u{202F}"), "1\u{202F}060,5", "1060.50"),
            (style(thousands: "'"), "1'060.50", "1060.50"),
            (style(thousands: " "), "1 060", "1060.00"), (style(strip: ["¥"]), "¥60.00", "60.00"),
            (style(strip: ["¥"]), "-¥60", "-60.00"), (style(strip: ["¥"]), "¥ -60", "-60.00"),
            (style(strip: ["CNY", "¥"]), "60 CNY", "60.00"), (style(strip: ["¥"]), "¥¥60", nil),
            (style(strip: ["¥"]), "$60", nil), (style(strip: ["$", "US$"]), "US$60", "60.00"),
            (style(parentheses: true), "(60.5)", "-60.50"), (style(parentheses: true), "-(60)", nil),
            (style(parentheses: true), "(60", nil),
            (style(strip: ["$"], parentheses: true), "($60)", "-60.00"),
            (style(strip: ["$"], parentheses: true), "$(60)", "-60.00"),
            (style(behind: true), "60-", "-60.00"), (style(behind: true), "60", "60.00"),
            (style(behind: true), "-60-", nil),
            (style(strip: ["CR"], negatives: ["DR"]), "60.00 DR", "-60.00"),
            (style(strip: ["CR"], negatives: ["DR"]), "60.00 CR", "60.00"),
            (style(percent: true), "60%", "0.60"),
            (style(percent: true), "-5 %", "-0.05"), (style(percent: true), "60", nil),
            (style(percent: true), "60%%", nil), (style(",", percent: true), "12,5%", nil),
        ] as [(Numerals, String, String?)])
    func reads(style: Numerals, text: String, expected: String?) {
        let found = (try? style.parse(text, scale: 2).get()).map { Decimal.string($0, scale: 2) }
        #expect(found == expected, "\(text)")
    }

    /// Amounts written with marks, signs and currencies, by hand, are read as what they are.
    @Test func readsWhatIsWritten() {
        let seed: UInt64 = 60
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            let value = Int64(bitPattern: random.next()) >> Int64(4 + random.next() % 50)
            let (mark, group) = [(".", ","), (",", "."), (".", " "), (",", "'"), (".", "")][
                Int(random.next() % 5)]
            let text = Decimal.string(Int64(value.magnitude), scale: 2)
            let parts = text.split(separator: ".")
            var whole = ""
            for (index, digit) in parts[0].enumerated() {
                if index > 0, (parts[0].count - index) % 3 == 0 { whole += group }
                whole.append(digit)
            }
            var written = whole + mark + parts[1]
            if random.next() % 2 == 0 { written = "€ " + written }
            if value < 0 { written = random.next() % 2 == 0 ? "-" + written : "(\(written))" }
            let style = Self.style(
                Character(mark), thousands: group.isEmpty ? nil : group, strip: ["€"], parentheses: true)
            #expect(style.parse(written, scale: 2) == .success(value), "\(written)")
        }
    }

    /// Any bytes: no trap, and what plain JSON reads differently is never read.
    @Test func hostileBytes() {
        let seed: UInt64 = 61
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let letters = Array("0123456789.,'-+()%¥ e\u{A0}−DR".utf8)
        let styles = [
            Self.style(), Self.style(thousands: ","), Self.style(",", thousands: "."),
            Self.style(strip: ["¥", "R"], parentheses: true, behind: true, negatives: ["DR"]),
            Self.style(percent: true), Self.style(thousands: "\u{A0}"),
        ]
        let readers = styles.map { NumeralReader($0) }
        for _ in 0..<50_000 {
            let bytes = (0..<random.next() % 24).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }
            bytes.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                for reader in readers { _ = reader.parse(start, buffer.count, scale: 2, isRounded: false) }
                if case .success(let plain) = Decimal.parse(start, buffer.count, scale: 2) {
                    #expect(
                        readers[0].parse(start, buffer.count, scale: 2, isRounded: false) == .success(plain))
                }
            }
        }
        #expect(
            readers[0].parse(Array(repeating: 0x31, count: 4000), 4000, scale: 2, isRounded: false)
                == .failure(.notANumber))
    }

    @Test(arguments: [
        (["1,060.00"], ["thousands: \",\""]), (["1.060,00"], ["decimal: \",\", thousands: \".\""]),
        (["60,5"], ["decimal: \",\""]),
        (["1,060"], ["thousands: \",\"", "decimal: \",\""]), (["1,060", "2,5"], ["decimal: \",\""]),
        (["¥60.00"], ["strip: \"¥\""]), (["(60)", "5"], ["negative: parentheses"]),
        (["60%"], ["percent: true"]), (["60"], []), (["abc"], []),
        (["60.00 CNY", "5 USD"], ["strip: [\"CNY\", \"USD\"]"]), (["60-", "5"], ["negative: behind"]),
    ])
    func guesses(texts: [String], options: [String]) {
        #expect(Array(NumeralGuess.options(of: texts).map(\.option).prefix(2)) == options)
    }
}
