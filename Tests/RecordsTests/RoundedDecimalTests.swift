import Base
import Records
import Testing

/// Numbers with more places than are kept, rounded half to even, however they are written.
@Suite struct RoundedDecimalTests {
    private func parse(_ text: String, _ scale: Int) -> Result<Int64, Decimal.ParseFailure> {
        Array(text.utf8).withUnsafeBufferPointer {
            Decimal.parseRounded($0.baseAddress!, $0.count, scale: scale)
        }
    }

    @Test(arguments: [
        ("0.005", 2, Int64(0)), ("0.015", 2, 2), ("0.0050000000000000000000000000001", 2, 1),
        ("-0.005", 2, 0), ("-0.0051", 2, -1),
        ("1.1102230246251565e-16", 9, 0), ("9.99e-1", 2, 100), ("0.0999", 1, 1), ("5e-1", 0, 0),
        ("15e-1", 0, 2), ("1e-9999999", 2, 0),
        ("123456789012345678901234567890e-20", 2, 123_456_789_012), ("0.000e99", 2, 0), ("12", 2, 1200),
        ("92233720368547758.074999999999999999999", 2, .max), ("-92233720368547758.085", 2, .min),
    ])
    func rounds(text: String, scale: Int, expected: Int64) {
        #expect(parse(text, scale) == .success(expected))
    }

    @Test(arguments: [
        ("92233720368547758.075", Decimal.ParseFailure.outOfRange), ("1e17", .outOfRange),
        ("1e999999999999", .outOfRange),
        ("1.x", .notANumber), ("--1", .notANumber),
    ])
    func refuses(text: String, failure: Decimal.ParseFailure) {
        #expect(parse(text, 2) == .failure(failure))
    }

    /// Against rounding in 128 bits.
    @Test func agreesWithWideArithmetic() {
        var random = SplitMix64(seed: 13)
        for _ in 0..<20_000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 63)
            let places = Int(random.next() % 18)
            let scale = Int(random.next() % 10)
            let exponent = Int(random.next() % 7) - 3
            let text = Decimal.string(value, scale: places) + (exponent == 0 ? "" : "e\(exponent)")
            var wide = Int128(value)
            let shift = scale - places + exponent
            for _ in 0..<max(0, shift) { wide *= 10 }
            var divisor: Int128 = 1
            for _ in 0..<max(0, -shift) { divisor *= 10 }
            let expected = Int64(exactly: Decimal.divideHalfEven(wide, divisor))
            #expect(
                parse(text, scale) == expected.map { .success($0) } ?? .failure(.outOfRange),
                "\(text) at \(scale)")
        }
    }
}
