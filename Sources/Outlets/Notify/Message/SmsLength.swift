/// How many parts a text takes as SMS (3GPP TS 23.038 and 23.040).
package enum SmsLength {
    /// 160 characters of the default alphabet in one part, 153 in each of several; with any other character
    /// 70 and 67 units of UTF-16.
    package static func parts(_ text: some StringProtocol) -> Int {
        let (units, isPlain) = measure(text)
        let single = isPlain ? 160 : 70
        let each = isPlain ? 153 : 67
        return units <= single ? 1 : (units + each - 1) / each
    }

    /// The text in so many parts at most, with an ellipsis where something was left out.
    package static func shortened(_ text: String, parts most: Int) -> String {
        guard parts(text) > most else { return text }
        var low = 0
        var high = text.count
        while low < high {
            let middle = (low + high + 1) / 2
            if parts(text.prefix(middle) + "…") <= most { low = middle } else { high = middle - 1 }
        }
        return text.prefix(low) + "…"
    }

    /// The same, but a link stays whole, and what stands before it is cut; where there is no room for it, it
    /// is left out.
    package static func shortened(_ text: String, parts most: Int, keeping link: String) -> String {
        let pieces = link.isEmpty ? [] : text.split(separator: link, omittingEmptySubsequences: false)
        guard parts(text) > most, pieces.count == 2 else { return shortened(text, parts: most) }
        let rest = link + pieces[1]
        if parts("…" + rest) > most { return shortened(pieces.joined(), parts: most) }
        var (low, high) = (0, pieces[0].count)
        while low < high {
            let middle = (low + high + 1) / 2
            if parts(pieces[0].prefix(middle) + "… " + rest) <= most {
                low = middle
            } else {
                high = middle - 1
            }
        }
        return pieces[0].prefix(low) + "… " + rest
    }

    private static func measure(_ text: some StringProtocol) -> (units: Int, isPlain: Bool) {
        var units = 0
        for scalar in text.unicodeScalars {
            if plain.contains(scalar) {
                units += 1
            } else if extended.contains(scalar) {
                units += 2
            } else {
                return (text.utf16.count, false)
            }
        }
        return (units, true)
    }

    private static let plain = Set(
        ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
            + "¿abcdefghijklmnopqrstuvwxyzäöñüà").unicodeScalars)
    private static let extended = Set("^{}\\[~]|€\u{C}".unicodeScalars)
}
