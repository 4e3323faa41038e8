import Records

/// Records of a source that are written to a topic once more, partitioned by another key.
package struct RepartitionSpec: Sendable {
    /// `<topology>-<step>-repartition`.
    package var topic: String
    /// The step whose records are written: filtered, derived and keyed as the windows want them.
    package var step: Int
    /// Columns of that step's schema that go through the topic: the wire fields of `source`, in order.
    package var columns: [Int]
    /// The source that the records come from.
    package var origin: Int
    /// The source that reads the topic.
    package var source: Int
    /// All records go to the first partition: what reads them needs them all in one task.
    package var isGathered = false
}

extension TopologySpec {
    /// The fields that the records of a source are partitioned by: what the source says, or else the one key
    /// that all who work by key have. nil: they have several keys and the source says nothing, or there are
    /// none and it does not matter. Those of a stream are those of what it is made of; empty: all its records
    /// are in one task.
    package func partitionKey(of source: Int) -> [String]? {
        var known: [Int: [String]?] = [:]
        return partitionKey(of: source, &known)
    }

    /// `known`: what was found of other sources, since a stream may be made of another in many ways.
    private func partitionKey(of source: Int, _ known: inout [Int: [String]?]) -> [String]? {
        if let key = known[source] { return key }
        let key: [String]?
        if !sources[source].key.isEmpty {
            key = sources[source].key
        } else if sources[source].table != nil {
            key = sources[source].tablePartitionKey
        } else if case .stream(let step) = sources[source].origin {
            key = streamKey(of: step, source, &known)
        } else {
            let keys = keysOfConsumers(of: source)
            key = Set(keys.map(\.key)).count == 1 ? keys[0].key : nil
        }
        known[source] = .some(key)
        return key
    }

    /// A step with a key makes rows that lie where their key's do, if its own rows do.
    private func streamKey(of step: Int, _ stream: Int, _ known: inout [Int: [String]?]) -> [String]? {
        if steps[step].operation?.part.isWhole == true || steps[step].isWhole { return [] }
        let keys = (steps[step].operation?.inputs ?? [step]).map { partitionKey(of: source(of: $0), &known) }
        guard let first = keys[0], keys.allSatisfy({ $0 == first }) else { return nil }
        return first.allSatisfy { sources[stream].schema.index(of: $0) != nil } ? first : nil
    }

    /// True if a source's records come through Kafka, and so in partitions.
    func isPartitioned(_ source: Int) -> Bool {
        roots(of: source).contains { root in
            switch sources[root].origin {
            case .kafka, .repartition: true
            case .file, .generate, .redis, .stream: false
            }
        }
    }

    /// The sources outside of the task that the rows of one come from, each once.
    package func roots(of source: Int) -> Set<Int> {
        var roots: Set<Int> = []
        var seen: Set<Int> = [source]
        var left = [source]
        while let next = left.popLast() {
            guard case .stream(let step) = sources[next].origin else {
                roots.insert(next)
                continue
            }
            for input in steps[step].operation?.inputs ?? [step] {
                let origin = self.source(of: input)
                if seen.insert(origin).inserted { left.append(origin) }
            }
        }
        return roots
    }

    /// What is wrong with a source of several partitions of which nobody knows what they are made by; nil:
    /// nothing. Fits behind "source 'orders'".
    package func keyMistake(of source: Int) -> String? {
        guard partitionKey(of: source) == nil, case .kafka = sources[source].origin else { return nil }
        var seen: Set<[String]> = []
        let keys = keysOfConsumers(of: source).filter { seen.insert($0.key).inserted }
        guard let first = keys.first else { return nil }
        let list = keys.map { "\($0.step) by \($0.key.joined(separator: ", "))" }.joined(separator: "; ")
        let what = keys.contains { $0.isJoin } ? "windows and joins" : "windows"
        return
            "has \(what) of different keys (\(list)), and with several partitions it matters which of them "
            + "the topic's producers use; write key: \(first.key.joined(separator: ", ")) if it is that one"
    }

