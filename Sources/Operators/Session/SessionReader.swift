import Base
import Records
import Topology

/// `window: { gap: … }`
struct SessionReader {
    let step: OperatorReader

    /// A window with a gap is an operator; its step has become what takes in its records.
    func add(_ read: StepDraft) {
        var draft = read
        guard let session = draft.session, var spec = draft.spec, let key = draft.key, !key.isEmpty else {
            return step.addMistake()
        }
        draft.name = step.entry.key + "/"
        (draft.hasWindow, draft.outputs) = (false, [])
        var fields = spec.key.map {
            Field(name: spec.schema.fields[$0].name, type: spec.schema.fields[$0].type)
        }
        fields += spec.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
        let bounds = StepReader.windowFields
        if let twice = fields.first(where: { bounds.contains($0.name) }) {
            step.context.error(
                step.mapping.keyPosition("aggregate"),
                "every session has a '\(twice.name)'; give the field or result another name"
            )
            return step.addMistake()
        }
        fields += bounds.map { Field(name: $0, type: .timestamp) }
        let part = SessionSpec(
            gap: session.gap,
            max: session.max,
            key: spec.key,
            aggregates: spec.aggregates,
            outputs: spec.outputs,
            aggregateText: spec.aggregates.map { $0.text(in: spec.schema) }.joined(separator: ", ")
        )
        (spec.aggregates, spec.outputs) = ([], [])
        draft.spec = spec
        let intake = step.graph.add(draft)
        let operation = OperatorSpec(
            inputs: [intake],
            part: part,
            schema: Schema(fields),
            timeField: fields.count - 1,
            limits: session.limits
        )
        step.addResult(of: intake, operation, key: key)
        step.graph.drafts[step.graph.drafts.count - 1].session = session
    }
}
