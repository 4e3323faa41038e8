import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// A topology at work in one lane: the stages that rows go through, and the order in which they do. What has
/// to be remembered between batches is in `TaskState`, one for each partition, so that one pipeline serves
/// all its tasks.
///
/// A batch goes through in phases, each a pass over columns: decode, event time, then for every stretch of
/// rows between two points where a window closes: filters and derived fields, keys, windows, rules, outputs.
/// Because a stretch ends exactly where a row moves the watermark past the end of a window, the result does
/// not depend on how the input was cut into batches.
///
/// Streams are rows that steps of this very task make. A source's rows come first, up to the end of a
/// stretch, then what they made, then what that made. So that outputs stand in the order in which they would
/// come if rows went through one by one, however the input was cut into batches, each row remembers the row
/// of the batch that brought it about (`OutputOrder`).
package final class Pipeline {
    package struct Options {
        package var rowsMax: Int
        /// The clock of `detected_at` and of the bound on future times; nil: event time stands in.
        package var clock: (any Clock)?
        /// Event times beyond this are refused where there is no clock.
        package var timeMax: Int64
        /// Records without a key are refused by sources with windows: of a topic with several partitions they
        /// lie anywhere, and a merchant's window would be cut up among tasks.
        package var requiresKeys: Bool
        /// What changes is kept apart, so that `collectChanges` can hand it to a changelog.
        package var tracksChanges: Bool
        /// Of every source; a repartition topic has as many.
        package var partitions: Int
        /// A number that no other life of a changelog has; not 0.
        package var newIncarnation: () -> UInt64 = { UInt64.random(in: 1...UInt64.max) }
        /// Bytes of a window step's panes that lie ahead of what its rings reach.
        package var aheadBytesMax = Limits.aheadBytesMax
        /// By sink, the id of the schema that its rows were registered with.
        package var schemaIds: [Int: Int32] = [:]
        package var pairsAtOnceMax = Limits.pairsAtOnceMax
        package var outboxBytesMax = Limits.outboxBytesMax

        package init(
            rowsMax: Int = Limits.rowsPerBatchMax, clock: (any Clock)?, timeMax: Int64 = .max,
            requiresKeys: Bool = false, tracksChanges: Bool = false, partitions: Int = 1
        ) {
            (self.rowsMax, self.clock, self.timeMax) = (rowsMax, clock, timeMax)
            (self.requiresKeys, self.tracksChanges) = (requiresKeys, tracksChanges)
            self.partitions = partitions
        }
    }

    let topology: CompiledTopology
    let keeper: StateKeeper
    let closing: CloseStage
    let lent: Lent<Workbench>
    let meters: StageMeters
    private let order: OutputOrder
    private let roots: RootRows
    let reading: SourceStage
    let tables: TableStage
    private let selecting: StepStage
    private let windows: WindowStage
    private let rules: RuleStage
    private let outOfOrder: OutOfOrderStage
    private let streams: StreamStage
    private let records: RecordStage
    private let deadLetters: DeadLetterStage
    private let alerts: AlertWriter

    /// `lookups`: by source, where tables are that lie elsewhere and how their texts are read; without, such
    /// a table has what its records say, like any other.
    package init(
        _ spec: TopologySpec, decoders: [any RecordDecoder], zones: ZoneTables, options: Options,
        lookups: [Int: (lookup: any TableLookup, decoder: TextsDecoder)] = [:]
    ) {
        let topology = CompiledTopology(spec, decoders: decoders, zones: zones, options: options)
        let meters = StageMeters(topology)
        let order = OutputOrder(topology)
        let lent = Lent(Workbench(capacity: options.rowsMax))
        let alerts = AlertWriter(topology, meters)
        let tables = TableStage(topology, meters, lookups: lookups)
        let windows = WindowStage(topology, meters)
        let rules = RuleStage(topology, meters, alerts, order)
        (self.topology, self.meters, self.order, self.lent) = (topology, meters, order, lent)
        (self.alerts, self.tables, self.windows, self.rules) = (alerts, tables, windows, rules)
        roots = topology.roots
        reading = SourceStage(topology, meters)
        selecting = StepStage(topology, meters, tables)
        outOfOrder = OutOfOrderStage(topology, meters, windows, rules, alerts, order)
        streams = StreamStage(topology, meters)
        records = RecordStage(topology, meters, order)
        deadLetters = DeadLetterStage(topology, meters, order)
        closing = CloseStage(topology, meters, rules, alerts, order, lent)
        keeper = StateKeeper(
            spec, steps: topology.steps, rules: topology.rules, groups: topology.groups, options: options)
    }

    package func makeTask(partition: Int32) -> TaskState {
        topology.makeTask(partition: partition, keeper.identities)
    }

    // MARK: Records

    /// Takes records of one partition of a source through the whole topology. Outputs are appended to
    /// `outbox`.
    package func process(_ raw: RawRecords, source: Int, task: TaskState, outbox: inout Outbox) {
        let plan = topology.sources[source]
        guard let shaping = plan.shaping else { return process(raw, letters: raw, plan, task, &outbox) }
        shaping.forEach(raw) { process($0.decoded, letters: $0.letters, plan, task, &outbox) }
    }

    /// `letters`: what stands in dead letters for each of the records.
    private func process(
        _ raw: RawRecords, letters: RawRecords, _ plan: SourcePlan, _ task: TaskState, _ outbox: inout Outbox
    ) {
        let source = plan.index
        order.begin(of: source, outbox)
        reading.decode(raw, letters: letters, plan, partition: task.partition)
        roots.begin(plan)
        if let table = plan.table {
            tables.take(plan, table, task)
            order.beginTicks(plan, from: 0, to: plan.batch.count)
            deadLetters.write(plan, task, from: 0, to: plan.batch.count, &outbox)
        } else {
            reading.time(plan, task)
            processStretches(plan, task, &outbox)
        }
        // All who write to the topic have said that nothing more comes for now.
        if topology.hasStreams, plan.carried != nil, UpstreamTime.isQuiet(task.upstream[source]) {
            settle(source, Upstream.idle, task, &outbox)
        }
        roots.end()
        order.isAlone = true
        order.end(task, &outbox)
    }

    /// Takes records of a table that every lane has all of. Those that are refused are counted and that is
    /// all: each lane sees them at each start.
    package func processBroadcast(_ raw: RawRecords, source: Int) {
        tables.takeBroadcast(raw, topology.sources[source])
    }

    /// Takes the rows of a source's batch through its steps, whose event times and watermarks are known.
    private func processStretches(_ plan: SourcePlan, _ task: TaskState, _ outbox: inout Outbox) {
        let batch = plan.batch
        let source = plan.index
        let flow = topology.flows[source]
        let hasStreams = topology.hasStreams
        var start = 0
        defer { plan.rowUnderWay = nil }
        while start < batch.count {
            let watermark = plan.watermarks[start]
            plan.rowUnderWay = start
            if watermark != .min { close(source, watermark, task, &outbox) }
            meters.lap(.closing)
            let due = closing.nextClose(flow, task)
            let rows = hasStreams ? rowsAtOnce(flow, plan, watermark, task, &outbox) : .max
            var end = start + 1
            while end < batch.count, !order.isRowWise, end - start < rows,
                plan.watermarks[end] < due || plan.watermarks[end] == watermark
            {
                end += 1
            }
            if roots.isRoot(plan) { order.isAlone = end == start + 1 }
            plan.rowUnderWay = end - 1
            processStretch(flow, plan, task, from: start, to: end, &outbox)
            if hasStreams {
                settle(source, plan.watermarks[end - 1], task, &outbox)
                if roots.isRoot(plan) { order.spillOver(task, &outbox) }
            }
            start = end
        }
    }

    /// How many rows of a batch may be taken through their steps together. One where they might fill a
    /// buffer, so that which of them are refused does not depend on the batch: then what event time has
    /// passed is out of it.
    private func rowsAtOnce(
        _ flow: SourceFlow, _ plan: SourcePlan, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox
    ) -> Int {
        for operation in flow.operators {
            guard let own = task.operators[operation.step.index] else { continue }
            // More than the rows that come of the batch can have, whatever texts are made of those that there
            // are.
            let most =
                operation.intakes.count
                * (8 * plan.batch.arena.count + plan.batch.count * operation.rowBytesMost)
            guard own.buffer.usedBytes + most > operation.spec.limits.memory else { continue }
            settle(plan.index, watermark, task, &outbox)
            return 1
        }
        guard roots.isRoot(plan) else { return .max }
        var rows = Int.max
        for case let own? in task.operators {
            let partners = own.state.partnersMost
            if partners > 1 {
                rows = min(rows, max(1, topology.options.pairsAtOnceMax / partners - own.buffer.count))
            }
        }
        return rows
    }

    /// A stretch of rows in which no window closes.
    private func processStretch(
        _ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, from start: Int, to end: Int,
        _ outbox: inout Outbox
    ) {
        let bench = lent.take()
        defer { lent.giveBack() }
        order.beginTicks(plan, from: start, to: end)
        let (status, rows) = (plan.batch.status, plan.rows.rows)
        var count = 0
        for row in start..<end where status[row] == 0 {
            rows[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        plan.rows.count = count
        if count > 0 {
            selecting.select(flow, plan, task)
            meters.lap(.selecting)
            selecting.findKeys(flow, plan, task)
            meters.lap(.keying)
            if !outOfOrder.take(flow, plan, task, bench, &outbox) {
                for pass in flow.passes { windows.update(pass, plan, task) }
                meters.lap(.aggregating)
                for (rule, steps) in flow.rules { rules.fire(rule, steps, plan, task) }
                meters.lap(.rules)
            }
            streams.take(flow, plan, task, &outbox)
            rules.writePending(plan, task, &outbox)
            records.write(flow, plan, &outbox)
            records.writeRepartitioned(flow, plan, task, &outbox)
        } else if topology.hasStreams {
            for step in flow.steps { step.selection.count = 0 }
        }
        deadLetters.write(plan, task, from: start, to: end, &outbox)
        meters.lap(.writing)
    }

    // MARK: Event time

    /// Event time has come to `watermark` without a record: an idle partition, or the end of the input.
    package func advance(source: Int, to watermark: Int64, task: TaskState, outbox: inout Outbox) {
        order.begin(of: source, outbox)
        goOn(source, to: watermark, task, &outbox)
        order.end(task, &outbox)
    }

    private func goOn(_ source: Int, to watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        // A table's event time is that of its records.
        if topology.sources[source].table != nil { return }
        if task.watermarks[source] == .min {
            // No window is open, but operators with other inputs may wait for this one.
            if topology.hasStreams, watermark > task.settled[source] {
                settle(source, watermark, task, &outbox)
            }
            return
        }
        guard watermark > task.watermarks[source] else { return }
        close(source, watermark, task, &outbox)
        task.watermarks[source] = watermark
        if topology.hasStreams { settle(source, watermark, task, &outbox) }
    }

    /// A quiet partition's event time goes on with the clock: `milliseconds` after its last record, event
    /// time has come that much further, less the out-of-order bound.
    package func idle(source: Int, forMilliseconds milliseconds: Int64, task: TaskState, outbox: inout Outbox)
    {
        let plan = topology.sources[source]
        // Behind a repartition topic it is the partitions before it whose time goes on.
        guard plan.carried == nil, plan.table == nil else { return }
        order.begin(of: source, outbox)
        defer { order.end(task, &outbox) }
        guard task.times[source] != .min else {
            // Operators with other inputs do not wait for an empty partition.
            guard topology.hasStreams, task.settled[source] != Upstream.idle else { return }
            return settle(source, Upstream.idle, task, &outbox)
        }
        let reached = task.crowds[source].reached + milliseconds - plan.spec.outOfOrder
        goOn(source, to: reached, task, &outbox)
        // A source whose last record is days old must not hold back those that it is joined with.
        if topology.hasStreams { settle(source, Upstream.idle, task, &outbox) }
    }

    private func close(_ source: Int, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        closing.close(source: source, watermark: watermark, task, &outbox) { drain($0, task, &$1) }
    }

    /// The watermark at which every window that holds records has closed.
    package func endOfTime(source: Int, task: TaskState) -> Int64 {
        var end = task.times[source]
        guard end != .min, topology.sources[source].table == nil else { return .min }
        for step in topology.flows[source].windows {
            guard let store = task.stores[step.index] else { continue }
            let anchor = store.anchor(at: task.times[source])
            end = max(end, store.closesAt(anchor + Int64(store.options.span) + 1))
        }
        return end
    }

    /// The input has ended: event time goes on until no window is open and nothing is due any more.
    package func finish(_ task: TaskState, outbox: inout Outbox) {
        let sources = topology.sources
        guard topology.hasStreams else {
            for source in sources.indices where task.times[source] != .min && sources[source].table == nil {
                advance(
                    source: source, to: endOfTime(source: source, task: task), task: task, outbox: &outbox)
            }
            return
        }
        let real = sources.indices.filter { sources[$0].stream == nil && sources[$0].table == nil }
        // A source without a record has nothing that others could wait for.
        for source in real where task.times[source] == .min { task.settled[source] = Upstream.idle }
        // What closes may make rows whose windows must close.
        for _ in 0...topology.steps.count {
            var end = Int64.min
            for source in sources.indices { end = max(end, endOfTime(source: source, task: task)) }
            for case let operation? in task.operators {
                end = max(end, max(operation.state.lastDue, operation.buffer.last))
            }
            guard end != .min else { return }
            let before = real.map { task.watermarks[$0] }
            for source in real { advance(source: source, to: end + 1, task: task, outbox: &outbox) }
            if before == real.map({ task.watermarks[$0] }) { return }
        }
    }

    // MARK: What a source's rows make

    /// Every row of a source up to event time `watermark` has gone through its steps: what they make follows.
    private func settle(_ source: Int, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        task.settled[source] = watermark
        let flow = topology.flows[source]
        for step in flow.windows {
            guard let stream = step.stream else { continue }
            // The next closed window may end before it closes.
            let next = watermark == Upstream.idle ? .max : task.stores[step.index]?.nextEnd ?? .max
            advanceStream(stream, to: min(watermark, next), task, &outbox)
        }
        for operation in flow.operators {
            let watermark = streams.watermark(of: operation, task)
            streams.release(operation, before: watermark, task, &outbox) { drain($0, task, &$1) }
            advanceStream(operation.stream, to: watermark, task, &outbox)
            if operation.intakes.allSatisfy({ task.settled[$0.source] == Upstream.idle }) {
                advanceStream(operation.stream, to: Upstream.idle, task, &outbox)
            }
        }
    }

    /// All rows of a stream up to event time `watermark` are there.
    private func advanceStream(_ stream: Int, to watermark: Int64, _ task: TaskState, _ outbox: inout Outbox)
    {
        drain(stream, task, &outbox)
        if watermark == .min { return }
        if watermark == Upstream.idle { return settle(stream, watermark, task, &outbox) }
        if watermark > task.watermarks[stream] || task.settled[stream] < task.watermarks[stream] {
            let watermark = max(watermark, task.watermarks[stream])
            close(stream, watermark, task, &outbox)
            task.watermarks[stream] = watermark
            settle(stream, watermark, task, &outbox)
        }
    }

    /// Takes the rows that were written of a stream through the steps that read it.
    private func drain(_ stream: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let plan = topology.sources[stream]
        guard let rows = plan.stream else { return }
        let before = outbox.order
        plan.buffer?.handOver {
            reading.takeRows(of: plan, rows, task)
            processStretches(plan, task, &outbox)
        }
        outbox.order = before
        order.spillResults(&outbox)
    }

    // MARK: Between batches

    /// Tells every partition of every repartition topic how far event time has come in this task's partition,
    /// where that has changed since the last call. To be called before each commit;
    /// `RecordStage.carryWatermarks`.
    package func carryWatermarks(
        _ task: TaskState, quiet: (Int) -> Bool, atEnd: (Int) -> Bool = { _ in false },
        into outbox: inout Outbox
    ) {
        records.carryWatermarks(task, quiet: quiet, atEnd: atEnd, into: &outbox)
    }

    /// Appends the alerts that clear what a restored task has found abandoned; to be called with each commit,
    /// before its changes are collected.
    package func clearAbandoned(_ task: TaskState, into outbox: inout Outbox) {
        alerts.clearAbandoned(task, into: &outbox)
    }

    /// Hands the metrics of keys that changed since they were last handed over to the sinks that take them:
    /// all, or at most `keysMax` of each step, so that the many keys of a task that was just restored do not
    /// hold the lane up.
    package func collectMetrics(_ task: TaskState, keysMax: Int, into sink: (Int) -> (any MetricsSink)?) {
        windows.collectMetrics(task, keysMax: keysMax, lent, into: sink)
    }

    /// Takes outputs before the end of a batch where they are many, and empties the outbox.
    package var spill: ((inout Outbox) -> Void)? {
        get { order.spill }
        set { order.spill = newValue }
    }

    /// For tests: every window is closed by itself, whether that makes a difference or not.
    var closesOneByOne: Bool {
        get { closing.closesOneByOne }
        set { closing.closesOneByOne = newValue }
    }
}
