import Base
import Records
import Topology

/// `levels: { item: rule, active: …, weight: …, expire: 30d, steps: { watch: { at: 3, … } } }`
struct LevelsReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    private static let example =
        "levels: { item: rule, active: state == \"raised\", weight: weight, expire: 30d, "
        + "steps: { watch: { at: 3, below: 1, hold: 1h } } }"
    private static let stepsExample = "steps: { watch: { at: 3, below: 1, hold: 1h } }"
    private static let manyExample = "or: { count: 2, weight: 5 }"

    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        guard
            let levels = MappingReader(
                node,
                "levels",
                keys: ["item", "active", "weight", "expire", "group", "control", "steps", "limit"],
                at: step.mapping.keyPosition("levels"),
                context,
                example: Self.example
            )
        else { return step.addMistake() }
        let froms = step.inputs.count - (levels["control"] == nil ? 0 : 1)
        if froms > 1 {
            context.error(
                step.inputs[1].position,
                "levels take one input; make a step of '\(step.inputs[1].shown)' and the others first"
            )
        }
        // The reader of names has said what is wrong with `control`.
        guard froms == 1 else { return step.addMistake() }
        let (intake, draft) = step.readIntake(step.inputs[0])
        if !step.mapping.isGiven("key") {
            context.error(
                step.mapping.keyPosition("levels"),
                "\(step.mapping.what) needs 'key' beside 'levels'; write key: customer"
            )
        }
        let item = expression("item", "item: rule", levels, draft, .text)
        let active = expression("active", "active: state == \"raised\"", levels, draft, .bool)
        let weight = expression("weight", "weight: weight", levels, draft, nil)
        let expire = levels.required("expire", example: "expire: 30d")
            .flatMap { context.duration($0, "expire", least: 1) }
        let group = levels["group"].map { context.duration($0, "group", least: 1) } ?? 0
        if let expire, let group, group > 0, group >= expire {
            context.error(
                levels.keyPosition("group"),
                "group must be shorter than expire, \(ValueText.duration(expire))"
            )
        }
        let limits = step.readLimits(levels, [.memory, .items])
        let steps = levels.required("steps", example: Self.stepsExample).map { readSteps($0, weight?.type) }
        if let steps, let limits, let level = steps.first(where: { ($0.many?.count ?? 0) > limits.items }) {
            context.error(
                levels.keyPosition("steps"),
                "level \(level.name) asks for \(level.many?.count ?? 0) items, and of a key at most \(limits.items) are kept; "
                    + "write limit: { items: \(level.many?.count ?? 0) }"
            )
        }
        let key = draft.key ?? []
        let results = LevelsSpec.resultFields(weight?.type ?? .int)
        for name in key where results.contains(where: { $0.name == name }) {
            context.error(
                step.mapping.keyPosition("key"),
                "the key field '\(name)' has the name of a column that levels make; give it another one in 'fields'"
            )
        }
        let control = levels["control"]
            .flatMap { _ in
                readControl(step.graph.input(step.inputs[1], of: step.entry.key), step.inputs[1], draft)
            }
        guard context.diagnostics.count == before, draft.spec != nil, let item, let active, let weight,
            let expire,
            let group, let steps, let limits, levels["control"] == nil || control != nil
        else { return step.addMistake() }
        let spec = LevelsSpec(
            item: item,
            active: active,
            weight: weight,
            levels: steps,
            expire: expire,
            group: group,
            control: control?.columns
        )
        let keyFields = key.compactMap { name in draft.fields.first { $0.name == name } }
            .map { Field(name: $0.name, type: $0.type) }
        let schema = Schema(keyFields + results)
        let operation = OperatorSpec(
            inputs: [control?.step, intake].compactMap { $0 },
            part: spec,
            schema: schema,
            timeField: schema.fields.count - 1,
            limits: limits
        )
        step.addResult(of: intake, operation, key: key)
    }

    /// `type` nil: a number.
    private func expression(
        _ key: String,
        _ example: String,
        _ levels: MappingReader,
        _ draft: StepDraft,
        _ type: ValueType?
    ) -> Expression? {
        guard let text = levels.requiredText(key, example: example) else { return nil }
        guard
            let expression = step.expression(
                text,
                key,
                draft,
                step.inputs[0].shown,
                isCondition: type == .bool
            )
        else { return nil }
        if expression.type == type || (type == nil && expression.type.isNumber) { return expression }
        let hint = type == .text ? "text; text(x) makes text of a value" : "a number"
        context.error(text.position, "\(key) is \(expression.type); it must be \(hint)")
        return nil
    }

    // MARK: The levels

    /// `type`: of weights; nil after a mistake.
    private func readSteps(_ node: YamlNode, _ type: ValueType?) -> [LevelsSpec.Level] {
        var levels: [LevelsSpec.Level] = []
        let entries = context.named(node, "steps", example: Self.stepsExample)
        if entries.count > Limits.levelsMax {
            context.error(entries[Limits.levelsMax].keyPosition, "more than \(Limits.levelsMax) levels")
        }
        for entry in entries.prefix(Limits.levelsMax) {
            guard context.checkName(entry, "level") else { continue }
            guard entry.key != LevelsSpec.none else {
                context.error(
                    entry.keyPosition,
                    "'none' is the level of those that are on no other; give this one another name"
                )
                continue
            }
            guard
                let level = MappingReader(
                    entry.value,
                    "level \(entry.key)",
                    keys: ["at", "below", "hold", "or", "measure"],
                    at: entry.keyPosition,
                    context,
                    example: "{ at: 3, below: 1, hold: 1h }"
                )
            else { continue }
            let at = level.required("at", example: "at: 3").flatMap { number($0, "at", type) }
            let below = level.required("below", example: "below: 1").flatMap { number($0, "below", type) }
            let hold = level["hold"].map { context.duration($0, "hold") } ?? 0
            let many = level["or"].map { readMany($0, level.keyPosition("or"), type) }
            let measure = level["measure"].flatMap { readMeasure($0) }
            guard let at, let below, let hold, let type else { continue }
            if below > at {
                context.error(
                    level.keyPosition("below"),
                    "below is more than 'at', so the level would be left as soon as it is entered; write at most "
                        + Decimal.string(at, scale: type.scale)
                )
            }
            if let before = levels.last, at <= before.at {
                context.error(
                    level.keyPosition("at"),
                    "levels go from the lowest up: 'at' must be more than that of \(before.name), "
                        + Decimal.string(before.at, scale: type.scale)
                )
            }
            levels.append(
                LevelsSpec.Level(
                    name: entry.key,
                    at: at,
                    below: below,
                    hold: hold,
                    many: many.flatMap { $0 },
                    measure: measure
                )
            )
        }
        return levels
    }

    private func readMany(_ node: YamlNode, _ place: Position, _ type: ValueType?) -> (
        count: Int, weight: Int64
    )? {
        guard
            let many = MappingReader(
                node,
                "or",
                keys: ["count", "weight"],
                at: place,
                context,
                example: Self.manyExample
            )
        else { return nil }
        let count = many.required("count", example: Self.manyExample)
            .flatMap { context.integer($0, "count", 1...Limits.levelItemsMax, example: "count: 2") }
        let weight = many.required("weight", example: Self.manyExample).flatMap { number($0, "weight", type) }
        guard let count, let weight else { return nil }
        return (count, weight)
    }

    /// One text or several.
    private func readMeasure(_ node: YamlNode) -> String? {
        let example = "measure: call the merchant"
        guard case .sequence(let nodes) = node.content else {
            return context.scalar(node, "measure", example: example)?.text
        }
        if nodes.isEmpty { context.error(node.position, "measure is an empty list; write \(example)") }
        return nodes.compactMap { context.scalar($0, "measure", example: example)?.text }.joined(
            separator: "; "
        )
    }

    /// A number above 0, in units of the weights' scale.
    private func number(_ node: YamlNode, _ what: String, _ type: ValueType?) -> Int64? {
        guard let text = context.scalar(node, what, example: "\(what): 3"), let type else { return nil }
        if case .success(let value) = Decimal.parse(text.text, scale: type.scale), value > 0 { return value }
        context.error(
            text.position,
            "\(what) must be a number above 0 with at most \(type.scale) places, as the weights have, not "
                + "'\(text.shown)'"
        )
        return nil
    }

    // MARK: Controls

    /// The step that takes in control records, and their columns.
    private func readControl(_ input: StepReader.Input, _ text: ScalarText, _ draft: StepDraft)
        -> (step: Int, columns: LevelsSpec.Control)?
    {
        guard input.input != nil, input.isComplete, let keys = draft.key, draft.spec != nil else {
            return nil
        }
        var keyColumns: [Int] = []
        for name in keys {
            guard let wanted = draft.fields.first(where: { $0.name == name })?.type,
                let column = column(name, wanted, input, text, "the key of the levels", isRequired: true)
            else { return nil }
            keyColumns.append(column)
        }
        let why = "which controls need"
        let before = context.diagnostics.count
        let action = column("action", .text, input, text, why, isRequired: true)
        let reason = column("reason", .text, input, text, why, isRequired: true)
        let owner = column("owner", .text, input, text, why, isRequired: true)
        let item = column("item", .text, input, text, why, isRequired: false)
        let until = column("until", .timestamp, input, text, why, isRequired: false)
        guard context.diagnostics.count == before, let action, let reason, let owner,
            let intake = step.addIntake(input, step.entry.key + "/control", key: keyColumns)
        else { return nil }
        return (
            intake, LevelsSpec.Control(action: action, item: item, until: until, reason: reason, owner: owner)
        )
    }

    private func column(
        _ name: String,
        _ type: ValueType,
        _ input: StepReader.Input,
        _ text: ScalarText,
        _ why: String,
        isRequired: Bool
    ) -> Int? {
        guard let index = input.fields.firstIndex(where: { $0.name == name }) else {
            if isRequired {
                context.error(
                    text.position,
                    "\(text.shown) has no field '\(name)', \(why); give it one of type \(type)"
                )
            }
            return nil
        }
        guard input.fields[index].type == type else {
            context.error(
                text.position,
                "field '\(name)' of \(text.shown) is \(input.fields[index].type), and must be \(type)"
            )
            return nil
        }
        return index
    }
}
