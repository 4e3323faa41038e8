import Base
import Glibc

/// Models that XGBoost 1.6 to 3.4 wrote with `save_model`, as JSON or UBJSON.
///
/// Semantics (checked against the library bit for bit): a row goes left if its 32-bit value is less than the
/// split; members of a categorical node's set go right; a missing value goes the node's default way. Margins
/// are 32-bit sums: the base score's margin first, then the trees in their order; DART's leaves are
/// multiplied by their tree's weight.
package enum XgboostReader {
    /// `iterations`: rounds that are used; nil: all, as `Booster.predict` does.
    package static func read(_ document: DocumentValue, iterations: Int? = nil) throws(Fault) -> Model {
        let root = DocumentNode(document)
        let learner = try root["learner"]
        let parameters = try learner["learner_model_param"]
        let objective = try learner["objective"]["name"].text
        let link = try link(objective)
        guard try parameters.optional("num_target")?.integer ?? 1 == 1 else {
            throw Fault(.user, "several targets (num_target) are not read; train a model for each")
        }
        let classes = try parameters.optional("num_class")?.integer ?? 0
        guard classes <= Limits.modelOutputsMax else {
            throw Fault(.user, "\(classes) classes; at most \(Limits.modelOutputsMax) are read")
        }
        let outputs = max(1, classes)
        let featureCount = try parameters["num_feature"].integer
        let base = try base(try parameters["base_score"].text, objective: objective, outputs: outputs)

        let booster = try learner["gradient_booster"]
        let name = try booster["name"].text
        let gbtree: DocumentNode
        var weights: [Float]?
        switch name {
        case "gbtree": gbtree = booster
        case "dart":
            gbtree = try booster["gbtree"]
            weights = try booster["weight_drop"].floats
        case "gblinear":
            throw Fault(
                .user,
                "booster gblinear is not read: it has no trees; write its weights as a field's expression")
        default: throw Fault(.user, "booster '\(name)' is not read; gbtree and dart are")
        }
        let model = try gbtree["model"]
        let outputOfTree = try model["tree_info"].integers
        let perRound =
            max(1, try model["gbtree_model_param"].optional("num_parallel_tree")?.integer ?? 1) * outputs
        var nodes = try model["trees"].list
        guard outputOfTree.count == nodes.count, weights.map({ $0.count == nodes.count }) ?? true else {
            throw Fault(.user, "\(nodes.count) trees, tree_info of \(outputOfTree.count)")
        }
        if let iterations {
            guard iterations > 0, iterations * perRound <= nodes.count else {
                throw Fault(.user, "\(iterations) iterations of \(nodes.count / perRound) that the file has")
            }
            nodes = Array(nodes.prefix(iterations * perRound))
        }
        var trees: [DecisionTree<Float, Float>] = []
        for (index, node) in nodes.enumerated() {
            trees.append(try tree(node, output: outputOfTree[index], weight: weights?[index]))
        }
        let version = try root.optional("version")?.integers.map(String.init).joined(separator: ".")
        return Model(
            kind: .single(try TreeEnsemble(trees, base: base, featureCount: featureCount)),
            trainer: "xgboost\(version.map { " \($0)" } ?? "")", objective: objective, link: link,
            features: try features(learner, model, featureCount))
    }

    private static func link(_ objective: String) throws(Fault) -> Model.Link {
        switch objective {
        case "binary:logistic", "reg:logistic": .logistic(slope: 1)
        case "binary:logitraw", "reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror":
            .identity
        case "count:poisson", "reg:gamma", "reg:tweedie": .exponential
        case "multi:softprob", "multi:softmax": .softmax
        default:
            throw Fault(
                .user,
                "objective '\(objective)' is not read; binary:logistic, binary:logitraw, reg:squarederror, count:poisson, reg:gamma, "
                    + "reg:tweedie, multi:softprob and multi:softmax are")
        }
    }

    /// `5E-1` before 3.1, `[5E-1]` since: a score; what is added to is its margin, in 32 bits as the trainer
    /// does.
    private static func base(_ text: String, objective: String, outputs: Int) throws(Fault) -> [Float] {
        var inner = text[...]
        if inner.hasPrefix("["), inner.hasSuffix("]") { inner = inner.dropFirst().dropLast() }
        var margins: [Float] = []
        for part in inner.split(separator: ",") {
            let digits = part.filter { $0 != " " }
            guard Double(digits) != nil else { throw Fault(.user, "base_score '\(text)' is no number") }
            let score = strtof(String(digits), nil)
            switch objective {
            case "binary:logistic", "reg:logistic":
                guard score > 0, score < 1 else {
                    throw Fault(.user, "base_score \(text) of \(objective) is not between 0 and 1")
                }
                margins.append(-logf(1 / score - 1))
            case "count:poisson", "reg:gamma", "reg:tweedie":
                guard score > 0 else {
                    throw Fault(.user, "base_score \(text) of \(objective) is not above 0")
                }
                margins.append(logf(score))
            default: margins.append(score)
            }
        }
        if margins.count == 1 { return Array(repeating: margins[0], count: outputs) }
        guard margins.count == outputs else {
            throw Fault(.user, "base_score has \(margins.count) values for \(outputs) classes")
        }
        return margins
    }

    private static func tree(_ node: DocumentNode, output: Int, weight: Float?) throws(Fault) -> DecisionTree<
        Float, Float
    > {
        guard try node.optional("tree_param")?.optional("size_leaf_vector")?.integer ?? 1 <= 1 else {
            throw Fault(
                .user,
                "\(node.path): leaves with several values (multi_strategy multi_output_tree) are not read")
        }
        let (left, right) = (try node["left_children"].integers, try node["right_children"].integers)
        let (splits, features) = (try node["split_conditions"].floats, try node["split_indices"].integers)
        let (defaults, covers) = (try node["default_left"].flags, try node["sum_hessian"].doubles)
        let types = try node.optional("split_type")?.integers ?? []
        for count in [right.count, splits.count, features.count, defaults.count, covers.count]
        where count != left.count {
            throw Fault(.user, "\(node.path): lists of \(left.count) and \(count) nodes")
        }
        let categories = try categories(node)
        var nodes: [DecisionTree<Float, Float>.Node] = []
        for index in left.indices {
            var tree = DecisionTree<Float, Float>.Node(cover: covers[index])
            if left[index] < 0 {
                tree.values = [weight.map { $0 * splits[index] } ?? splits[index]]
            } else {
                tree.test = DecisionTree<Float, Float>.Test(
                    feature: features[index], split: splits[index], missingGoesLeft: defaults[index],
                    left: left[index],
                    right: right[index])
                if types.indices.contains(index), types[index] == 1 {
                    guard let codes = categories[index] else {
                        throw Fault(.user, "\(node.path): node \(index) has no categories")
                    }
                    tree.test?.categories = CategoryTest(
                        codes: codes, membersGoLeft: false, othersGoLeft: true)
                }
            }
            nodes.append(tree)
        }
        return DecisionTree(nodes: nodes, output: output)
    }

    /// Codes that go right, by node.
    private static func categories(_ node: DocumentNode) throws(Fault) -> [Int: [Int]] {
        guard let places = try node.optional("categories_nodes")?.integers, !places.isEmpty else {
            return [:]
        }
        let (starts, sizes) = (
            try node["categories_segments"].integers, try node["categories_sizes"].integers
        )
        let codes = try node["categories"].integers
        guard starts.count == places.count, sizes.count == places.count else {
            throw node.mistake("as many segments as nodes")
        }
        var sets: [Int: [Int]] = [:]
        for (index, place) in places.enumerated() {
            let (start, count) = (starts[index], sizes[index])
            guard start >= 0, count >= 0, start <= codes.count - count else {
                throw node.mistake("segments within the categories")
            }
            sets[place] = Array(codes[start..<start + count])
            guard codes[start..<start + count].allSatisfy({ (0..<1 << 20).contains($0) }) else {
                throw node.mistake("categories below \(1 << 20)")
            }
        }
        return sets
    }

    private static func features(_ learner: DocumentNode, _ model: DocumentNode, _ count: Int) throws(Fault)
        -> [Model.Feature]
    {
        let names = try learner.optional("feature_names")?.texts ?? []
        let types = try learner.optional("feature_types")?.texts ?? []
        guard names.isEmpty || names.count == count else {
            throw Fault(.user, "\(names.count) feature names of \(count)")
        }
        var features = (0..<count).map { Model.Feature(name: names.isEmpty ? nil : names[$0]) }
        for (index, type) in types.enumerated() where index < count {
            features[index].isCategorical = type == "c"
        }
        guard let encoders = try model.optional("cats")?.optional("enc")?.list else { return features }
        for (index, encoder) in encoders.enumerated() where index < count {
            features[index].categories = try categoryTexts(encoder)
        }
        return features
    }

    /// One after the other in `values`, cut at `offsets`.
    private static func categoryTexts(_ encoder: DocumentNode) throws(Fault) -> [String] {
        guard let offsets = try encoder.optional("offsets")?.integers, offsets.count > 1 else { return [] }
        let bytes = try encoder["values"].integers
        var texts: [String] = []
        for index in 1..<offsets.count {
            let (start, end) = (offsets[index - 1], offsets[index])
            guard start >= 0, start <= end, end <= bytes.count else {
                throw encoder.mistake("offsets within the values")
            }
            texts.append(
                String(decoding: bytes[start..<end].map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self))
        }
        return texts
    }
}
