import Models
import Records
import Topology

/// Rows of columns as a model takes them, and what it makes of them; scratch of one lane.
final class ModelRows {
    /// Of the rows that were scored last: `margins[row * outputs + output]`.
    let margins: UnsafeMutablePointer<Double>
    let outputs: Int
    /// There is no sequence, or too short a one.
    private(set) var isMissing: [Bool]
    /// How far the last row lies from the forecast; NaN: no forecast.
    private(set) var departures: [Double]

    private let spec: ScoreSpec
    private let scoring: ModelScoring
    private let readers: [(column: Int, reader: ModelInputReader)]
    /// `values[feature * capacity + row]`.
    private let values: UnsafeMutablePointer<Double>
    private let columns: UnsafeMutablePointer<UnsafePointer<Double>>
    private let width: Int
    private let capacity: Int
    private let sequence: SequenceText?

    /// Values of sequences take memory, of which a lane needs little at a time.
    private static let sequencesAtOnce = 64

    init(_ spec: ScoreSpec, capacity: Int) {
        self.spec = spec
        let model = spec.model.model
        scoring = ModelScoring(model)
        outputs = model.outputs
        switch spec.intake {
        case .features(let features):
            readers = features.map { ($0.column, ModelInputReader($0.input)) }
            (width, self.capacity, sequence) = (features.count, capacity, nil)
        case .sequence(_, let rows):
            readers = []
            let channels = spec.model.card.network?.channels.count ?? 1
            (width, self.capacity) = (rows * channels, min(capacity, Self.sequencesAtOnce))
            sequence = SequenceText(rows: rows, channels: channels)
        }
        margins = .allocate(capacity: capacity * outputs)
        margins.initialize(repeating: 0, count: capacity * outputs)
        values = .allocate(capacity: max(1, width) * self.capacity)
        values.initialize(repeating: 0, count: max(1, width) * self.capacity)
        columns = .allocate(capacity: max(1, width))
        columns.initialize(repeating: UnsafePointer(values), count: max(1, width))
        for feature in 0..<width { columns[feature] = UnsafePointer(values + feature * self.capacity) }
        isMissing = Array(repeating: false, count: capacity)
        departures = Array(repeating: .nan, count: spec.model.isForecast ? capacity : 0)
    }

    deinit {
        margins.deallocate()
        values.deallocate()
        columns.deallocate()
    }

    /// Scores rows; the results stand in their order.
    func score(_ rows: Selection, _ from: [Column], _ arena: Arena) {
        var first = 0
        while first < rows.count {
            let count = min(capacity, rows.count - first)
            if case .sequence(let column, _) = spec.intake {
                readSequences(rows, first, count, from[column], arena)
            } else {
                for (feature, input) in readers.enumerated() {
                    let (column, lane) = (from[input.column], values + feature * capacity)
                    for index in 0..<count {
                        lane[index] = input.reader.read(column, rows[first + index], arena)
                    }
                }
            }
            scoring.score(columns, count: count, into: margins + first * outputs)
            if spec.model.isForecast { depart(first, count) }
            first += count
        }
    }

    private func readSequences(
        _ rows: Selection, _ first: Int, _ count: Int, _ column: Column, _ arena: Arena
    ) {
        guard let sequence else { return }
        for index in 0..<count {
            let row = rows[first + index]
            isMissing[first + index] =
                column.valid[row] != 1 || !sequence.read(TextReference(packed: column.values[row]), arena)
            for value in 0..<width {
                values[value * capacity + index] = isMissing[first + index] ? .nan : sequence.values[value]
            }
        }
    }

    /// The root of the mean square of the last row's distances from the forecast, over the channels that it
    /// has.
    private func depart(_ first: Int, _ count: Int) {
        guard let channels = spec.model.card.network?.channels else { return }
        let last = width - channels.count
        for index in 0..<count {
            var (sum, known) = (0.0, 0)
            for (place, channel) in channels.enumerated() {
                let value = values[(last + place) * capacity + index]
                if value.isNaN { continue }
                let residual =
                    (value - channel.mean) / channel.deviation - margins[(first + index) * outputs + place]
                sum += residual * residual
                known += 1
            }
            departures[first + index] =
                isMissing[first + index] || known == 0 ? .nan : (sum / Double(known)).squareRoot()
        }
    }

    /// The features of one row, for its reasons.
    func features(_ row: Int, _ from: [Column], _ arena: Arena) -> [Double] {
        switch spec.intake {
        case .features: return readers.map { $0.reader.read(from[$0.column], row, arena) }
        case .sequence(let column, _):
            guard let sequence, from[column].valid[row] == 1,
                sequence.read(TextReference(packed: from[column].values[row]), arena)
            else { return [] }
            return sequence.values
        }
    }
}
