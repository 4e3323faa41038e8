import Base
import Records
import Testing

@Suite struct DecimalTests {
    @Test(arguments: [
        ("0", 2, 0), ("12.5", 2, 1250), ("-12.50", 2, -1250), ("1.2e3", 0, 1200), ("120E-2", 1, 12),
        ("0.000000001", 9, 1), ("9223372036854775807", 0, Int64.max), ("-9223372036854775808", 0, Int64.min),
        ("1.5000000000000000000000", 1, 15), ("0e99999999", 2, 0),
    ])
    func parses(text: String, scale: Int, expected: Int64) {
        #expect(Decimal.parse(text, scale: scale) == .success(expected))
    }

    @Test(arguments: [
        ("", Decimal.ParseFailure.notANumber), ("-", .notANumber), ("1.", .notANumber), (".5", .notANumber),
        ("1e", .notANumber), ("1x", .notANumber), ("1.005", .tooManyPlaces), ("1e18", .outOfRange),
        ("92233720368547758.08", .outOfRange), ("1e400", .outOfRange), ("1e-400", .tooManyPlaces),
    ])
    func refuses(text: String, expected: Decimal.ParseFailure) {
        #expect(Decimal.parse(text, scale: 2) == .failure(expected))
    }

    @Test func writesWhatItReads() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<10_000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 63)
            let scale = Int(random.next() % 10)
            let text = Decimal.string(value, scale: scale)
            #expect(Decimal.parse(text, scale: scale) == .success(value), "\(value) at \(scale): \(text)")
        }
    }

    @Test func roundsHalfToEven() {
        #expect(Decimal.rescale(125, from: 2, to: 1) == 12)
        #expect(Decimal.rescale(135, from: 2, to: 1) == 14)
        #expect(Decimal.rescale(-125, from: 2, to: 1) == -12)
        #expect(Decimal.rescale(-126, from: 2, to: 1) == -13)
        #expect(Decimal.rescale(Int64.max, from: 0, to: 1) == nil)
    }
}
