import Records
import Testing

@testable import Operators

/// Goal: a score's digits are those of its exact binary value, half to even. Method: exact fractions in 128
/// bits.
@Suite struct DecimalOfDoubleTests {
    /// value = significand / 2^bits, exactly.
    static func oracle(_ value: Double, scale: Int) -> Int64? {
        let bits = 52 - Int(value.exponent)
        guard bits > 0, bits < 60 else { return nil }
        let significand = Int128(value.significandBitPattern | 1 << 52) * (value < 0 ? -1 : 1)
        return Int64(
            Decimal.divideHalfEven(significand * Int128(Decimal.powerOfTen(scale)), Int128(1) << Int128(bits))
        )
    }

    @Test func nearestHalfToEven() {
        var random = SystemRandomNumberGenerator()
        var ties = 0
        for _ in 0..<200_000 {
            var value = Double.random(in: -30...30, using: &random)
            // In the middle between two decimals, and what cannot be told from that once it is multiplied.
            if ties % 2 == 0 { value = (Double(Int64(value * 1e6)) + 0.5) / 1e6 }
            ties += 1
            guard let wanted = Self.oracle(value, scale: 6) else { continue }
            #expect(decimal(value, power: 1e6) == wanted, "\(value)")
        }
        for (value, wanted) in [(0.5, Int64(0)), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (0, 0)] {
            #expect(decimal(value, power: 1) == wanted)
        }
        for value in [Double.nan, .infinity, -.infinity, 1e19, -1e19] {
            #expect(decimal(value, power: 1) == nil)
        }
    }
}
