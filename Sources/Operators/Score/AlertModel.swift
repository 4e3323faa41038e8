import Models
import Records
import Topology

/// What the alerts of a rule say of the model that has scored its rows: which it was, the score, and why.
final class AlertModel {
    private let model: ModelSpec
    private let score: Int?
    private let reasons: Int
    /// `"model":…`, ready to be copied.
    private let head: String
    /// Columns of the rule's rows that hold what the model took; nil: they are not all there.
    private let intake: [Int]?
    private let spec: ScoreSpec
    private let rows: ModelRows
    private lazy var reasoning = ModelReasons(model.model)

    /// nil: no model has scored the rows of a step.
    init?(of step: Int, _ topology: TopologySpec) {
        guard let (part, input) = topology.scoring(of: step) else { return nil }
        spec = part
        model = part.model
        reasons = part.reasons
        let schema = topology.steps[step].schema
        func place(_ field: Field) -> Int? {
            schema.fields.firstIndex { $0.name == field.name && $0.type == field.type }
        }
        score = schema.fields.firstIndex {
            $0.name == "score" && $0.type == .decimal(scale: ScoreSpec.scoreScale)
        }
        let taken: [Int] =
            switch part.intake {
            case .features(let features): features.map(\.column)
            case .sequence(let column, _): [column]
            }
        let places = taken.compactMap { place(input.fields[$0]) }
        intake = places.count == taken.count ? places : nil
        var moved = part
        if let intake {
            switch part.intake {
            case .features(let features):
                moved.intake = .features(zip(intake, features).map { ($0, $1.input) })
            case .sequence(_, let rows): moved.intake = .sequence(column: intake[0], rows: rows)
            }
        }
        rows = ModelRows(moved, capacity: 1)
        var json = JsonWriter()
        json.beginObject()
        json.name("model")
        json.beginObject()
        json.member("name", model.card.name)
        json.member("version", model.card.version)
        json.member("sha256", model.card.sha256)
        json.endObject()
        head = String(json.string.dropFirst())
    }

    /// Writes the members of a row's alert.
    func write(_ columns: [Column], _ row: Int, _ arena: Arena, into json: inout JsonWriter) {
        json.fragment(head)
        if let score {
            json.name("score")
            json.value(
                columns[score].values[row], valid: columns[score].valid[row] == 1, columns[score].type,
                arena: arena, exactly: true)
        }
        guard reasons > 0, let intake else { return }
        json.name("reasons")
        json.raw("[")
        let values = rows.features(row, columns, arena)
        if !values.isEmpty {
            for (index, reason) in reasoning.reasons(values, count: reasons).enumerated() {
                if index > 0 { json.raw(",") }
                write(reason, columns, intake, row, arena, into: &json)
            }
        }
        json.raw("]")
    }

    private static let power = 1e6

    private func write(
        _ reason: ModelReasons.Reason, _ columns: [Column], _ intake: [Int], _ row: Int, _ arena: Arena,
        into json: inout JsonWriter
    ) {
        json.beginObject()
        if let step = reason.step, let network = model.card.network {
            json.member("feature", network.channels[reason.feature].name)
            json.member("step", Int64(step) + 1)
            json.name("value")
            json.text(
                value(step * network.channels.count + reason.feature, of: columns[intake[0]], row, arena))
        } else {
            json.member("feature", model.card.features[reason.feature].name)
            let column = columns[intake[reason.feature]]
            json.name("value")
            json.value(
                column.values[row], valid: column.valid[row] == 1, column.type, arena: arena, exactly: true)
        }
        json.name("contribution")
        if let contribution = decimal(reason.contribution, power: Self.power) {
            json.quotedNumber(Int128(contribution), scale: 6)
        } else {
            json.null()
        }
        json.name("percentile")
        if let percentile = reason.percentile {
            json.number(Int128(percentile), scale: 0)
        } else {
            json.null()
        }
        json.endObject()
    }

    /// A number of a sequence as its text has it.
    private func value(_ place: Int, of column: Column, _ row: Int, _ arena: Arena) -> String {
        let text = arena.string(TextReference(packed: column.values[row]))
        let numbers = text.split { "[],".contains($0) }
        return place < numbers.count ? String(numbers[place]) : ""
    }
}

extension TopologySpec {
    /// The scoring that a step's rows have come through, the last, and the schema of what it took.
    func scoring(of step: Int) -> (ScoreSpec, Schema)? {
        var step = step
        // A step reads what comes before it, so this comes to an end.
        for _ in 0...2 * (steps.count + sources.count) {
            switch steps[step].input {
            case .step(let before): step = before
            case .source(let source):
                if let repartition = repartitions.first(where: { $0.source == source }) {
                    step = repartition.step
                    continue
                }
                guard case .stream(let maker) = sources[source].origin,
                    let operation = steps[maker].operation,
                    operation.inputs.count == 1
                else { return nil }
                if let part = operation.part as? ScoreSpec {
                    return (part, steps[operation.inputs[0]].schema)
                }
                step = maker
            }
        }
        return nil
    }
}
