import Base
import Dataflow
import Operators
import Records
import Topology

/// A topology's tasks within one lane: partition p of every source belongs to task p.
final class PipelineGraph: LaneGraph {
    private var spec: TopologySpec
    private var pipeline: Pipeline
    /// By sink.
    private var metrics: [Int: any MetricsSink]
    private let metricsMilliseconds: Int64
    private let onChanges: (StateChanges) -> Void
    private var tasks: [Int32: TaskState] = [:]
    /// Tasks that got state which is not whole yet.
    private var restoring: Set<Int32> = []
    private var metricsAt: Int64 = 0
    /// Rules that change while they run; nil: they do not.
    private let changes: RuleChanges?
    /// Of the last rules that were proposed and tried.
    private var tried: Int64 = 0
    /// By task: what its switch to other rules has given, until it takes a record or a commit comes.
    private var switches: [Int32: Outbox] = [:]
    /// Tasks whose next commit makes their switch certain.
    private var switched: Set<Int32> = []
    /// What pipelines before this one have counted.
    private var past = LaneStatus()
    let inputs: [AlignedInput]

    /// Where changed rules come from, and how a topology becomes a pipeline of this lane.
    struct RuleChanges {
        var board: RuleSetBoard
        /// The topic that they are in, and who the lane is, for messages.
        var topic: String
        var worker: String
        var makePipeline: (TopologySpec) throws(Fault) -> Pipeline
    }

    init(
        _ spec: TopologySpec,
        pipeline: Pipeline,
        metricsMilliseconds: Int64,
        metrics: [Int: any MetricsSink],
        changes: RuleChanges? = nil,
        onChanges: @escaping (StateChanges) -> Void = { _ in }
    ) {
        self.changes = changes
        self.spec = spec
        self.pipeline = pipeline
        self.metricsMilliseconds = metricsMilliseconds
        self.metrics = metrics
        self.onChanges = onChanges
        inputs = pipeline.alignedInputs
    }

    func open(_ partition: SourcePartition) {
        if tasks[partition.partition] == nil {
            tasks[partition.partition] = pipeline.makeTask(partition: partition.partition)
        }
    }

    func drop(task: Int32) {
        tasks[task] = nil
        restoring.remove(task)
        switches[task] = nil
        switched.remove(task)
    }

    func prepare(_ raw: RawRecords, source: Int) throws(Fault) {
        try pipeline.prepare(raw, source: source)
    }

    func look(at raw: RawRecords, of partition: SourcePartition) -> InputRows {
        guard let task = tasks[partition.partition] else {
            return InputRows(times: Array(repeating: .min, count: raw.count))
        }
        return pipeline.look(at: raw, source: partition.source, task: task)
    }

    func noteUnaligned(_ limit: LimitName, source: Int, count: Int64) {
        pipeline.counters.limits.note(limit, spec.sources[source].name, count: count)
    }

    func process(_ partition: SourcePartition, _ raw: RawRecords, into outbox: inout Outbox) {
        guard let task = tasks[partition.partition] else { return }
        handOver(partition.partition, &outbox)
        pipeline.process(raw, source: partition.source, task: task, outbox: &outbox)
    }

    func setSpill(_ spill: @escaping (inout Outbox) -> Void) { pipeline.spill = spill }

    func warnings() -> [String] { pipeline.counters.limits.lines(now: monotonicNanoseconds() / 1_000_000) }

    func processBroadcast(source: Int, _ raw: RawRecords) { pipeline.processBroadcast(raw, source: source) }

    func isTable(_ partition: SourcePartition) -> Bool { spec.sources[partition.source].table != nil }

    func idle(_ partition: SourcePartition, forMilliseconds milliseconds: Int64, into outbox: inout Outbox) {
        guard let task = tasks[partition.partition] else { return }
        handOver(partition.partition, &outbox)
        pipeline.idle(source: partition.source, forMilliseconds: milliseconds, task: task, outbox: &outbox)
    }

