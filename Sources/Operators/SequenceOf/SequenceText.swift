import Records

/// The text of a `sequence_of`: `[[12,340.50],[9,null]]`, a list for each row, the oldest first, with a
/// number or null for each field. What reads it back is a few loops, since it is read for every row that is
/// scored.
final class SequenceText {
    /// Row by row; NaN is null.
    private(set) var values: [Double]
    private let rows: Int
    private let channels: Int
    private static let powers = Decimal.powersOfTen.map { Double($0) }

    init(rows: Int, channels: Int) {
        (self.rows, self.channels) = (rows, channels)
        values = Array(repeating: .nan, count: rows * channels)
    }

    /// False: the text is no sequence of this shape.
    func read(_ text: TextReference, _ arena: Arena) -> Bool {
        var at = arena.base + text.offset
        let end = at + text.count
        func take(_ byte: UInt8) -> Bool {
            guard at < end, at.pointee == byte else { return false }
            at += 1
            return true
        }
        func number() -> Double? {
            if at + 4 <= end, at[0] == 0x6E, at[1] == 0x75, at[2] == 0x6C, at[3] == 0x6C {
                at += 4
                return .nan
            }
            let isNegative = take(0x2D)
            var (digits, places, count) = (Int64(0), -1, 0)
            while at < end {
                if at.pointee == 0x2E, places < 0 {
                    places = 0
                } else if at.pointee >= 0x30, at.pointee <= 0x39, count < 19 {
                    let (tens, tooLarge) = digits.multipliedReportingOverflow(by: 10)
                    let (sum, overflow) = tens.subtractingReportingOverflow(Int64(at.pointee - 0x30))
                    if tooLarge || overflow { return nil }
                    digits = sum
                    count += 1
                    if places >= 0 { places += 1 }
                } else {
                    break
                }
                at += 1
            }
            guard count > 0 else { return nil }
            // Digits are gathered below zero, where there is one number more.
            let value = isNegative ? Double(digits) : 0 - Double(digits)
            return places > 0 ? value / Self.powers[places] : value
        }
        guard take(0x5B) else { return false }
        for row in 0..<rows {
            guard row == 0 || take(0x2C), take(0x5B) else { return false }
            for channel in 0..<channels {
                guard channel == 0 || take(0x2C), let value = number() else { return false }
                values[row * channels + channel] = value
            }
            guard take(0x5D) else { return false }
        }
        return take(0x5D) && at == end
    }
}
