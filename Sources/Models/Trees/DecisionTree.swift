import Base

/// Decision trees as model files have them: numbered nodes, each a test or a leaf. What scores is
/// `TreeEnsemble`.
package struct DecisionTree<Input: TreeScalar, Sum: TreeScalar>: Sendable {
    package struct Node: Sendable {
        /// Nil: a leaf.
        package var test: Test?
        /// Of a leaf: one value, or one for each output.
        package var values: [Sum] = []
        /// Weight of the training rows that came by.
        package var cover: Double = 0

        package init(test: Test? = nil, values: [Sum] = [], cover: Double = 0) {
            (self.test, self.values, self.cover) = (test, values, cover)
        }
    }

    package struct Test: Sendable {
        package var feature: Int
        /// Rows with a lesser value go left.
        package var split: Input
        package var categories: CategoryTest?
        package var missingGoesLeft: Bool
        package var left: Int
        package var right: Int

        package init(
            feature: Int, split: Input, categories: CategoryTest? = nil, missingGoesLeft: Bool, left: Int,
            right: Int
        ) {
            (self.feature, self.split, self.categories) = (feature, split, categories)
            (self.missingGoesLeft, self.left, self.right) = (missingGoesLeft, left, right)
        }
    }

    package var nodes: [Node]
    /// Which output the leaves' values are added to; with several values: the first.
    package var output: Int

    package init(nodes: [Node], output: Int) { (self.nodes, self.output) = (nodes, output) }
}

/// A number that trees compare or add up.
package protocol TreeScalar: BinaryFloatingPoint, Sendable {
    init(_ value: Double)
    init(_ value: Float)
    var asDouble: Double { get }
}

extension Float: TreeScalar {
    @inline(__always) package var asDouble: Double { Double(self) }
}

extension Double: TreeScalar {
    @inline(__always) package var asDouble: Double { self }
}

/// A test of a whole number against a set of codes.
package struct CategoryTest: Sendable {
    /// A bit a code.
    package var bits: [UInt32]
    package var membersGoLeft: Bool
    /// Negative numbers and such as are no code at all.
    package var othersGoLeft: Bool

    package func goesLeft(_ value: Double) -> Bool {
        // Codes are float32 in the trainers: whole up to 2^24.
        guard value >= 0, value < 16_777_216 else { return othersGoLeft }
        let code = Int(value)
        guard code >> 5 < bits.count, bits[code >> 5] >> UInt32(code & 31) & 1 != 0 else {
            return !membersGoLeft
        }
        return membersGoLeft
    }

    package init(codes: [Int], membersGoLeft: Bool, othersGoLeft: Bool) {
        bits = Array(repeating: 0, count: (codes.max() ?? 0) / 32 + 1)
        for code in codes { bits[code >> 5] |= 1 << UInt32(code & 31) }
        self.membersGoLeft = membersGoLeft
        self.othersGoLeft = othersGoLeft
    }

    package init(bits: [UInt32], membersGoLeft: Bool, othersGoLeft: Bool) {
        self.bits = bits
        self.membersGoLeft = membersGoLeft
        self.othersGoLeft = othersGoLeft
    }
}

/// What a missing value of a feature is, before any test.
package enum MissingRule: Sendable, Equatable {
    /// It goes the way that each node says.
    case byNode
    /// It counts as zero.
    case isZero
    /// Values within 1e-35 of zero count as missing.
    case zeroIsMissing

    @inline(__always)
    func apply(_ value: Double) -> Double {
        switch self {
        case .byNode: value
        case .isZero: value.isNaN ? 0 : value
        case .zeroIsMissing: abs(value) <= 1e-35 ? .nan : value
        }
    }
}
