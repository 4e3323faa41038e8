import Base
import Dataflow
import Operators
import Records
import Topology

/// A topology's tasks within one lane: partition p of every source belongs to task p.
final class PipelineGraph: LaneGraph {
    private let spec: TopologySpec
    private let pipeline: Pipeline
    private let metrics: (Int) -> (any MetricsSink)?
    private let metricsMilliseconds: Int64
    private let lag: (SourcePartition) -> Int64?
    private var tasks: [Int32: (task: TaskState, open: Set<Int>)] = [:]
    private var metricsAt: Int64 = 0

    init(
        _ spec: TopologySpec,
        pipeline: Pipeline,
        metricsMilliseconds: Int64,
        metrics: @escaping (Int) -> (any MetricsSink)?,
        lag: @escaping (SourcePartition) -> Int64?
    ) {
        self.spec = spec
        self.pipeline = pipeline
        self.metricsMilliseconds = metricsMilliseconds
        self.metrics = metrics
        self.lag = lag
    }

    func open(_ partition: SourcePartition) {
        var entry = tasks[partition.partition] ?? (pipeline.makeTask(partition: partition.partition), [])
        entry.open.insert(partition.source)
        tasks[partition.partition] = entry
    }

    func close(_ partition: SourcePartition) {
        tasks[partition.partition]?.open.remove(partition.source)
        if tasks[partition.partition]?.open.isEmpty == true { tasks[partition.partition] = nil }
    }

    func process(_ partition: SourcePartition, _ raw: RawRecords, into outbox: inout Outbox) {
        if tasks[partition.partition] == nil { open(partition) }
        guard let task = tasks[partition.partition]?.task else { return }
        pipeline.process(raw, source: partition.source, task: task, outbox: &outbox)
    }

    func idle(_ partition: SourcePartition, forMilliseconds milliseconds: Int64, into outbox: inout Outbox) {
        guard let task = tasks[partition.partition]?.task else { return }
        pipeline.idle(source: partition.source, forMilliseconds: milliseconds, task: task, outbox: &outbox)
    }

    func idleMilliseconds(of partition: SourcePartition) -> Int64 { spec.sources[partition.source].idle }

    func committed(isLast: Bool) {
        let now = monotonicNanoseconds() / 1_000_000
        guard isLast || now - metricsAt >= metricsMilliseconds else { return }
        metricsAt = now
        for entry in tasks.values { pipeline.collectMetrics(entry.task, into: metrics) }
    }

    func describe(into status: inout LaneStatus) {
        let counters = pipeline.counters
        status.records = counters.records
        status.alerts = counters.alerts
        status.results = counters.results
        status.late = counters.late
        for reason in RowStatus.allCases where counters.dead[Int(reason.rawValue)] > 0 {
            status.dead[reason.name] = counters.dead[Int(reason.rawValue)]
        }
        for index in status.partitions.indices {
            let entry = status.partitions[index]
            let partition = SourcePartition(source: entry.source, partition: entry.partition)
            status.partitions[index].lagRecords = lag(partition)
            let watermark = tasks[entry.partition]?.task.watermarks[entry.source] ?? .min
            status.partitions[index].watermark = watermark == .min ? nil : watermark
        }
        status.keys = tasks.values.reduce(0) { $0 + $1.task.keyCount }
        status.stateBytes = tasks.values.reduce(0) { $0 + $1.task.memoryBytes }
    }
}
