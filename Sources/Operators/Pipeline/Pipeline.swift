import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A topology compiled for one lane: programs, columns and scratch memory. What has to be remembered
/// between batches is in `TaskState`, one for each partition, so that one pipeline serves all its tasks.
///
/// A batch goes through in phases, each a pass over columns: decode, event time, then for every stretch of
/// rows between two points where a window closes: filters and derived fields, keys, windows, rules, outputs.
/// Because a stretch ends exactly where a row moves the watermark past the end of a window, the result does
/// not depend on how the input was cut into batches.
package final class Pipeline {
    package struct Options {
        package var rowsMax: Int
        /// The clock of `detected_at` and of the bound on future times; nil: event time stands in.
        package var clock: (any Clock)?
        /// Event times beyond this are refused where there is no clock.
        package var timeMax: Int64
        /// Records without a key are refused by sources with windows: of a topic with several partitions they lie
        /// anywhere, and a merchant's window would be cut up among tasks.
        package var requiresKeys: Bool
        /// What changes is kept apart, so that `collectChanges` can hand it to a changelog.
        package var tracksChanges: Bool
        /// Of every source; a repartition topic has as many.
        package var partitions: Int
        /// A number that no other life of a changelog has; not 0.
        package var newIncarnation: () -> UInt64 = { UInt64.random(in: 1...UInt64.max) }
        /// Bytes of a window step's panes that lie ahead of what its rings reach.
        package var aheadBytesMax = Limits.aheadBytesMax
        package var pairsAtOnceMax = Limits.pairsAtOnceMax
        package var outboxBytesMax = Limits.outboxBytesMax

        package init(
            rowsMax: Int = Limits.rowsPerBatchMax,
            clock: (any Clock)?,
            timeMax: Int64 = .max,
            requiresKeys: Bool = false,
            tracksChanges: Bool = false,
            partitions: Int = 1
        ) {
            self.tracksChanges = tracksChanges
            self.rowsMax = rowsMax
            self.clock = clock
            self.timeMax = timeMax
            self.requiresKeys = requiresKeys
            self.partitions = partitions
        }
    }

    let spec: TopologySpec
    let options: Options
    let sources: [SourcePlan]
    let steps: [StepPlan]
    let rules: [RulePlan]
    /// Names of the key fields of each group.
    let groups: [[String]]
    /// For each source, its steps, the windows that its rows reach, those of them that are its own, and the rules that they can fire.
    let stepsOfSource: [[StepPlan]]
    /// For each source, the keys of its steps, those that have each, and those of them with a window.
    let keysOfSource: [[(key: KeyPlan, steps: [StepPlan], windows: [StepPlan])]]
    let windowPasses: [[WindowPass]]
    let ownWindows: [[StepPlan]]
    let rulesOfSource: [[RulePlan]]
    /// By step: rules that wait for the ends of its windows.
    let rulesAtClose: [[RulePlan]]
    /// True for sources whose rows a rule looks at one by one where they come out of order.
    let watchesOrder: [Bool]
    let recordSinks: [[RecordSink]]
    let repartitions: [RepartitionPlan]
    let repartitionsOfSource: [[RepartitionPlan]]
    /// Operators that take rows of each source, in the order of their steps.
    private(set) var operatorsOfSource: [[OperatorPlan]] = []
    let hasStreams: Bool
    let hasTables: Bool
    /// By source: its rows go through one by one.
    let rowWise: [Bool]
    /// Of the batch under way.
    let roots = RootRows()
    var isRowWise = false
    /// Closes and rows of streams that went through since outputs began.
    var ticks = 0
    /// Where in the outbox the outputs begin that are not in their order yet.
    var firstOutput = 0
    /// One row of the batch is under way by itself, or none: what comes now comes of that.
    var isAlone = true
    /// Takes outputs before the end of a batch where they are many, and empties the outbox.
    package var spill: ((inout Outbox) -> Void)?
    /// By sink: results that come of one source or stream, which has them in their order.
    let isOfOneStage: [Bool]
    /// What a stretch of rows or a chunk of keys is computed in.
    let bench: Lent<Workbench>
    let keyOrder = KeyOrder()
    /// For tests: every window is closed by itself, whether that makes a difference or not.
    var closesOneByOne = false
    package var counters = PipelineCounters()
    /// For a profile.
    package var stages: StageClock?
    let keeper: StateKeeper

    /// `lookups`: by source, where tables are that lie elsewhere and how their texts are read; without, such a table has
    /// what its records say, like any other.
    package init(
        _ spec: TopologySpec, decoders: [any RecordDecoder], zones: ZoneTables, options: Options,
        lookups: [Int: (lookup: any TableLookup, decoder: TextsDecoder)] = [:]
    ) {
        self.spec = spec
        self.options = options
        let capacity = options.rowsMax
        sources = spec.sources.indices.map { index in
            SourcePlan(spec.sources[index], index: index, decoder: decoders[index], capacity: capacity, zones: zones)
        }
        var builder = StepBuilder(
            spec: spec, capacity: capacity, zones: zones, tracksChanges: options.tracksChanges,
            mayLeap: options.clock != nil, aheadBytesMax: options.aheadBytesMax)
        builder.build(sources: sources)
        steps = builder.steps
        groups = builder.groups
        let steps = builder.steps
        rules = spec.rules.enumerated().map { index, rule in
            RulePlan(rule, index: index, steps: steps, topology: spec, capacity: capacity, zones: zones)
        }
        let rules = self.rules
        windowPasses = spec.sources.indices.map { builder.passes(source: $0) }
        stepsOfSource = spec.sources.indices.map { source in steps.filter { $0.source == source } }
        let keyPlans = builder.keyPlans
        keysOfSource = spec.sources.indices.map { source in
            keyPlans.filter { steps[$0.steps[0]].source == source }.map { key in
                let own = key.steps.map { steps[$0] }
                return (key, own, own.filter { $0.window != nil })
            }
        }
        ownWindows = stepsOfSource.map { $0.filter { $0.window != nil } }
        watchesOrder = windowPasses.map { $0.contains { $0.window.isRead } }
        rulesOfSource = spec.sources.indices.map { source in
            rules.filter { $0.spec.on.contains { steps[$0].source == source } }
        }
        rulesAtClose = steps.map { step in
            rules.filter { $0.hasWindow && $0.spec.at == .close && $0.spec.on[0] == step.index }
        }
        recordSinks = spec.sources.indices.map { source in
            spec.sinks.enumerated().flatMap { sink, sinkSpec -> [RecordSink] in
                guard case .steps(let indices) = sinkSpec.input else { return [] }
                return indices.map { steps[$0] }.filter { $0.source == source && $0.window == nil }
                    .map { RecordSink(sink: sink, step: $0) }
            }
        }
        keeper = StateKeeper(spec, steps: steps, rules: rules, groups: groups, options: options)
        let repartitions = spec.repartitions.enumerated().map { RepartitionPlan($1, index: $0, steps: steps) }
        self.repartitions = repartitions
        repartitionsOfSource = spec.sources.indices.map { source in
            repartitions.filter { $0.spec.origin == source }
        }
        // As they go into `Outbox.Record.order`.
        require(capacity < 1 << 16 && sources.count < 1 << 12, "a batch or a topology that is too large")
        bench = Lent(Workbench(capacity: capacity))
        rowWise = Self.rowWise(spec, steps)
        isOfOneStage = Self.isOfOneStage(spec, steps)
        hasStreams = sources.contains { $0.stream != nil }
        hasTables = sources.contains { $0.table != nil }
        for (source, found) in lookups {
            guard let table = spec.sources[source].redisTable else { continue }
            sources[source].lookup = LookupTable(
                table, spec.sources[source], found.lookup, found.decoder, capacity: options.rowsMax)
        }
        counters.reads = Array(repeating: ReadCounts(), count: sources.count)
        counters.unmatched = Array(repeating: 0, count: steps.count)
        counters.resultOverflows = counters.unmatched
        counters.ruleOverflows = Array(repeating: 0, count: rules.count)
        makeStreams(zones)
        for step in steps {
            guard let window = step.window else { continue }
            // A window that did not change says what it said, unless time or another window has a say.
            window.closesEach = !window.emissionSinks.isEmpty || step.stream != nil
                || rulesAtClose[step.index].contains { !$0.readsOneWindow }
        }
    }

    private func makeStreams(_ zones: ZoneTables) {
        operatorsOfSource = sources.map { _ in [] }
        for (index, source) in spec.sources.enumerated() {
            guard case .stream(let step) = source.origin else { continue }
            steps[step].stream = index
            guard let operation = steps[step].spec.operation else {
                sources[index].buffer = RowBuffer(
                    sources[index], roots: roots, step: steps[step].spec.name, topics: sources.map(\.topic))
                continue
            }
            let plan = OperatorPlan(steps[step], operation, pipeline: self, stream: index, zones: zones)
            sources[index].buffer = plan.rows
            for source in Set(plan.intakes.map(\.source)) { operatorsOfSource[source].append(plan) }
            for intake in plan.intakes where intake.key != nil { intake.isIntake = true }
        }
        roots.feeds = spec.sources.map { source in
            guard case .stream(let step) = source.origin else { return RootRows.Feed() }
            let plan = steps[step]
            let inputs = plan.spec.operation?.inputs ?? [step]
            let slides = plan.window.flatMap { $0.options.excludesCurrent ? PaneClock($0.options.length) : nil }
            return RootRows.Feed(inputs: Array(Set(inputs.map { steps[$0].source })), slides: slides)
        }
    }

    package func makeTask(partition: Int32) -> TaskState {
        let groups = groups.map { _ in KeyGroup() }
        let identities = keeper.identities
        return TaskState(
            partition: partition,
            groups: groups,
            windows: steps.map { step in
                guard let window = step.window, let key = step.key, let identity = identities.steps[step.index] else { return nil }
                return TaskWindows(step, window, key, id: identity.id, group: groups[key.group], partition: partition)
            },
            operators: steps.map { step in
                operatorsOfSource[step.source].first { $0.step === step }?
                    .makeTask(id: identities.steps[step.index]?.id, partition: partition, tracksChanges: options.tracksChanges)
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
