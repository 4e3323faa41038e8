extension TopologySpec {
    /// The topics that a task's records come from, each with its group: those of one group meet in a rule, an
    /// operator or a lookup, and are taken in the order of their event times. Empty where a task has only one
    /// input, and no order to keep.
    ///
    /// Of a topology as it runs (`repartitioned`): a repartition topic is an input for each task that writes
    /// to it.
    package var alignedGroups: [Int: Int] {
        let outer = sources.indices.filter { source in
            switch sources[source].origin {
            case .kafka, .repartition: true
            case .file, .generate, .stream, .redis: false
            }
        }
        if outer.count <= 1, !outer.contains(where: isRepartition) { return [:] }
        var group = Dictionary(uniqueKeysWithValues: outer.map { ($0, $0) })
        func root(_ source: Int) -> Int {
            var source = source
            while let next = group[source], next != source { source = next }
            return source
        }
        for met in meetings {
            let places = met.filter { group[$0] != nil }.map(root).sorted()
            for other in places.dropFirst() { group[other] = places[0] }
        }
        return Dictionary(uniqueKeysWithValues: outer.map { ($0, root($0)) })
    }

    /// True if a record of the source may wait for one of another input. Tables are not waited for.
    func mayWait(_ source: Int, _ groups: [Int: Int]) -> Bool {
        guard let group = groups[source] else { return false }
        return isRepartition(source)
            || groups.contains { $0 != source && $1 == group && sources[$0].table == nil }
    }

    private func isRepartition(_ source: Int) -> Bool {
        if case .repartition = sources[source].origin { true } else { false }
    }

    /// Sources whose rows meet, each time one set: in the windows that a rule compares, in an operator, in a
    /// lookup.
    private var meetings: [Set<Int>] {
        func all(_ steps: [Int]) -> Set<Int> {
            steps.reduce(into: []) { $0.formUnion(roots(of: source(of: $1))) }
        }
        var meetings = rules.map { all($0.on) }
        for (index, step) in steps.enumerated() {
            if let operation = step.operation { meetings.append(all(operation.inputs + operation.views)) }
            if let join = step.join { meetings.append(all([index]).union([join.table])) }
        }
        return meetings
    }
}
