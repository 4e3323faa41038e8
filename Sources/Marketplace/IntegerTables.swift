import Base

/// Random draws by table, in integers only, so that a seed gives the same bytes on every machine:
/// the logarithms and exponentials of the C library differ in their last bit from one to the next.
enum IntegerTables {
    /// 1.0 in the fixed point of this file.
    static let one: Int64 = 1 << 16

    /// 2^(i / 256) for i in 0...256, in units of 2^-30, by square roots and products.
    static let powersOfTwo: [Int64] = {
        var step: UInt64 = 2 << 30
        // 2^(1/2), 2^(1/4) ... 2^(1/256).
        for _ in 0..<8 { step = squareRoot(UInt128(step) << 30) }
        return (0...256).map { exponent in
            var value: UInt64 = 1 << 30
            for _ in 0..<exponent { value = UInt64((UInt128(value) * UInt128(step)) >> 30) }
            return Int64(value)
        }
    }()

    /// 2^`exponent`, both in units of 2^-16; `exponent` within -15...15.
    static func exponentialBase2(_ exponent: Int64) -> Int64 {
        let bounded = min(max(exponent, -15 * one), 15 * one)
        let whole = bounded >> 16
        let index = Int((bounded & 0xFFFF) >> 8)
        let rest = bounded & 0xFF
        let fraction = powersOfTwo[index] + (((powersOfTwo[index + 1] - powersOfTwo[index]) * rest) >> 8)
        return whole >= 0 ? (fraction >> 14) << whole : fraction >> (14 - whole)
    }

    /// A draw of the standard normal law in units of 2^-16: the sum of twelve uniform draws, less six.
    static func normal(_ random: inout SplitMix64) -> Int64 {
        var sum: Int64 = -6 * one
        for _ in 0..<3 {
            let word = random.next()
            for part in 0..<4 { sum += Int64((word >> UInt64(part * 16)) & 0xFFFF) }
        }
        return sum
    }

    /// A draw of e^(sigma x normal) in units of 2^-16, with sigma in thousandths.
    static func logNormal(_ random: inout SplitMix64, sigmaThousandths: Int64) -> Int64 {
        // log2(e) = 94548 / 65536.
        exponentialBase2(normal(&random) * sigmaThousandths / 1000 * 94_548 / one)
    }

    private static func squareRoot(_ value: UInt128) -> UInt64 {
        var root: UInt128 = 0
        var bit: UInt128 = 1 << 62
        while bit > 0 {
            if (root | bit) * (root | bit) <= value { root |= bit }
            bit >>= 1
        }
        return UInt64(root)
    }
}

/// Draws an index with given weights in constant time: Walker's alias method (1977), built with integers.
struct AliasTable {
    /// Of 2^32: how often a slot keeps its own index.
    private var keep: [UInt32]
    private var other: [Int32]

    init(weights: [Int64]) {
        require(!weights.isEmpty && weights.count < Int(Int32.max), "an alias table needs weights")
        keep = Array(repeating: UInt32.max, count: weights.count)
        other = weights.indices.map { Int32($0) }
        // Scaled by the count, the mean weight is the total: a slot holds exactly that much.
        let total = weights.reduce(Int128(0)) { $0 + Int128($1) }
        require(total > 0, "an alias table needs a weight above zero")
        var rest = weights.map { Int128($0) * Int128(weights.count) }
        var small = rest.indices.filter { rest[$0] < total }
        var large = rest.indices.filter { rest[$0] >= total }
        while let low = small.popLast(), let high = large.last {
            keep[low] = UInt32(min((rest[low] << 32) / total, Int128(UInt32.max)))
            other[low] = Int32(high)
            rest[high] -= total - rest[low]
            if rest[high] < total {
                large.removeLast()
                small.append(high)
            }
        }
    }

    @inline(__always)
    func draw(_ word: UInt64) -> Int {
        let slot = Int(truncatingIfNeeded: ((word >> 32) &* UInt64(keep.count)) >> 32)
        return UInt32(truncatingIfNeeded: word) <= keep[slot] ? slot : Int(other[slot])
    }
}
