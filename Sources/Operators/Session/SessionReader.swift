import Base
import Records
import Topology

extension OperatorReader {
    /// A window with a gap is an operator; its step has become what takes in its records.
    func addSession(_ read: StepDraft) {
        var draft = read
        guard let session = draft.session, var step = draft.spec, let key = draft.key, !key.isEmpty else { return addMistake() }
        draft.name = entry.key + "/"
        (draft.hasWindow, draft.outputs) = (false, [])
        var fields = step.key.map { Field(name: step.schema.fields[$0].name, type: step.schema.fields[$0].type) }
        fields += step.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
        let bounds = StepReader.windowFields
        if let twice = fields.first(where: { bounds.contains($0.name) }) {
            context.error(
                mapping.keyPosition("aggregate"),
                "every session has a '\(twice.name)'; give the field or result another name")
            return addMistake()
        }
        fields += bounds.map { Field(name: $0, type: .timestamp) }
        let spec = SessionSpec(
            gap: session.gap, max: session.max, key: step.key, aggregates: step.aggregates, outputs: step.outputs,
            aggregateText: step.aggregates.map { $0.text(in: step.schema) }.joined(separator: ", "))
        (step.aggregates, step.outputs) = ([], [])
        draft.spec = step
        let intake = graph.add(draft)
        let operation = OperatorSpec(inputs: [intake], part: spec, schema: Schema(fields), timeField: fields.count - 1,
            limits: session.limits)
        addResult(of: intake, operation, key: key)
        graph.drafts[graph.drafts.count - 1].session = session
    }
}
