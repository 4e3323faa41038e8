/// How far a distribution has moved from that of the training rows: the population stability index over the
/// bins of a card, sum of (q - p) ln(q / p), with a bin for what is missing. Without drift its mean is (B -
/// 1)(1/N + 1/M) and its 95 % point that of chi-square with B - 1 degrees of freedom times (1/N + 1/M)
/// (Yurdakul, Naranjo: Statistical properties of the population stability index, Journal of Risk Model
/// Validation 14, 2020).
package struct PopulationStability: Sendable {
    package enum Level: String, Sendable {
        /// Fewer rows than tell anything.
        case few
        case none, moderate, major
    }

    package var index: Double
    /// What chance alone exceeds once in twenty windows.
    package var chance: Double
    package var level: Level

    /// Shares are no less than this, so that an empty bin has a logarithm.
    package static let shareLeast = 1e-4
    /// Below that many rows the index is large without any drift.
    package static let rowsLeast = 500
    package static let moderate = 0.10
    package static let major = 0.25

    /// Counts by bin, missing values last; nil: one of the two has no rows.
    package init?(_ counts: [Int], trained: [Int]) {
        let (n, m) = (counts.reduce(0, +), trained.reduce(0, +))
        guard n > 0, m > 0, counts.count == trained.count else { return nil }
        var (sum, bins) = (0.0, 0)
        for (now, then) in zip(counts, trained) where now > 0 || then > 0 {
            bins += 1
            let q = max(Double(now) / Double(n), Self.shareLeast)
            let p = max(Double(then) / Double(m), Self.shareLeast)
            sum += (q - p) * logarithm(q / p)
        }
        index = sum
        chance = bins > 1 ? Self.chiSquare(bins - 1) * (1 / Double(n) + 1 / Double(m)) : 0
        if n < Self.rowsLeast {
            level = .few
        } else if sum <= chance || sum < Self.moderate {
            level = .none
        } else {
            level = sum < Self.major ? .moderate : .major
        }
    }

    /// The 95 % point of chi-square: Abramowitz and Stegun, table 26.8; beyond it Wilson and Hilferty's
    /// approximation.
    static func chiSquare(_ degrees: Int) -> Double {
        let table = [
            3.841, 5.991, 7.815, 9.488, 11.070, 12.592, 14.067, 15.507, 16.919, 18.307, 19.675, 21.026,
            22.362, 23.685, 24.996, 26.296,
            27.587, 28.869, 30.144, 31.410,
        ]
        if degrees <= table.count { return table[max(0, degrees - 1)] }
        let k = Double(degrees)
        let root = 1 - 2 / (9 * k) + 1.644854 * (2 / (9 * k)).squareRoot()
        return k * root * root * root
    }
}

/// The natural logarithm of a positive number, with additions, multiplications and divisions only: the same
/// bits on every machine. Relative error below 1e-15 (x = m 2^e, ln m = 2 artanh((m - 1) / (m + 1)) for m
/// from 0.7 to 1.42).
package func logarithm(_ x: Double) -> Double {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : x > 0 ? .infinity : .nan }
    var (m, e) = (x.significand, Double(x.exponent))
    if m > 1.4142135623730951 { (m, e) = (m / 2, e + 1) }
    let s = (m - 1) / (m + 1)
    let square = s * s
    var sum = 0.0
    for k in stride(from: 25.0, through: 1, by: -2) { sum = sum * square + 1 / k }
    return e * 6.93147180369123816490e-01 + (e * 1.90821492927058770002e-10 + 2 * s * sum)
}
