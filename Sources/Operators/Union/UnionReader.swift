import Base
import Records
import Topology

/// `from: [a, b]`
struct UnionReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    /// The rows of several inputs under the fields of the first.
    func read() -> StepReader.Input {
        let name = step.inputs.map(\.shown).joined(separator: ", ")
        let nothing = StepReader.Input(input: nil, name: name)
        let all = step.inputs.map { step.graph.input($0, of: step.entry.key) }
        guard all.allSatisfy({ $0.input != nil && $0.isComplete }), let time = all[0].timeField else {
            return nothing
        }
        var columns: [[Int]] = []
        var fields = all[0].fields
        for (input, text) in zip(all, step.inputs) {
            var places: [Int] = []
            for (index, field) in all[0].fields.enumerated() {
                guard let place = input.fields.firstIndex(where: { $0.name == field.name }) else {
                    context.error(
                        text.position,
                        "\(text.shown) has no field '\(field.name)', which \(step.inputs[0].shown) has; the inputs of a "
                            + "union need the fields of the first"
                    )
                    return nothing
                }
                let other = input.fields[place]
                guard other.type == field.type else {
                    context.error(
                        text.position,
                        "field '\(field.name)' is \(other.type) in \(text.shown) and \(field.type) in "
                            + "\(step.inputs[0].shown); the inputs of a union need equal types"
                    )
                    return nothing
                }
                if other.isOptional { fields[index].isOptional = true }
                places.append(place)
            }
            guard places[time] == input.timeField else {
                context.error(
                    text.position,
                    "the event time of \(text.shown) is another field than '\(fields[time].name)', that of "
                        + "\(step.inputs[0].shown)"
                )
                return nothing
            }
            columns.append(places)
        }
        let intakes = all.indices.compactMap { step.addIntake(all[$0], "\(step.entry.key)/\($0)") }
        guard intakes.count == all.count else { return nothing }
        let operation = OperatorSpec(
            inputs: intakes,
            part: UnionSpec(columns: columns),
            schema: Schema(fields),
            timeField: time
        )
        return step.graph.addStream(of: intakes[0], step.entry.key + "/", operation, step.entry.keyPosition)
    }
}
