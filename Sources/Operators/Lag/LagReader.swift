import Base
import Records
import Topology

/// `lag:`
struct LagReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    func read(_ node: YamlNode) {
        let example = "lag: { fields: [amount], count: 1 }"
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard
            let reader = step.options("lag", node, ["fields", "count", "within", "limit"], example: example)
        else { return step.addMistake() }
        let columns = reader.required("fields", example: example)
            .flatMap { step.fieldIndices($0, "fields", draft, step.shownInputs, example: "fields: [amount]") }
        let count =
            reader["count"].map { context.integer($0, "count", 1...LagSpec.countMax, example: "count: 1") }
            ?? 1
        let within = reader["within"].map { context.duration($0, "within", least: 1) }
        let limits = step.readLimits(reader, [.memory])
        step.checkKey(draft, ", of which the records before are looked at", example: "merchant_id")
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let columns,
            let count, let limits,
            let time = draft.timeField
        else { return step.addMistake() }
        let added = (1...count).flatMap { back in
            columns.map {
                Field(
                    name: "lag\(back).\(draft.fields[$0].name)",
                    type: draft.fields[$0].type,
                    isOptional: true
                )
            }
        }
        guard let fields = step.adding(added, to: draft, "lag") else { return step.addMistake() }
        let spec = LagSpec(
            fields: columns,
            fieldNames: columns.map { draft.fields[$0].name },
            count: count,
            within: within ?? nil,
            fieldCount: draft.fields.count
        )
        let operation = OperatorSpec(
            inputs: [intake],
            part: spec,
            schema: Schema(fields),
            timeField: time,
            limits: limits
        )
        step.addResult(of: intake, operation, key: key)
    }
}
