import Base
import Records

/// `deduplicate:` and `top:`
extension OperatorReader {
    /// The input without duplicates.
    package func deduplicated(_ input: StepReader.Input, _ node: YamlNode) -> StepReader.Input {
        let example = "deduplicate: { by: order_id, within: 1h }"
        var nothing = input
        nothing.input = nil
        nothing.isComplete = false
        let before = context.diagnostics.count
        guard
            let reader = MappingReader(
                node, "deduplicate", keys: ["by", "within", "limit"], at: mapping.keyPosition("deduplicate"), context,
                example: example)
        else { return nothing }
        let within = reader.required("within", example: example).flatMap { context.duration($0, "within", least: 1) }
        let names = reader.required("by", example: example).flatMap { context.names($0, "by", example: example) }
        let by = names?.compactMap { fieldIndex($0, input) }
        let limits = readLimits(reader, [.memory])
        guard context.diagnostics.count == before, let within, let by, let limits, let time = input.timeField,
            let intake = addIntake(input, entry.key + "/all", key: by)
        else { return nothing }
        let operation = OperatorSpec(
            inputs: [intake], kind: DeduplicateSpec(within: within), schema: Schema(input.fields), timeField: time,
            limits: limits)
        return graph.addStream(of: intake, entry.key + "/", operation, entry.keyPosition)
    }

    package func readTop(_ node: YamlNode) {
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
            kind: TopSpec(
                count: count, by: by, byName: draft.fields[by].name, isLeast: order == "least",
                fieldCount: draft.fields.count),
            schema: Schema(fields), timeField: time, limits: limits)
        addResult(of: intake, operation, key: key)
    }

    package func fieldIndex(_ name: ScalarText, _ input: StepReader.Input) -> Int? {
        if let place = input.fields.firstIndex(where: { $0.name == name.text }) { return place }
        if input.isComplete {
            context.error(
                name.position,
                "no field of \(input.name) '\(name.shown)'\(NearestName.hint(name.text, among: input.fields.map(\.name)))")
        }
        return nil
    }
}
