import Base
import Records
import Topology

/// `sequence: { … }`
struct SequenceReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    private static let example = "sequence: { repeat: rate > 0.30, times: 3, within: 5d }"

    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        let (intake, draft) = step.readIntake()
        guard
            let reader = MappingReader(
                node,
                "sequence",
                keys: ["repeat", "times", "first", "then", "without", "within", "gap", "by", "limit"],
                at: step.mapping.keyPosition("sequence"),
                context,
                example: Self.example
            )
        else { return step.addMistake() }
        let within = reader.required("within", example: "within: 1d").flatMap {
            context.duration($0, "within", least: 1)
        }
        let gap = reader["gap"].map { context.duration($0, "gap", least: 1) }
        if reader["gap"] != nil, !reader.isGiven("repeat") {
            context.error(
                reader.keyPosition("gap"),
                "gap is for 'repeat': the longest time between two of its records; take it out"
            )
        }
        let by =
            reader["by"].map { step.fieldIndices($0, "by", draft, step.shownInputs, example: "by: order_id") }
            ?? []
        let pattern = readPattern(reader, draft)
        // The records of a run are not kept, only their times.
        let limits = step.readLimits(reader, reader.isGiven("repeat") ? [.memory] : [.memory, .rowsPerKey])
        step.checkKey(draft, ", by which the records of a sequence go together", example: "merchant_id")
        guard context.diagnostics.count == before, draft.spec != nil, let key = draft.key, let within, let by,
            let pattern,
            let limits
        else { return step.addMistake() }
        var added: [Field] = []
        switch pattern {
        case .repeated:
            added = [
                Field(name: "sequence.count", type: .int), Field(name: "sequence.start", type: .timestamp),
            ]
        case .then:
            added = draft.fields.map { Field(name: "first.\($0.name)", type: $0.type, isOptional: true) }
        case .without: break
        }
        added.append(Field(name: "sequence_time", type: .timestamp))
        guard let fields = step.adding(added, to: draft, "sequence") else { return step.addMistake() }
        let spec = SequenceSpec(
            pattern: pattern,
            within: within,
            gap: gap ?? nil,
            by: by,
            byNames: by.map { draft.fields[$0].name },
            fieldCount: draft.fields.count
        )
        let operation = OperatorSpec(
            inputs: [intake],
            part: spec,
            schema: Schema(fields),
            timeField: fields.count - 1,
            limits: limits
        )
        step.addResult(of: intake, operation, key: key)
    }

    private func readPattern(_ reader: MappingReader, _ draft: StepDraft) -> SequenceSpec.Pattern? {
        func condition(_ key: String) -> Expression? {
            guard let text = reader.text(key, example: "\(key): kind == \"paid\"") else { return nil }
            return step.expression(text, key, draft, step.shownInputs, isCondition: true)
        }
        let given = ["repeat", "first", "then", "without", "times"].filter { reader.isGiven($0) }
        switch Set(given) {
        case ["repeat", "times"]:
            let times = reader["times"].flatMap {
                context.integer($0, "times", 2...1_000_000, example: "times: 3")
            }
            guard let holds = condition("repeat"), let times else { return nil }
            return .repeated(holds, times: times)
        case ["first", "then"]:
            guard let first = condition("first"), let second = condition("then") else { return nil }
            return .then(first: first, second: second)
        case ["first", "without"]:
            guard let first = condition("first"), let second = condition("without") else { return nil }
            return .without(first: first, second: second)
        default:
            let found = given.isEmpty ? "none" : ReadingContext.list(given, "and")
            context.error(
                reader.position,
                "sequence needs 'repeat' and 'times', 'first' and 'then', or 'first' and 'without', not \(found); write "
                    + Self.example
            )
            return nil
        }
    }
}
