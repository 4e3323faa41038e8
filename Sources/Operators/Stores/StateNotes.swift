import Base
import Records
import Topology

/// What state was made of, beside what it means: kept with the definitions, and compared at a restart.
struct StateNotes: Equatable {
    struct Topic: Equatable {
        /// Of the source's name.
        var source: UInt32
        var topic: String
    }

    /// The topology's name.
    var topology: String
    /// Where each source's records come from, of those that are topics.
    var topics: [Topic]
    /// By the name of a step that keeps state: which rows it takes in. Not part of what the state means: it
    /// may change, and windows then hold rows of both.
    var intakes: [String: String]

    init(_ spec: TopologySpec) {
        topology = spec.name
        intakes = spec.intakes
        topics = spec.sources.compactMap { source in
            switch source.origin {
            case .kafka(let topic, _), .repartition(let topic):
                Topic(source: StateIdentities.hash(source.name), topic: topic)
            case .file, .generate, .redis, .stream: nil
            }
        }
    }

    init?(_ reader: inout BinaryReader) {
        topology = reader.text()
        topics = (0..<reader.count(below: Limits.nodesMax + 1)).map { _ in
            Topic(source: reader.word32(), topic: reader.text())
        }
        intakes = [:]
        for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
            let step = reader.text()
            intakes[step] = reader.text()
        }
        guard reader.isValid else { return nil }
    }

    func append(to bytes: Arena) {
        bytes.appendBlob(topology)
        bytes.appendVarint(UInt64(topics.count))
        for topic in topics {
            bytes.appendWord(topic.source)
            bytes.appendBlob(topic.topic)
        }
        bytes.appendVarint(UInt64(intakes.count))
        for (step, intake) in intakes.sorted(by: { $0.key < $1.key }) {
            bytes.appendBlob(step)
            bytes.appendBlob(intake)
        }
    }
}

extension TopologySpec {
    /// For each step that keeps state, in a person's words, which rows reach it.
    fileprivate var intakes: [String: String] {
        var intakes: [String: String] = [:]
        for (index, step) in steps.enumerated() where step.window != nil || step.operation != nil {
            intakes[step.name] = (step.operation?.inputs ?? [index]).map(intake).joined(separator: " and ")
        }
        return intakes
    }

    /// Where a step's rows come from, conditions and derived fields on the way included.
    private func intake(_ index: Int) -> String {
        let step = steps[index]
        var parts: [String] = []
        switch step.input {
        case .step(let before): parts.append(intake(before))
        case .source(let source):
            // What a repartition topic's records were taken from.
            if let writer = repartitions.first(where: { $0.source == source })?.step {
                parts.append(intake(writer))
            } else if case .stream(let maker) = sources[source].origin {
                parts.append("rows of \(steps[maker].name)")
            } else {
                parts.append(sources[source].name)
                parts += derivations(sources[source].derived, in: sources[source].schema)
            }
        }
        if let join = step.join { parts.append("joined with \(sources[join.table].name)") }
        if let condition = step.condition { parts.append("where \(condition.text(in: step.schema))") }
        return (parts + derivations(step.derived, in: step.schema)).joined(separator: ", ")
    }

    private func derivations(_ derived: [DerivedField], in schema: Schema) -> [String] {
        derived.map { "\($0.name) = \($0.expression.text(in: schema))" }
    }
}
