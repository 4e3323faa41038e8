import Base
import Records
import Topology

extension OperatorReader {
    /// The rows of several inputs under the fields of the first.
    func readUnion() -> StepReader.Input {
        let name = inputs.map(\.shown).joined(separator: ", ")
        let nothing = StepReader.Input(input: nil, name: name)
        let all = inputs.map { graph.input($0, of: entry.key) }
        guard all.allSatisfy({ $0.input != nil && $0.isComplete }), let time = all[0].timeField else { return nothing }
        var columns: [[Int]] = []
        var fields = all[0].fields
        for (input, text) in zip(all, inputs) {
            var places: [Int] = []
            for (index, field) in all[0].fields.enumerated() {
                guard let place = input.fields.firstIndex(where: { $0.name == field.name }) else {
                    context.error(
                        text.position,
                        "\(text.shown) has no field '\(field.name)', which \(inputs[0].shown) has; the inputs of a "
                            + "union need the fields of the first")
                    return nothing
                }
                let other = input.fields[place]
                guard other.type == field.type else {
                    context.error(
                        text.position,
                        "field '\(field.name)' is \(other.type) in \(text.shown) and \(field.type) in "
                            + "\(inputs[0].shown); the inputs of a union need equal types")
                    return nothing
                }
                if other.isOptional { fields[index].isOptional = true }
                places.append(place)
            }
            guard places[time] == input.timeField else {
                context.error(
                    text.position,
                    "the event time of \(text.shown) is another field than '\(fields[time].name)', that of "
                        + "\(inputs[0].shown)")
                return nothing
            }
            columns.append(places)
        }
        let intakes = all.indices.compactMap { addIntake(all[$0], "\(entry.key)/\($0)") }
        guard intakes.count == all.count else { return nothing }
        let operation = OperatorSpec(
            inputs: intakes, part: UnionSpec(columns: columns), schema: Schema(fields), timeField: time)
        return graph.addStream(of: intakes[0], entry.key + "/", operation, entry.keyPosition)
    }
}
