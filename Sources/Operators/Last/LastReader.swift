import Base
import Records
import Topology

/// `last:`
struct LastReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    func read(_ node: YamlNode) {
        let example = "last: { count: 20, aggregate: { mean: avg(amount) } }"
        let before = context.diagnostics.count
        var (intake, draft) = step.readIntake()
        guard
            let reader = step.options(
                "last", node, ["count", "within", "aggregate", "limit"], example: example)
        else { return step.addMistake() }
        let count = reader.required("count", example: example)
            .flatMap { context.integer($0, "count", 1...LastSpec.countMax, example: "count: 20") }
        let within = reader["within"].map { context.duration($0, "within", least: 1) }
        _ = reader.required("aggregate", example: example)
        let results = step.graph.reader.readAggregates(reader, &draft, .records, step.graph.reader.zone)
        let limits = step.readLimits(reader, [.memory])
        step.checkKey(draft, ", of which the last records are looked at", example: "merchant_id")
        guard context.diagnostics.count == before, let spec = draft.spec, let key = draft.key, let count,
            let limits,
            let time = draft.timeField
        else { return step.addMistake() }
        let added = results.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
        guard let fields = step.adding(added, to: draft, "last") else { return step.addMistake() }
        let part = LastSpec(
            count: count,
            within: within ?? nil,
            aggregates: results.aggregates,
            outputs: results.outputs,
            aggregateText: results.aggregates.map { $0.text(in: spec.schema) }.joined(separator: ", "),
            fieldCount: draft.fields.count
        )
        let operation = OperatorSpec(
            inputs: [intake],
            part: part,
            schema: Schema(fields),
            timeField: time,
            limits: limits
        )
        step.addResult(of: intake, operation, key: key)
    }
}
