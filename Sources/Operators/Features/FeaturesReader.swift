import Base
import Records
import Topology

/// `features:`
struct FeaturesReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }
    private static let example = "features: { of: [month], fields: { orders: month.orders } }"

    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        guard let from = step.inputs.first else { return step.addMistake() }
        let (intake, draft) = step.readIntake(from)
        guard
            let reader = MappingReader(
                node, "features", keys: ["of", "every", "fields"], at: step.mapping.keyPosition("features"),
                context,
                example: Self.example)
        else { return step.addMistake() }
        let every = reader["every"].map { context.duration($0, "every", least: 1) }
        step.checkKey(draft, ", of which it tells what is known", example: "merchant_id")
        let views = reader["of"] == nil ? [] : readViews(draft)
        guard let views else { return step.addMistake() }
        let fields = reader.required("fields", example: Self.example).flatMap { readFields($0, draft, views) }
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key,
            let time = draft.timeField, let fields
        else { return step.addMistake() }
        let columns = key.compactMap { name in draft.fields.firstIndex { $0.name == name } }
        let part = FeaturesSpec(
            every: every ?? nil, windows: views.map { step.graph.drafts[$0].name },
            resultNames: views.flatMap { view in
                step.graph.drafts[view].outputs.map { "\(step.graph.drafts[view].name).\($0.name)" }
            },
            fields: fields, key: columns)
        let made =
            columns.map { Field(name: draft.fields[$0].name, type: draft.fields[$0].type) }
            + fields.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
        let own = draft.fields[time]
        var schema = made
        // A key may be a time.
        let place = columns.firstIndex(of: time) ?? made.count
        if place == made.count { schema.append(Field(name: own.name, type: own.type)) }
        if let twice = schema.indices.first(where: { at in
            schema[..<at].contains { $0.name == schema[at].name }
        }) {
            context.error(
                reader.keyPosition("fields"),
                "the row has a '\(schema[twice].name)' already, its key or event time; give the field another name"
            )
            return step.addMistake()
        }
        var operation = OperatorSpec(inputs: [intake], part: part, schema: Schema(schema), timeField: place)
        operation.views = views
        step.addResult(of: intake, operation, key: key)
    }

    /// Window steps of the step's key.
    private func readViews(_ draft: StepDraft) -> [Int]? {
        var views: [Int] = []
        var isGood = true
        for name in step.inputs.dropFirst() {
            guard let index = step.graph.drafts.firstIndex(where: { $0.name == name.text }) else {
                _ = step.graph.input(name, of: step.entry.key)
                if step.graph.sources.contains(where: { $0.name == name.text }) {
                    context.error(
                        name.position,
                        "'\(name.shown)' is a source; of names steps with a window, and the fields of the record are there anyway"
                    )
                }
                isGood = false
                continue
            }
            let window = step.graph.drafts[index]
            guard window.hasWindow, window.session == nil else {
                context.error(
                    name.position,
                    "step \(name.shown) has no window that is current at a time; of names steps with window: { size: … }. What other steps make "
                        + "is joined before: join: { stream: \(name.shown), … }")
                isGood = false
                continue
            }
            guard let key = draft.key, let other = window.key, window.spec != nil else {
                isGood = false
                continue
            }
            guard key == other, draft.keyColumns.map(\.type) == window.keyColumns.map(\.type) else {
                context.error(
                    name.position,
                    "step \(name.shown) has the key \(other.joined(separator: ", ")), and this one has \(key.joined(separator: ", ")); they need "
                        + "equal keys")
                isGood = false
                continue
            }
            if views.contains(index) {
                context.error(name.position, "'\(name.shown)' is named twice")
                isGood = false
            }
            views.append(index)
        }
        return isGood ? views : nil
    }

    private func readFields(_ node: YamlNode, _ draft: StepDraft, _ views: [Int]) -> [DerivedField]? {
        var seen = draft
        for view in views {
            let window = step.graph.drafts[view]
            seen.columns += window.outputs.map { .init(name: "\(window.name).\($0.name)", type: $0.type) }
        }
        seen.isComplete = draft.isComplete && views.allSatisfy { step.graph.drafts[$0].isOutputComplete }
        var fields: [DerivedField] = []
        for entry in context.named(node, "fields", example: "fields: { orders: month.orders }") {
            guard context.checkName(entry, "field"),
                let text = context.scalar(entry.value, entry.key, example: "\(entry.key): month.orders")
            else { return nil }
            guard let expression = step.expression(text, entry.key, seen, step.shownInputs) else { continue }
            fields.append(DerivedField(name: entry.key, expression: expression, isOptional: true))
        }
        guard draft.key.map({ $0.count + fields.count < Limits.columnsMax }) ?? true else {
            context.error(node.position, "more than \(Limits.columnsMax) fields")
            return nil
        }
        return fields
    }
}
