import Models
import Records
import Topology

/// What of a model is watched: features and score whose distribution in training its card has.
package struct DriftMeasure: Sendable {
    package struct Item: Sendable {
        package var name: String
        /// Column of the rows that are counted.
        package var column: Int
        package var input: ModelInput
        package var histogram: ModelCard.Histogram
        package var least: Double?
        package var greatest: Double?

        /// Places among the counts: bins, what is missing, what lies outside of the training rows' values,
        /// texts that the model does not know.
        var slots: Int { histogram.counts.count + 3 }
        var trained: [Int] { histogram.counts + [histogram.missing] }
    }

    package var model: ModelSpec
    package var items: [Item]
    /// Milliseconds; windows begin at multiples of it since 1970, UTC.
    package var size: Int64

    var slots: Int { items.reduce(0) { $0 + $1.slots } }

    /// The end of the window that holds a time.
    func end(of time: Int64) -> Int64 {
        let rest = time % size
        return time - (rest < 0 ? rest + size : rest) + size
    }

    var logic: String { "\(model.logic) \(items.map { "\($0.name) \($0.column) \($0.input)" }) \(size)" }
}
