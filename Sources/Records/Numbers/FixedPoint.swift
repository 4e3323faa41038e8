/// Numbers with 116 binary places, for the functions whose results no decimal has exactly. Integers only, so
/// that every machine gives the same digits. Magnitudes are below 2^11.
struct FixedPoint {
    static let places = 116

    var raw: Int128

    static let one = FixedPoint(raw: 1 << 116)
    static let zero = FixedPoint(raw: 0)

    init(raw: Int128) { self.raw = raw }

    /// `value` / 10^scale, cut; the quotient is below 2^11.
    init(_ value: Int64, scale: Int) {
        let unit = UInt128(Decimal.powerOfTen(scale))
        let size = UInt128(value.magnitude)
        let quotient = unit.dividingFullWidth((size >> 12, size << 116)).quotient
        raw = value < 0 ? -Int128(quotient) : Int128(quotient)
    }

    static func + (a: FixedPoint, b: FixedPoint) -> FixedPoint { FixedPoint(raw: a.raw + b.raw) }
    static func - (a: FixedPoint, b: FixedPoint) -> FixedPoint { FixedPoint(raw: a.raw - b.raw) }
    static prefix func - (a: FixedPoint) -> FixedPoint { FixedPoint(raw: -a.raw) }

    static func * (a: FixedPoint, b: FixedPoint) -> FixedPoint {
        let (high, low) = a.raw.magnitude.multipliedFullWidth(by: b.raw.magnitude)
        let size = Int128((high << 12) | (low >> 116))
        return FixedPoint(raw: (a.raw < 0) == (b.raw < 0) ? size : -size)
    }

    static func / (a: FixedPoint, b: FixedPoint) -> FixedPoint {
        let size = a.raw.magnitude
        let quotient = Int128(b.raw.magnitude.dividingFullWidth((size >> 12, size << 116)).quotient)
        return FixedPoint(raw: (a.raw < 0) == (b.raw < 0) ? quotient : -quotient)
    }

    static func / (a: FixedPoint, b: Int) -> FixedPoint { FixedPoint(raw: a.raw / Int128(b)) }

    /// Of a number that is not negative, by Newton's method from above.
    func squareRoot() -> FixedPoint {
        guard raw > 0 else { return .zero }
        let bits = 128 - raw.leadingZeroBitCount + Self.places
        var root: Int128 = 1 << Int128((bits + 1) / 2)
        while true {
            let next = (root + (self / FixedPoint(raw: root)).raw) / 2
            if next >= root { return FixedPoint(raw: root) }
            root = next
        }
    }

    // MARK: Logarithms and powers of e

    static let ln2 = areaTangent(one / 3)
    static let ln10 = FixedPoint(raw: ln2.raw * 3) + areaTangent(one / 9)

    /// 2 artanh y = ln((1 + y) / (1 - y)), by its power series; |y| is at most a third.
    private static func areaTangent(_ y: FixedPoint) -> FixedPoint {
        let square = y * y
        var (power, sum, divisor) = (y, zero, 1)
        while power.raw != 0 {
            sum = sum + power / divisor
            power = power * square
            divisor += 2
        }
        return FixedPoint(raw: sum.raw * 2)
    }

    /// ln of `value` / 10^scale; `value` is positive.
    static func ln(_ value: UInt64, scale: Int) -> FixedPoint {
        // value = mantissa x 2^exponent with a mantissa near 1.
        var exponent = 63 - value.leadingZeroBitCount
        var mantissa = FixedPoint(raw: Int128(value) << Int128(116 - exponent))
        if mantissa.raw > one.raw / 5 * 7 {
            mantissa.raw /= 2
            exponent += 1
        }
        let ratio = (mantissa - one) / (mantissa + one)
        return areaTangent(ratio) + FixedPoint(raw: ln2.raw * Int128(exponent) - ln10.raw * Int128(scale))
    }

    /// e^x as mantissa x 2^exponent, with a mantissa from 0.7 to 1.42; |x| is below 128.
    static func exp(_ x: FixedPoint) -> (mantissa: FixedPoint, exponent: Int) {
        let halves = x.raw >= 0 ? x.raw + ln2.raw / 2 : x.raw - ln2.raw / 2
        let exponent = Int(halves / ln2.raw)
        let rest = FixedPoint(raw: x.raw - ln2.raw * Int128(exponent))
        var (term, sum, place) = (one, one, 1)
        while term.raw != 0 {
            term = term * rest / place
            sum = sum + term
            place += 1
        }
        return (sum, exponent)
    }

    // MARK: Angles

    /// Machin's formula.
    static let pi = FixedPoint(raw: 16 * arcTangent(one / 5).raw - 4 * arcTangent(one / 239).raw)

    /// By its power series; |x| is at most a quarter.
    static func arcTangent(_ x: FixedPoint) -> FixedPoint {
        let square = -(x * x)
        var (power, sum, divisor) = (x, zero, 1)
        while power.raw != 0 {
            sum = sum + power / divisor
            power = power * square
            divisor += 2
        }
        return sum
    }

    /// Of an angle of at most a right one, by the power series.
    static func sine(_ x: FixedPoint) -> FixedPoint {
        let square = -(x * x)
        var (term, sum, place) = (x, zero, 1)
        while term.raw != 0 {
            sum = sum + term
            term = term * square / ((place + 1) * (place + 2))
            place += 2
        }
        return sum
    }

    /// The angle whose sine is `sine` and whose cosine `cosine`; neither is negative.
    static func angle(sine: FixedPoint, cosine: FixedPoint) -> FixedPoint {
        // Halved three times, tan(a / 2) = sin a / (1 + cos a), so that the series is short.
        var tangent = sine / (one + cosine)
        for _ in 0..<2 { tangent = tangent / (one + (one + tangent * tangent).squareRoot()) }
        return FixedPoint(raw: 8 * arcTangent(tangent).raw)
    }
}
