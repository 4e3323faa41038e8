import Base
import Glibc
import Testing

@testable import Records

/// Roots, logarithms, powers and distances: exact where they can be, else against the C library's doubles and
/// known digits.
@Suite struct DecimalFunctionTests {
    private func value(_ result: DecimalFunctions.Result) -> Int64? {
        if case .value(let value) = result { value } else { nil }
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func rootsAreTheNearest(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            let number = Int64(random.next() >> (1 + random.next() % 63))
            let (scale, places) = (Int(random.next() % 10), Int(random.next() % 10))
            guard let root = value(DecimalFunctions.squareRoot(number, scale: scale, places: places)) else {
                // 2^63 at no places has a root of 3e9; at nine it has 3e18, which fits.
                Issue.record("sqrt \(number) \(scale) \(places)")
                return
            }
            // (root -+ 1/2)^2 around number x 10^(2 places - scale), all times 4 and brought to whole
            // numbers.
            func power(_ exponent: Int) -> Double { pow(10, Double(exponent)) }
            let exact = Double(number) * power(2 * places - scale)
            let (low, high) = (Double(root) - 0.5, Double(root) + 0.5)
            #expect(
                exact >= low * low * (1 - 1e-12) || root == 0, "\(seed): \(number) \(scale) \(places) \(root)"
            )
            #expect(exact <= high * high * (1 + 1e-12), "\(seed): \(number) \(scale) \(places) \(root)")
        }
        #expect(value(DecimalFunctions.squareRoot(200, scale: 2, places: 9)) == 1_414_213_562)
        // 0.25 and 2.25: halves go to the even number.
        #expect(value(DecimalFunctions.squareRoot(25, scale: 2, places: 0)) == 0)
        #expect(value(DecimalFunctions.squareRoot(225, scale: 2, places: 0)) == 2)
        #expect(value(DecimalFunctions.squareRoot(.max, scale: 0, places: 9)) == 3_037_000_499_976_049_692)
        #expect(DecimalFunctions.squareRoot(-1, scale: 0, places: 0) == .none)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func logarithmsAndPowers(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func isNear(_ result: DecimalFunctions.Result, _ exact: Double, _ places: Int, _ what: String) {
            let units = exact * pow(10, Double(places))
            switch result {
            case .value(let value):
                #expect(
                    abs(Double(value) - units) <= 0.5000001 + abs(units) * 1e-13,
                    "\(what): \(value), \(units)")
            case .overflow: #expect(abs(units) > 9.2e18, "\(what): \(units)")
            case .none: Issue.record("\(what): none")
            }
        }
        for _ in 0..<3_000 {
            let number = max(1, Int64(random.next() >> (1 + random.next() % 63)))
            let (scale, places) = (Int(random.next() % 10), Int(random.next() % 10))
            let x = Double(number) / pow(10, Double(scale))
            isNear(
                DecimalFunctions.ln(number, scale: scale, places: places), log(x), places,
                "ln \(number) \(scale)")
            isNear(
                DecimalFunctions.log10(number, scale: scale, places: places), log10(x), places,
                "log10 \(number) \(scale)")
            let exponent = Int64(random.next() % 40_000) - 20_000
            isNear(
                DecimalFunctions.exp(exponent, scale: 3, places: places), exp(Double(exponent) / 1000),
                places, "exp \(exponent)")
            let base = 1 + Int64(random.next() % 5_000)
            isNear(
                DecimalFunctions.power(base, scale: 2, exponent, exponentScale: 3, places: places),
                pow(Double(base) / 100, Double(exponent) / 1000), places, "\(base) to \(exponent)")
        }
    }

    @Test func knownDigits() {
        #expect(value(DecimalFunctions.ln(2, scale: 0, places: 9)) == 693_147_181)
        #expect(value(DecimalFunctions.ln(10, scale: 0, places: 9)) == 2_302_585_093)
        #expect(value(DecimalFunctions.ln(1, scale: 0, places: 9)) == 0)
        #expect(value(DecimalFunctions.ln(1, scale: 9, places: 9)) == -20_723_265_837)
        #expect(value(DecimalFunctions.log10(1000, scale: 0, places: 9)) == 3_000_000_000)
        #expect(value(DecimalFunctions.log10(1, scale: 3, places: 9)) == -3_000_000_000)
        #expect(value(DecimalFunctions.exp(1, scale: 0, places: 9)) == 2_718_281_828)
        #expect(value(DecimalFunctions.exp(0, scale: 4, places: 0)) == 1)
        #expect(DecimalFunctions.exp(.max, scale: 9, places: 0) == .overflow)
        #expect(DecimalFunctions.exp(.min, scale: 9, places: 9) == .value(0))
        #expect(DecimalFunctions.ln(0, scale: 0, places: 2) == .none)
    }

    /// Whole powers are exact, with halves to even; signs, zeros and what does not fit.
    @Test func powers() {
        func power(_ base: Int64, _ scale: Int, _ exponent: Int64, _ places: Int) -> DecimalFunctions.Result {
            DecimalFunctions.power(base, scale: scale, exponent, exponentScale: 0, places: places)
        }
        #expect(power(15, 1, 2, 2) == .value(225))
        #expect(power(-15, 1, 3, 3) == .value(-3375))
        #expect(power(5, 1, 7, 6) == .value(7812))
        #expect(power(2, 0, 62, 0) == .value(1 << 62))
        #expect(power(2, 0, 63, 0) == .overflow)
        #expect(power(3, 0, 39, 0) == .value(4_052_555_153_018_976_267))
        #expect(power(10, 0, -3, 3) == .value(1))
        #expect(power(0, 0, 0, 0) == .value(1))
        #expect(power(0, 0, -1, 0) == .none)
        #expect(power(.min, 0, 1, 0) == .overflow)
        #expect(power(.min, 9, -1, 9) == .value(0))
        #expect(power(.max, 9, .max, 9) == .overflow)
        #expect(power(.max, 9, .min, 9) == .value(0))
        #expect(power(-1, 0, .max, 2) == .value(-100))
        #expect(DecimalFunctions.power(-4, scale: 0, 5, exponentScale: 1, places: 2) == .none)
        #expect(DecimalFunctions.power(4, scale: 0, 5, exponentScale: 1, places: 2) == .value(200))
    }

    @Test(arguments: [UInt64(1), 2])
    func distances(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let latitudes = (0..<2).map { _ in Int64(random.next() % 180_000_001) - 90_000_000 }
            let longitudes = (0..<2).map { _ in Int64(random.next() % 360_000_001) - 180_000_000 }
            func radians(_ value: Int64) -> Double { Double(value) / 1e6 * Double.pi / 180 }
            let (a, b) = (
                sin(radians(latitudes[1] - latitudes[0]) / 2), sin(radians(longitudes[1] - longitudes[0]) / 2)
            )
            let h = a * a + cos(radians(latitudes[0])) * cos(radians(latitudes[1])) * b * b
            let metres = 2 * 6_371_008.8 * asin(min(1, sqrt(h)))
            let found = DecimalFunctions.distance(
                latitude: (latitudes[0], latitudes[1]), longitude: (longitudes[0], longitudes[1]),
                scales: ((6, 6), (6, 6)))
            let tolerance = metres > 19_000_000 ? 1.0 : 0.001
            #expect(
                abs(Double(value(found) ?? .min) / 1000 - metres) < tolerance,
                "\(seed): \(latitudes) \(longitudes) \(metres)")
        }
        func distance(_ a: (Int64, Int64), _ b: (Int64, Int64)) -> DecimalFunctions.Result {
            DecimalFunctions.distance(latitude: (a.0, b.0), longitude: (a.1, b.1), scales: ((0, 0), (0, 0)))
        }
        #expect(distance((10, 20), (10, 20)) == .value(0))
        // Half of the way around.
        #expect(distance((0, 0), (0, 180)) == .value(20_015_114_442))
        #expect(distance((90, 0), (-90, 77)) == .value(20_015_114_442))
        #expect(distance((0, -180), (0, 180)) == .value(0))
        #expect(distance((91, 0), (0, 0)) == .none)
        #expect(distance((0, 0), (0, -181)) == .none)
        #expect(distance((.min, 0), (0, .max)) == .none)
    }
}
