/// e to the power of x, 64 bits, with additions and multiplications only: the same bits on every machine,
/// where the C library's own function picks its code by the processor. Relative error below 4e-16 (x = n ln 2
/// + r, Taylor's series of degree 13 for |r| <= ln 2 / 2).
package func exponential(_ x: Double) -> Double {
    if x.isNaN { return x }
    if x > 709.78 { return .infinity }
    if x < -745.2 { return 0 }
    let n = (x * 1.4426950408889634).rounded()
    // ln 2 in two parts, the first with room for n.
    let r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10
    var sum = 1.0
    for k in stride(from: 13.0, through: 1, by: -1) { sum = 1 + r * sum / k }
    return Double(sign: .plus, exponent: Int(n) / 2, significand: 1) * sum
        * Double(sign: .plus, exponent: Int(n) - Int(n) / 2, significand: 1)
}
