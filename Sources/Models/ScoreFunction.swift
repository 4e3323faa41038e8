/// From the margin of a model with one output to its score: `LoadedModel.scores` for one row, without memory
/// of its own.
package struct ScoreFunction: Sendable {
    private let calibration: ModelCard.Calibration
    private let isCalibrated: Bool
    private let link: Model.Link
    private let divisor: Double

    package init(_ model: LoadedModel) {
        calibration = model.card.calibration
        isCalibrated = calibration != .none
        switch model.body {
        case .trees(let trees): (link, divisor) = (trees.link, trees.scoreDivisor)
        case .network:
            (link, divisor) = (model.card.network?.isProbability == true ? .logistic(slope: 1) : .identity, 1)
        }
    }

    package func score(_ margin: Double) -> Double {
        if isCalibrated { return calibration.score(margin) ?? margin }
        switch link {
        case .identity, .share: return margin / divisor
        case .logistic(let slope): return 1 / (1 + Models.exponential(-slope * (margin / divisor)))
        case .exponential: return Models.exponential(margin / divisor)
        case .softmax: return 1
        }
    }
}
