/// Why a model says what it says of one row. Scratch of one thread, made for the rows that raise an alert.
package final class ModelReasons {
    package struct Reason: Sendable {
        /// Index of the card's feature, or of a network's channel.
        package var feature: Int
        /// Of a network: from 0, the oldest first.
        package var step: Int?
        /// What it adds to the margin; of a network, how far the value lies from what is usual, in standard
        /// deviations.
        package var contribution: Double
        /// Of the rows that the model was trained on, how many in a hundred have no greater value; nil: the
        /// card does not say, or the value is missing.
        package var percentile: Int?
    }

    private let model: LoadedModel
    private let explain: ([Double]) -> [Double]
    private let scoring: ModelScoring

    package init(_ model: LoadedModel) {
        self.model = model
        scoring = ModelScoring(model)
        switch model.body {
        case .trees(let trees):
            explain =
                switch trees.kind {
                case .single(let ensemble): Self.explaining(ensemble)
                case .double(let ensemble): Self.explaining(ensemble)
                case .mixed(let ensemble): Self.explaining(ensemble)
                }
        case .network: explain = { _ in [] }
        }
    }

    /// The contributions to the greatest of the outputs' margins.
    private static func explaining<Input: TreeScalar, Sum: TreeScalar>(_ ensemble: TreeEnsemble<Input, Sum>)
        -> ([Double]) -> [Double]
    {
        let shap = TreeShap(ensemble)
        return { row in
            var greatest: (sum: Double, features: [Double]) = (-.infinity, [])
            for output in 0..<ensemble.outputs {
                let (features, bias) = shap.contributions(row, output: output)
                let sum = features.reduce(bias, +)
                if sum > greatest.sum || output == 0 { greatest = (sum, features) }
            }
            return greatest.features
        }
    }

    /// The features that push the margin up most, at most `count`; of equal ones the first of the card. Of a
    /// network, the values that lie furthest from what is usual, be it above or below. `values` as the model
    /// takes them, NaN where one is missing.
    package func reasons(_ values: [Double], count: Int) -> [Reason] {
        guard let network = model.card.network else {
            let contributions = explain(values)
            let pushing = contributions.indices.filter { contributions[$0] > 0 }
                .sorted { (-contributions[$0], $0) < (-contributions[$1], $1) }
            return pushing.prefix(count).map { feature in
                Reason(
                    feature: feature, contribution: contributions[feature],
                    percentile: model.card.features[feature].percentile(of: values[feature]))
            }
        }
        let residuals = network.isProbability ? distances(values, network) : departures(values, network)
        return residuals.sorted {
            (-abs($0.contribution), $0.step ?? 0, $0.feature) < (
                -abs($1.contribution), $1.step ?? 0, $1.feature
            )
        }
        .prefix(count).map { $0 }
    }

    /// From the mean of each channel.
    private func distances(_ values: [Double], _ network: ModelCard.Network) -> [Reason] {
        let channels = network.channels
        return values.indices.compactMap { place in
            let channel = channels[place % channels.count]
            guard !values[place].isNaN else { return nil }
            return Reason(
                feature: place % channels.count, step: place / channels.count,
                contribution: (values[place] - channel.mean) / channel.deviation)
        }
    }

    /// Of the last row, from the forecast of those before it.
    private func departures(_ values: [Double], _ network: ModelCard.Network) -> [Reason] {
        let steps = network.architecture.steps
        let count = network.channels.count
        guard values.count == (steps + 1) * count else { return [] }
        var forecast = Array(repeating: 0.0, count: model.outputs)
        values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            let columns = (0..<steps * count).map { UnsafePointer(base + $0) }
            columns.withUnsafeBufferPointer { columns in
                forecast.withUnsafeMutableBufferPointer { forecast in
                    guard let columns = columns.baseAddress, let margins = forecast.baseAddress else {
                        return
                    }
                    scoring.score(columns, count: 1, into: margins)
                }
            }
        }
        return network.channels.enumerated().compactMap { place, channel in
            let value = values[steps * count + place]
            guard !value.isNaN else { return nil }
            return Reason(
                feature: place, step: steps,
                contribution: (value - channel.mean) / channel.deviation - forecast[place])
        }
    }
}

extension ModelCard.Feature {
    /// Between the edges of a bin values are taken to lie evenly.
    func percentile(of value: Double) -> Int? {
        // Categories have no order.
        guard let histogram, !isCategory, !value.isNaN else { return nil }
        let all = histogram.counts.reduce(0, +)
        guard all > 0 else { return nil }
        let bin = histogram.edges.firstIndex { value < $0 } ?? histogram.edges.count
        let below = histogram.counts[..<bin].reduce(0, +)
        let low = bin == 0 ? least : histogram.edges[bin - 1]
        let high = bin == histogram.edges.count ? greatest : histogram.edges[bin]
        var share = 0.5
        if let low, let high { share = high > low ? min(1, max(0, (value - low) / (high - low))) : 1 }
        return Int(((Double(below) + share * Double(histogram.counts[bin])) / Double(all) * 100).rounded())
    }
}
