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
    let keyPlans: [KeyPlan]
    /// Names of the key fields of each group.
    let groups: [[String]]
    /// For each source, the windows that its rows reach, those of them that are its own, and the rules that they can fire.
    let windowPasses: [[WindowPass]]
    let ownWindows: [[StepPlan]]
    let rulesOfSource: [[RulePlan]]
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

    /// What is computed from the rows of one source.
    final class SourcePlan {
        let spec: SourceSpec
        let index: Int
        /// Where alerts and dead letters say that a record was read.
        let topic: String
        let decoder: any RecordDecoder
        /// The decoder, where the source is a repartition topic: what rows carry besides their fields.
        let carried: RepartitionDecoder?
        /// What rows carry, where the source is a stream.
        let stream: StreamRows?
        let table: TablePlan?
        /// Set if the table lies elsewhere.
        fileprivate(set) var lookup: LookupTable?
        /// Where each row was first read, if that was not here.
        let origins: UnsafeMutablePointer<RepartitionOrigin>?
        let batch: Batch
        /// Of `spec.schema`.
        let columns: [Column]
        let derived: [(program: Program, field: DerivedField)]
        /// Writes `columns`.
        let encoder: any RowEncoder
        let good: SelectionBuffer
        /// The watermark of the source after each row.
        let watermarks: UnsafeMutablePointer<Int64>
        /// The watermark of another source, for windows of it that rows of this one read.
        let foreignWatermarks: UnsafeMutablePointer<Int64>
        let late: UnsafeMutablePointer<UInt8>
        let updates: UnsafeMutablePointer<UInt8>
        /// 1 for rows that change or read other windows than the newest of their key; set and cleared in a stretch.
        let isApart: UnsafeMutablePointer<UInt8>
        /// False if a row of the batch is before one that came earlier, or before the watermark, or leaps.
        var isInOrder = true
        /// True if a row of the batch may lie further ahead of event time than `outOfOrder`.
        var runsAhead: Bool
        /// The rows of the stretch under way while `rows` are those of a part of it.
        lazy var stretch = SelectionBuffer(capacity: batch.capacity)
        /// What steps refused of the stretch under way.
        var refusals: [Refusal] = []
        /// The place of row 0 among all that goes through, as far as the stretch under way goes.
        var firstTick = 0
        /// What writes its rows, if it is a stream.
        fileprivate(set) var buffer: RowBuffer?
        /// The row of `batch` that goes through the steps, the last of its stretch; nil: none does.
        var rowUnderWay: Int?
        let rows: SelectionBuffer
        let ids: UnsafeMutablePointer<UInt32>

        init(_ spec: SourceSpec, index: Int, decoder: any RecordDecoder, capacity: Int, zones: ZoneTables) {
            self.spec = spec
            self.index = index
            runsAhead = spec.mayRunAhead
            topic =
                switch spec.origin {
                case .kafka(let topic, _), .repartition(let topic): topic
                case .file, .generate, .stream, .redis: spec.name
                }
            self.decoder = decoder
            carried = decoder as? RepartitionDecoder
            stream = decoder as? StreamRows
            origins = carried?.origins ?? stream?.origins
            batch = Batch(schema: Schema(spec.wire.map(\.field)), capacity: capacity)
            var columns = batch.columns
            var derived: [(Program, DerivedField)] = []
            for field in spec.derived {
                let program = Program(field.expression, capacity: capacity, zones: zones)
                derived.append((program, field))
                columns.append(program.resultColumn(columns))
            }
            self.columns = columns
            self.derived = derived
            encoder = rowEncoder(RowMember.columns(spec.schema.fields))
            table = spec.table.map { TablePlan($0, spec.schema, columns: columns, capacity: capacity) }
            good = SelectionBuffer(capacity: capacity)
            rows = SelectionBuffer(capacity: capacity)
            watermarks = .allocate(capacity: capacity)
            watermarks.initialize(repeating: 0, count: capacity)
            foreignWatermarks = .allocate(capacity: capacity)
            foreignWatermarks.initialize(repeating: .min, count: capacity)
            late = .allocate(capacity: capacity)
            late.initialize(repeating: 0, count: capacity)
            updates = .allocate(capacity: capacity)
            updates.initialize(repeating: 1, count: capacity)
            ids = .allocate(capacity: capacity)
            ids.initialize(repeating: 0, count: capacity)
            isApart = .allocate(capacity: capacity)
            isApart.initialize(repeating: 0, count: capacity)
        }

        deinit {
            watermarks.deallocate()
            isApart.deallocate()
            foreignWatermarks.deallocate()
            late.deallocate()
            updates.deallocate()
            ids.deallocate()
        }
    }

    /// A window that rows of a source reach: those of its own step, and those of steps that a rule
    /// compares it with, which only read it.
    struct WindowPass {
        var step: StepPlan
        var window: WindowPlan
        var key: KeyPlan
        var isOwn: Bool
        var readers: [StepPlan]
    }

    struct RecordSink {
        var sink: Int
        var step: StepPlan
    }

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
        var builder = Builder(
            spec: spec, capacity: capacity, zones: zones, tracksChanges: options.tracksChanges,
            mayLeap: options.clock != nil, aheadBytesMax: options.aheadBytesMax)
        builder.build(sources: sources)
        steps = builder.steps
        keyPlans = builder.keyPlans
        groups = builder.groups
        let steps = builder.steps
        rules = spec.rules.enumerated().map { index, rule in
            RulePlan(rule, index: index, steps: steps, topology: spec, capacity: capacity, zones: zones)
        }
        let rules = self.rules
        windowPasses = spec.sources.indices.map { builder.passes(source: $0) }
        ownWindows = spec.sources.indices.map { source in steps.filter { $0.source == source && $0.window != nil } }
        watchesOrder = windowPasses.map { $0.contains { $0.window.isRead } }
        rulesOfSource = spec.sources.indices.map { source in
            rules.filter { $0.spec.on.contains { steps[$0].source == source } }
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
                || rules.contains { $0.spec.at == .close && $0.spec.on[0] == step.index && !$0.readsOneWindow }
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

    /// Lays the steps out over the sources' columns.
    private struct Builder {
        let spec: TopologySpec
        let capacity: Int
        let zones: ZoneTables
        let tracksChanges: Bool
        let mayLeap: Bool
        let aheadBytesMax: Int
        var steps: [StepPlan] = []
        var keyPlans: [KeyPlan] = []
        /// Names of the key fields of each group.
        var groups: [[String]] = []

        init(
            spec: TopologySpec, capacity: Int, zones: ZoneTables, tracksChanges: Bool, mayLeap: Bool, aheadBytesMax: Int
        ) {
            self.spec = spec
            self.aheadBytesMax = aheadBytesMax
            self.mayLeap = mayLeap
            self.capacity = capacity
            self.zones = zones
            self.tracksChanges = tracksChanges
        }

        mutating func build(sources: [SourcePlan]) {
            for (index, step) in spec.steps.enumerated() {
                let source: Int
                var columns: [Column]
                switch step.input {
                case .source(let input): (source, columns) = (input, sources[input].columns)
                case .step(let input): (source, columns) = (steps[input].source, steps[input].columns)
                }
                if let only = step.only { columns = only.map { columns[$0] } }
                let join = step.join.map {
                    TableJoinPlan($0, spec.sources[$0.table], input: columns, capacity: capacity)
                }
                let plan = StepPlan(
                    step,
                    index: index,
                    source: source,
                    join: join,
                    inputColumns: columns + (join?.columns ?? []),
                    capacity: capacity,
                    zones: zones,
                    keyPlan: { keyPlan($0, names: step.key.map { step.schema.fields[$0].name }) }
                )
                plan.key?.steps.append(index)
                steps.append(plan)
                if step.window != nil { plan.window = windowPlan(step, index: index, source: source) }
            }
            for rule in spec.rules where steps[rule.on[0]].window != nil {
                for step in rule.on {
                    if rule.at == .record { steps[step].window?.isRead = true }
                    for other in rule.on where other != step {
                        let source = steps[other].source
                        if steps[step].window?.readers[source]?.contains(other) != true {
                            steps[step].window?.readers[source, default: []].append(other)
                        }
                    }
                }
            }
        }

        private func windowPlan(_ step: StepSpec, index: Int, source: Int) -> WindowPlan {
            var emission: [Int] = []
            var metrics: [MetricsPlan] = []
            let keyFields = step.key.map { step.schema.fields[$0].name }
            for (sink, sinkSpec) in spec.sinks.enumerated() {
                guard case .steps(let inputs) = sinkSpec.input, inputs.contains(index) else { continue }
                guard let taken = sinkSpec.metrics else {
                    emission.append(sink)
                    continue
                }
                metrics.append(MetricsPlan(taken, sink: sink, keyFields: keyFields))
            }
            // Rules on several windows read the others as they run, also when one closes.
            let runs = spec.rules.contains { $0.on.contains(index) && ($0.at == .record || $0.on.count > 1) }
            let plan = WindowPlan(
                step,
                source: spec.sources[source],
                keepsClosed: spec.readsClosed(index),
                // One that nobody reads is looked at by people all the same.
                keepsRunning: runs || !metrics.isEmpty || !spec.readsClosed(index),
                tracksChanges: tracksChanges,
                mayLeap: mayLeap,
                aheadBytesMax: aheadBytesMax,
                capacity: capacity,
                zones: zones
            )
            plan.emissionSinks = emission
            plan.metricsSinks = metrics
            if !emission.isEmpty { plan.results = ResultRow(topology: spec.name, step: step, plan.outputFields) }
            return plan
        }

        private mutating func keyPlan(_ columns: [Column], names: [String]) -> KeyPlan {
            if let same = keyPlans.first(where: { plan in
                plan.columns.count == columns.count && zip(plan.columns, columns).allSatisfy { $0 === $1 }
                    && groups[plan.group] == names
            }) {
                return same
            }
            let group = groups.firstIndex(of: names) ?? groups.count
            if group == groups.count { groups.append(names) }
            keyPlans.append(KeyPlan(columns, group: group, capacity: capacity))
            return keyPlans[keyPlans.count - 1]
        }

        func passes(source: Int) -> [WindowPass] {
            steps.compactMap { step in
                guard let window = step.window, let key = step.key else { return nil }
                let readers = (window.readers[source] ?? []).map { steps[$0] }
                guard step.source == source || !readers.isEmpty else { return nil }
                return WindowPass(
                    step: step,
                    window: window,
                    key: key,
                    isOwn: step.source == source,
                    readers: readers
                )
            }
        }
    }
}

