import Base
import Records
import Topology

/// `top:`
extension OperatorReader {
    func readTop(_ node: YamlNode) {
        let example = "top: { count: 10, by: amount }"
        let before = context.diagnostics.count
        let (intake, draft) = readIntake()
        guard
            let reader = MappingReader(
                node, "top", keys: ["count", "by", "order", "limit"], at: mapping.keyPosition("top"), context, example: example)
        else { return addMistake() }
        let count = reader.required("count", example: example)
            .flatMap { context.integer($0, "count", 1...Limits.topMax, example: "count: 10") }
        let limits = readLimits(reader, [.memory])
        let order = reader["order"].map { context.choice($0, "order", ["greatest", "least"]) } ?? "greatest"
        let input = StepReader.Input(
            input: nil, name: shownInputs, columns: draft.columns, fields: draft.fields, isComplete: draft.isComplete)
        let by = reader.requiredText("by", example: example).flatMap { text -> Int? in
            guard let column = fieldIndex(text, input) else { return nil }
            if draft.fields[column].type != .text, draft.fields[column].type != .bool { return column }
            context.error(text.position, "'\(text.shown)' is \(draft.fields[column].type); by must be a number or a time")
            return nil
        }
        guard let fields = adding([Field(name: "rank", type: .int)], to: draft, "top") else { return addMistake() }
        if draft.key == [], !mapping.isGiven("key") {
            context.error(
                mapping.position, "\(mapping.what) needs 'key': among which records it looks for the greatest; write key: category")
        }
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let count, let order, let by,
            let limits, let time = draft.timeField
        else { return addMistake() }
        let operation = OperatorSpec(
            inputs: [intake],
            part: TopSpec(
                count: count, by: by, byName: draft.fields[by].name, isLeast: order == "least",
                fieldCount: draft.fields.count),
            schema: Schema(fields), timeField: time, limits: limits)
        addResult(of: intake, operation, key: key)
    }
}
