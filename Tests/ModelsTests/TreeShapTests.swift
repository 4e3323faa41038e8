import Base
import Models
import Testing

/// Goal: contributions are Shapley values, also on paths of more features than one set of points integrates.
/// Method: the definition, word by word: every coalition of features, each worth what the tree gives on
/// average over the training rows' ways where it does not know a feature.
@Suite struct TreeShapTests {
    typealias Tree = DecisionTree<Double, Double>

    @Test(arguments: [(1, 1), (3, 2), (6, 4), (6, 10), (8, 8), (10, 9), (12, 11)])
    func areShapleyValues(depth: Int, featureCount: Int) throws {
        for seed in UInt64(1)...3 {
            var random = SplitMix64(seed: seed &* 7919 &+ UInt64(depth * 100 + featureCount))
            var trees: [Tree] = []
            for _ in 0..<2 { trees.append(Self.tree(depth, featureCount, &random)) }
            let ensemble = try TreeEnsemble(trees, base: [0.25], featureCount: featureCount)
            let shap = TreeShap(ensemble)
            for _ in 0..<2 {
                let row = (0..<featureCount).map { _ in
                    Int.random(in: 0..<10, using: &random) == 0
                        ? Double.nan : Double(Int.random(in: 0..<1000, using: &random)) / 1000
                }
                let (found, bias) = shap.contributions(row)
                let (wanted, wantedBias) = Self.shapley(trees, row)
                #expect(abs(bias - wantedBias - 0.25) < 1e-12, "seed \(seed)")
                for (found, wanted) in zip(found, wanted) {
                    #expect(abs(found - wanted) < 1e-12, "seed \(seed), depth \(depth): \(found), \(wanted)")
                }
            }
        }
    }

    /// Of full depth on its leftmost way, thinner elsewhere; now and then no training row went to one side.
    private static func tree(_ depth: Int, _ featureCount: Int, _ random: inout SplitMix64) -> Tree {
        var nodes: [Tree.Node] = []
        func add(_ depth: Int, _ cover: Int, _ random: inout SplitMix64) -> Int {
            let place = nodes.count
            nodes.append(Tree.Node(cover: Double(cover)))
            if depth == 0 || (place > depth && Int.random(in: 0..<4, using: &random) == 0) {
                nodes[place].values = [Double(Int.random(in: 0..<2001, using: &random)) / 1000 - 1]
                return place
            }
            let left =
                Int.random(in: 0..<12, using: &random) == 0 ? 0 : Int.random(in: 0...cover, using: &random)
            let split = Double(Int.random(in: 0..<1000, using: &random)) / 1000
            let feature = Int.random(in: 0..<featureCount, using: &random)
            let missingGoesLeft = Int.random(in: 0..<2, using: &random) == 0
            let (first, second) = (
                add(depth - 1, left, &random), add(depth - 1, cover - left, &random)
            )
            nodes[place].test = Tree.Test(
                feature: feature, split: split, missingGoesLeft: missingGoesLeft, left: first, right: second)
            return place
        }
        _ = add(depth, 100_000, &random)
        return Tree(nodes: nodes, output: 0)
    }

    private static func shapley(_ trees: [Tree], _ row: [Double]) -> (features: [Double], bias: Double) {
        let count = row.count
        let worths = (0..<1 << count).map { known in trees.reduce(0) { $0 + worth($1, 0, row, known) } }
        var factorials = [1.0]
        for number in 1...count { factorials.append(factorials[number - 1] * Double(number)) }
        let features = (0..<count).map { feature in
            var sum = 0.0
            for known in 0..<1 << count where known & 1 << feature == 0 {
                let size = known.nonzeroBitCount
                let weight = factorials[size] * factorials[count - 1 - size] / factorials[count]
                sum += weight * (worths[known | 1 << feature] - worths[known])
            }
            return sum
        }
        return (features, worths[0])
    }

    /// What the tree gives where only the features of a mask are known.
    private static func worth(_ tree: Tree, _ node: Int, _ row: [Double], _ known: Int) -> Double {
        guard let test = tree.nodes[node].test else { return tree.nodes[node].values[0] }
        let value = row[test.feature]
        if known & 1 << test.feature != 0 {
            let goesLeft = value.isNaN ? test.missingGoesLeft : value < test.split
            return worth(tree, goesLeft ? test.left : test.right, row, known)
        }
        let (left, right) = (tree.nodes[test.left].cover, tree.nodes[test.right].cover)
        if left + right == 0 { return 0 }
        return (left * worth(tree, test.left, row, known) + right * worth(tree, test.right, row, known))
            / (left + right)
    }
}
