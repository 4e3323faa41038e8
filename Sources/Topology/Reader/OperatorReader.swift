import Base
import Records

/// Reads a step of any kind and adds it, and the steps that it needs, to the graph.
package struct OperatorReader {
    /// Keys of steps with an operator, beside those that every step may have.
    package static let keys = ["fund_flow", "join", "sequence", "deduplicate", "top", "levels"]

    package let graph: StepGraph
    package let mapping: MappingReader
    package let entry: YamlEntry
    /// What stands behind `from`, and whatever else names inputs.
    package let inputs: [ScalarText]

    package var context: ReadingContext { graph.context }

    /// The names of everything that a step reads.
    package static func inputs(of mapping: MappingReader, _ context: ReadingContext) -> [ScalarText] {
        guard let node = mapping.required("from", example: "from: orders") else { return [] }
        var names = context.names(node, "from", example: "from: orders, or from: [web-orders, shop-orders]") ?? []
        names += joinedStream(of: mapping).flatMap { context.scalar($0, "stream", example: "stream: customs") }.map { [$0] } ?? []
        names += disbursements(of: mapping).flatMap { context.scalar($0, "from", example: "from: loans") }.map { [$0] } ?? []
        names += control(of: mapping).flatMap { context.scalar($0, "control", example: "control: response-control") }.map { [$0] } ?? []
        return names
    }

    /// Of these a step has one, and no window beside it.
    private static let operators = ["deduplicate", "sequence", "top", "fund_flow", "levels"]

    package func read() {
        if mapping["only"] != nil, mapping.isGiven("window") {
            context.error(
                mapping.keyPosition("only"),
                "only is for the records of a step; the rows of a window have its key, its results and its bounds")
            return addMistake()
        }
        guard checkJoin(), checkTimes() else { return addMistake() }
        let given = Self.operators.filter { mapping.isGiven($0) }
        if given.count > 1 {
            context.error(
                mapping.keyPosition(given[1]),
                "\(mapping.what) has \(ReadingContext.list(given, "and")), of which a step has one; write the other in a step that "
                    + "reads this one")
        }
        for part in ["window", "aggregate"] where mapping[part] != nil && !given.isEmpty && given != ["deduplicate"] {
            context.error(
                mapping.keyPosition(part),
                "\(mapping.what) has \(given[0]), whose rows no \(part) of the same step takes in; write it in a step that reads "
                    + "this one")
            return addMistake()
        }
        readParts()
    }

    /// What takes two inputs, takes one from `from`; the pairs of a stream join go into no operator of the same step.
    private func checkJoin() -> Bool {
        var one = mapping["fund_flow"] == nil ? nil : "fund_flow"
        if Self.joinKind(mapping) == .stream {
            one = "join"
            if let other = Self.operators.first(where: { mapping[$0] != nil }) {
                context.error(
                    mapping.keyPosition(other),
                    "\(mapping.what) joins a stream, and \(other) takes in no pairs of the same step; write it in a "
                        + "step that reads this one")
                return false
            }
        }
        guard let one, let from = mapping["from"], case .sequence(let nodes) = from.content, nodes.count > 1 else {
            return true
        }
        context.error(
            from.position, "\(one) reads one step or source; write from: [a, b] in a step of its own, and read that")
        return false
    }

    private func readParts() {
        guard let first = inputs.first else {
            graph.add(graph.reader.read(mapping, entry, from: StepReader.Input(input: nil, name: "the input")))
            return
        }
        if Self.joinKind(mapping) == .stream, let node = mapping["join"] { return readStreamJoin(node) }
        if let node = mapping["top"] { return readTop(node) }
        if let node = mapping["sequence"] { return readSequence(node) }
        if let node = mapping["fund_flow"] { return readFundFlow(node) }
        if let node = mapping["levels"] { return readLevels(node) }
        var input = inputs.count == 1 ? graph.input(first, of: entry.key) : union()
        if let node = mapping["deduplicate"] { input = deduplicated(input, node) }
        let draft = graph.reader.read(mapping, entry, from: joined(input))
        if draft.session != nil { return addSession(draft) }
        add(draft)
    }

    /// Adds the step under its own name. With `only` it becomes two: one that has all of its fields, and one that hands
    /// on those that are named.
    package func add(_ read: StepDraft) {
        guard let node = mapping["only"] else {
            graph.add(read)
            return
        }
        var draft = read
        guard !draft.hasWindow else { return addMistake() }
        draft.name = entry.key + "/whole"
        draft.key = []
        draft.spec?.key = []
        draft.keyColumns = []
        let index = graph.add(draft)
        guard draft.spec != nil else { return addMistake() }
        let whole = StepReader.Input(
            input: .step(index), name: entry.key, columns: draft.columns, fields: draft.fields, isComplete: draft.isComplete,
            timeField: draft.timeField)
        addNarrowed(whole, node, key: read.key ?? [])
    }

    /// Adds the step under its own name with those of the input's fields that `node` names.
    private func addNarrowed(_ input: StepReader.Input, _ node: YamlNode, key: [String]) {
        let example = "only: [merchant_id, amount]"
        guard let names = context.names(node, "only", example: example) else { return addMistake() }
        var only: [Int] = []
        for name in names {
            guard let column = fieldIndex(name, input) else { return addMistake() }
            if !only.contains(column) { only.append(column) }
        }
        if let missing = key.first(where: { name in !only.contains { input.fields[$0].name == name } }) {
            context.error(node.position, "only leaves out '\(missing)', which is the step's key; name it as well")
            return addMistake()
        }
        var narrow = input
        narrow.fields = only.map { input.fields[$0] }
        narrow.columns = only.map { input.columns[$0] }
        narrow.timeField = input.timeField.flatMap { only.firstIndex(of: $0) }
        let columns = key.compactMap { name in narrow.fields.firstIndex { $0.name == name } }
        guard let step = addIntake(narrow, entry.key, key: columns) else { return addMistake() }
        graph.drafts[step].spec?.only = only
        graph.drafts[step].position = entry.keyPosition
    }

    /// What a step that leaves the event time out makes is for sinks, rules and plain steps.
    private func checkTimes() -> Bool {
        let needs = (Self.operators + ["window"]).contains { mapping[$0] != nil }
        guard needs || inputs.count > 1 else { return true }
        // Of a source with a mistake the event time is not known.
        guard graph.sources.allSatisfy({ $0.spec != nil }) else { return true }
        for name in inputs {
            let drafts = graph.drafts.filter { $0.name == name.text && $0.spec != nil && !$0.hasWindow }
            guard let draft = drafts.last, draft.isComplete, draft.timeField == nil else { continue }
            context.error(
                name.position,
                "step \(name.shown) does not keep its event time, which this step needs; name it in the 'only' of \(name.shown)")
            return false
        }
        return true
    }

    /// Adds a step that has the input's rows as they are, by these columns as its key. Unless it is to be found
    /// by others, its name must be one that no author can write. nil: nothing is known of the input.
    package func addIntake(_ input: StepReader.Input, _ name: String, key: [Int] = []) -> Int? {
        guard let place = input.input, input.isComplete else { return nil }
        var draft = StepDraft(name: name, position: entry.keyPosition)
        (draft.columns, draft.fields, draft.isComplete) = (input.columns, input.fields, true)
        draft.timeField = input.timeField
        draft.key = key.map { input.fields[$0].name }
        draft.keyColumns = key.map { input.columns[$0] }
        draft.spec = StepSpec(
            name: entry.key, input: place, condition: nil, derived: [], key: key, schema: Schema(input.fields),
            window: nil, aggregates: [], outputs: [], position: entry.keyPosition)
        return graph.add(draft)
    }

    /// Adds a step that takes in the rows of the input named `text` with this step's `where`, `fields` and `key`.
    package func readIntake(_ text: ScalarText) -> (index: Int, draft: StepDraft) { readIntake(graph.input(text, of: entry.key)) }

    /// The same for all that stands behind `from`.
    package func readIntake() -> (index: Int, draft: StepDraft) {
        readIntake(inputs.count == 1 ? graph.input(inputs[0], of: entry.key) : union())
    }

    private func readIntake(_ input: StepReader.Input) -> (index: Int, draft: StepDraft) {
        var draft = graph.reader.read(mapping, entry, from: joined(input))
        draft.name = entry.key + "/"
        return (graph.add(draft), draft)
    }

    /// Adds the step under its own name, which reads what the operator of the step `maker` makes. `key`: names of
    /// fields of the rows that it makes.
    package func addResult(of maker: Int, _ operation: OperatorSpec, key: [String]) {
        let made = graph.addStream(of: maker, entry.key + "/", operation, entry.keyPosition)
        if let node = mapping["only"] { return addNarrowed(made, node, key: key) }
        let columns = key.compactMap { name in made.fields.firstIndex { $0.name == name } }
        if let step = addIntake(made, entry.key, key: columns) { graph.drafts[step].position = entry.keyPosition }
    }

    /// Adds the step as one of which nothing is known, after a mistake that was reported.
    package func addMistake() {
        graph.add(StepDraft(name: entry.key, position: entry.keyPosition))
    }

    /// What stands behind `from`, for messages.
    package var shownInputs: String { inputs.map(\.shown).joined(separator: ", ") }

    /// The fields of the rows of an operator, which stands under the key `what`: those of its input, then `added`. Where
    /// the input is the result of such an operator, its fields get other names: `rank_before`. nil after a mistake.
    package func adding(_ added: [Field], to draft: StepDraft, _ what: String) -> [Field]? {
        var fields = draft.fields
        for field in added where draft.key?.contains(field.name) != true {
            if let older = fields.firstIndex(where: { $0.name == field.name }) { fields[older].name += "_before" }
        }
        fields += added
        var seen: Set<String> = []
        if let twice = fields.first(where: { !seen.insert($0.name).inserted }) {
            context.error(
                mapping.keyPosition(what),
                "\(mapping.what) would make two fields '\(twice.name)', since \(shownInputs) has one already")
            return nil
        }
        guard fields.count <= Limits.columnsMax else {
            context.error(mapping.keyPosition(what), "more than \(Limits.columnsMax) fields")
            return nil
        }
        return fields
    }

    /// A window with a gap is an operator; its step has become what takes in its records.
    package func addSession(_ read: StepDraft) {
        var draft = read
        guard let session = draft.session, var step = draft.spec, let key = draft.key, !key.isEmpty else { return addMistake() }
        draft.name = entry.key + "/"
        (draft.hasWindow, draft.outputs) = (false, [])
        var fields = step.key.map { Field(name: step.schema.fields[$0].name, type: step.schema.fields[$0].type) }
        fields += step.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
        let bounds = StepReader.windowFields
        if let twice = fields.first(where: { bounds.contains($0.name) }) {
            context.error(
                mapping.keyPosition("aggregate"),
                "every session has a '\(twice.name)'; give the field or result another name")
            return addMistake()
        }
        fields += bounds.map { Field(name: $0, type: .timestamp) }
        let spec = SessionSpec(
            gap: session.gap, max: session.max, key: step.key, aggregates: step.aggregates, outputs: step.outputs,
            aggregateText: step.aggregates.map { $0.text(in: step.schema) }.joined(separator: ", "))
        (step.aggregates, step.outputs) = ([], [])
        draft.spec = step
        let intake = graph.add(draft)
        let operation = OperatorSpec(inputs: [intake], kind: spec, schema: Schema(fields), timeField: fields.count - 1,
            limits: session.limits)
        addResult(of: intake, operation, key: key)
        graph.drafts[graph.drafts.count - 1].session = session
    }

    // MARK: Union

    /// The rows of several inputs under the fields of the first.
    private func union() -> StepReader.Input {
        let name = inputs.map(\.shown).joined(separator: ", ")
        let nothing = StepReader.Input(input: nil, name: name)
        let all = inputs.map { graph.input($0, of: entry.key) }
        guard all.allSatisfy({ $0.input != nil && $0.isComplete }), let time = all[0].timeField else { return nothing }
        var columns: [[Int]] = []
        var fields = all[0].fields
        for (input, text) in zip(all, inputs) {
            var places: [Int] = []
            for (index, field) in all[0].fields.enumerated() {
                guard let place = input.fields.firstIndex(where: { $0.name == field.name }) else {
                    context.error(
                        text.position,
                        "\(text.shown) has no field '\(field.name)', which \(inputs[0].shown) has; the inputs of a "
                            + "union need the fields of the first")
                    return nothing
                }
                let other = input.fields[place]
                guard other.type == field.type else {
                    context.error(
                        text.position,
                        "field '\(field.name)' is \(other.type) in \(text.shown) and \(field.type) in "
                            + "\(inputs[0].shown); the inputs of a union need equal types")
                    return nothing
                }
                if other.isOptional { fields[index].isOptional = true }
                places.append(place)
            }
            guard places[time] == input.timeField else {
                context.error(
                    text.position,
                    "the event time of \(text.shown) is another field than '\(fields[time].name)', that of "
                        + "\(inputs[0].shown)")
                return nothing
            }
            columns.append(places)
        }
        let intakes = all.indices.compactMap { addIntake(all[$0], "\(entry.key)/\($0)") }
        guard intakes.count == all.count else { return nothing }
        let maker = OperatorSpec(
            inputs: intakes, kind: UnionSpec(columns: columns), schema: Schema(fields), timeField: time)
        return graph.addStream(of: intakes[0], entry.key + "/", maker, entry.keyPosition)
    }
}
