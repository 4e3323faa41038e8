import Base
import Glibc

/// What each feature adds to a row's margin: exact Shapley values of the trees, by the paths that training
/// rows took (Lundberg, Erion, Lee: Consistent Individualized Feature Attribution for Tree Ensembles, 2018).
/// The contributions and the bias add up to the margin.
///
/// Not by their algorithm 2, which changes a polynomial's coefficients at each node and takes every feature
/// out of it again at each leaf. The weight of a coalition of `n` among `k` features is the integral of t^n
/// (1 - t)^(k - 1 - n) over [0, 1], so what a feature adds at a leaf is the leaf's value times (one - zero)
/// times the integral of the product of one t + zero (1 - t) over the others of its path, with `zero` the
/// share of training rows that goes there whatever the feature is, and `one` whether the row does. That is a
/// polynomial of degree k - 1, which Gauss and Legendre's formula integrates exactly from k / 2 points: four
/// points, side by side in a vector, do for the eight features of a path, and paths of more are walked again
/// for each further four.
///
/// Scratch of one thread; for rows that raise an alert, not for every row.
package final class TreeShap<Input: TreeScalar, Sum: TreeScalar> {
    private typealias Points = SIMD4<Double>

    /// A node of any tree. Children are indices into all nodes; shares are of the training rows.
    private struct Node {
        var feature: Int32
        /// -1: a leaf, whose values begin at `right`.
        var left: Int32
        var right: Int32
        /// -1: the test is of order.
        var categories: Int32
        var missingGoesLeft: Bool
        var split: Input
        var leftShare: Double
        var rightShare: Double
    }

    /// A feature on the way to a node.
    private struct Step {
        var feature: Int
        var zero: Double
        var one: Double
        /// one t + zero (1 - t), by point.
        var factor: Points
        /// The product of the factors of the steps before it, at a leaf.
        var before: Points
    }

    private let ensemble: TreeEnsemble<Input, Sum>
    private let nodes: UnsafeMutableBufferPointer<Node>
    private let roots: [Int]
    private let leafValues: [Double]
    private let categories: [CategoryTest]
    private let path: UnsafeMutablePointer<Step>
    private let values: UnsafeMutablePointer<Input>
    /// By feature, what it adds at each point.
    private let sums: UnsafeMutablePointer<Points>
    /// Mean of each tree's leaves over the training rows.
    private let means: [Double]
    private let points: [(t: Points, weight: Points)]

    package init(_ ensemble: TreeEnsemble<Input, Sum>) {
        self.ensemble = ensemble
        var flat = Flat()
        roots = ensemble.source.map { flat.add($0) }
        nodes = .allocate(capacity: flat.nodes.count)
        _ = nodes.initialize(from: flat.nodes)
        (leafValues, categories) = (flat.leafValues, flat.categories)
        means = ensemble.source.map { Self.mean($0, 0, 0) }
        let featuresMax = max(1, min(ensemble.depth, ensemble.featureCount))
        points = Self.points((featuresMax + 7) / 8)
        path = .allocate(capacity: featuresMax)
        path.initialize(
            repeating: Step(feature: -1, zero: 0, one: 0, factor: .zero, before: .zero), count: featuresMax)
        values = .allocate(capacity: ensemble.featureCount)
        values.initialize(repeating: 0, count: ensemble.featureCount)
        sums = .allocate(capacity: ensemble.featureCount)
        sums.initialize(repeating: .zero, count: ensemble.featureCount)
    }

    deinit {
        nodes.deallocate()
        path.deallocate()
        values.deallocate()
        sums.deallocate()
    }

    /// For one output: a contribution for each feature, and what the margin is without knowing any.
    package func contributions(_ row: [Double], output: Int = 0) -> (features: [Double], bias: Double) {
        for feature in 0..<ensemble.featureCount {
            values[feature] = Input(ensemble.missing[feature].apply(row[feature]))
        }
        var bias = ensemble.base[output].asDouble
        var features = [Double](repeating: 0, count: ensemble.featureCount)
        for (round, point) in points.enumerated() {
            sums.update(repeating: .zero, count: ensemble.featureCount)
            for (number, tree) in ensemble.source.enumerated() {
                let value = output - tree.output
                guard value >= 0, value < ensemble.width else { continue }
                if round == 0 { bias += value == 0 ? means[number] : Self.mean(tree, 0, value) }
                walk(roots[number], length: 0, point.t, value)
            }
            for feature in features.indices { features[feature] += (sums[feature] * point.weight).sum() }
        }
        let divisor = ensemble.divisor.asDouble
        return (features.map { $0 / divisor }, bias / divisor)
    }

    private static func mean(_ tree: DecisionTree<Input, Sum>, _ node: Int, _ output: Int) -> Double {
        guard let test = tree.nodes[node].test else { return tree.nodes[node].values[output].asDouble }
        let (left, right) = (tree.nodes[test.left].cover, tree.nodes[test.right].cover)
        let all = left + right
        guard all > 0 else { return 0 }
        return (left * mean(tree, test.left, output) + right * mean(tree, test.right, output)) / all
    }

    // MARK: Walking

    private func walk(_ index: Int, length: Int, _ t: Points, _ output: Int) {
        let node = nodes[index]
        if node.left < 0 { return add(leafValues[Int(node.right) + output], length) }
        let left = goesLeft(node)
        step(to: Int(node.left), node, node.leftShare, isWay: left, length, t, output)
        step(to: Int(node.right), node, node.rightShare, isWay: !left, length, t, output)
    }

    @inline(__always)
    private func goesLeft(_ node: Node) -> Bool {
        let value = values[Int(node.feature)]
        if value.isNaN { return node.missingGoesLeft }
        if node.categories >= 0 { return categories[Int(node.categories)].goesLeft(value.asDouble) }
        return value < node.split
    }

    /// Goes on to a child of `node`, with the node's feature on the path. One that was asked before counts
    /// once, with both shares.
    @inline(__always)
    private func step(
        to child: Int, _ node: Node, _ share: Double, isWay: Bool, _ length: Int, _ t: Points, _ output: Int
    ) {
        let feature = Int(node.feature)
        var place = 0
        while place < length, path[place].feature != feature { place += 1 }
        let before = path + place
        let isKnown = place < length
        let (zeroBefore, oneBefore, factorBefore) = (
            before.pointee.zero, before.pointee.one, before.pointee.factor
        )
        let zero = isKnown ? share * zeroBefore : share
        let one = isWay ? (isKnown ? oneBefore : 1) : 0
        before.pointee.feature = feature
        before.pointee.zero = zero
        before.pointee.one = one
        before.pointee.factor = t * one + (1 - t) * zero
        walk(child, length: isKnown ? length : length + 1, t, output)
        guard isKnown else { return }
        before.pointee.zero = zeroBefore
        before.pointee.one = oneBefore
        before.pointee.factor = factorBefore
    }

    /// What the path's features add at a leaf: going forth, the product of what stands before each, and going
    /// back, of what stands behind.
    private func add(_ leaf: Double, _ length: Int) {
        var product = Points(repeating: 1)
        for index in 0..<length {
            path[index].before = product
            product *= path[index].factor
        }
        product = Points(repeating: leaf)
        for index in stride(from: length - 1, through: 0, by: -1) {
            let step = path[index]
            sums[step.feature] += step.before * product * (step.one - step.zero)
            product *= step.factor
        }
    }

    // MARK: Made once

    /// Trees as one list of nodes.
    private struct Flat {
        var nodes: [Node] = []
        var leafValues: [Double] = []
        var categories: [CategoryTest] = []

        /// Returns the place of the tree's root.
        mutating func add(_ tree: DecisionTree<Input, Sum>, _ index: Int = 0) -> Int {
            let place = nodes.count
            guard let test = tree.nodes[index].test else {
                nodes.append(
                    Node(
                        feature: -1, left: -1, right: Int32(leafValues.count), categories: -1,
                        missingGoesLeft: false, split: 0, leftShare: 0, rightShare: 0))
                leafValues += tree.nodes[index].values.map(\.asDouble)
                return place
            }
            let (left, right) = (tree.nodes[test.left].cover, tree.nodes[test.right].cover)
            let all = left + right
            if let set = test.categories { categories.append(set) }
            nodes.append(
                Node(
                    feature: Int32(test.feature), left: 0, right: 0,
                    categories: test.categories == nil ? -1 : Int32(categories.count - 1),
                    missingGoesLeft: test.missingGoesLeft, split: test.split,
                    leftShare: all > 0 ? left / all : 0, rightShare: all > 0 ? right / all : 0))
            nodes[place].left = Int32(add(tree, test.left))
            nodes[place].right = Int32(add(tree, test.right))
            return place
        }
    }

    /// The 4 x `count` points of Gauss and Legendre's formula on [0, 1] and their weights, found by Newton's
    /// method from the cosines that lie near them.
    private static func points(_ count: Int) -> [(t: Points, weight: Points)] {
        let order = 4 * count
        var points = [(t: Points, weight: Points)](repeating: (.zero, .zero), count: count)
        for index in 0..<order {
            var x = cos(Double.pi * (Double(index) + 0.75) / (Double(order) + 0.5))
            var slope = 0.0
            for _ in 0..<100 {
                var (last, value) = (0.0, 1.0)
                for degree in 1...order {
                    let next =
                        (Double(2 * degree - 1) * x * value - Double(degree - 1) * last) / Double(degree)
                    (last, value) = (value, next)
                }
                slope = Double(order) * (x * value - last) / (x * x - 1)
                let move = value / slope
                x -= move
                if abs(move) < 1e-16 { break }
            }
            points[index / 4].t[index % 4] = (x + 1) / 2
            points[index / 4].weight[index % 4] = 1 / ((1 - x * x) * slope * slope)
        }
        return points
    }
}
