import Base

/// Trees laid out for scoring: sixteen rows go down a tree side by side, so that the loads of one wait for no
/// other.
///
/// A node is a split and a word: the first child (the second lies behind it), the feature, and where a
/// missing value goes. A leaf leads to itself, so that all rows of a block take as many steps as the tree is
/// deep. Sums are made in the trainer's own order and type, from the base on, tree by tree: scores equal the
/// trainer's in every bit.
package final class TreeEnsemble<Input: TreeScalar, Sum: TreeScalar>: Sendable {
    struct Node {
        var split: Input
        /// Bits 0-19: the left child; 20-30: the feature; 31: missing goes left.
        var link: UInt32
    }

    struct Tree {
        var start: Int
        var depth: Int
        var output: Int
        var hasCategories: Bool
    }

    /// Sums begin with it, an output each.
    package let base: [Sum]
    package let outputs: Int
    package let featureCount: Int
    package let missing: [MissingRule]
    /// Sums are divided by it in the end, where it is not 1.
    package let divisor: Sum
    /// As they were read, for reasons.
    package let source: [DecisionTree<Input, Sum>]
    let trees: [Tree]
    /// Values of a leaf.
    let width: Int
    // Written before anybody else has them.
    nonisolated(unsafe) let nodes: UnsafeMutableBufferPointer<Node>
    /// `width` values a node.
    nonisolated(unsafe) let values: UnsafeMutableBufferPointer<Sum>
    let categories: [Int: CategoryTest]

    /// Throws a fault of the user if a tree is no tree, or larger than the layout takes.
    package init(
        _ source: [DecisionTree<Input, Sum>], base: [Sum], featureCount: Int, missing: [MissingRule]? = nil,
        divisor: Sum = 1, width: Int = 1
    ) throws(Fault) {
        guard featureCount <= Limits.modelFeaturesMax else {
            throw Fault(.user, "\(featureCount) features; at most \(Limits.modelFeaturesMax) are read")
        }
        self.source = source
        self.base = base
        outputs = base.count
        self.featureCount = featureCount
        self.missing = missing ?? Array(repeating: .byNode, count: featureCount)
        self.divisor = divisor
        self.width = width
        var trees: [Tree] = []
        var nodes: [Node] = []
        var values: [Sum] = []
        var categories: [Int: CategoryTest] = [:]
        for (index, tree) in source.enumerated() {
            let layout = try Layout(tree, number: index, features: featureCount, width: width)
            trees.append(
                Tree(
                    start: nodes.count, depth: layout.depth, output: tree.output,
                    hasCategories: !layout.categories.isEmpty))
            for (node, test) in layout.categories { categories[nodes.count + node] = test }
            nodes += layout.nodes
            values += layout.values
            guard tree.output >= 0, tree.output + width <= base.count else {
                throw Fault(.user, "tree \(index): adds to output \(tree.output) of \(base.count)")
            }
        }
        self.trees = trees
        self.categories = categories
        self.nodes = .allocate(capacity: nodes.count)
        _ = self.nodes.initialize(from: nodes)
        self.values = .allocate(capacity: values.count)
        _ = self.values.initialize(from: values)
    }

    deinit {
        nodes.deallocate()
        values.deallocate()
    }

    package var nodeCount: Int { nodes.count }
    package var treeCount: Int { trees.count }
    package var depth: Int { trees.reduce(0) { max($0, $1.depth) } }

    /// A tree's nodes, level by level, children side by side.
    private struct Layout {
        var nodes: [Node] = []
        var values: [Sum] = []
        var categories: [Int: CategoryTest] = [:]
        var depth = 0

        init(_ tree: DecisionTree<Input, Sum>, number: Int, features: Int, width: Int) throws(Fault) {
            guard !tree.nodes.isEmpty else { throw Fault(.user, "tree \(number): no nodes") }
            guard tree.nodes.count < Limits.modelTreeNodesMax else {
                throw Fault(
                    .user,
                    "tree \(number): \(tree.nodes.count) nodes; fewer than \(Limits.modelTreeNodesMax) are read"
                )
            }
            var order = [0]
            var depths = [0]
            var at = 0
            var seen = Array(repeating: false, count: tree.nodes.count)
            seen[0] = true
            while at < order.count {
                let node = tree.nodes[order[at]]
                depth = max(depth, depths[at])
                guard let test = node.test else {
                    guard node.values.count == width else {
                        throw Fault(.user, "tree \(number): a leaf of \(node.values.count) values")
                    }
                    // Whatever comes, it stays: less than infinity, or missing.
                    nodes.append(Node(split: .infinity, link: UInt32(at) | 1 << 31))
                    values += node.values
                    at += 1
                    continue
                }
                guard test.feature >= 0, test.feature < features else {
                    throw Fault(
                        .user,
                        "tree \(number): node \(order[at]) tests feature \(test.feature) of \(features)")
                }
                for child in [test.left, test.right] {
                    guard seen.indices.contains(child), !seen[child] else {
                        throw Fault(
                            .user,
                            "tree \(number): node \(order[at]) leads to \(child), which is no node, or twice")
                    }
                    seen[child] = true
                }
                let link =
                    UInt32(order.count) | UInt32(test.feature) << 20 | (test.missingGoesLeft ? 1 << 31 : 0)
                nodes.append(Node(split: test.split, link: link))
                values += Array(repeating: 0, count: width)
                if let category = test.categories { categories[at] = category }
                order += [test.left, test.right]
                depths += [depths[at] + 1, depths[at] + 1]
                at += 1
            }
        }
    }
}

