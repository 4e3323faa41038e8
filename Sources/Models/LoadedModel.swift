import Base

/// A model with its card, checked: the file is the one that the card names, and every sample comes out as it
/// says.
package final class LoadedModel: Sendable {
    package enum Body: Sendable {
        case trees(Model)
        case network(LstmNetwork)
    }

    package let card: ModelCard
    package let body: Body

    /// Throws a fault of the user that says what does not agree.
    package init(card: ModelCard, file bytes: [UInt8]) throws(Fault) {
        let hash = Sha256.hex(bytes)
        guard hash == card.sha256 else {
            throw Fault(.user, "\(card.file): sha256 is \(hash); the card was written for \(card.sha256)")
        }
        self.card = card
        if let network = card.network {
            body = .network(try LstmNetwork(network.architecture, try Safetensors(bytes)))
        } else {
            let (model, format) = try ModelFile.read(bytes, iterations: card.iterations)
            guard format == card.format else {
                throw Fault(
                    .user, "\(card.file): is \(format.rawValue); the card says \(card.format.rawValue)")
            }
            body = .trees(model)
            try Self.checkNames(model, card)
        }
        try checkSamples()
    }

    /// The file's own names, where it has them, are the card's, in its order.
    private static func checkNames(_ model: Model, _ card: ModelCard) throws(Fault) {
        guard model.features.count == card.features.count else {
            throw Fault(
                .user, "\(card.file): \(model.features.count) features; the card names \(card.features.count)"
            )
        }
        for (index, feature) in model.features.enumerated() {
            if let name = feature.name, name != card.features[index].name {
                throw Fault(
                    .user,
                    "\(card.file): feature \(index + 1) is '\(name)'; the card says '\(card.features[index].name)'"
                )
            }
        }
    }

    package var outputs: Int {
        switch body {
        case .trees(let model): model.outputs
        case .network(let network): network.outputs
        }
    }

    /// Values that one row has: features, or steps times channels.
    package var width: Int {
        switch body {
        case .trees(let model): model.features.count
        case .network(let network): network.architecture.steps * network.architecture.channels
        }
    }

    /// True if margins are 32-bit floats.
    package var isSingle: Bool { if case .trees(let model) = body { model.isSingle } else { true } }

    /// Networks may differ from their trainer in the last bits.
    private static let networkTolerance = 1e-6

    private func checkSamples() throws(Fault) {
        let scoring = ModelScoring(self)
        for (number, sample) in card.samples.enumerated() {
            guard sample.features.count == width, sample.margins.count == outputs else {
                throw Fault(
                    .user,
                    "sample \(number + 1): \(sample.features.count) values and \(sample.margins.count) margins; \(width) and \(outputs) were expected"
                )
            }
            let margins = try scoring.margins(sample.features)
            for (found, stated) in zip(margins, sample.margins) {
                let agrees: Bool
                switch body {
                case .trees: agrees = isSingle ? Float(found) == Float(stated) : found == stated
                case .network: agrees = abs(found - stated) <= Self.networkTolerance
                }
                guard agrees else {
                    throw Fault(
                        .user,
                        "sample \(number + 1): the margin is \(text(found)); the card says \(text(stated)), so this is not the model that was trained, or it is read wrongly"
                    )
                }
            }
        }
    }

    /// The shortest text that reads back as the same float.
    package func text(_ margin: Double) -> String { isSingle ? "\(Float(margin))" : "\(margin)" }

    /// The score of each output, by the calibration where there is one.
    package func scores(_ margins: [Double]) -> [Double] {
        if margins.count == 1, let score = card.calibration.score(margins[0]) { return [score] }
        switch body {
        case .trees(let model): return model.link.scores(margins.map { $0 / model.scoreDivisor })
        case .network:
            let isProbability = card.network?.isProbability ?? false
            return isProbability ? margins.map { 1 / (1 + exponential(-$0)) } : margins
        }
    }
}

extension Model.Link {
    package func scores(_ margins: [Double]) -> [Double] {
        switch self {
        case .identity, .share: return margins
        case .logistic(let slope): return margins.map { 1 / (1 + Models.exponential(-slope * $0)) }
        case .exponential: return margins.map { Models.exponential($0) }
        case .softmax:
            let greatest = margins.max() ?? 0
            let powers = margins.map { Models.exponential($0 - greatest) }
            let sum = powers.reduce(0, +)
            return powers.map { $0 / sum }
        }
    }
}

/// Scores rows with a loaded model: scratch of one thread.
package final class ModelScoring {
    private enum Body {
        case single(TreeScoring<Float, Float>)
        case double(TreeScoring<Double, Double>)
        case mixed(TreeScoring<Float, Double>)
        case network(LstmScoring)
    }

    package let model: LoadedModel
    private let body: Body

    package init(_ model: LoadedModel) {
        self.model = model
        switch model.body {
        case .trees(let trees): body = Self.body(trees)
        case .network(let network): body = .network(LstmScoring(network))
        }
    }

    private static func body(_ model: Model) -> Body {
        switch model.kind {
        case .single(let ensemble): .single(TreeScoring(ensemble))
        case .double(let ensemble): .double(TreeScoring(ensemble))
        case .mixed(let ensemble): .mixed(TreeScoring(ensemble))
        }
    }

    /// Margins of rows by columns, NaN where a value is missing: `margins[row * outputs + output]`. Of a
    /// network, columns are steps times channels, and are scaled here.
    package func score(
        _ columns: UnsafePointer<UnsafePointer<Double>>, count: Int,
        into margins: UnsafeMutablePointer<Double>
    ) {
        switch body {
        case .single(let scoring): scoring.score(columns, count: count, into: margins)
        case .double(let scoring): scoring.score(columns, count: count, into: margins)
        case .mixed(let scoring): scoring.score(columns, count: count, into: margins)
        case .network(let scoring):
            scoring.score(columns, channels: model.card.network?.channels ?? [], count: count, into: margins)
        }
    }

    /// The margins of one row of texts.
    package func margins(_ texts: [String?]) throws(Fault) -> [Double] {
        var values: [Double] = []
        switch model.body {
        case .trees(let trees): values = try trees.values(texts)
        case .network:
            for text in texts { values.append(try Model.Feature(name: "a channel").value(text)) }
        }
        var margins = Array(repeating: 0.0, count: model.outputs)
        values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            let columns = values.indices.map { UnsafePointer(base + $0) }
            columns.withUnsafeBufferPointer { columns in
                guard let columns = columns.baseAddress else { return }
                margins.withUnsafeMutableBufferPointer { margins in
                    guard let margins = margins.baseAddress else { return }
                    score(columns, count: 1, into: margins)
                }
            }
        }
        return margins
    }
}
