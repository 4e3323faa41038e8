import Base

/// A model as it was trained: what it takes, and how its sum becomes a score.
package struct Model: Sendable {
    package enum Kind: Sendable {
        /// 32-bit floats throughout: XGBoost.
        case single(TreeEnsemble<Float, Float>)
        /// 64-bit throughout: LightGBM.
        case double(TreeEnsemble<Double, Double>)
        /// 32-bit inputs, 64-bit sums: scikit-learn.
        case mixed(TreeEnsemble<Float, Double>)
    }

    package var kind: Kind
    /// `xgboost`, `lightgbm`, `scikit-learn`, and the version where the file says it.
    package var trainer: String
    package var objective: String
    package var link: Link
    /// The link takes the margin divided by it.
    package var scoreDivisor = 1.0
    package var features: [Feature]

    package init(
        kind: Kind, trainer: String, objective: String, link: Link, scoreDivisor: Double = 1,
        features: [Feature]
    ) {
        self.scoreDivisor = scoreDivisor
        (self.kind, self.trainer, self.objective, self.link, self.features) = (
            kind, trainer, objective, link, features
        )
    }

    package struct Feature: Sendable, Equatable {
        /// Nil: the file names none.
        package var name: String?
        /// Texts of a categorical feature, by code; empty: it is a number, or the file knows codes only.
        package var categories: [String] = []
        package var isCategorical = false
    }

    /// From the margin to the score.
    package enum Link: Sendable, Equatable {
        case identity
        /// 1 / (1 + exp(-slope x)).
        case logistic(slope: Double)
        case exponential
        /// Over all outputs.
        case softmax
        /// One minus the first of two shares is of no use: the margin is the score.
        case share
    }

    package var outputs: Int {
        switch kind {
        case .single(let ensemble): ensemble.outputs
        case .double(let ensemble): ensemble.outputs
        case .mixed(let ensemble): ensemble.outputs
        }
    }

    package var treeCount: Int {
        switch kind {
        case .single(let ensemble): ensemble.treeCount
        case .double(let ensemble): ensemble.treeCount
        case .mixed(let ensemble): ensemble.treeCount
        }
    }

    package var nodeCount: Int {
        switch kind {
        case .single(let ensemble): ensemble.nodeCount
        case .double(let ensemble): ensemble.nodeCount
        case .mixed(let ensemble): ensemble.nodeCount
        }
    }

    package var depth: Int {
        switch kind {
        case .single(let ensemble): ensemble.depth
        case .double(let ensemble): ensemble.depth
        case .mixed(let ensemble): ensemble.depth
        }
    }

    /// True if margins are 32-bit floats.
    package var isSingle: Bool { if case .single = kind { true } else { false } }
}

extension Model {
    /// Scores rows as `TreeScoring` does, and explains one as `TreeShap` does: made here, where the compiler
    /// knows the types of numbers and has code of its own for each. Scratch of one thread.
    package func makeScorer() -> (UnsafePointer<UnsafePointer<Double>>, Int, UnsafeMutablePointer<Double>) ->
        Void
    {
        switch kind {
        case .single(let ensemble):
            let scoring = TreeScoring(ensemble)
            return { scoring.score($0, count: $1, into: $2) }
        case .double(let ensemble):
            let scoring = TreeScoring(ensemble)
            return { scoring.score($0, count: $1, into: $2) }
        case .mixed(let ensemble):
            let scoring = TreeScoring(ensemble)
            return { scoring.score($0, count: $1, into: $2) }
        }
    }

    package func makeExplainer() -> ([Double]) -> (features: [Double], bias: Double) {
        switch kind {
        case .single(let ensemble):
            let shap = TreeShap(ensemble)
            return { shap.contributions($0) }
        case .double(let ensemble):
            let shap = TreeShap(ensemble)
            return { shap.contributions($0) }
        case .mixed(let ensemble):
            let shap = TreeShap(ensemble)
            return { shap.contributions($0) }
        }
    }
}