/// Scores rows with one ensemble: scratch of one thread.
package final class TreeScoring<Input: TreeScalar, Sum: TreeScalar> {
    package let ensemble: TreeEnsemble<Input, Sum>
    /// The block's values, feature by feature, sixteen rows each.
    private let block: UnsafeMutablePointer<Input>
    private let places: UnsafeMutablePointer<UInt32>
    /// Sums, output by output, sixteen rows each.
    private let sums: UnsafeMutablePointer<Sum>

    static var lanes: Int { 16 }

    package init(_ ensemble: TreeEnsemble<Input, Sum>) {
        self.ensemble = ensemble
        block = .allocate(capacity: max(1, ensemble.featureCount) * Self.lanes)
        block.initialize(repeating: 0, count: max(1, ensemble.featureCount) * Self.lanes)
        places = .allocate(capacity: Self.lanes)
        places.initialize(repeating: 0, count: Self.lanes)
        sums = .allocate(capacity: ensemble.outputs * Self.lanes)
        sums.initialize(repeating: 0, count: ensemble.outputs * Self.lanes)
    }

    deinit {
        block.deallocate()
        places.deallocate()
        sums.deallocate()
    }

    /// Writes `margins[row * outputs + output]`. `columns`: one for each feature, NaN where a value is
    /// missing.
    package func score(
        _ columns: UnsafePointer<UnsafePointer<Double>>, count: Int,
        into margins: UnsafeMutablePointer<Double>
    ) {
        var first = 0
        while first < count {
            let rows = min(Self.lanes, count - first)
            load(columns, first, rows)
            add()
            let outputs = ensemble.outputs
            for output in 0..<outputs {
                for row in 0..<rows {
                    var sum = sums[output * Self.lanes + row]
                    if ensemble.divisor != 1 { sum /= ensemble.divisor }
                    margins[(first + row) * outputs + output] = sum.asDouble
                }
            }
            first += rows
        }
    }

    private func load(_ columns: UnsafePointer<UnsafePointer<Double>>, _ first: Int, _ rows: Int) {
        let lanes = Self.lanes
        for feature in 0..<ensemble.featureCount {
            let column = columns[feature] + first
            let lane = block + feature * lanes
            let rule = ensemble.missing[feature]
            // Rows beyond the last go the way of the first, and are not looked at.
            for row in 0..<lanes {
                let value = Input(rule.apply(column[row < rows ? row : 0]))
                // Only what is less than infinity stays at a leaf.
                lane[row] = value == .infinity ? .greatestFiniteMagnitude : value
            }
        }
    }

    private func add() {
        let (lanes, width) = (Self.lanes, ensemble.width)
        let (block, places, sums) = (block, places, sums)
        for output in 0..<ensemble.outputs {
            (sums + output * lanes).update(repeating: ensemble.base[output], count: lanes)
        }
        guard let allNodes = ensemble.nodes.baseAddress, let allValues = ensemble.values.baseAddress else {
            return
        }
        for tree in ensemble.trees {
            let nodes = allNodes + tree.start
            if tree.hasCategories {
                descendOneByOne(tree, nodes)
            } else {
                Self.descend(nodes, tree.depth, block, places)
            }
            let values = allValues + tree.start * width
            if width == 1 {
                let sum = sums + tree.output * lanes
                for lane in 0..<lanes { sum[lane] += values[Int(places[lane])] }
            } else {
                for output in 0..<width {
                    let sum = sums + (tree.output + output) * lanes
                    for lane in 0..<lanes { sum[lane] += values[Int(places[lane]) * width + output] }
                }
            }
        }
    }

    @inline(__always)
    private static func descend(
        _ nodes: UnsafePointer<TreeEnsemble<Input, Sum>.Node>, _ depth: Int, _ block: UnsafePointer<Input>,
        _ places: UnsafeMutablePointer<UInt32>
    ) {
        for lane in 0..<lanes { places[lane] = 0 }
        for level in 0..<depth {
            var moved: UInt32 = 0
            for lane in 0..<lanes {
                let place = places[lane]
                let node = nodes[Int(place)]
                let value = block[Int(node.link >> 20 & 0x7FF) &* 16 &+ lane]
                let less: UInt32 = value < node.split ? 1 : 0
                let missing: UInt32 = value != value ? node.link >> 31 : 0
                let next = (node.link & 0xF_FFFF) &+ 1 &- (less | missing)
                moved |= next ^ place
                places[lane] = next
            }
            // Lopsided trees: the deepest leaf is not everybody's.
            if level & 3 == 3, moved == 0 { return }
        }
    }

    private func descendOneByOne(
        _ tree: TreeEnsemble<Input, Sum>.Tree, _ nodes: UnsafePointer<TreeEnsemble<Input, Sum>.Node>
    ) {
        for lane in 0..<Self.lanes {
            var place = 0
            for _ in 0..<tree.depth {
                let node = nodes[place]
                let value = block[Int(node.link >> 20 & 0x7FF) * Self.lanes + lane]
                let left: Bool
                if value.isNaN {
                    left = node.link >> 31 != 0
                } else if let test = ensemble.categories[tree.start + place] {
                    left = test.goesLeft(value.asDouble)
                } else {
                    left = value < node.split
                }
                place = Int(node.link & 0xF_FFFF) + (left ? 0 : 1)
            }
            places[lane] = UInt32(place)
        }
    }
}
