/// Decimals as `Int64` in units of 10^-scale: exact, checked, and the same on every machine.
package enum Decimal {
    /// 10^0 ... 10^18.
    package static let powersOfTen: [Int64] = (0...18).map { power in
        (0..<power).reduce(Int64(1)) { value, _ in value * 10 }
    }

    @inlinable
    package static func powerOfTen(_ exponent: Int) -> Int64 {
        var result: Int64 = 1
        for _ in 0..<exponent { result &*= 10 }
        return result
    }

    /// `value` at another scale, rounded half to even when digits are dropped; nil on overflow.
    @inlinable
    package static func rescale(_ value: Int64, from: Int, to: Int) -> Int64? {
        if to == from { return value }
        if to > from {
            let (product, overflow) = value.multipliedReportingOverflow(by: powerOfTen(to - from))
            return overflow ? nil : product
        }
        return Int64(exactly: divideHalfEven(Int128(value), Int128(powerOfTen(from - to))))
    }

    /// `numerator / denominator`, rounded half to even. The denominator is not 0.
    @inlinable
    package static func divideHalfEven(_ numerator: Int128, _ denominator: Int128) -> Int128 {
        let (quotient, remainder) = numerator.quotientAndRemainder(dividingBy: denominator)
        if remainder == 0 { return quotient }
        let twice = remainder.magnitude * 2
        let size = denominator.magnitude
        if twice < size || (twice == size && quotient & 1 == 0) { return quotient }
        return (numerator < 0) == (denominator < 0) ? quotient + 1 : quotient - 1
    }

    /// Of what `write` writes.
    package static let bytesMax = 41

    /// Writes `value` in plain notation (`-12.50`) and returns the byte count.
    package static func write(_ value: Int128, scale: Int, to bytes: UnsafeMutablePointer<UInt8>) -> Int {
        var digits: InlineArray<48, UInt8> = .init(repeating: 0)
        var wide = value.magnitude
        var count = 0
        // A division of 128 bits is a call; nearly every number fits in 64.
        while wide > UInt64.max {
            let (quotient, digit) = wide.quotientAndRemainder(dividingBy: 10)
            digits[count] = 0x30 + UInt8(digit)
            wide = quotient
            count += 1
        }
        var rest = UInt64(truncatingIfNeeded: wide)
        repeat {
            digits[count] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            count += 1
        } while rest != 0 || count <= scale
        var at = 0
        if value < 0 {
            bytes[at] = 0x2D
            at += 1
        }
        while count > 0 {
            if count == scale {
                bytes[at] = 0x2E
                at += 1
            }
            count -= 1
            bytes[at] = digits[count]
            at += 1
        }
        return at
    }

    package static func string(_ value: Int128, scale: Int) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 48) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            let count = write(value, scale: scale, to: start)
            return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }

    package static func string(_ value: Int64, scale: Int) -> String {
        string(Int128(value), scale: scale)
    }

    package enum ParseFailure: Error, Equatable { case notANumber, outOfRange, tooManyPlaces }

    /// Reads JSON's number grammar (`-12.50`, `1.2e3`) exactly. More places than `scale`, unless they are
    /// zeros, is a failure and not a rounding.
    package static func parse(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        scale: Int
    ) -> Result<Int64, ParseFailure> {
        var at = 0
        var negative = false
        if count > 0, bytes[0] == 0x2D {
            negative = true
            at = 1
        }
        var magnitude: UInt64 = 0
        var places = 0
        var digits = 0
        var pointSeen = false
        var overflow = false
        var trailingZeros = 0
        while at < count {
            let byte = bytes[at]
            let digit = byte &- 0x30
            if digit <= 9 {
                digits += 1
                if pointSeen { places += 1 }
                // Zeros are held back: `1.5000000000` has one place, whatever it looks like.
                if digit == 0 {
                    trailingZeros += 1
                } else {
                    for _ in 0...trailingZeros {
                        let (product, carried) = magnitude.multipliedReportingOverflow(by: 10)
                        magnitude = product
                        overflow = overflow || carried
                    }
                    trailingZeros = 0
                    let (sum, carried) = magnitude.addingReportingOverflow(UInt64(digit))
                    magnitude = sum
                    overflow = overflow || carried
                }
                at += 1
            } else if byte == 0x2E, !pointSeen, digits > 0 {
                pointSeen = true
                at += 1
            } else {
                break
            }
        }
        guard digits > 0, !(pointSeen && places == 0) else { return .failure(.notANumber) }
        var exponent = 0
        if at < count, bytes[at] | 0x20 == 0x65 {
            at += 1
            var negativeExponent = false
            if at < count, bytes[at] == 0x2B || bytes[at] == 0x2D {
                negativeExponent = bytes[at] == 0x2D
                at += 1
            }
            let start = at
            while at < count, bytes[at] &- 0x30 <= 9 {
                exponent = min(exponent * 10 + Int(bytes[at] &- 0x30), 10_000)
                at += 1
            }
            guard at > start else { return .failure(.notANumber) }
            if negativeExponent { exponent = -exponent }
        }
        guard at == count else { return .failure(.notANumber) }
        if magnitude == 0, !overflow { return .success(0) }
        guard !overflow else { return .failure(.outOfRange) }
        // The value is magnitude x 10^(trailingZeros - places + exponent).
        let shift = trailingZeros - places + exponent + scale
        if shift < 0 { return .failure(.tooManyPlaces) }
        guard shift <= 18 else { return .failure(.outOfRange) }
        let (scaled, carried) = magnitude.multipliedReportingOverflow(by: UInt64(powersOfTen[shift]))
        guard !carried else { return .failure(.outOfRange) }
        if negative {
            guard scaled <= UInt64(Int64.max) + 1 else { return .failure(.outOfRange) }
            return .success(Int64(truncatingIfNeeded: 0 &- scaled))
        }
        guard scaled <= UInt64(Int64.max) else { return .failure(.outOfRange) }
        return .success(Int64(scaled))
    }

    /// The same, but more places than `scale` are rounded half to even, however many there are.
    package static func parseRounded(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        scale: Int
    ) -> Result<Int64, ParseFailure> {
        parse(bytes, count, scale: scale, isCut: false)
    }

    /// The same, but rounded down. `scale` may be negative: -3 counts thousands.
    package static func parseCut(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        scale: Int
    ) -> Result<Int64, ParseFailure> {
        parse(bytes, count, scale: scale, isCut: true)
    }

    private static func parse(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        scale: Int,
        isCut: Bool
    ) -> Result<Int64, ParseFailure> {
        let exact = parse(bytes, count, scale: scale)
        if case .success = exact { return exact }
        if case .failure(.notANumber) = exact { return exact }
        // The grammar is right. How many digits, counted from the first, are kept:
        let text = UnsafeBufferPointer(start: bytes, count: count)
        let mantissa = text.prefix { $0 | 0x20 != 0x65 }
        let digits = mantissa.lazy.filter { $0 &- 0x30 <= 9 }
        let whole = mantissa.prefix { $0 != 0x2E }.lazy.filter { $0 &- 0x30 <= 9 }.count
        var exponent = 0
        for byte in text[mantissa.endIndex...] where byte &- 0x30 <= 9 {
            exponent = min(exponent * 10 + Int(byte &- 0x30), 10_000_000)
        }
        if text[mantissa.endIndex...].contains(0x2D) { exponent = -exponent }
        let kept = whole + exponent + scale
        var magnitude: Int128 = 0
        // What is dropped: its first digit, and whether anything stands behind that.
        var half: UInt8 = 0
        var hasMore = false
        var position = 0
        for digit in digits {
            if position < kept {
                magnitude = magnitude * 10 + Int128(digit &- 0x30)
                guard magnitude <= Int128(Int64.max) + 1 else { return .failure(.outOfRange) }
            } else if position == kept {
                half = digit &- 0x30
            } else {
                hasMore = hasMore || digit != 0x30
            }
            position += 1
        }
        while position < kept, magnitude != 0 {
            magnitude *= 10
            guard magnitude <= Int128(Int64.max) + 1 else { return .failure(.outOfRange) }
            position += 1
        }
        if isCut {
            if text.first == 0x2D, half > 0 || hasMore { magnitude += 1 }
        } else if half > 5 || (half == 5 && (hasMore || magnitude & 1 == 1)) {
            magnitude += 1
        }
        return Int64(exactly: text.first == 0x2D ? -magnitude : magnitude).map { .success($0) }
            ?? .failure(.outOfRange)
    }

    package static func parse(_ text: String, scale: Int) -> Result<Int64, ParseFailure> {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return .failure(.notANumber) }
            return parse(start, buffer.count, scale: scale)
        }
    }
}