    /// The topology as it runs on several partitions. A window finds all records of its key in its partition
    /// if its key has the fields that the source is partitioned by. Every other window gets its records from
    /// a repartition topic: the steps before it, and its own conditions and fields, are computed before the
    /// topic, and only the columns that the window reads go through. Windows that take in the same records by
    /// the same key share a topic.
    ///
    /// Sources, steps, rules and sinks keep their indices: sources and steps are added at the end, and a
    /// window's step reads another source. A topology with nothing to repartition comes out as it is.
    ///
    /// `prefix`: what the topics' names begin with; nil: the topology's name.
    package func repartitioned(prefix: String? = nil) -> TopologySpec {
        var result = self
        // A stream comes after those that it is made of, so what it is partitioned by is known when its turn
        // comes.
        let (worksByKey, gathered) = (stepsByKey, gatheredInputs)
        for origin in sources.indices where isPartitioned(origin) {
            let partitioned = result.partitionKey(of: origin)
            // Each input of such an operator in a topic of its own.
            for index in gathered.sorted() where source(of: index) == origin && partitioned != [] {
                result.split([index], prefix: prefix ?? name, isGathered: true)
            }
            if partitioned == nil, !sources[origin].origin.isStream { continue }
            var groups: [Intake: [Int]] = [:]
            var order: [Intake] = []
            for index in worksByKey where source(of: index) == origin {
                let step = steps[index]
                let key = step.key.map { step.schema.fields[$0].name }
                if let partitioned, Set(partitioned).isSubset(of: key),
                    partitioned != [] || !meetsOthers(index)
                {
                    continue
                }
                let intake = Intake(
                    input: step.input, join: step.join, condition: step.condition, derived: step.derived,
                    key: key)
                if groups[intake] == nil { order.append(intake) }
                groups[intake, default: []].append(index)
            }
            for intake in order { result.split(groups[intake] ?? [], prefix: prefix ?? name) }
        }
        for step in steps {
            guard let operation = step.operation else { continue }
            result.align(operation.inputs + operation.views, prefix: prefix ?? name)
        }
        return result
    }

    /// Steps whose rows an operator takes that needs them all in one task.
    private var gatheredInputs: Set<Int> {
        Set(steps.filter { $0.operation?.part.isWhole == true }.flatMap { $0.operation?.inputs ?? [] })
            .union(steps.indices.filter { steps[$0].isWhole })
    }

    /// True if a rule compares the step's window with one whose records are not all in one task.
    private func meetsOthers(_ step: Int) -> Bool {
        rules.contains { rule in
            rule.on.contains(step) && rule.on.contains { partitionKey(of: source(of: $0)) != [] }
        }
    }

    /// What a window step takes in.
    private struct Intake: Hashable {
        var input: StepSpec.Input
        var join: TableJoinSpec?
        var condition: Expression?
        var derived: [DerivedField]
        var key: [String]
    }

    /// Puts a topic before these window steps, which take in the same records by the same key.
    private mutating func split(_ members: [Int], prefix: String, isGathered: Bool = false) {
        let first = steps[members[0]]
        let origin = source(of: members[0])
        let time = timeColumn(of: members[0])
        var used: Set<Int> = [time]
        let isIntake = members.contains { steps[$0].window == nil }
        if isIntake { used.formUnion(first.schema.fields.indices) }
        for index in members { used.formUnion(steps[index].behindItsRows.columnsRead) }
        let columns = used.sorted()
        let fields = columns.map { first.schema.fields[$0] }
        var map = [Int](repeating: -1, count: first.schema.fields.count)
        for (place, column) in columns.enumerated() { map[column] = place }
        let topic = newTopic(prefix, first.name, sources[origin].name)
        var source = sources[origin]
        source.name = topic
        source.origin = .repartition(topic: topic)
        source.format = .repartition
        source.wire = fields.map { WireField(path: [$0.name], field: $0) }
        source.derived = []
        source.key = first.key.map { first.schema.fields[$0].name }
        source.schema = Schema(fields)
        source.timeField = map[time]
        source.position = first.position
        repartitions.append(
            RepartitionSpec(
                topic: topic, step: steps.count, columns: columns, origin: origin, source: sources.count,
                isGathered: isGathered))
        // Named like the window's step, since what it refuses is refused for that.
        var writer = first
        writer.window = nil
        writer.isWhole = false
        writer.aggregates = []
        writer.outputs = []
        writer.operation = nil
        steps.append(writer)
        for index in members {
            steps[index] = steps[index].behindItsRows
            steps[index].input = .source(sources.count)
            steps[index].schema = source.schema
            steps[index].moveColumns(map)
        }
        sources.append(source)
    }

