import Base

/// What each feature adds to a row's margin: exact Shapley values of the trees, by the paths that training
/// rows took (Lundberg, Erion, Lee: Consistent Individualized Feature Attribution for Tree Ensembles, 2018,
/// algorithm 2). The contributions and the bias add up to the margin.
///
/// Scratch of one thread; for rows that raise an alert, not for every row.
package final class TreeShap<Input: TreeScalar, Sum: TreeScalar> {
    /// A feature on the way to a node: the share of training rows that goes the row's way there without
    /// knowing it, and whether the row itself does.
    private struct Step {
        var feature: Int
        var zero: Double
        var one: Double
        var weight: Double
    }

    private let ensemble: TreeEnsemble<Input, Sum>
    /// The paths of all depths, one behind the other.
    private let steps: UnsafeMutablePointer<Step>
    private var values: [Input]
    private var sums: [Double]
    /// Mean of each tree's leaves over the training rows.
    private let means: [Double]
    private var output = 0

    package init(_ ensemble: TreeEnsemble<Input, Sum>) {
        self.ensemble = ensemble
        let room = ensemble.depth + 2
        steps = .allocate(capacity: room * (room + 1))
        steps.initialize(repeating: Step(feature: -1, zero: 0, one: 0, weight: 0), count: room * (room + 1))
        values = Array(repeating: 0, count: ensemble.featureCount)
        sums = Array(repeating: 0, count: ensemble.featureCount)
        means = ensemble.source.map { Self.mean($0, 0, 0) }
    }

    deinit { steps.deallocate() }

    /// For one output: a contribution for each feature, and what the margin is without knowing any.
    package func contributions(_ row: [Double], output: Int = 0) -> (features: [Double], bias: Double) {
        for feature in values.indices {
            values[feature] = Input(ensemble.missing[feature].apply(row[feature]))
        }
        for feature in sums.indices { sums[feature] = 0 }
        var bias = ensemble.base[output].asDouble
        for (number, tree) in ensemble.source.enumerated() {
            let value = output - tree.output
            guard value >= 0, value < ensemble.width else { continue }
            self.output = value
            bias += value == 0 ? means[number] : Self.mean(tree, 0, value)
            walk(tree, 0, at: steps, length: 0, zero: 1, one: 1, feature: -1)
        }
        let divisor = ensemble.divisor.asDouble
        return (sums.map { $0 / divisor }, bias / divisor)
    }

    private static func mean(_ tree: DecisionTree<Input, Sum>, _ node: Int, _ output: Int) -> Double {
        guard let test = tree.nodes[node].test else { return tree.nodes[node].values[output].asDouble }
        let (left, right) = (tree.nodes[test.left].cover, tree.nodes[test.right].cover)
        let all = left + right
        guard all > 0 else { return 0 }
        return (left * mean(tree, test.left, output) + right * mean(tree, test.right, output)) / all
    }

    private func goesLeft(_ test: DecisionTree<Input, Sum>.Test) -> Bool {
        let value = values[test.feature]
        if value.isNaN { return test.missingGoesLeft }
        if let categories = test.categories { return categories.goesLeft(value.asDouble) }
        return value < test.split
    }

    /// `path`: the steps before this node, `length` of them, to which the node's own is added in a copy
    /// behind them.
    private func walk(
        _ tree: DecisionTree<Input, Sum>, _ node: Int, at path: UnsafeMutablePointer<Step>, length: Int,
        zero: Double, one: Double,
        feature: Int
    ) {
        let own = path + length
        if length > 0 { own.update(from: path, count: length) }
        extend(own, length, zero, one, feature)
        guard let test = tree.nodes[node].test else {
            let leaf = tree.nodes[node].values[output].asDouble
            for index in stride(from: 1, through: length, by: 1) {
                let step = own[index]
                sums[step.feature] += unwoundSum(own, length, index) * (step.one - step.zero) * leaf
            }
            return
        }
        let (hot, cold) = goesLeft(test) ? (test.left, test.right) : (test.right, test.left)
        let cover = tree.nodes[test.left].cover + tree.nodes[test.right].cover
        let hotShare = cover > 0 ? tree.nodes[hot].cover / cover : 0
        let coldShare = cover > 0 ? tree.nodes[cold].cover / cover : 0
        var (zeroBefore, oneBefore, count) = (1.0, 1.0, length)
        // A feature that was asked before counts once: its step is taken out, and put in again with both
        // shares.
        for index in stride(from: 1, through: length, by: 1) where own[index].feature == test.feature {
            (zeroBefore, oneBefore) = (own[index].zero, own[index].one)
            unwind(own, length, index)
            count -= 1
            break
        }
        walk(
            tree, hot, at: own, length: count + 1, zero: hotShare * zeroBefore, one: oneBefore,
            feature: test.feature)
        walk(
            tree, cold, at: own, length: count + 1, zero: coldShare * zeroBefore, one: 0,
            feature: test.feature)
    }

    private func extend(
        _ path: UnsafeMutablePointer<Step>, _ length: Int, _ zero: Double, _ one: Double, _ feature: Int
    ) {
        path[length] = Step(feature: feature, zero: zero, one: one, weight: length == 0 ? 1 : 0)
        let count = Double(length + 1)
        for index in stride(from: length - 1, through: 0, by: -1) {
            path[index + 1].weight += one * path[index].weight * Double(index + 1) / count
            path[index].weight = zero * path[index].weight * Double(length - index) / count
        }
    }

    private func unwind(_ path: UnsafeMutablePointer<Step>, _ length: Int, _ index: Int) {
        let (zero, one) = (path[index].zero, path[index].one)
        var next = path[length].weight
        let count = Double(length + 1)
        for place in stride(from: length - 1, through: 0, by: -1) {
            if one != 0 {
                let before = path[place].weight
                path[place].weight = next * count / (Double(place + 1) * one)
                next = before - path[place].weight * zero * Double(length - place) / count
            } else {
                path[place].weight = path[place].weight * count / (zero * Double(length - place))
            }
        }
        for place in index..<length {
            path[place].feature = path[place + 1].feature
            path[place].zero = path[place + 1].zero
            path[place].one = path[place + 1].one
        }
    }

    private func unwoundSum(_ path: UnsafeMutablePointer<Step>, _ length: Int, _ index: Int) -> Double {
        let (zero, one) = (path[index].zero, path[index].one)
        var next = path[length].weight
        let count = Double(length + 1)
        var total = 0.0
        for place in stride(from: length - 1, through: 0, by: -1) {
            if one != 0 {
                let part = next * count / (Double(place + 1) * one)
                total += part
                next = path[place].weight - part * zero * Double(length - place) / count
            } else if zero != 0 {
                total += path[place].weight * count / (zero * Double(length - place))
            }
        }
        return total
    }
}
