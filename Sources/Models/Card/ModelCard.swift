import Base

/// What a model's folder says about its file (`card.json`): what the model takes, how its sum is read, what
/// it was trained on, and rows with the outputs that it must reproduce.
package struct ModelCard: Sendable, Equatable {
    package enum Format: String, Sendable, CaseIterable {
        case xgboostJson = "xgboost-json"
        case xgboostUbj = "xgboost-ubj"
        case lightgbm = "lightgbm-text"
        case forest = "forest-json"
        case lstm = "lstm-safetensors"
    }

    package struct Histogram: Sendable, Equatable {
        /// Inner edges of the bins, rising; a value on an edge belongs to the bin above it.
        package var edges: [Double]
        /// One more than the edges.
        package var counts: [Int]
        package var missing: Int
    }

    package struct Feature: Sendable, Equatable {
        package var name: String
        /// `number` or `category`.
        package var isCategory = false
        package var unit: String?
        package var least: Double?
        package var greatest: Double?
        package var histogram: Histogram?
    }

    package enum Calibration: Sendable, Equatable {
        case none
        /// 1 / (1 + exp(a margin + b)).
        case platt(a: Double, b: Double)
        /// Between points by straight lines, beyond them level.
        case isotonic(margins: [Double], scores: [Double])
    }

    package struct Channel: Sendable, Equatable {
        package var name: String
        package var mean: Double
        package var deviation: Double

        package init(name: String, mean: Double, deviation: Double) {
            (self.name, self.mean, self.deviation) = (name, mean, deviation)
        }
    }

    package struct Network: Sendable, Equatable {
        package var architecture: LstmNetwork.Architecture
        package var channels: [Channel]
        /// True: a probability by the sigmoid; false: a forecast of the next row's channels.
        package var isProbability: Bool
    }

    package struct Sample: Sendable, Equatable {
        /// Texts as a CSV has them; nil: missing. Of a network: step by step.
        package var features: [String?]
        package var margins: [Double]
    }

    package var name: String
    package var version: String
    package var format: Format
    /// Beside the card.
    package var file: String
    package var sha256: String
    package var features: [Feature]
    /// Rounds that are used; nil: all.
    package var iterations: Int?
    package var calibration = Calibration.none
    /// Rising; a score belongs to the last whose bound it reaches.
    package var bands: [(name: String, from: Double)] = []
    package var scores: Histogram?
    package var network: Network?
    package var samples: [Sample] = []

    package static func == (a: Self, b: Self) -> Bool {
        a.name == b.name && a.version == b.version && a.format == b.format && a.file == b.file
            && a.sha256 == b.sha256
            && a.features == b.features && a.iterations == b.iterations && a.calibration == b.calibration
            && a.bands.elementsEqual(b.bands, by: ==) && a.scores == b.scores && a.network == b.network
            && a.samples == b.samples
    }
}
