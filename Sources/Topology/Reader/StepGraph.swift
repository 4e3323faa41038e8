import Base
import Records

/// Reads the steps in an order in which each comes after what it reads.
///
/// A step whose operator makes records of its own becomes two: one that has the operator and takes in its
/// rows, and one under the name that the author gave it, which reads what the first one makes.
package final class StepGraph {
    package let context: ReadingContext
    package let reader: StepReader
    package let sources: [SourceDraft]
    private let entries: [YamlEntry]
    private var mappings: [MappingReader?] = []
    private var inputs: [[ScalarText]] = []
    private var states: [State] = []
    package var drafts: [StepDraft] = []
    /// Streams that steps make; they come after the sources.
    package private(set) var streams: [SourceSpec] = []
    /// Steps of a circle, about which nothing more is said.
    private var isInCircle: Set<String> = []

    private enum State { case waiting, underWay, done }

    package init(context: ReadingContext, zone: String?, sources: [SourceDraft], entries: [YamlEntry]) {
        self.context = context
        reader = StepReader(context: context, zone: zone)
        self.sources = sources
        self.entries = entries
    }

    /// Every step with a usable name, with or without mistakes.
    package func read() -> [StepDraft] {
        for entry in entries {
            var mapping: MappingReader?
            if context.checkName(entry, "step") {
                if sources.contains(where: { $0.name == entry.key }) {
                    context.error(
                        entry.keyPosition,
                        "'\(entry.key)' is the name of a source already; give the step another one"
                    )
                }
                mapping = MappingReader(
                    entry.value,
                    "step \(entry.key)",
                    keys: StepReader.keys + context.catalogue.operators.compactMap { $0.place.key },
                    at: entry.keyPosition,
                    context,
                    example: StepReader.example
                )
            }
            mappings.append(mapping)
            inputs.append(mapping.map { OperatorReader.inputs(of: $0, context) } ?? [])
        }
        states = entries.map { _ in .waiting }
        for index in entries.indices { visit(index) }
        return drafts
    }

    /// The steps that a step reads come first. Without recursion, since a file may chain a thousand.
    private func visit(_ start: Int) {
        guard states[start] == .waiting else { return }
        states[start] = .underWay
        var path = [(index: start, next: 0)]
        while let (index, next) = path.last {
            guard next < inputs[index].count else {
                path.removeLast()
                states[index] = .done
                guard let mapping = mappings[index] else { continue }
                OperatorReader(graph: self, mapping: mapping, entry: entries[index], inputs: inputs[index])
                    .read()
                continue
            }
            path[path.count - 1].next += 1
            let input = inputs[index][next]
            guard !sources.contains(where: { $0.name == input.text }),
                let before = entries.firstIndex(where: { $0.key == input.text })
            else { continue }
            switch states[before] {
            case .done: break
            case .waiting:
                states[before] = .underWay
                path.append((before, 0))
            case .underWay:
                let first = path.firstIndex { $0.index == before } ?? 0
                reportCycle(path[first...].map(\.index), input)
            }
        }
    }

    private func reportCycle(_ cycle: [Int], _ input: ScalarText) {
        let names = (cycle + cycle.prefix(1)).map { entries[$0].key }
        isInCircle.formUnion(names)
        context.error(
            input.position,
            "steps read each other in a circle: \(names.joined(separator: " from "))"
        )
    }

    /// The step that has the rows of a source which meet its condition, under a name that no author can
    /// write.
    private func narrowed(_ source: Int, _ spec: SourceSpec, _ condition: Expression) -> Int {
        let name = sources[source].name + "/where"
        if let step = drafts.firstIndex(where: { $0.name == name }) { return step }
        var draft = StepDraft(name: name, position: sources[source].position)
        (draft.columns, draft.fields, draft.isComplete) = (
            sources[source].columns, sources[source].fields, true
        )
        (draft.timeField, draft.key) = (spec.timeField, [])
        draft.spec = StepSpec(
            name: sources[source].name, input: .source(source), condition: condition, derived: [], key: [],
            schema: spec.schema, window: nil, aggregates: [], outputs: [], position: draft.position)
        return add(draft)
    }

    /// What a step named `reader` reads under this name.
    package func input(_ text: ScalarText, of reader: String) -> StepReader.Input {
        var input = StepReader.Input(input: nil, name: text.shown)
        if let source = sources.firstIndex(where: { $0.name == text.text }) {
            if sources[source].isTable {
                context.error(
                    text.position,
                    "'\(text.shown)' is a table, which is looked up; write join: { table: \(text.shown), on: … }"
                )
                return input
            }
            input.input = .source(source)
            (input.columns, input.fields) = (sources[source].columns, sources[source].fields)
            input.isComplete = sources[source].isComplete
            input.timeField = sources[source].spec?.timeField
            if let condition = sources[source].condition, let spec = sources[source].spec {
                input.input = .step(narrowed(source, spec, condition))
            }
        } else if isInCircle.contains(text.text) {
            return input
        } else if let step = drafts.firstIndex(where: { $0.name == text.text }) {
            let draft = drafts[step]
            if draft.hasWindow {
                readStream(of: step, into: &input)
            } else {
                input.input = .step(step)
                (input.columns, input.fields, input.isComplete) = (
                    draft.columns, draft.fields, draft.isComplete
                )
                input.timeField = draft.timeField
            }
        } else if !entries.contains(where: { $0.key == text.text }) {
            let names = sources.map(\.name) + entries.map(\.key).filter { $0 != reader }
            context.error(
                text.position,
                "no source or step '\(text.shown)'\(NearestName.hint(text.text, among: names))"
            )
        }
        return input
    }

    /// The operators that a step's rows have come through, each with one input, the last first.
    package func operations(before step: StepSpec) -> [any OperatorPart] {
        var found: [any OperatorPart] = []
        var input = step.input
        while true {
            switch input {
            case .step(let before):
                guard let spec = drafts[before].spec else { return found }
                input = spec.input
            case .source(let source):
                guard source >= sources.count,
                    case .stream(let maker) = streams[source - sources.count].origin,
                    let spec = drafts[maker].spec, let operation = spec.operation, operation.inputs.count == 1
                else { return found }
                found.append(operation.part)
                input = spec.input
            }
        }
    }

    /// The closed windows of a step as records.
    private func readStream(of step: Int, into input: inout StepReader.Input) {
        let draft = drafts[step]
        let fields = StepReader.streamFields(draft)
        guard !fields.isEmpty else { return }
        if let twice = StepReader.windowFields.first(where: { name in fields.count { $0.name == name } > 1 })
        {
            context.error(
                draft.position,
                "the rows of step \(draft.name) would have two fields '\(twice)', since its key has one; give the key another name "
                    + "in fields, like opened: \(twice)")
            return
        }
        let stream = streams.firstIndex { if case .stream(step) = $0.origin { true } else { false } }
        let source =
            stream ?? addStream(of: step, draft.name, fields, timeField: fields.count - 1, draft.position)
        input.input = .source(sources.count + source)
        input.fields = fields
        input.columns = fields.map { .init(name: $0.name, type: $0.type) }
        input.isComplete = true
        input.timeField = fields.count - 1
    }

    private func addStream(
        of step: Int, _ name: String, _ fields: [Field], timeField: Int, outOfOrder: Int64 = 0,
        _ position: Position
    ) -> Int {
        var seen: Set<String> = []
        if let twice = fields.first(where: { !seen.insert($0.name).inserted }) {
            context.error(
                position,
                "the rows of this step would have two fields '\(twice.name)'; give the one of its key or input another name in fields"
            )
        }
        let origin = drafts[step].spec.flatMap { source(of: $0) }
        streams.append(
            SourceSpec(
                name: name,
                origin: .stream(step: step),
                format: .rows,
                wire: fields.map { WireField(path: [$0.name], field: $0) },
                derived: [],
                schema: Schema(fields),
                timeField: timeField,
                outOfOrder: outOfOrder,
                idle: origin?.idle ?? 0,
                ahead: 0,
                position: position))
        return streams.count - 1
    }

    /// The source that a step's rows come from.
    private func source(of step: StepSpec) -> SourceSpec? {
        switch step.input {
        case .source(let index):
            index < sources.count ? sources[index].spec : streams[index - sources.count]
        case .step(let before): drafts[before].spec.flatMap { source(of: $0) }
        }
    }

    @discardableResult
    package func add(_ draft: StepDraft) -> Int {
        drafts.append(draft)
        return drafts.count - 1
    }

    /// Adds the stream that `step`, added before, makes with its operator; returns what its readers see.
    package func addStream(of step: Int, _ name: String, _ operation: OperatorSpec, _ position: Position)
        -> StepReader.Input
    {
        drafts[step].spec?.operation = operation
        let fields = operation.schema.fields
        // What is made in event-time order is in order. What passes as it comes has the order of the inputs,
        // and rows of one may be further ahead of event time, which is that of the slowest.
        let inputs = operation.part.order == .asTheyCome ? operation.inputs : []
        let outOfOrder =
            inputs.compactMap { drafts[$0].spec.flatMap { source(of: $0)?.outOfOrder } }.max() ?? 0
        let stream = addStream(
            of: step, name, fields, timeField: operation.timeField, outOfOrder: outOfOrder, position)
        return StepReader.Input(
            input: .source(sources.count + stream), name: name,
            columns: fields.map { .init(name: $0.name, type: $0.type) }, fields: fields, isComplete: true,
            timeField: operation.timeField)
    }
}