    func idleMilliseconds(of partition: SourcePartition) -> Int64 { spec.sources[partition.source].idle }

    func carryWatermarks(quiet: Set<SourcePartition>, atEnd: Set<SourcePartition>, into outbox: inout Outbox)
    {
        guard !spec.repartitions.isEmpty else { return }
        for (number, task) in tasks {
            pipeline.carryWatermarks(
                task, quiet: { quiet.contains(SourcePartition(source: $0, partition: number)) },
                atEnd: { atEnd.contains(SourcePartition(source: $0, partition: number)) }, into: &outbox)
        }
    }

    func note(_ mark: LogMark, of partition: SourcePartition) {
        guard let task = tasks[partition.partition] else { return }
        pipeline.note(mark, of: partition.source, task)
    }

    func collectOutputs(task number: Int32, into outbox: inout Outbox) -> Bool {
        guard let task = tasks[number] else { return false }
        // One that began empty was never judged by others.
        activate(task, judges: false)
        handOver(number, &outbox)
        pipeline.clearAbandoned(task, into: &outbox)
        return switched.remove(number) != nil
    }

    func collectChanges(
        task: Int32, positions: [Int: Int64], written: [Int: [Int64]], into changes: inout Outbox
    ) {
        guard let task = tasks[task] else { return }
        pipeline.collectChanges(task, positions: positions, written: written, into: &changes)
    }

    // MARK: Restoring

    func restore(task: Int32, snapshot: UnsafeBufferPointer<UInt8>) -> Bool {
        let state = pipeline.makeTask(partition: task)
        guard pipeline.readSnapshot(snapshot, task: state) else { return false }
        tasks[task] = state
        restoring.insert(task)
        return true
    }

    func restore(
        task: Int32, key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?
    ) throws(Fault) -> Bool {
        guard let state = tasks[task] else { return false }
        restoring.insert(task)
        try pipeline.restore(key: key, value: value, task: state)
        return Pipeline.endsCommit(key)
    }

    func resume(task: Int32) {
        if let state = tasks[task] { pipeline.doubt(state) }
    }

    func isContinued(task: Int32) -> Bool {
        guard let state = tasks[task] else { return true }
        return !state.isDoubtful && !state.isContradicted
    }

    func finishRestore(task: Int32, place: String) throws(Fault) {
        guard let state = tasks[task], restoring.remove(task) != nil else { return }
        try pipeline.finishRestore(state, place: place)
        if state.epoch > spec.epoch ?? 0 {
            // Another worker has read it already. A lane made anew begins with it.
            throw Fault(
                .external,
                "\(place) is judged by epoch \(state.epoch) of the rules, and topic '\(changes?.topic ?? "")' has "
                    + "come to \(spec.epoch ?? 0) so far",
                retry: .withBackoff)
        }
        activate(state)
        if let changes = pipeline.changes(state) { onChanges(changes) }
    }

    func keep(task: Int32) { restoring.remove(task) }

    func positions(task: Int32) -> [Int: Int64]? {
        guard let state = tasks[task], state.isKept else { return nil }
        return Dictionary(uniqueKeysWithValues: state.positions.enumerated().map { ($0.offset, $0.element) })
    }

    func writers(task: Int32) -> [Int: [InputWriter]] { tasks[task].map { pipeline.writers($0) } ?? [:] }

    func sequence(task: Int32) -> UInt64 { tasks[task]?.sequence ?? 0 }

    func mark(of partition: SourcePartition) -> LogMark? {
        tasks[partition.partition]?.marks[partition.source]
    }

    func formerTopic(of partition: SourcePartition) -> String? {
        tasks[partition.partition].flatMap { pipeline.formerTopics($0)[partition.source] }
    }

    func forgetLog(of partition: SourcePartition) {
        if let task = tasks[partition.partition] { pipeline.forgetLog(partition.source, task) }
    }

    func sourceName(of partition: SourcePartition) -> String { spec.sources[partition.source].name }

