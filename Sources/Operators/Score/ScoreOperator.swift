import Base
import Models
import Records
import State
import Topology

/// What `ScoreSpec` says: all rows that are at hand are scored at once, a block of columns at a time.
final class ScoreOperator: StreamOperator {
    typealias State = NoState

    private let spec: ScoreSpec
    private let rows: ModelRows
    private let function: ScoreFunction
    private let bands: [(name: [UInt8], from: Double)]
    private let texts: [[UInt8]]
    /// Of the rows that were prepared, by their place in the batch.
    private let places: UnsafeMutablePointer<Int32>
    private let capacity: Int

    init(_ spec: ScoreSpec, _ context: OperatorContext) {
        self.spec = spec
        capacity = context.capacity
        rows = ModelRows(spec, capacity: context.capacity)
        function = ScoreFunction(spec.model.model)
        bands = spec.model.card.bands.map { (Array($0.name.utf8), $0.from) }
        texts = [spec.model.card.name, spec.model.card.version, spec.model.card.sha256].map { Array($0.utf8) }
        places = .allocate(capacity: capacity)
        places.initialize(repeating: 0, count: capacity)
    }

    deinit { places.deallocate() }

    func prepare(_ input: OperatorInput) {
        let selection = input.rows
        for index in selection.indices { places[selection[index]] = Int32(index) }
        rows.score(selection, input.columns, input.arena)
    }

    func take(_ input: OperatorInput, row: Int, _ state: NoState, into out: RowBuffer) {
        out.begin(time: input.times[row], origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        var column = spec.fieldCount
        let place = Int(places[row])
        let margins = rows.margins + place * rows.outputs
        if spec.model.isForecast {
            put(rows.departures[place], Self.scorePower, column, out)
            putBand(rows.departures[place], &column, out)
        } else if rows.outputs == 1 {
            let score = rows.isMissing[place] ? .nan : function.score(margins[0])
            put(score, Self.scorePower, column, out)
            column += 1
            if !rows.isMissing[place] { put(margins[0], Self.marginPower, column, out) }
            putBand(score, &column, out)
        } else if !rows.isMissing[place] {
            let scores = spec.model.model.scores(
                Array(UnsafeBufferPointer(start: margins, count: rows.outputs)))
            for output in 0..<rows.outputs {
                put(scores[output], Self.scorePower, column + output, out)
                put(margins[output], Self.marginPower, column + rows.outputs + output, out)
            }
        }
        if !spec.model.isForecast, rows.outputs > 1 { column += 2 * rows.outputs - 1 }
        for text in texts {
            column += 1
            text.withUnsafeBufferPointer { out.set(column, text: $0) }
        }
    }

    private static let scorePower = Double(Decimal.powerOfTen(ScoreSpec.scoreScale))
    private static let marginPower = Double(Decimal.powerOfTen(ScoreSpec.marginScale))

    /// NaN stands for null.
    private func put(_ value: Double, _ power: Double, _ column: Int, _ out: RowBuffer) {
        if value.isNaN { return }
        if let value = decimal(value, power: power) { out.set(column, value) } else { out.noteOverflow() }
    }

    private func putBand(_ score: Double, _ column: inout Int, _ out: RowBuffer) {
        guard !bands.isEmpty else { return }
        column += 1
        if let band = bands.last(where: { $0.from <= score }) {
            band.name.withUnsafeBufferPointer { out.set(column, text: $0) }
        }
    }
}
