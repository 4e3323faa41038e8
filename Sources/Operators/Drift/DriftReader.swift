import Base
import Models
import Records
import Topology

/// `drift:`
struct DriftReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }
    private static let example = "drift: { model: default-risk, size: 1d }"

    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard
            let reader = MappingReader(
                node, "drift", keys: ["model", "size", "features", "limit"],
                at: step.mapping.keyPosition("drift"), context,
                example: Self.example)
        else { return step.addMistake() }
        let name = reader.requiredText("model", example: Self.example)
        let size = reader.required("size", example: Self.example).flatMap {
            context.duration($0, "size", least: 1000)
        }
        let limits = step.readLimits(reader, [.memory])
        guard let name, let model = context.model(name) else { return step.addMistake() }
        let items = readItems(model, draft, name, reader)
        guard context.diagnostics.count == before, draft.spec != nil, let items, let size, let limits else {
            return step.addMistake()
        }
        if step.mapping["key"] != nil {
            context.error(
                step.mapping.keyPosition("key"),
                "drift counts all rows together, and its rows have the key 'feature'; leave key out")
            return step.addMistake()
        }
        let measure = DriftMeasure(model: model, items: items, size: size)
        let counting = OperatorSpec(
            inputs: [intake], part: DriftCountSpec(measure: measure), schema: Schema(DriftCountSpec.fields),
            timeField: 2,
            limits: limits)
        // Both halves keep state, which is found by the name of its step.
        step.graph.drafts[intake].spec?.name = step.entry.key + "/counts"
        let counts = step.graph.addStream(
            of: intake, step.entry.key + "/counts", counting, step.entry.keyPosition)
        guard let sums = step.addIntake(counts, step.entry.key + "/", key: [0]) else {
            return step.addMistake()
        }
        let part = DriftSpec(measure: measure, step: step.shownInputs)
        let summing = OperatorSpec(
            inputs: [sums], part: part, schema: Schema(DriftSpec.fields),
            timeField: DriftSpec.fields.count - 1, limits: limits)
        step.addResult(of: sums, summing, key: ["feature"])
    }

    private func readItems(
        _ model: ModelSpec, _ draft: StepDraft, _ name: ScalarText, _ reader: MappingReader
    ) -> [DriftMeasure.Item]? {
        guard draft.isComplete else { return nil }
        var items: [DriftMeasure.Item] = []
        if model.card.network == nil {
            let match = FeatureMatch(step: step, model: model, draft: draft, name: name)
            guard case .features(let features) = match.read(reader["features"]) else { return nil }
            for (feature, taken) in zip(model.card.features, features) {
                guard let histogram = feature.histogram else { continue }
                items.append(
                    DriftMeasure.Item(
                        name: feature.name, column: taken.column, input: taken.input, histogram: histogram,
                        least: feature.least,
                        greatest: feature.greatest))
            }
        } else if let node = reader["features"] {
            context.error(node.position, "features is for trees; of a network the score is watched")
            return nil
        }
        let score = draft.fields.firstIndex {
            $0.name == "score" && $0.type == .decimal(scale: ScoreSpec.scoreScale)
        }
        if let histogram = model.card.scores, let score {
            items.append(
                DriftMeasure.Item(
                    name: "score", column: score,
                    input: .number(divisor: Double(Decimal.powerOfTen(ScoreSpec.scoreScale))),
                    histogram: histogram))
        }
        if items.isEmpty {
            context.error(
                name.position,
                "the card of \(model.card.name) has no histogram of what \(step.shownInputs) has; millrace model card writes them, of the rows "
                    + "that the model was trained on")
            return nil
        }
        return items
    }
}
