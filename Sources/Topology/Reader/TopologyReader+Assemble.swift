import Base
import Records

extension TopologyReader {
    /// The spec, with the fields that nothing reads left out of the sources, so that they are not decoded.
    func assemble(guarantee: TopologySpec.Guarantee, kafka: [String: String], ruleset: String) -> TopologySpec {
        let maps = sources.indices.map { columnMap(source: $0) }
        func map(_ source: Int) -> (Int) -> Int {
            let (kept, count) = maps[source]
            // Columns of steps stand behind those of the source.
            return { $0 < kept.count ? kept[$0] ?? 0 : $0 - kept.count + count }
        }
        let sourceSpecs = sources.enumerated().map { index, draft in spec(of: draft, maps[index].kept) }
        let stepSpecs = steps.map { draft -> StepSpec in
            let map = map(draft.source)
            func mapped(_ expression: Expression) -> Expression { expression.mapColumns(map) }
            func mapped(_ field: DerivedField) -> DerivedField {
                DerivedField(name: field.name, expression: mapped(field.expression), isOptional: field.isOptional)
            }
            let kept = maps[draft.source].kept
            let fields = draft.fields.enumerated().filter { $0.offset >= kept.count || kept[$0.offset] != nil }
            return StepSpec(
                name: draft.name,
                input: draft.input,
                condition: draft.condition.map(mapped),
                derived: draft.derived.map(mapped),
                key: draft.key.map(map),
                schema: Schema(fields.map(\.element)),
                window: draft.window,
                aggregates: draft.aggregates.map { call in
                    var call = call
                    call.argument = call.argument.map(mapped)
                    call.condition = call.condition.map(mapped)
                    return call
                },
                outputs: draft.outputs,
                position: draft.position
            )
        }
        let ruleSpecs = rules.map { rule -> RuleSpec in
            guard steps[rule.on[0]].window == nil else { return rule }
            var rule = rule
            let map = map(steps[rule.on[0]].source)
            rule.scope = stepSpecs[rule.on[0]].schema
            rule.when = rule.when.mapColumns(map)
            rule.mentioned = rule.mentioned.map(map)
            rule.message = rule.message.map { part in
                if case .value(let expression) = part { .value(expression.mapColumns(map)) } else { part }
            }
            return rule
        }
        return TopologySpec(
            name: name, guarantee: guarantee, latency: latency, sources: sourceSpecs, steps: stepSpecs,
            rules: ruleSpecs, sinks: sinks, kafka: kafka, ruleset: ruleset, keys: keys)
    }

    private func spec(of draft: SourceDraft, _ kept: [Int?]) -> SourceSpec {
        let wire = draft.wire.indices.filter { kept[$0] != nil }.map { draft.wire[$0] }
        let derived = draft.derived.indices.filter { kept[draft.wire.count + $0] != nil }.map { index in
            DerivedField(
                name: draft.derived[index].name,
                expression: draft.derived[index].expression.mapColumns { kept[$0] ?? 0 },
                isOptional: draft.derived[index].isOptional
            )
        }
        let fields = draft.fields.enumerated().filter { kept[$0.offset] != nil }.map(\.element)
        return SourceSpec(
            name: draft.name, origin: draft.origin, format: draft.format, wire: wire, derived: derived,
            schema: Schema(fields), timeField: kept[draft.timeField] ?? 0, outOfOrder: draft.outOfOrder,
            idle: draft.idle, ahead: draft.ahead, position: draft.position)
    }

    /// For each column of a source its new index, nil if nothing reads it; and how many are kept.
    private func columnMap(source: Int) -> (kept: [Int?], count: Int) {
        let draft = sources[source]
        let count = draft.fields.count
        var used = Set([draft.timeField])
        func use(_ expression: Expression?) { expression?.forEachColumn { if $0 < count { used.insert($0) } } }
        for (index, step) in steps.enumerated() where step.source == source {
            use(step.condition)
            for field in step.derived { use(field.expression) }
            used.formUnion(step.key.filter { $0 < count })
            for call in step.aggregates {
                use(call.argument)
                use(call.condition)
            }
            guard step.window == nil else { continue }
            for rule in rules where rule.on == [index] {
                use(rule.when)
                for case .value(let expression) in rule.message { use(expression) }
            }
            for sink in sinks {
                if case .steps(let inputs) = sink.input, inputs.contains(index) { used.formUnion(0..<count) }
            }
        }
        // A derived field needs what stands before it.
        for index in draft.derived.indices.reversed() where used.contains(draft.wire.count + index) {
            use(draft.derived[index].expression)
        }
        var next = 0
        let kept: [Int?] = (0..<count).map { index in
            guard used.contains(index) else { return nil }
            defer { next += 1 }
            return next
        }
        return (kept, next)
    }
}
