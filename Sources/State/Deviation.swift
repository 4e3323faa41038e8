import Base
import Records

/// The words of a standard deviation: the sum of the values in 128 bits, the sum of their squares in 192, so
/// that neither overflows, and how many there are.
enum Deviation {
    static let words = 6
    private static let squares = 2
    private static let count = 5

    @inline(__always)
    static func add(_ value: Int64, to words: Accumulator) {
        store128(load128(words) &+ Int128(value), words)
        let square = value.magnitude.multipliedFullWidth(by: value.magnitude)
        carry(UInt128(square.high) << 64 | UInt128(square.low), 0, into: words)
        words[count] &+= 1
    }

    static func merge(_ from: Accumulator, into words: Accumulator) {
        store128(load128(words) &+ load128(from), words)
        carry(UInt128(truncatingIfNeeded: load128(from + squares)), from[squares + 2], into: words)
        words[count] &+= from[count]
    }

    static func subtract(_ from: Accumulator, outOf words: Accumulator) {
        store128(load128(words) &- load128(from), words)
        let low = UInt128(truncatingIfNeeded: load128(words + squares))
        let (difference, borrow) = low.subtractingReportingOverflow(
            UInt128(truncatingIfNeeded: load128(from + squares)))
        store128(Int128(truncatingIfNeeded: difference), words + squares)
        words[squares + 2] &-= from[squares + 2] &+ (borrow ? 1 : 0)
        words[count] &-= from[count]
    }

    @inline(__always)
    private static func carry(_ low: UInt128, _ high: Int64, into words: Accumulator) {
        let own = UInt128(truncatingIfNeeded: load128(words + squares))
        let (sum, carry) = own.addingReportingOverflow(low)
        store128(Int128(truncatingIfNeeded: sum), words + squares)
        words[squares + 2] &+= high &+ (carry ? 1 : 0)
    }

    /// Of the population: sqrt(n x sum of squares - sum^2) x 10^places / n, rounded half to even. Exact,
    /// since all of it is done on integers; `valid` 0: there is no value, 2: it does not fit.
    static func read(_ words: Accumulator, places: Int) -> (value: Int64, valid: UInt8) {
        if words[count] == 0 { return (0, 0) }
        let number = UInt64(bitPattern: words[count])
        let sum = load128(words).magnitude
        var spread = Wide(UInt128(truncatingIfNeeded: load128(words + squares)), times: number)
        spread.high &+= UInt128(UInt64(bitPattern: words[squares + 2])) &* UInt128(number)
        spread = spread - Wide(square: sum)
        let factor = UInt64(Decimal.powerOfTen(places))
        guard let once = spread.multiplied(by: factor), let target = once.multiplied(by: factor) else {
            return (0, 2)
        }
        guard let root = root(of: target, over: number) else { return (0, 2) }
        return (root, 1)
    }

    /// sqrt(target) / number, rounded half to even; nil if it does not fit.
    private static func root(of target: Wide, over number: UInt64) -> Int64? {
        func square(_ quotient: UInt64) -> Wide { Wide(square: UInt128(quotient) * UInt128(number)) }
        let guess = target.double.squareRoot() / Double(number)
        guard guess < 9.3e18 else { return nil }
        var quotient = UInt64(guess)
        // Newton's step from the exact remainder, then by ones: down to the greatest whose square is not
        // above.
        while true {
            let found = square(quotient)
            let slope = 2 * Double(max(quotient, 1)) * Double(number) * Double(number)
            if target < found {
                quotient -= min(quotient, max(1, UInt64((found - target).double / slope)))
                continue
            }
            let step = UInt64((target - found).double / slope)
            if step > 0, !(target < square(quotient + step)) {
                quotient += step
            } else if !(target < square(quotient + 1)) {
                quotient += 1
            } else {
                break
            }
        }
        guard quotient <= UInt64(Int64.max) else { return nil }
        let half = Wide(square: UInt128(2 * quotient + 1) * UInt128(number))
        let four = target.timesFour
        if half < four || (!(four < half) && quotient & 1 == 1) { quotient += 1 }
        return Int64(exactly: quotient)
    }
}

/// An unsigned integer of 256 bits, as far as `Deviation` needs it.
private struct Wide {
    var high: UInt128
    var low: UInt128

    init(high: UInt128, low: UInt128) { (self.high, self.low) = (high, low) }

    init(_ value: UInt128, times factor: UInt64) {
        let product = value.multipliedFullWidth(by: UInt128(factor))
        (high, low) = (product.high, product.low)
    }

    init(square value: UInt128) {
        let product = value.multipliedFullWidth(by: value)
        (high, low) = (product.high, product.low)
    }

    static func < (a: Wide, b: Wide) -> Bool { a.high != b.high ? a.high < b.high : a.low < b.low }

    /// `a` is not less than `b`.
    static func - (a: Wide, b: Wide) -> Wide {
        let (low, borrow) = a.low.subtractingReportingOverflow(b.low)
        return Wide(high: a.high &- b.high &- (borrow ? 1 : 0), low: low)
    }

    /// nil: more than 256 bits.
    func multiplied(by factor: UInt64) -> Wide? {
        var product = Wide(low, times: factor)
        let (more, overflow) = high.multipliedReportingOverflow(by: UInt128(factor))
        let (sum, carry) = product.high.addingReportingOverflow(more)
        product.high = sum
        return overflow || carry ? nil : product
    }

    /// The two highest bits are not set.
    var timesFour: Wide { Wide(high: high << 2 | low >> 126, low: low << 2) }

    var double: Double { Double(high) * 0x1p128 + Double(low) }
}
