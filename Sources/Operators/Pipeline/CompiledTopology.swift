import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A topology compiled for one lane: its sources, steps and rules as programs over columns, and what each
/// leads to. Stages read it; what they compute with is their own, and what has to be remembered between
/// batches is in `TaskState`.
final class CompiledTopology {
    let spec: TopologySpec
    let options: Pipeline.Options
    let sources: [SourcePlan]
    let steps: [StepPlan]
    let rules: [RulePlan]
    /// Names of the key fields of each group.
    let groups: [[String]]
    /// By source: what its rows go through.
    let flows: [SourceFlow]
    /// By step: rules that wait for the ends of its windows.
    let rulesAtClose: [[RulePlan]]
    let repartitions: [RepartitionPlan]
    let hasStreams: Bool
    /// Of the batch under way.
    let roots = RootRows()
    /// By sink: results that come of one source or stream, which has them in their order.
    let isOfOneStage: [Bool]

    init(_ spec: TopologySpec, decoders: [any RecordDecoder], zones: ZoneTables, options: Pipeline.Options) {
        self.spec = spec
        self.options = options
        let capacity = options.rowsMax
        // As they go into `Outbox.Record.order`.
        require(capacity < 1 << 16 && spec.sources.count < 1 << 12, "a batch or a topology that is too large")
        let sources = spec.sources.indices.map { index in
            SourcePlan(
                spec.sources[index], index: index, decoder: decoders[index], capacity: capacity, zones: zones)
        }
        self.sources = sources
        var builder = StepBuilder(
            spec: spec, capacity: capacity, zones: zones, tracksChanges: options.tracksChanges,
            mayLeap: options.clock != nil, aheadBytesMax: options.aheadBytesMax,
            schemaIds: options.schemaIds)
        builder.build(sources: sources)
        let steps = builder.steps
        self.steps = steps
        groups = builder.groups
        let rules = spec.rules.enumerated().map { index, rule in
            RulePlan(rule, index: index, steps: steps, topology: spec, capacity: capacity, zones: zones)
        }
        self.rules = rules
        rulesAtClose = steps.map { step in
            rules.filter { $0.hasWindow && $0.spec.at == .close && $0.spec.on[0] == step.index }
        }
        let repartitions = spec.repartitions.enumerated().map { RepartitionPlan($1, index: $0, steps: steps) }
        self.repartitions = repartitions
        isOfOneStage = spec.sinks.map { sink in
            guard case .steps(let inputs) = sink.input else { return false }
            return Set(inputs.map { steps[$0].source }).count == 1
        }
        hasStreams = sources.contains { $0.stream != nil }
        let operators = Self.makeStreams(spec, sources, steps, roots, options, zones)
        let rowWise = Self.rowWise(spec, steps)
        flows = sources.map { source in
            SourceFlow(
                of: source.index, spec, steps: steps, keys: builder.keyPlans,
                passes: builder.passes(source: source.index),
                rules: rules, repartitions: repartitions,
                operators: operators.filter { $0.intakes.contains { $0.source == source.index } },
                isRowWise: rowWise[source.index], schemaIds: options.schemaIds)
        }
        for step in steps {
            guard let window = step.window else { continue }
            // A window that did not change says what it said, unless time or another window has a say.
            window.closesEach =
                !window.emissionSinks.isEmpty || step.stream != nil
                || rulesAtClose[step.index].contains { !$0.readsOneWindow }
        }
    }