    func name(of partition: SourcePartition) -> String {
        let source = spec.sources[partition.source]
        let topic =
            switch source.origin {
            case .kafka(let topic, _): " (topic '\(topic)')"
            default: ""
            }
        return "source '\(source.name)'\(topic), partition \(partition.partition)"
    }

    func snapshot(task: Int32) -> Arena {
        let bytes = Arena(capacity: 1 << 16)
        if let state = tasks[task] { pipeline.writeSnapshot(state, to: bytes) }
        return bytes
    }

    // MARK: Rules that change

    /// A task that comes under other rules says so, and what they make of what it holds, before it takes
    /// another record.
    private func activate(_ task: TaskState, judges: Bool = true) {
        guard let changes, let epoch = spec.epoch, epoch != task.epoch else { return }
        var outbox = Outbox()
        let isChanged = judges ? changes.board.changed(from: task.epoch, to: epoch) : { _ in false }
        guard let activation = RuleSwitch(pipeline).activate(task, rules: isChanged, into: &outbox) else {
            return
        }
        RuleSetAcknowledgement(activation, task: task.partition, spec, worker: changes.worker).add(
            to: &outbox)
        switches[task.partition] = outbox
        switched.insert(task.partition)
    }

    private func handOver(_ task: Int32, _ outbox: inout Outbox) {
        if switches.isEmpty { return }
        if let made = switches.removeValue(forKey: task) { outbox.add(made) }
    }

    /// Tries rules that are proposed on a copy of what the tasks hold.
    private func tryProposals(_ changes: RuleChanges) {
        for trial in changes.board.trials.trials(after: tried) {
            tried = trial.number
            do throws(Fault) {
                let rules = RuleSwitch(try changes.makePipeline(trial.spec))
                let isChanged = RuleSetBoard.changed(from: spec, to: trial.spec)
                for (number, task) in tasks {
                    let made = try rules.trial(task, of: pipeline, rules: isChanged)
                    let count = RuleSetTrials.Count(raised: made?.raised ?? 0, cleared: made?.cleared ?? 0)
                    changes.board.trials.note(count, of: number, trial.number)
                }
            } catch {
                Log.warning("rules that are proposed were not tried: \(error.detail)")
            }
        }
    }

    func change() throws(Fault) -> [SinkRoute]? {
        // What was restored in advance is not whole yet.
        guard restoring.isEmpty, let changes else { return nil }
        tryProposals(changes)
        guard let next = changes.board.newest(after: spec.epoch ?? 0) else {
            return nil
        }
        let start = monotonicNanoseconds()
        let made = try changes.makePipeline(next.spec)
        let rules = RuleSwitch(made)
        rules.adopt(pipeline)
        var moved: [Int32: TaskState] = [:]
        for (number, task) in tasks { moved[number] = try rules.takeOver(task, of: pipeline) }
        var counted = LaneStatus()
        count(into: &counted)
        past = counted
        let former = spec.sinks.map(\.name)
        let routes = next.spec.sinks.map { sink in
            SinkRoute(topic: sink.topic, former: former.firstIndex(of: sink.name))
        }
        let metrics = self.metrics
        self.metrics = [:]
        for (sink, route) in routes.enumerated() { self.metrics[sink] = route.former.flatMap { metrics[$0] } }
        (spec, pipeline, tasks) = (next.spec, made, moved)
        for task in moved.values { activate(task) }
        Log.info(
            "epoch \(next.epoch) of the rules: \(moved.count) tasks go on with it, after "
                + "\((monotonicNanoseconds() - start) / 1_000_000) ms")
        return routes
    }

    // MARK: After commits

    /// About 20 ms of work.
    private static let metricsKeysMax = 10_000

    func committed(isLast: Bool) {
        let now = monotonicNanoseconds() / 1_000_000
        guard isLast || now - metricsAt >= metricsMilliseconds else { return }
        metricsAt = now
        for task in tasks.values {
            pipeline.collectMetrics(task, keysMax: isLast ? .max : Self.metricsKeysMax, into: { metrics[$0] })
        }
    }

