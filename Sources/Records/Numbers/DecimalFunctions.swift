/// Functions of decimals whose results are rounded: integers all the way, so that they are the same on every
/// machine.
package enum DecimalFunctions {
    package enum Result: Equatable, Sendable {
        case value(Int64)
        /// There is none: the root of a number below zero.
        case none
        /// It does not fit in 64 bits.
        case overflow
    }

    /// The square root of `value` / 10^scale in units of 10^-places: the nearest, half to even.
    package static func squareRoot(_ value: Int64, scale: Int, places: Int) -> Result {
        guard value >= 0 else { return .none }
        // The square of the result: value x up / down.
        let up = UInt128(powerOfTen(max(0, 2 * places - scale)))
        let down = UInt128(powerOfTen(max(0, scale - 2 * places)))
        let square = UInt128(value) * up
        let root = floorRoot(square / down)
        // The nearest is the next one where (root + 1/2)^2 < square.
        let middle = (2 * root + 1) * (2 * root + 1)
        let (scaled, overflow) = middle.multipliedReportingOverflow(by: down)
        let isUp = !overflow && (scaled < 4 * square || (scaled == 4 * square && root & 1 == 1))
        return Int64(exactly: root + (isUp ? 1 : 0)).map { .value($0) } ?? .overflow
    }

    private static func powerOfTen(_ exponent: Int) -> Int128 {
        (0..<exponent).reduce(Int128(1)) { value, _ in value * 10 }
    }

    private static func floorRoot(_ value: UInt128) -> UInt128 {
        guard value > 0 else { return 0 }
        var root: UInt128 = 1 << UInt128((128 - value.leadingZeroBitCount + 1) / 2)
        while true {
            let next = (root + value / root) / 2
            if next >= root { return root }
            root = next
        }
    }

    /// The natural logarithm in units of 10^-places; within 0.5000001 units. Of zero and below there is none.
    package static func ln(_ value: Int64, scale: Int, places: Int) -> Result {
        guard value > 0 else { return .none }
        return rounded(FixedPoint.ln(value.magnitude, scale: scale), places)
    }

    /// The logarithm to the base 10, likewise; of powers of ten it is exact.
    package static func log10(_ value: Int64, scale: Int, places: Int) -> Result {
        guard value > 0 else { return .none }
        return rounded(FixedPoint.ln(value.magnitude, scale: scale) / FixedPoint.ln10, places)
    }

    /// e to the power of `value` / 10^scale, likewise.
    package static func exp(_ value: Int64, scale: Int, places: Int) -> Result {
        // Beyond, no places are left, or none are reached.
        let limit = 64 * Decimal.powerOfTen(scale)
        if value >= limit { return .overflow }
        if value <= -limit { return .value(0) }
        return scaled(FixedPoint.exp(FixedPoint(value, scale: scale)), places, isNegative: false)
    }

    /// `base` to the power of `exponent`, within 0.51 units of 10^-places, and exact where the result has no
    /// more places than those. x^0 is 1; of zero to less than 0, and of a number below zero to a broken one,
    /// there is none.
    package static func power(
        _ base: Int64, scale: Int, _ exponent: Int64, exponentScale: Int, places: Int
    ) -> Result {
        let unit = Decimal.powerOfTen(exponentScale)
        if exponent == 0 { return .value(Decimal.powerOfTen(places)) }
        if base == 0 { return exponent > 0 ? .value(0) : .none }
        guard base > 0 || exponent % unit == 0 else { return .none }
        let isNegative = base < 0 && exponent / unit % 2 != 0
        let logarithm = FixedPoint.ln(base.magnitude, scale: scale)
        if logarithm.raw == 0 { return .value(Decimal.powerOfTen(places) * (isNegative ? -1 : 1)) }
        // exponent x logarithm, in 192 bits; 64 and more are beyond what fits.
        let (high, low) = logarithm.raw.magnitude.multipliedFullWidth(by: UInt128(exponent.magnitude))
        let (quotientHigh, rest) = high.quotientAndRemainder(dividingBy: UInt128(unit))
        let quotient = UInt128(unit).dividingFullWidth((rest, low)).quotient
        let isGrowing = (logarithm.raw > 0) == (exponent > 0)
        guard quotientHigh == 0, quotient < UInt128(64) << 116 else {
            return isGrowing ? .overflow : .value(0)
        }
        let product = FixedPoint(raw: isGrowing ? Int128(quotient) : -Int128(quotient))
        return scaled(FixedPoint.exp(product), places, isNegative: isNegative)
    }

    /// Metres between two places, three decimals, on a sphere with the earth's mean radius of 6,371,008.8 m
    /// (haversine): at most 0.6 % from the distance on the ellipsoid. Degrees in units of 10^-scale; none for
    /// latitudes beyond 90 and longitudes beyond 180 degrees.
    package static func distance(
        latitude: (Int64, Int64), longitude: (Int64, Int64),
        scales: (latitude: (Int, Int), longitude: (Int, Int))
    ) -> Result {
        func degrees(_ value: Int64, _ scale: Int, _ limit: Int64) -> FixedPoint? {
            let (most, overflow) = limit.multipliedReportingOverflow(by: Decimal.powerOfTen(scale))
            guard overflow || (value <= most && value >= -most) else { return nil }
            return FixedPoint(value, scale: scale)
        }
        guard let south = degrees(latitude.0, scales.latitude.0, 90),
            let north = degrees(latitude.1, scales.latitude.1, 90),
            let west = degrees(longitude.0, scales.longitude.0, 180),
            let east = degrees(longitude.1, scales.longitude.1, 180)
        else { return .none }
        let halfTurn = FixedPoint(180, scale: 0)
        func radians(_ degrees: FixedPoint) -> FixedPoint { degrees / halfTurn * FixedPoint.pi }
        func cosine(_ degrees: FixedPoint) -> FixedPoint {
            FixedPoint.sine(radians(FixedPoint(raw: FixedPoint(90, scale: 0).raw - abs(degrees.raw))))
        }
        var turn = FixedPoint(raw: abs(east.raw - west.raw))
        if turn.raw > halfTurn.raw { turn = FixedPoint(raw: 2 * halfTurn.raw - turn.raw) }
        let alongMeridian = FixedPoint.sine(radians((north - south) / 2))
        let alongParallel = FixedPoint.sine(radians(turn / 2))
        let sum =
            alongMeridian * alongMeridian + cosine(south) * cosine(north) * (alongParallel * alongParallel)
        let square = FixedPoint(raw: min(sum.raw, FixedPoint.one.raw))
        let angle = FixedPoint.angle(
            sine: square.squareRoot(), cosine: (FixedPoint.one - square).squareRoot())
        // Twice the radius, in millimetres.
        let (high, low) = angle.raw.magnitude.multipliedFullWidth(by: 12_742_017_600)
        return .value(Int64(truncatingIfNeeded: ((high << 12) | (low >> 116)) + ((low >> 115) & 1)))
    }

    // MARK: Rounding

    /// Half to even, where 2^-32 of a unit more or less is a half.
    private static func rounded(_ value: FixedPoint, _ places: Int) -> Result {
        let (high, low) = value.raw.magnitude.multipliedFullWidth(by: UInt128(Decimal.powerOfTen(places)))
        return rounded(high, low, shift: FixedPoint.places, isNegative: value.raw < 0)
    }

    private static func scaled(
        _ value: (mantissa: FixedPoint, exponent: Int), _ places: Int, isNegative: Bool
    ) -> Result {
        let (high, low) = value.mantissa.raw.magnitude.multipliedFullWidth(
            by: UInt128(Decimal.powerOfTen(places)))
        return rounded(high, low, shift: FixedPoint.places - value.exponent, isNegative: isNegative)
    }

    /// (high x 2^128 + low) / 2^shift.
    private static func rounded(_ high: UInt128, _ low: UInt128, shift: Int, isNegative: Bool) -> Result {
        // 40 binary places are kept, to tell a half from what is nearly one.
        let down = shift - 40
        guard down > 0 else { return .overflow }
        if down >= 256 { return .value(0) }
        guard down >= 128 || high >> UInt128(down) == 0 else { return .overflow }
        let kept: UInt128 =
            down >= 128 ? high >> UInt128(down - 128) : (high << UInt128(128 - down)) | (low >> UInt128(down))
        let (whole, part) = (kept >> 40, kept & (1 << 40 - 1))
        let half: UInt128 = 1 << 39
        let isHalf = part + 256 >= half && part <= half + 256
        let isUp = isHalf ? whole & 1 == 1 : part > half
        let size = whole + (isUp ? 1 : 0)
        guard let value = Int64(exactly: size) else { return .overflow }
        return .value(isNegative ? -value : value)
    }
}