    /// Gives every stream what writes its rows; returns the operators, in the order of their streams.
    private static func makeStreams(
        _ spec: TopologySpec, _ sources: [SourcePlan], _ steps: [StepPlan], _ roots: RootRows,
        _ options: Pipeline.Options,
        _ zones: ZoneTables
    ) -> [OperatorPlan] {
        var operators: [OperatorPlan] = []
        for (index, source) in spec.sources.enumerated() {
            guard case .stream(let step) = source.origin else { continue }
            steps[step].stream = index
            guard let operation = steps[step].spec.operation else {
                sources[index].buffer = RowBuffer(
                    sources[index], roots: roots, step: steps[step].spec.name, topics: sources.map(\.topic))
                continue
            }
            let plan = OperatorPlan(
                steps[step], operation, sources: sources, steps: steps, roots: roots,
                capacity: options.rowsMax, stream: index,
                zones: zones)
            sources[index].buffer = plan.rows
            operators.append(plan)
            for intake in plan.intakes where intake.key != nil { intake.isIntake = true }
        }
        roots.feeds = spec.sources.map { source in
            guard case .stream(let step) = source.origin else { return RootRows.Feed() }
            let plan = steps[step]
            let inputs = plan.spec.operation?.inputs ?? [step]
            let slides = plan.window.flatMap {
                $0.options.excludesCurrent ? PaneClock($0.options.length) : nil
            }
            return RootRows.Feed(inputs: Array(Set(inputs.map { steps[$0].source })), slides: slides)
        }
        return operators
    }

    /// By source: whether its rows, and all that comes of them, must go through one by one: something brings
    /// them together with a stream that is made of them, so that it sees how far that stream is.
    private static func rowWise(_ spec: TopologySpec, _ steps: [StepPlan]) -> [Bool] {
        spec.sources.indices.map { root in
            var reached: Set<Int> = [root]
            for (source, plan) in spec.sources.enumerated() {
                guard case .stream(let step) = plan.origin else { continue }
                let inputs = spec.steps[step].operation?.inputs ?? [step]
                if inputs.contains(where: { reached.contains(steps[$0].source) }) { reached.insert(source) }
            }
            func meets(_ met: [Int]) -> Bool {
                Set(met.map { steps[$0].source }).intersection(reached).count > 1
            }
            return spec.rules.contains { meets($0.on) }
                || spec.steps.compactMap(\.operation).contains {
                    $0.part.order == .asTheyCome && (meets($0.inputs) || $0.looks(reached, steps))
                }
        }
    }

    /// How far event time of a source or stream has come: after the row that is under way, where there is
    /// one, since the task's own watermark is that of the batch's last row already.
    func reached(_ source: Int, _ task: TaskState) -> Int64 {
        sources[source].rowUnderWay.map { sources[source].watermarks[$0] } ?? task.watermarks[source]
    }

    func makeTask(partition: Int32, _ identities: StateIdentities) -> TaskState {
        let groups = groups.map { _ in KeyGroup() }
        return TaskState(
            partition: partition,
            groups: groups,
            windows: steps.map { step in
                guard let window = step.window, let key = step.key,
                    let identity = identities.steps[step.index]
                else { return nil }
                return TaskWindows(
                    step, window, key, id: identity.id, group: groups[key.group], partition: partition)
            },
            operators: steps.map { step in
                flows[step.source].operators.first { $0.step === step }?
                    .makeTask(
                        id: identities.steps[step.index]?.id, partition: partition,
                        tracksChanges: options.tracksChanges)
            },
            tables: sources.map { source in
                guard let table = source.table, table.shared == nil else { return nil }
                return TaskTable(
                    source.spec.name, table, source.spec.schema, id: identities.tables[source.index]?.id ?? 0,
                    partition: partition, tracksChanges: options.tracksChanges)
            },
            rules: rules.map {
                TaskRule(
                    // A topology without a key has rules on records only, which have no group.
                    $0, id: identities.rules[$0.index], group: groups.isEmpty ? KeyGroup() : groups[$0.group],
                    partition: partition, tracksChanges: options.tracksChanges)
            },
            crowds: sources.map {
                CrowdTime(outOfOrder: $0.spec.outOfOrder, hasClock: options.clock != nil)
            },
            upstream: sources.map { source in
                source.carried == nil ? [] : Array(repeating: UpstreamTime(), count: options.partitions)
            },
            repartitions: repartitions.count
        )
    }
}
