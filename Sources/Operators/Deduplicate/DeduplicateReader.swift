import Base
import Records
import Topology

/// `deduplicate:`
struct DeduplicateReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    /// The input without duplicates.
    func read(_ node: YamlNode, _ input: StepReader.Input) -> StepReader.Input {
        let example = "deduplicate: { by: order_id, within: 1h }"
        var nothing = input
        nothing.input = nil
        nothing.isComplete = false
        let before = context.diagnostics.count
        guard let reader = step.options("deduplicate", node, ["by", "within", "limit"], example: example)
        else { return nothing }
        let within = reader.required("within", example: example).flatMap {
            context.duration($0, "within", least: 1)
        }
        let names = reader.required("by", example: example).flatMap {
            context.names($0, "by", example: example)
        }
        let by = names?.compactMap { step.fieldIndex($0, input) }
        let limits = step.readLimits(reader, [.memory])
        guard context.diagnostics.count == before, let within, let by, let limits, let time = input.timeField,
            let intake = step.addIntake(input, step.entry.key + "/all", key: by)
        else { return nothing }
        let operation = OperatorSpec(
            inputs: [intake],
            part: DeduplicateSpec(within: within),
            schema: Schema(input.fields),
            timeField: time,
            limits: limits
        )
        return step.graph.addStream(of: intake, step.entry.key + "/", operation, step.entry.keyPosition)
    }
}