    func count(into status: inout LaneStatus) {
        var counts = LaneStatus()
        countOwn(into: &counts)
        counts.addCounts(of: past)
        // What the lane counts by itself stays.
        (status.records, status.alerts, status.results) = (counts.records, counts.alerts, counts.results)
        (status.late, status.tombstones, status.reads) = (counts.late, counts.tombstones, counts.reads)
        (status.dead, status.unmatched, status.overflows) = (counts.dead, counts.unmatched, counts.overflows)
        (status.lookups, status.limits) = (counts.lookups, counts.limits)
        (status.rules, status.stepRows) = (counts.rules, counts.stepRows)
    }

    private func countOwn(into status: inout LaneStatus) {
        let counters = pipeline.counters
        status.records = counters.records
        for (source, reads) in zip(spec.sources, counters.reads) where reads.records > 0 {
            status.reads[source.name] = reads
        }
        status.alerts = counters.alerts
        status.results = counters.results
        status.late = counters.late
        status.tombstones = counters.tombstones
        for (step, count) in zip(spec.steps, counters.unmatched) where count > 0 {
            status.unmatched[step.name] = count
        }
        for (step, count) in zip(spec.steps, counters.resultOverflows) where count > 0 {
            status.overflows["step=\"\(step.name)\"", default: 0] += count
        }
        for (rule, count) in zip(spec.rules, counters.ruleOverflows) where count > 0 {
            status.overflows["rule=\"\(rule.name)\""] = count
        }
        PipelineCounts(pipeline).add(to: &status)
        for (place, count) in counters.limits.counts { status.limits[place] = count }
        for (source, asked, unanswered) in pipeline.lookupCounts {
            status.lookups[source] = (asked, unanswered)
        }
        for reason in RowStatus.allCases where counters.dead[Int(reason.rawValue)] > 0 {
            status.dead[reason.name] = counters.dead[Int(reason.rawValue)]
        }
    }

    func describe(into status: inout LaneStatus, blockers: [Int32: InputBlocker]) {
        var busy: Set<Int32> = []
        // By task and step: records that were read and wait for another input.
        var held: [Int32: [String: Int64]] = [:]
        let waiting = tasks.mapValues { pipeline.waiting($0) }
        for index in status.partitions.indices {
            let entry = status.partitions[index]
            let watermark = tasks[entry.partition]?.watermarks[entry.source] ?? .min
            status.partitions[index].watermark = watermark == .min ? nil : watermark
            if entry.waiting > 0 {
                for step in pipeline.firstSteps(of: entry.source) {
                    held[entry.partition, default: [:]][step, default: 0] += entry.waiting
                }
            }
            if let buffered = waiting[entry.partition]?[entry.source] {
                status.partitions[index].waiting += buffered.rows
                status.partitions[index].lagRecords? += buffered.rows
                if buffered.reached != .min {
                    status.partitions[index].reached = min(watermark, buffered.reached)
                }
            }
            if !entry.isCaughtUp || status.partitions[index].waiting > 0 { busy.insert(entry.partition) }
        }
        status.steps = tasks.flatMap { number, task in
            pipeline.progress(task).map { step in
                var step = step
                step.isBusy = busy.contains(number)
                if let records = held[number]?[step.name], let blocker = blockers[number] {
                    step.waiting += records
                    step.awaited = pipeline.name(
                        ofInput: blocker.source, writer: blocker.writer < 0 ? nil : blocker.writer, task)
                }
                return step
            }
        }
        status.raisedKeys = tasks.values.reduce(into: [:]) { sums, task in
            sums.merge(PipelineCounts(pipeline).raisedKeys(task), uniquingKeysWith: +)
        }
        status.keys = tasks.values.reduce(0) { $0 + $1.keyCount }
        status.stateBytes = tasks.values.reduce(0) { $0 + $1.memoryBytes }
    }
}
