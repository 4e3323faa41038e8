import Base

/// How numbers are written that are not written as JSON has them: marks, signs, and what stands around them.
/// What it does not name is refused: `1.234` is a thousand for one and little more than one for another.
package struct Numerals: Hashable, Sendable {
    /// `.` or `,`.
    package var decimalMark: UInt8 = 0x2E
    /// What stands between groups of three digits (or as India writes them, of two before the last three);
    /// nil: nothing.
    package var thousands: String?
    /// Texts that may stand before or behind the number and are no part of it.
    package var strips: [String] = []
    /// `(60)` is -60.
    package var takesParentheses = false
    /// `60-` is -60.
    package var takesSignBehind = false
    /// Texts before or behind a number that make it negative, as `DR`.
    package var negatives: [String] = []
    /// `60%` is 0.60; a number without the sign is refused.
    package var isPercent = false

    package init() {}
}

/// Reads numbers as `Numerals` say they are written.
package final class NumeralReader: @unchecked Sendable {
    private let numerals: Numerals
    private let thousands: [UInt8]
    private let strips: [[UInt8]]
    private let negatives: [[UInt8]]
    // Used by one thread.
    private let digits: UnsafeMutablePointer<UInt8>

    /// Of what a number may be written in.
    private static let bytesMax = 128
    private static let minus: [UInt8] = Array("−".utf8)
    private static let widePercent: [UInt8] = Array("％".utf8)
    /// Blanks that are no ASCII: no-break, narrow no-break, ideographic.
    private static let blanks: [[UInt8]] = ["\u{A0}", "\u{202F}", "\u{3000}"].map { Array($0.utf8) }

    package init(_ numerals: Numerals) {
        self.numerals = numerals
        thousands = numerals.thousands.map { Array($0.utf8) } ?? []
        // The longest first: `US$` is not `$` behind letters.
        func bytes(_ texts: [String]) -> [[UInt8]] {
            texts.map { Array($0.utf8) }.sorted { $0.count > $1.count }
        }
        strips = bytes(numerals.strips)
        negatives = bytes(numerals.negatives)
        digits = .allocate(capacity: Self.bytesMax + 8)
    }

    deinit { digits.deallocate() }

    /// The number in units of 10^-scale. More places are refused, or rounded half to even.
    package func parse(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, scale: Int, isRounded: Bool
    ) -> Result<Int64, Decimal.ParseFailure> {
        guard count <= Self.bytesMax else { return .failure(.notANumber) }
        var text = UnsafeBufferPointer(start: bytes, count: count)[...]
        guard let isNegative = bare(&text) else { return .failure(.notANumber) }
        guard var end = put(text, after: isNegative ? 1 : 0) else { return .failure(.notANumber) }
        if isNegative { digits[0] = 0x2D }
        if numerals.isPercent {
            for byte in [0x65, 0x2D, 0x32] as [UInt8] {
                digits[end] = byte
                end += 1
            }
        }
        return isRounded
            ? Decimal.parseRounded(digits, end, scale: scale) : Decimal.parse(digits, end, scale: scale)
    }

    typealias Text = Slice<UnsafeBufferPointer<UInt8>>

    /// Takes off what stands around the digits, each kind at most once; nil: there is more than one sign, or
    /// one is missing.
    private func bare(_ text: inout Text) -> Bool? {
        var signs = 0
        var isNegative = false
        var isStripped = false
        var isPercent = false
        func sign(_ negative: Bool) {
            signs += 1
            isNegative = negative
        }
        while true {
            let before = text.count
            while let blank = text.first, blank == 0x20 || blank == 0x09 { text = text.dropFirst() }
            while let blank = text.last, blank == 0x20 || blank == 0x09 { text = text.dropLast() }
            for blank in Self.blanks { _ = takePrefix(blank, &text) || takeSuffix(blank, &text) }
            if !isStripped, strips.contains(where: { takePrefix($0, &text) || takeSuffix($0, &text) }) {
                isStripped = true
            }
            if signs == 0 {
                if negatives.contains(where: { takePrefix($0, &text) || takeSuffix($0, &text) }) {
                    sign(true)
                } else if numerals.takesParentheses, text.first == 0x28, text.last == 0x29, text.count > 2 {
                    text = text.dropFirst().dropLast()
                    sign(true)
                } else if text.first == 0x2D || text.first == 0x2B {
                    sign(text.first == 0x2D)
                    text = text.dropFirst()
                } else if takePrefix(Self.minus, &text) {
                    sign(true)
                } else if numerals.takesSignBehind, text.last == 0x2D || text.last == 0x2B {
                    sign(text.last == 0x2D)
                    text = text.dropLast()
                }
            }
            if numerals.isPercent, !isPercent {
                isPercent = takeSuffix(Self.widePercent, &text)
                if !isPercent, text.last == 0x25 {
                    text = text.dropLast()
                    isPercent = true
                }
            }
            if text.count == before { break }
        }
        return isPercent == numerals.isPercent ? isNegative : nil
    }

    private func takePrefix(_ part: [UInt8], _ text: inout Text) -> Bool {
        guard !part.isEmpty, text.starts(with: part) else { return false }
        text = text.dropFirst(part.count)
        return true
    }

    private func takeSuffix(_ part: [UInt8], _ text: inout Text) -> Bool {
        guard !part.isEmpty, text.count >= part.count, text.suffix(part.count).elementsEqual(part) else {
            return false
        }
        text = text.dropLast(part.count)
        return true
    }

    /// Puts the digits down as JSON has them and returns where they end; nil: they are no number, or their
    /// groups are wrong.
    private func put(_ text: Text, after start: Int) -> Int? {
        var end = start
        // Digits since the last group's mark, and the groups before it.
        var group = 0
        var groups: InlineArray<48, UInt8> = .init(repeating: 0)
        var groupCount = 0
        var fraction: Int?
        var at = text.startIndex
        func isGrouped() -> Bool {
            guard groupCount > 0 else { return true }
            guard group == 3 else { return false }
            var (isThrees, isTwos) = (groups[0] >= 1 && groups[0] <= 3, groups[0] >= 1 && groups[0] <= 2)
            for index in 1..<max(1, groupCount) {
                isThrees = isThrees && groups[index] == 3
                isTwos = isTwos && groups[index] == 2
            }
            return isThrees || isTwos
        }
        while at < text.endIndex {
            let byte = text[at]
            if byte &- 0x30 <= 9 {
                digits[end] = byte
                end += 1
                if fraction == nil { group += 1 } else { fraction = (fraction ?? 0) + 1 }
                at += 1
            } else if byte == numerals.decimalMark, fraction == nil {
                guard isGrouped() else { return nil }
                if group == 0, groupCount == 0 {
                    digits[end] = 0x30
                    end += 1
                }
                digits[end] = 0x2E
                end += 1
                fraction = 0
                at += 1
            } else if fraction == nil, !thousands.isEmpty, text[at...].starts(with: thousands),
                groupCount < 40
            {
                groups[groupCount] = UInt8(clamping: group)
                groupCount += 1
                group = 0
                at += thousands.count
            } else if byte | 0x20 == 0x65, groupCount == 0, end > start {
                // An exponent, which the grammar of JSON checks.
                for byte in text[at...] {
                    digits[end] = byte
                    end += 1
                }
                return end
            } else {
                return nil
            }
        }
        if fraction == nil, !isGrouped() { return nil }
        guard end > start, !(fraction == 0 && group == 0 && groupCount == 0) else { return nil }
        // `60.` is 60.
        if fraction == 0 { end -= 1 }
        return end
    }
}

extension Numerals {
    package func parse(_ text: String, scale: Int, isRounded: Bool = false) -> Result<
        Int64, Decimal.ParseFailure
    > {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return .failure(.notANumber) }
            return NumeralReader(self).parse(start, buffer.count, scale: scale, isRounded: isRounded)
        }
    }
}
