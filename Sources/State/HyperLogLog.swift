/// A HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) that values are added to one by one and that is
/// read at any time without a look at its registers: 4,096 of them, standard error 1.04 / sqrt(4096) = 1.6 %.
///
/// Read by the estimator of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017,
/// algorithm 6), which is unbiased from the first value on and needs no correction tables.
struct HyperLogLog {
    static let registerCount = 4096
    private static let indexBits: UInt64 = 12
    static let rankMax = UInt8(64 - indexBits) + 1

    private(set) var registers = [UInt8](repeating: 0, count: registerCount)
    /// The sum of 2^-register over those that are not 0, in units of 2^-51, and the number of those that are.
    /// A rank beyond 51 counts as infinite: nobody has as many values.
    private var inverse: UInt64 = 0
    private var zeros = registerCount

    @inline(__always)
    static func register(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> (64 - indexBits)) }

    @inline(__always)
    static func rank(of hash: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: min((hash << indexBits).leadingZeroBitCount, 64 - Int(indexBits)) + 1)
    }

    mutating func add(_ hash: UInt64) { raise(Self.register(of: hash), to: Self.rank(of: hash)) }

    @inline(__always)
    private mutating func raise(_ register: Int, to rank: UInt8) {
        let old = registers[register]
        guard rank > old else { return }
        registers[register] = rank
        if old == 0 { zeros -= 1 } else { inverse -= Self.inverse(old) }
        inverse += Self.inverse(rank)
    }

    private static func inverse(_ rank: UInt8) -> UInt64 { rank > 51 ? 0 : 1 << UInt64(51 - rank) }

    /// The registers of the union of some sets of values are the greatest of each.
    mutating func unite(_ other: [UInt8]) {
        registers.withUnsafeMutableBufferPointer { own in
            other.withUnsafeBufferPointer { other in
                for register in 0..<Self.registerCount { own[register] = max(own[register], other[register]) }
            }
        }
        (inverse, zeros) = (0, 0)
        for rank in registers { if rank == 0 { zeros += 1 } else { inverse += Self.inverse(rank) } }
    }

    var estimate: Int64 {
        if zeros == Self.registerCount { return 0 }
        let size = Double(Self.registerCount)
        let sum = size * Self.sigma(Double(zeros) / size) + Double(inverse) / Double(UInt64(1) << 51)
        // 1 / (2 ln 2)
        return Int64((0.721_347_520_444_481_7 * size * size / sum).rounded())
    }

    /// x + x^2 + 2 x^4 + 4 x^8 + …
    private static func sigma(_ x: Double) -> Double {
        var (power, factor, sum, before) = (x, 1.0, x, -1.0)
        while sum != before {
            power *= power
            before = sum
            sum += power * factor
            factor += factor
        }
        return sum
    }
}