    /// The event time among a step's columns. The columns of a source come first in the schema of every step
    /// that reads it, unless one on the way takes only some.
    private func timeColumn(of step: Int) -> Int {
        let before =
            switch steps[step].input {
            case .source(let source): sources[source].timeField
            case .step(let input): timeColumn(of: input)
            }
        return steps[step].only?.firstIndex(of: before) ?? before
    }

    /// Operators take several inputs under one step's name.
    private func newTopic(_ prefix: String, _ step: String, _ origin: String) -> String {
        let topic = "\(prefix)-\(step)-repartition"
        guard repartitions.contains(where: { $0.topic == topic }) else { return topic }
        return "\(prefix)-\(step)-\(origin.filter { $0 != "/" })-repartition"
    }

    /// What the records of an operator's input are partitioned by.
    private struct Layout: Equatable {
        /// Places in the key; nil: not known.
        var fields: [Int]?
        /// True if the key is written as repartition topics do, and no producer does.
        var isOwn: Bool
    }

    /// The inputs of an operator meet by key. Where they do not all lie by the same fields of it, each goes
    /// through a topic by the whole key.
    private mutating func align(_ inputs: [Int], prefix: String) {
        let keyed = inputs.filter { !steps[$0].key.isEmpty && isPartitioned(source(of: $0)) }
        if keyed.contains(where: { input in
            repartitions.contains { $0.isGathered && $0.source == source(of: input) }
        }) {
            return
        }
        let layouts = keyed.map { layout(of: $0) }
        guard layouts.contains(where: { $0 != layouts[0] }) else { return }
        for (input, layout) in zip(keyed, layouts) {
            let key = steps[input].key
            let isText = key.count == 1 && steps[input].schema.fields[key[0]].type == .text
            if layout != Layout(fields: Array(key.indices), isOwn: !isText) { split([input], prefix: prefix) }
        }
    }

    private func layout(of input: Int) -> Layout {
        let step = steps[input]
        let names = step.key.map { step.schema.fields[$0].name }
        let places = partitionKey(of: source(of: input))?.map { name in names.firstIndex(of: name) ?? -1 }
        // A single text is its own key, whoever writes it.
        let isText = names.count == 1 && step.schema.fields[step.key[0]].type == .text
        return Layout(fields: places, isOwn: !isText && isOwn(source(of: input)))
    }

    private func isOwn(_ source: Int) -> Bool {
        switch sources[source].origin {
        case .repartition: true
        case .stream(let step): isOwn(self.source(of: steps[step].operation?.inputs.first ?? step))
        default: false
        }
    }

    /// Steps of which all records of a key must be in one task, ascending; but for those whose rows are
    /// gathered anyway, which are those of operators and windows that need them all.
    private var stepsByKey: [Int] {
        let inputs = operatorInputs.subtracting(gatheredInputs)
        return steps.indices.filter {
            steps[$0].window != nil && !steps[$0].isWhole || !steps[$0].key.isEmpty && inputs.contains($0)
        }
    }

    private func keysOfConsumers(of source: Int) -> [(step: String, key: [String], isJoin: Bool)] {
        let worksByKey = Set(stepsByKey)
        return steps.indices.filter { self.source(of: $0) == source }.flatMap { index in
            let step = steps[index]
            var keys: [(step: String, key: [String], isJoin: Bool)] = []
            if let key = joinKey(of: index) { keys.append((step.name, key, true)) }
            if worksByKey.contains(index) {
                keys.append((step.name, step.key.map { step.schema.fields[$0].name }, false))
            }
            return keys
        }
    }

    /// The source that a step's records come from in the end.
    package func source(of step: Int) -> Int {
        var step = step
        while true {
            switch steps[step].input {
            case .step(let input): step = input
            case .source(let source): return source
            }
        }
    }
}
