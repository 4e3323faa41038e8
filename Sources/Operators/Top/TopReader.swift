import Base
import Records
import Topology

/// `top:`
struct TopReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    func read(_ node: YamlNode) {
        let example = "top: { count: 10, by: amount }"
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard let reader = step.options("top", node, ["count", "by", "order", "limit"], example: example)
        else { return step.addMistake() }
        let count = reader.required("count", example: example)
            .flatMap { context.integer($0, "count", 1...Limits.topMax, example: "count: 10") }
        let limits = step.readLimits(reader, [.memory])
        let order = reader["order"].map { context.choice($0, "order", ["greatest", "least"]) } ?? "greatest"
        let input = StepReader.Input(
            input: nil,
            name: step.shownInputs,
            columns: draft.columns,
            fields: draft.fields,
            isComplete: draft.isComplete
        )
        let by = reader.requiredText("by", example: example).flatMap { text -> Int? in
            guard let column = step.fieldIndex(text, input) else { return nil }
            if draft.fields[column].type != .text, draft.fields[column].type != .bool { return column }
            context.error(
                text.position,
                "'\(text.shown)' is \(draft.fields[column].type); by must be a number or a time"
            )
            return nil
        }
        guard let fields = step.adding([Field(name: "rank", type: .int)], to: draft, "top") else {
            return step.addMistake()
        }
        step.checkKey(draft, ": among which records it looks for the greatest", example: "category")
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let count,
            let order, let by,
            let limits, let time = draft.timeField
        else { return step.addMistake() }
        let operation = OperatorSpec(
            inputs: [intake],
            part: TopSpec(
                count: count,
                by: by,
                byName: draft.fields[by].name,
                isLeast: order == "least",
                fieldCount: draft.fields.count
            ),
            schema: Schema(fields),
            timeField: time,
            limits: limits
        )
        step.addResult(of: intake, operation, key: key)
    }
}
