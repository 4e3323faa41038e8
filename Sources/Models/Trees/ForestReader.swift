import Base

/// Forests of scikit-learn, as `deploy/train/export_forest.py` writes them (`forest.json`), since
/// scikit-learn itself has only pickles.
///
/// `{"format": "millrace-forest", "version": 1, "trainer": …, "task": "classification" | "regression",
/// "classes": n, "features": [names], "trees": [{"feature": [], "threshold": [], "left": [], "right": [],
/// "missing_left": [], "value": [], "cover": []}]}`; a leaf's children are -1; `value` holds a class's share
/// for each class and node.
///
/// Semantics: a row goes left if its 32-bit value is at most the 64-bit threshold; the score is the mean of
/// the leaves, a 64-bit sum in the trees' order divided by their number.
package enum ForestReader {
    package static func read(_ document: DocumentValue) throws(Fault) -> Model {
        let root = DocumentNode(document)
        guard try root["format"].text == "millrace-forest" else {
            throw Fault(.user, "format: 'millrace-forest' was expected")
        }
        guard try root["version"].integer == 1 else {
            throw Fault(.user, "version: 1 was expected; export the forest anew")
        }
        let names = try root["features"].texts
        let isClassification: Bool
        switch try root["task"].text {
        case "classification": isClassification = true
        case "regression": isClassification = false
        default: throw Fault(.user, "task: classification or regression was expected")
        }
        let classes = isClassification ? try root["classes"].integer : 1
        guard classes >= 1, classes <= Limits.modelOutputsMax, !isClassification || classes > 1 else {
            throw Fault(.user, "classes: \(classes)")
        }
        // Of two classes the second's share says all.
        let width = classes == 2 ? 1 : classes
        var trees: [DecisionTree<Float, Double>] = []
        for node in try root["trees"].list { trees.append(try tree(node, classes: classes, width: width)) }
        guard !trees.isEmpty else { throw Fault(.user, "trees: none") }
        return Model(
            kind: .mixed(
                try TreeEnsemble(
                    trees, base: Array(repeating: 0, count: width), featureCount: names.count,
                    divisor: Double(trees.count),
                    width: width)),
            trainer: try root["trainer"].text, objective: isClassification ? "shares of classes" : "mean",
            link: isClassification ? .share : .identity, features: names.map { Model.Feature(name: $0) })
    }

    private static func tree(_ node: DocumentNode, classes: Int, width: Int) throws(Fault) -> DecisionTree<
        Float, Double
    > {
        let (left, right) = (try node["left"].integers, try node["right"].integers)
        let (features, thresholds) = (try node["feature"].integers, try node["threshold"].doubles)
        let (missing, values) = (try node["missing_left"].flags, try node["value"].doubles)
        let covers = try node["cover"].doubles
        for count in [
            right.count, features.count, thresholds.count, missing.count, covers.count,
            values.count / classes,
        ]
        where count != left.count {
            throw Fault(.user, "\(node.path): lists of \(left.count) and \(count) nodes")
        }
        var nodes: [DecisionTree<Float, Double>.Node] = []
        for index in left.indices {
            if left[index] < 0 {
                let leaf = values[index * classes..<(index + 1) * classes]
                nodes.append(
                    .init(
                        values: width == classes ? Array(leaf) : [leaf[leaf.startIndex + 1]],
                        cover: covers[index]))
            } else {
                nodes.append(
                    .init(
                        test: .init(
                            feature: features[index], split: firstAbove(thresholds[index]),
                            missingGoesLeft: missing[index],
                            left: left[index], right: right[index]), cover: covers[index]))
            }
        }
        return DecisionTree(nodes: nodes, output: 0)
    }

    /// The least 32-bit float above a 64-bit threshold: `x <= threshold` is `x < firstAbove(threshold)`.
    static func firstAbove(_ threshold: Double) -> Float {
        let nearest = Float(threshold)
        return Double(nearest) <= threshold ? nearest.nextUp : nearest
    }
}