/// What happened since the process started; a lane publishes them once a poll.
package struct PipelineCounters {
    package var records: Int64 = 0
    package var late: Int64 = 0
    /// By source.
    package var reads: [ReadCounts] = []
    /// By `RowStatus`.
    package var dead = InlineArray<32, Int64>(repeating: 0)
    package var alerts: Int64 = 0
    package var results: Int64 = 0
    /// Records without a value that their source says to pass over.
    package var tombstones: Int64 = 0
    /// By step: rows that were dropped since they have no partner in a table.
    package var unmatched: [Int64] = []
    /// By step, results, and by rule, conditions and parts of messages, that are null since a number in them does not fit
    /// in 64 bits.
    package var resultOverflows: [Int64] = []
    package var ruleOverflows: [Int64] = []
    package var limits = LimitHits()

    package init() {}

    package var overflowTotal: Int64 { resultOverflows.reduce(0, +) + ruleOverflows.reduce(0, +) }

    package var deadTotal: Int64 {
        var total: Int64 = 0
        for index in dead.indices { total += dead[index] }
        return total
    }
}

/// An alert found in a stretch of rows; written when the stretch ends, in row order.
struct PendingAlert {
    var row: Int
    var rule: Int
    var id: UInt32
    var edge: AlertEdge
}
