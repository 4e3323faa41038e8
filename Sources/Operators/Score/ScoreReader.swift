import Base
import Models
import Records
import Topology

/// `score:`
struct ScoreReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }
    private static let example = "score: { model: default-risk }"

    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard
            let reader = MappingReader(
                node, "score", keys: ["model", "reasons", "features"], at: step.mapping.keyPosition("score"),
                context,
                example: Self.example)
        else { return step.addMistake() }
        let name = reader.requiredText("model", example: Self.example)
        let reasons =
            reader["reasons"].map {
                context.integer($0, "reasons", 0...ScoreReader.reasonsMax, example: "reasons: 3")
            } ?? 3
        guard let name, let model = context.model(name) else { return step.addMistake() }
        let taken: ScoreSpec.Intake?
        if let network = model.card.network {
            taken = sequence(network, model, draft, name, reader)
        } else {
            taken = FeatureMatch(step: step, model: model, draft: draft, name: name).read(reader["features"])
        }
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let taken,
            let reasons,
            let time = draft.timeField,
            let fields = step.adding(ScoreSpec.fields(of: model), to: draft, "score")
        else { return step.addMistake() }
        let part = ScoreSpec(model: model, intake: taken, reasons: reasons, fieldCount: draft.fields.count)
        let operation = OperatorSpec(inputs: [intake], part: part, schema: Schema(fields), timeField: time)
        step.addResult(of: intake, operation, key: key)
    }

    static let reasonsMax = 20

    /// The channels of a network are the fields of the `sequence_of` that its step reads, in their order.
    private func sequence(
        _ network: ModelCard.Network, _ model: ModelSpec, _ draft: StepDraft, _ name: ScalarText,
        _ reader: MappingReader
    ) -> ScoreSpec.Intake? {
        if let node = reader["features"] {
            context.error(
                node.position,
                "features is for trees; the channels of a network are the fields of a sequence_of")
            return nil
        }
        let rows = network.architecture.steps + (model.isForecast ? 1 : 0)
        let channels = network.channels.map(\.name)
        let example = "sequence_of: { fields: [\(channels.joined(separator: ", "))], steps: \(rows) }"
        guard draft.isComplete else { return nil }
        guard let column = draft.fields.firstIndex(where: { $0.name == "sequence" }), let spec = draft.spec,
            let made = step.graph.operations(before: spec).compactMap({ $0 as? SequenceOfSpec }).first
        else {
            context.error(
                name.position,
                "the model \(model.card.name) takes sequences; write \(example) in the step that this one reads"
            )
            return nil
        }
        guard made.fieldNames == channels else {
            context.error(
                name.position,
                "the model \(model.card.name) takes \(channels.joined(separator: ", ")), and the sequence has "
                    + "\(made.fieldNames.joined(separator: ", ")); write \(example)")
            return nil
        }
        guard made.steps == rows else {
            let why = model.isForecast ? ", the last of which is compared with the forecast" : ""
            context.error(
                name.position,
                "the model \(model.card.name) takes \(rows) steps\(why), and the sequence has \(made.steps); write \(example)"
            )
            return nil
        }
        return .sequence(column: column, rows: rows)
    }
}

/// Compares a step's columns with a card.
struct FeatureMatch {
    let step: OperatorReader
    let model: ModelSpec
    let draft: StepDraft
    let name: ScalarText
    private var context: ReadingContext { step.context }
    private static let example = "features: { amount: daily_amount, age: { field: shop_age, unit: days } }"

    private struct Given {
        var field: ScalarText?
        var unit: ScalarText?
        var position: Position
    }

    /// `node`: what stands under `features`.
    func read(_ node: YamlNode?) -> ScoreSpec.Intake? {
        guard let given = readGiven(node), draft.isComplete else { return nil }
        let before = context.diagnostics.count
        var missing: [String] = []
        var features: [(column: Int, input: ModelInput)] = []
        for (index, feature) in model.card.features.enumerated() {
            let own = given[feature.name]
            let field = own?.field?.text ?? feature.name
            guard let column = draft.fields.firstIndex(where: { $0.name == field }) else {
                if let text = own?.field {
                    _ = step.fieldIndex(
                        text,
                        StepReader.Input(
                            input: nil, name: step.shownInputs, columns: draft.columns, fields: draft.fields,
                            isComplete: true))
                } else {
                    missing.append(feature.name)
                }
                continue
            }
            let position = own?.position ?? name.position
            checkUnit(feature, own?.unit, position)
            if let input = reading(draft.fields[column], feature, index, position) {
                features.append((column, input))
            }
        }
        if !missing.isEmpty {
            let columns = draft.fields.map(\.name)
            let first =
                NearestName.nearest(to: missing[0], among: columns).map {
                    "; is '\(missing[0])' the field '\($0)'? write features: { \(missing[0]): \($0) }"
                } ?? ""
            context.error(
                name.position,
                "the model \(model.card.name) takes \(missing.map { "'\($0)'" }.joined(separator: ", ")), which \(step.shownInputs) does not "
                    + "have\(first)")
        }
        return context.diagnostics.count == before ? .features(features) : nil
    }

    private func readGiven(_ node: YamlNode?) -> [String: Given]? {
        guard let node else { return [:] }
        var given: [String: Given] = [:]
        for entry in context.named(node, "features", example: Self.example) {
            guard model.card.features.contains(where: { $0.name == entry.key }) else {
                context.error(
                    entry.keyPosition,
                    "the model \(model.card.name) has no feature '\(entry.key)'"
                        + NearestName.hint(entry.key, among: model.card.features.map(\.name)))
                continue
            }
            guard case .mapping = entry.value.content else {
                let field = context.scalar(entry.value, entry.key, example: Self.example)
                given[entry.key] = Given(field: field, position: field?.position ?? entry.keyPosition)
                continue
            }
            guard
                let reader = MappingReader(
                    entry.value, "feature \(entry.key)", keys: ["field", "unit"], at: entry.keyPosition,
                    context, example: Self.example)
            else { return nil }
            given[entry.key] = Given(
                field: reader.text("field", example: "field: shop_age"),
                unit: reader.text("unit", example: "unit: days"),
                position: entry.keyPosition)
        }
        return given
    }

    private func checkUnit(_ feature: ModelCard.Feature, _ unit: ScalarText?, _ position: Position) {
        guard let unit, unit.text != feature.unit else { return }
        context.error(
            unit.position,
            "'\(feature.name)' is in \(feature.unit.map { "'\($0)'" } ?? "no unit that the card names") for the model "
                + "\(model.card.name), not in '\(unit.shown)'")
    }

    private func reading(_ field: Field, _ feature: ModelCard.Feature, _ index: Int, _ position: Position)
        -> ModelInput?
    {
        var categories: [String] = []
        if case .trees(let trees) = model.model.body { categories = trees.features[index].categories }
        if let input = ModelInput.reading(field.type, as: feature, categories: categories) { return input }
        let wanted: String
        if feature.isCategory {
            wanted =
                categories.isEmpty
                ? "a category's code, an int"
                : "one of the texts \(categories.prefix(5).joined(separator: ", "))"
        } else if field.type == .duration {
            wanted =
                "a number in \(feature.unit.map { "'\($0)'" } ?? "a unit that the card does not name"), which no duration is turned into; compute it in fields"
        } else {
            wanted = "a number: an int, decimal or bool"
        }
        context.error(
            position,
            "'\(field.name)' is \(field.type), and '\(feature.name)' of the model \(model.card.name) is \(wanted)"
        )
        return nil
    }
}
