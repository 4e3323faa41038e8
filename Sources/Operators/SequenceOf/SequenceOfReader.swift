import Base
import Records
import Topology

/// `sequence_of:`
struct SequenceOfReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    func read(_ node: YamlNode) {
        let example = "sequence_of: { fields: [orders, amount], steps: 60 }"
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard
            let reader = step.options(
                "sequence_of", node, ["fields", "steps", "least", "limit"], example: example)
        else { return step.addMistake() }
        let columns = reader.required("fields", example: example).flatMap { readFields($0, draft) }
        let steps = reader.required("steps", example: example)
            .flatMap { context.integer($0, "steps", 1...Limits.sequenceValuesMax, example: "steps: 60") }
        let least = reader["least"].flatMap {
            context.integer($0, "least", 1...(steps ?? .max), example: "least: 30")
        }
        let limits = step.readLimits(reader, [.memory])
        step.checkKey(draft, ", of which the records before are kept", example: "merchant_id")
        if let columns, let steps, columns.count * steps > Limits.sequenceValuesMax {
            context.error(
                reader.keyPosition("steps"),
                "\(steps) steps of \(columns.count) fields are \(columns.count * steps) values, more than \(Limits.sequenceValuesMax)"
            )
        }
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let columns,
            let steps, let limits,
            let time = draft.timeField
        else { return step.addMistake() }
        let added = [
            Field(name: "sequence", type: .text, isOptional: true), Field(name: "sequence_rows", type: .int),
        ]
        guard let fields = step.adding(added, to: draft, "sequence_of") else { return step.addMistake() }
        let part = SequenceOfSpec(
            fields: columns, fieldNames: columns.map { draft.fields[$0].name }, steps: steps,
            least: least ?? steps,
            fieldCount: draft.fields.count)
        let operation = OperatorSpec(
            inputs: [intake], part: part, schema: Schema(fields), timeField: time, limits: limits)
        step.addResult(of: intake, operation, key: key)
    }

    private func readFields(_ node: YamlNode, _ draft: StepDraft) -> [Int]? {
        let columns = step.fieldIndices(
            node, "fields", draft, step.shownInputs, example: "fields: [orders, amount]")
        guard let columns else { return nil }
        let wrong = columns.first { [.text, .timestamp].contains(draft.fields[$0].type) }
        guard let wrong else { return columns }
        context.error(
            node.position,
            "'\(draft.fields[wrong].name)' is \(draft.fields[wrong].type); a sequence has numbers, bools and durations"
        )
        return nil
    }
}
