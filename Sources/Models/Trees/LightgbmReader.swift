import Base
import Glibc

/// Models that LightGBM wrote with `save_model`, as text.
///
/// Semantics: a row goes left if its 64-bit value is at most the threshold; what a missing value is, each
/// node says (none: zero counts; zero: within 1e-35 of it; NaN), which is one for all nodes of a feature.
/// Members of a categorical node's set go left, missing and negative codes right. Margins are 64-bit sums in
/// the trees' order.
package enum LightgbmReader {
    package static func read(_ text: String, iterations: Int? = nil) throws(Fault) -> Model {
        let sections = sections(text)
        guard let header = sections.first, header.title == "tree" else {
            throw Fault(.user, "no LightGBM model: it begins with no line 'tree'")
        }
        let features = header.values["feature_names"]?.split(separator: " ").map(String.init) ?? []
        guard !features.isEmpty else { throw Fault(.user, "no feature_names") }
        let perRound = Int(header.values["num_tree_per_iteration"] ?? "1") ?? 1
        guard perRound >= 1, perRound <= Limits.modelOutputsMax else {
            throw Fault(.user, "num_tree_per_iteration \(perRound)")
        }
        let (objective, link) = try link(header.values["objective"] ?? "regression")
        var missing = Array(repeating: MissingRule?.none, count: features.count)
        var isCategorical = Array(repeating: false, count: features.count)
        var sources = sections.dropFirst().filter { $0.title.hasPrefix("Tree=") }
        let rounds = sources.count / perRound
        if let iterations {
            guard iterations > 0, iterations <= rounds else {
                throw Fault(.user, "\(iterations) iterations of \(rounds) that the file has")
            }
            sources = Array(sources.prefix(iterations * perRound))
        }
        var trees: [DecisionTree<Double, Double>] = []
        for (index, section) in sources.enumerated() {
            trees.append(try tree(section, output: index % perRound, &missing, &isCategorical))
        }
        let isAverage = header.flags.contains("average_output")
        return Model(
            kind: .double(
                try TreeEnsemble(
                    trees, base: Array(repeating: 0, count: perRound), featureCount: features.count,
                    missing: missing.map { $0 ?? .byNode })),
            trainer: "lightgbm\(header.values["version"].map { " \($0)" } ?? "")", objective: objective,
            link: link,
            // Of a forest the score is made of the mean; the raw score is the sum.
            scoreDivisor: isAverage ? Double(max(1, trees.count / perRound)) : 1,
            features: features.enumerated().map { Model.Feature(name: $1, isCategorical: isCategorical[$0]) })
    }

    private struct Section {
        var title: String
        var values: [String: Substring] = [:]
        var flags: Set<String> = []

        func list<T>(_ name: String, _ count: Int, _ parse: (Substring) -> T?) throws(Fault) -> [T] {
            let texts = (values[name] ?? "").split(separator: " ")
            var list: [T] = []
            for text in texts {
                guard let value = parse(text) else { throw Fault(.user, "\(title): \(name) has '\(text)'") }
                list.append(value)
            }
            guard list.count == count else {
                throw Fault(.user, "\(title): \(name) has \(list.count) values, \(count) were expected")
            }
            return list
        }
    }

    private static func sections(_ text: String) -> [Section] {
        var sections: [Section] = []
        for line in text.split(whereSeparator: \.isNewline) {
            if line == "end of trees" { break }
            if sections.isEmpty || line.hasPrefix("Tree=") {
                sections.append(Section(title: String(line)))
            } else if let equals = line.firstIndex(of: "=") {
                sections[sections.count - 1].values[String(line[..<equals])] =
                    line[line.index(after: equals)...]
            } else {
                sections[sections.count - 1].flags.insert(String(line))
            }
        }
        return sections
    }

    private static func link(_ text: Substring) throws(Fault) -> (String, Model.Link) {
        let words = text.split(separator: " ")
        let name = words.first.map(String.init) ?? ""
        func setting(_ name: String) -> Double? {
            words.first { $0.hasPrefix("\(name):") }.flatMap { Double($0.dropFirst(name.count + 1)) }
        }
        switch name {
        case "binary": return (name, .logistic(slope: setting("sigmoid") ?? 1))
        case "cross_entropy", "xentropy": return (name, .logistic(slope: 1))
        case "regression", "regression_l1", "huber", "fair", "quantile", "mape":
            if words.contains("sqrt") { throw Fault(.user, "objective 'regression sqrt' is not read") }
            return (name, .identity)
        case "poisson", "gamma", "tweedie": return (name, .exponential)
        case "multiclass": return (name, .softmax)
        default:
            throw Fault(
                .user,
                "objective '\(name)' is not read; binary, cross_entropy, regression, regression_l1, huber, fair, quantile, mape, "
                    + "poisson, gamma, tweedie and multiclass are")
        }
    }

    private static func tree(
        _ section: Section, output: Int, _ missing: inout [MissingRule?], _ isCategorical: inout [Bool]
    ) throws(Fault) -> DecisionTree<Double, Double> {
        guard section.values["is_linear"] ?? "0" == "0" else {
            throw Fault(.user, "\(section.title): linear trees are not read")
        }
        guard let leaves = section.values["num_leaves"].flatMap({ Int($0) }), leaves >= 1,
            leaves <= Limits.modelTreeNodesMax
        else {
            throw Fault(.user, "\(section.title): no num_leaves")
        }
        let tests = leaves - 1
        let leafValues = try section.list("leaf_value", leaves) { strtod(String($0), nil) }
        let leafCounts = tests == 0 ? [0] : try section.list("leaf_count", leaves) { Double($0) }
        func leaf(_ index: Int) -> DecisionTree<Double, Double>.Node {
            .init(values: [leafValues[index]], cover: leafCounts[index])
        }
        if tests == 0 { return DecisionTree(nodes: [leaf(0)], output: output) }
        let features = try section.list("split_feature", tests) { Int($0) }
        let thresholds = try section.list("threshold", tests) { strtod(String($0), nil) }
        let decisions = try section.list("decision_type", tests) { Int($0) }
        let lefts = try section.list("left_child", tests) { Int($0) }
        let rights = try section.list("right_child", tests) { Int($0) }
        let counts = try section.list("internal_count", tests) { Double($0) }
        let sets = try categorySets(section)
        // A leaf's number is the complement of a child's; leaves stand behind the tests.
        func place(_ child: Int) -> Int { child >= 0 ? child : tests + ~child }
        var nodes: [DecisionTree<Double, Double>.Node] = []
        for index in 0..<tests {
            let (feature, decision) = (features[index], decisions[index])
            guard missing.indices.contains(feature) else {
                throw Fault(.user, "\(section.title): feature \(feature) of \(missing.count)")
            }
            var test = DecisionTree<Double, Double>.Test(
                feature: feature, split: thresholds[index].nextUp, missingGoesLeft: decision & 2 != 0,
                left: place(lefts[index]),
                right: place(rights[index]))
            let rule: MissingRule
            if decision & 1 != 0 {
                guard let set = sets[exactly: thresholds[index]] else {
                    throw Fault(.user, "\(section.title): a node without its categories")
                }
                test.categories = set
                test.missingGoesLeft = false
                isCategorical[feature] = true
                rule = .byNode
            } else {
                switch decision >> 2 & 3 {
                case 0: rule = .isZero
                case 1: rule = .zeroIsMissing
                case 2: rule = .byNode
                default: throw Fault(.user, "\(section.title): decision_type \(decision)")
                }
            }
            if let other = missing[feature], other != rule {
                throw Fault(
                    .user, "\(section.title): what is missing differs between nodes of feature \(feature)")
            }
            missing[feature] = rule
            nodes.append(.init(test: test, cover: counts[index]))
        }
        for index in 0..<leaves { nodes.append(leaf(index)) }
        return DecisionTree(nodes: nodes, output: output)
    }

    private static func categorySets(_ section: Section) throws(Fault) -> [CategoryTest] {
        guard let count = section.values["num_cat"].flatMap({ Int($0) }), count > 0,
            count <= Limits.modelTreeNodesMax
        else { return [] }
        let bounds = try section.list("cat_boundaries", count + 1) { Int($0) }
        let words = try section.list("cat_threshold", bounds[count]) { UInt32($0) }
        var sets: [CategoryTest] = []
        for index in 0..<count {
            guard bounds[index] >= 0, bounds[index] <= bounds[index + 1], bounds[index + 1] <= words.count
            else {
                throw Fault(.user, "\(section.title): cat_boundaries do not rise")
            }
            sets.append(
                CategoryTest(
                    bits: Array(words[bounds[index]..<bounds[index + 1]]), membersGoLeft: true,
                    othersGoLeft: false))
        }
        return sets
    }
}

extension [CategoryTest] {
    fileprivate subscript(exactly index: Double) -> CategoryTest? {
        guard let index = Int(exactly: index), indices.contains(index) else { return nil }
        return self[index]
    }
}
