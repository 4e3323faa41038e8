import Records

/// What a topology declares and nothing uses.
enum Pruning {
    static func warnOfUnused(_ spec: TopologySpec, _ context: ReadingContext) {
        var usedSources: Set<Int> = []
        var usedSteps: Set<Int> = []
        for step in spec.steps {
            if let join = step.join { usedSources.insert(join.table) }
            switch step.input {
            case .source(let index): usedSources.insert(index)
            case .step(let index): usedSteps.insert(index)
            }
        }
        for rule in spec.rules { usedSteps.formUnion(rule.on) }
        for (index, step) in spec.steps.enumerated() where step.operation != nil { usedSteps.insert(index) }
        usedSteps.formUnion(spec.operatorInputs)
        usedSteps.formUnion(spec.steps.flatMap { $0.operation?.views ?? [] })
        for source in spec.sources { if case .stream(let step) = source.origin { usedSteps.insert(step) } }
        var heardRules: Set<Int> = []
        for sink in spec.sinks {
            switch sink.input {
            case .steps(let indices): usedSteps.formUnion(indices)
            case .alerts(let rules): heardRules.formUnion(rules)
            }
        }
        for (index, source) in spec.sources.enumerated()
        where !usedSources.contains(index) && !source.origin.isStream {
            let verb = source.table == nil ? "reads the source" : "joins the table"
            context.warn(source.position, "no step \(verb) '\(source.name)'")
        }
        for (index, step) in spec.steps.enumerated() where !usedSteps.contains(index) {
            context.warn(step.position, "no step, rule or sink uses the step '\(step.name)'")
        }
        for (index, rule) in spec.rules.enumerated() where !heardRules.contains(index) && !spec.sinks.isEmpty
        {
            context.warn(rule.position, "no sink takes the alerts of the rule '\(rule.name)'")
        }
    }

    /// The spec with only those source fields that something uses, so that the decoder reads no others.
    static func withoutUnusedFields(_ spec: TopologySpec) -> TopologySpec {
        var result = spec
        let used = usedFields(spec)
        /// Old column to new column, of each source and each step.
        var sourceMaps: [[Int]] = []
        for (index, source) in spec.sources.enumerated() {
            // A stream has what its operator makes, and a table's state what its records have.
            let all = Set(source.schema.fields.indices)
            let isWhole = source.origin.isStream || source.table != nil
            sourceMaps.append(prune(&result.sources[index], keeping: isWhole ? all : used[index]))
        }
        var stepMaps: [[Int]] = []
        for index in spec.steps.indices {
            let step = spec.steps[index]
            let (inputMap, inputFields): ([Int], [Field]) =
                switch step.input {
                case .source(let input): (sourceMaps[input], result.sources[input].schema.fields)
                case .step(let input): (stepMaps[input], result.steps[input].schema.fields)
                }
            if let only = step.only {
                // All of these are there.
                result.steps[index].only = only.map { inputMap[$0] }
                stepMaps.append(Array(step.schema.fields.indices))
                continue
            }
            let own = step.schema.fields.dropFirst(inputMap.count)
            let map = inputMap + own.indices.map { inputFields.count + $0 - inputMap.count }
            result.steps[index].schema = Schema(inputFields + own)
            result.steps[index].moveColumns(map)
            stepMaps.append(map)
        }
        for index in spec.rules.indices {
            let step = spec.rules[index].on[0]
            guard spec.steps[step].window == nil else { continue }
            result.rules[index].scope = result.steps[step].schema
            result.rules[index].moveColumns(stepMaps[step])
        }
        return result
    }

    /// Columns of each source that are used, by steps, rules on records and sinks of records.
    private static func usedFields(_ spec: TopologySpec) -> [Set<Int>] {
        var ofSteps = spec.steps.map { $0.columnsRead }
        for rule in spec.rules where spec.steps[rule.on[0]].window == nil {
            ofSteps[rule.on[0]].formUnion(rule.columnsRead)
        }
        // So do they go into operators.
        for index in spec.operatorInputs { ofSteps[index].formUnion(spec.steps[index].schema.fields.indices) }
        for sink in spec.sinks {
            guard case .steps(let indices) = sink.input else { continue }
            // Records go out whole.
            for index in indices where spec.steps[index].window == nil {
                ofSteps[index].formUnion(spec.steps[index].schema.fields.indices)
            }
        }
        var ofSources = spec.sources.map { Set([$0.timeField]).filter { $0 >= 0 } }
        for index in spec.steps.indices.reversed() {
            if let only = spec.steps[index].only { ofSteps[index] = Set(only) }
            switch spec.steps[index].input {
            case .source(let input):
                let count = spec.sources[input].schema.fields.count
                ofSources[input].formUnion(ofSteps[index].filter { $0 < count })
            case .step(let input):
                let count = spec.steps[input].schema.fields.count
                ofSteps[input].formUnion(ofSteps[index].filter { $0 < count })
            }
        }
        return ofSources
    }

    /// Returns the new place of each old column; those that are gone have one that nothing asks for.
    private static func prune(_ source: inout SourceSpec, keeping used: Set<Int>) -> [Int] {
        var used = used
        let wireCount = source.wire.count
        for index in source.derived.indices.reversed() where used.contains(wireCount + index) {
            source.derived[index].expression.collectColumns(into: &used)
        }
        let kept = source.schema.fields.indices.filter { used.contains($0) }
        var map = [Int](repeating: -1, count: source.schema.fields.count)
        for (place, index) in kept.enumerated() { map[index] = place }
        source.wire = kept.filter { $0 < wireCount }.map { source.wire[$0] }
        source.derived = kept.filter { $0 >= wireCount }.map { index in
            var field = source.derived[index - wireCount]
            field.expression = field.expression.remapped(map)
            return field
        }
        source.schema = Schema(kept.map { source.schema.fields[$0] })
        if source.timeField >= 0 { source.timeField = map[source.timeField] }
        return map
    }
}

extension TopologySpec {
    /// One source alone, of whose records nothing but the event time is read.
    package func onlyTime(of source: Int) -> TopologySpec {
        var result = self
        result.sources = [sources[source]]
        // Of a table every field would be kept.
        result.sources[0].table = nil
        (result.steps, result.rules, result.sinks, result.repartitions) = ([], [], [], [])
        return Pruning.withoutUnusedFields(result)
    }
}
