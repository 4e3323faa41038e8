import Base
import Records

/// Reads a step of any kind and adds it, and the steps that it needs, to the graph.
package struct OperatorReader {
    package let graph: StepGraph
    package let mapping: MappingReader
    package let entry: YamlEntry
    /// What stands behind `from`, and whatever else names inputs.
    package let inputs: [ScalarText]

    package var context: ReadingContext { graph.context }

    /// The names of everything that a step reads.
    package static func inputs(of mapping: MappingReader, _ context: ReadingContext) -> [ScalarText] {
        guard let node = mapping.required("from", example: "from: orders") else { return [] }
        var names =
            context.names(node, "from", example: "from: orders, or from: [web-orders, shop-orders]") ?? []
        for part in context.catalogue.operators {
            for other in part.otherInputs(of: mapping) {
                if let name = context.scalar(other.node, other.key, example: other.example) {
                    names.append(name)
                }
            }
        }
        return names
    }

    /// Keys of operators that stand in a step, of which a step has one, and no window beside it.
    private var given: [(key: String, place: OperatorPlace)] {
        context.catalogue.operators.compactMap { part in
            part.place.key.flatMap { mapping.isGiven($0) ? ($0, part.place) : nil }
        }
    }

    package func read() {
        if mapping["only"] != nil, mapping.isGiven("window") {
            context.error(
                mapping.keyPosition("only"),
                "only is for the records of a step; the rows of a window have its key, its results and its bounds"
            )
            return addMistake()
        }
        guard checkJoin(), checkTimes() else { return addMistake() }
        let given = self.given
        if given.count > 1 {
            context.error(
                mapping.keyPosition(given[1].key),
                "\(mapping.what) has \(ReadingContext.list(given.map(\.key), "and")), of which a step has one; write the other in a step that "
                    + "reads this one")
        }
        let makesRows = given.first { if case .step = $0.place { true } else { false } }
        for part in ["window", "aggregate"] where mapping[part] != nil {
            guard let makesRows else { continue }
            context.error(
                mapping.keyPosition(part),
                "\(mapping.what) has \(makesRows.key), whose rows no \(part) of the same step takes in; write it in a step that reads "
                    + "this one")
            return addMistake()
        }
        readParts()
    }

    /// What takes two inputs, takes one from `from`; the pairs of a stream join go into no operator of the
    /// same step.
    private func checkJoin() -> Bool {
        var one = given.first { if case .step(_, takesOne: true, _) = $0.place { true } else { false } }?.key
        if Self.joinKind(mapping) == .stream {
            one = "join"
            if let other = given.first?.key {
                context.error(
                    mapping.keyPosition(other),
                    "\(mapping.what) joins a stream, and \(other) takes in no pairs of the same step; write it in a "
                        + "step that reads this one")
                return false
            }
        }
        guard let one, let from = mapping["from"], case .sequence(let nodes) = from.content, nodes.count > 1
        else {
            return true
        }
        context.error(
            from.position,
            "\(one) reads one step or source; write from: [a, b] in a step of its own, and read that")
        return false
    }

    private func readParts() {
        guard let first = inputs.first else {
            graph.add(
                graph.reader.read(mapping, entry, from: StepReader.Input(input: nil, name: "the input")))
            return
        }
        let places = context.catalogue.operators.map { $0.place }
        for place in places {
            switch place {
            case .join(let read):
                if Self.joinKind(mapping) == .stream, let node = mapping["join"] { return read(self, node) }
            case .step(let key, _, let read): if let node = mapping[key] { return read(self, node) }
            case .before, .several, .gap: break
            }
        }
        var input = inputs.count == 1 ? graph.input(first, of: entry.key) : several()
        for case .before(let key, let read) in places {
            if let node = mapping[key] { input = read(self, node, input) }
        }
        let draft = graph.reader.read(mapping, entry, from: joined(input))
        if draft.session != nil { addGap(draft) } else { add(draft) }
    }

    /// Adds a step whose window has a gap.
    package func addGap(_ draft: StepDraft) {
        for part in context.catalogue.operators {
            if case .gap(let read) = part.place { return read(self, draft) }
        }
        unreachable("the catalogue has nothing for windows with a gap")
    }

    /// What stands behind a `from` with several names.
    private func several() -> StepReader.Input {
        for part in context.catalogue.operators {
            if case .several(let read) = part.place { return read(self) }
        }
        unreachable("the catalogue has nothing for several inputs")
    }

    /// Adds the step under its own name. With `only` it becomes two: one that has all of its fields, and one
    /// that hands on those that are named.
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
            input: .step(index), name: entry.key, columns: draft.columns, fields: draft.fields,
            isComplete: draft.isComplete,
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
            context.error(
                node.position, "only leaves out '\(missing)', which is the step's key; name it as well")
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
        let needs = !given.isEmpty || mapping["window"] != nil
        guard needs || inputs.count > 1 else { return true }
        // Of a source with a mistake the event time is not known.
        guard graph.sources.allSatisfy({ $0.spec != nil }) else { return true }
        for name in inputs {
            let drafts = graph.drafts.filter { $0.name == name.text && $0.spec != nil && !$0.hasWindow }
            guard let draft = drafts.last, draft.isComplete, draft.timeField == nil else { continue }
            context.error(
                name.position,
                "step \(name.shown) does not keep its event time, which this step needs; name it in the 'only' of \(name.shown)"
            )
            return false
        }
        return true
    }

    /// Adds a step that has the input's rows as they are, by these columns as its key. Unless it is to be
    /// found by others, its name must be one that no author can write. nil: nothing is known of the input.
    package func addIntake(_ input: StepReader.Input, _ name: String, key: [Int] = []) -> Int? {
        guard let place = input.input, input.isComplete else { return nil }
        var draft = StepDraft(name: name, position: entry.keyPosition)
        (draft.columns, draft.fields, draft.isComplete) = (input.columns, input.fields, true)
        draft.timeField = input.timeField
        draft.key = key.map { input.fields[$0].name }
        draft.keyColumns = key.map { input.columns[$0] }
        draft.spec = StepSpec(
            name: entry.key, input: place, condition: nil, derived: [], key: key,
            schema: Schema(input.fields),
            window: nil, aggregates: [], outputs: [], position: entry.keyPosition)
        return graph.add(draft)
    }

    /// What stands behind the operator's own key; nil: a mistake was reported.
    package func options(_ name: String, _ node: YamlNode, _ keys: [String], example: String)
        -> MappingReader?
    {
        MappingReader(node, name, keys: keys, at: mapping.keyPosition(name), context, example: example)
    }

    /// Adds a step that takes in the rows of the input named `text` with this step's `where`, `fields` and
    /// `key`.
    package func readIntake(_ text: ScalarText) -> (index: Int, draft: StepDraft) {
        readIntake(graph.input(text, of: entry.key))
    }

    /// The same for all that stands behind `from`.
    package func readIntake() -> (index: Int, draft: StepDraft) {
        readIntake(inputs.count == 1 ? graph.input(inputs[0], of: entry.key) : several())
    }

    private func readIntake(_ input: StepReader.Input) -> (index: Int, draft: StepDraft) {
        var draft = graph.reader.read(mapping, entry, from: joined(input))
        draft.name = entry.key + "/"
        return (graph.add(draft), draft)
    }

    /// Adds the step under its own name, which reads what the operator of the step `intake` makes. `key`:
    /// names of fields of the rows that it makes.
    package func addResult(of intake: Int, _ operation: OperatorSpec, key: [String]) {
        let made = graph.addStream(of: intake, entry.key + "/", operation, entry.keyPosition)
        if let node = mapping["only"] { return addNarrowed(made, node, key: key) }
        let columns = key.compactMap { name in made.fields.firstIndex { $0.name == name } }
        if let step = addIntake(made, entry.key, key: columns) {
            graph.drafts[step].position = entry.keyPosition
        }
    }

    /// Adds the step as one of which nothing is known, after a mistake that was reported.
    package func addMistake() {
        graph.add(StepDraft(name: entry.key, position: entry.keyPosition))
    }

    /// What stands behind `from`, for messages.
    package var shownInputs: String { inputs.map(\.shown).joined(separator: ", ") }

    /// The fields of the rows of an operator, which stands under the key `what`: those of its input, then
    /// `added`. Where the input is the result of such an operator, its fields get other names: `rank_before`.
    /// nil after a mistake.
    package func adding(_ added: [Field], to draft: StepDraft, _ what: String) -> [Field]? {
        var fields = draft.fields
        for field in added where draft.key?.contains(field.name) != true {
            if let older = fields.firstIndex(where: { $0.name == field.name }) {
                fields[older].name += "_before"
            }
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

    // MARK: What operators read

    /// A mistake where the step has no key and its input none either; `why` stands behind the word.
    package func checkKey(_ draft: StepDraft, _ why: String, example: String) {
        guard draft.key == [], !mapping.isGiven("key") else { return }
        context.error(mapping.position, "\(mapping.what) needs 'key'\(why); write key: \(example)")
    }

    /// The position of a field of the input; a mistake where it has none of that name.
    package func fieldIndex(_ name: ScalarText, _ input: StepReader.Input) -> Int? {
        if let place = input.fields.firstIndex(where: { $0.name == name.text }) { return place }
        if input.isComplete {
            context.error(
                name.position,
                "no field of \(input.name) '\(name.shown)'\(NearestName.hint(name.text, among: input.fields.map(\.name)))"
            )
        }
        return nil
    }

    /// Positions of fields of a draft, whose input is called `shown`.
    package func fieldIndices(
        _ node: YamlNode, _ what: String, _ draft: StepDraft, _ shown: String, example: String
    ) -> [Int]? {
        let input = StepReader.Input(
            input: nil, name: shown, columns: draft.columns, fields: draft.fields,
            isComplete: draft.isComplete)
        guard let names = context.names(node, what, example: example) else { return nil }
        var columns: [Int] = []
        for name in names {
            guard let column = fieldIndex(name, input) else { return nil }
            columns.append(column)
        }
        return columns
    }

    /// An expression over a draft's columns; `what` names it. With `.bool` it is a condition.
    package func expression(
        _ text: ScalarText, _ what: String, _ draft: StepDraft, _ shown: String, isCondition: Bool = false
    ) -> Expression? {
        var checker = ExpressionChecker(graph.reader.scope(draft, shown, graph.reader.zone)) { _ in
            text.position
        }
        return context.check(text, &checker) { isCondition ? $0.checkCondition($1, what) : $0.check($1) }
    }
}
