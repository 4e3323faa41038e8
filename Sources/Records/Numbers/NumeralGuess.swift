/// How a text would have to be read to be a number.
package enum NumeralGuess {
    /// The options of a field, in the order of how likely they are, with which all of the texts are numbers;
    /// nothing: none does, or they are numbers as they stand.
    package static func options(of texts: [String]) -> [(option: String, numerals: Numerals)] {
        let plain = Numerals()
        guard !texts.isEmpty, !texts.allSatisfy({ isNumber($0, plain) }) else { return [] }
        let around = texts.map(surroundings)
        var found: [(String, Numerals)] = []
        for (marks, mark, thousands) in [
            ("", ".", nil), ("thousands: \",\"", ".", ","), ("decimal: \",\"", ",", nil),
            ("decimal: \",\", thousands: \".\"", ",", "."),
            ("thousands: \" \"", ".", " "), ("decimal: \",\", thousands: \" \"", ",", " "),
            ("decimal: \",\", thousands: \"\u{A0}\"", ",", "\u{A0}"),
            ("decimal: \",\", thousands: \"\u{202F}\"", ",", "\u{202F}"), ("thousands: \"'\"", ".", "'"),
        ] as [(String, Character, String?)] {
            var numerals = Numerals()
            numerals.decimalMark = mark.asciiValue ?? 0x2E
            numerals.thousands = thousands
            var parts = marks.isEmpty ? [] : [marks]
            if texts.contains(where: { $0.contains("(") }) {
                numerals.takesParentheses = true
                parts.append("negative: parentheses")
            } else if texts.contains(where: { $0.hasSuffix("-") }) {
                numerals.takesSignBehind = true
                parts.append("negative: behind")
            }
            if texts.allSatisfy({ $0.hasSuffix("%") || $0.hasSuffix("％") }) {
                numerals.isPercent = true
                parts.append("percent: true")
            }
            let strips = Set(around.flatMap { $0 }).sorted()
            if !strips.isEmpty, strips.count <= 4 {
                numerals.strips = strips
                let list = strips.map { "\"\($0)\"" }.joined(separator: ", ")
                parts.append("strip: \(strips.count == 1 ? list : "[\(list)]")")
            }
            guard !parts.isEmpty, texts.allSatisfy({ isNumber($0, numerals) }) else { continue }
            // One of several that always mean the same is enough.
            let isNew = found.allSatisfy { other in
                texts.contains {
                    (try? numerals.parse($0, scale: 9, isRounded: true).get())
                        != (try? other.1.parse($0, scale: 9, isRounded: true).get())
                }
            }
            guard isNew else { continue }
            found.append((parts.joined(separator: ", "), numerals))
        }
        return found
    }

    private static func isNumber(_ text: String, _ numerals: Numerals) -> Bool {
        if case .success = numerals.parse(text, scale: 9, isRounded: true) { true } else { false }
    }

    /// Short texts before and behind the digits, without signs, marks and blanks: `¥`, `CNY`.
    private static func surroundings(_ text: String) -> [String] {
        let signs: Set<Character> = [
            "-", "+", "(", ")", ".", ",", " ", "\t", "%", "％", "−", "\u{A0}", "\u{202F}",
        ]
        guard let first = text.firstIndex(where: { $0.isNumber }),
            let last = text.lastIndex(where: { $0.isNumber })
        else { return [] }
        return [text[..<first], text[text.index(after: last)...]].compactMap { part in
            let letters = String(part.filter { !signs.contains($0) })
            return letters.isEmpty || letters.utf8.count > 12 ? nil : letters
        }
    }
}
