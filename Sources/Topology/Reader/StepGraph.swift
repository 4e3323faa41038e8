import Base
import Records

/// Reads the steps in an order in which each comes after what it reads.
final class StepGraph {
    private let context: ReadingContext
    private let reader: StepReader
    private let sources: [SourceDraft]
    private let entries: [YamlEntry]
    private var mappings: [MappingReader?] = []
    private var inputs: [ScalarText?] = []
    private var states: [State] = []
    private var drafts: [StepDraft] = []
    /// Steps of a circle, about which nothing more is said.
    private var isInCircle: Set<String> = []

    private enum State { case waiting, underWay, done }

    init(context: ReadingContext, zone: String?, sources: [SourceDraft], entries: [YamlEntry]) {
        self.context = context
        reader = StepReader(context: context, zone: zone)
        self.sources = sources
        self.entries = entries
    }

    /// Every step with a usable name, with or without mistakes.
    func read() -> [StepDraft] {
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
                    keys: StepReader.keys,
                    at: entry.keyPosition,
                    context,
                    example: StepReader.example
                )
            }
            mappings.append(mapping)
            inputs.append(mapping?.requiredText("from", example: "from: orders"))
        }
        states = entries.map { _ in .waiting }
        for index in entries.indices { visit(index) }
        return drafts
    }

    /// The steps that a step reads come first. Without recursion, since a file may chain a thousand.
    private func visit(_ start: Int) {
        var path: [Int] = []
        var index = start
        while states[index] == .waiting {
            states[index] = .underWay
            path.append(index)
            guard let input = inputs[index], !sources.contains(where: { $0.name == input.text }),
                let next = entries.firstIndex(where: { $0.key == input.text })
            else { break }
            if states[next] == .underWay {
                reportCycle(Array(path[(path.firstIndex(of: next) ?? 0)...]), input)
                break
            }
            index = next
        }
        for index in path.reversed() {
            states[index] = .done
            guard let mapping = mappings[index] else { continue }
            drafts.append(reader.read(mapping, entries[index], from: input(index)))
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

    private func input(_ index: Int) -> StepReader.Input {
        guard let text = inputs[index] else { return StepReader.Input(input: nil, name: "the input") }
        var input = StepReader.Input(input: nil, name: text.shown)
        if let source = sources.firstIndex(where: { $0.name == text.text }) {
            input.input = .source(source)
            (input.columns, input.fields) = (sources[source].columns, sources[source].fields)
            input.isComplete = sources[source].isComplete
        } else if isInCircle.contains(text.text) {
            return input
        } else if let step = drafts.firstIndex(where: { $0.name == text.text }) {
            let draft = drafts[step]
            guard !draft.hasWindow else {
                context.error(
                    text.position,
                    "step \(draft.name) has a window, whose results no step reads; write from: "
                        + "\(nearestRecords(index, step))"
                )
                return input
            }
            input.input = .step(step)
            (input.columns, input.fields, input.isComplete) = (draft.columns, draft.fields, draft.isComplete)
        } else if !entries.contains(where: { $0.key == text.text }) {
            let names = sources.map(\.name) + entries.map(\.key).filter { $0 != entries[index].key }
            context.error(
                text.position,
                "no source or step '\(text.shown)'\(NearestName.hint(text.text, among: names))"
            )
        }
        return input
    }

    /// What the step with the window reads itself, for the message.
    private func nearestRecords(_ index: Int, _ step: Int) -> String {
        let place = entries.firstIndex { $0.key == drafts[step].name }
        return place.flatMap { inputs[$0]?.shown } ?? sources.first?.name ?? "orders"
    }
}
