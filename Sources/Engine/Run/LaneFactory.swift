import Base
import Connectors
import Dataflow
import Glibc
import Operators
import Records
import Runtime
import Topology

/// Makes the records of a topology's source `generate: …`, whose index is given.
package typealias SourceGenerator = @Sendable (_ source: Int, GenerateSpec) throws(Fault) -> any LaneSource

/// Puts a lane together: its clients, its pipeline, and where its tasks are kept.
package struct LaneFactory {
    let spec: TopologySpec
    let kafka: KafkaSettings
    /// None: the topology's only source generates.
    let topics: [KafkaSourceTopic]
    let partitionCount: Int
    /// False: tasks live in memory only, and results are published at least once.
    let keepsState: Bool
    package var laneCount = 1
    /// Stable over restarts; nil: none is known.
    package var instanceId: String?
    package var snapshots: SnapshotFiles?
    package var sinks = OpenSinks()
    package var metricsMilliseconds: Int64 = 500
    /// Told of each task that goes on with the state of a topology that was another one.
    var onChanges: (StateChanges) -> Void = { _ in }
    /// Redis of tables that name none.
    package var redis: RedisAddress?
    package var generator: SourceGenerator?
    /// What the registries of this process have answered.
    package var registries = SchemaCache()
    package var lane = Lane.Options()
    /// Rules that change while the lane runs; nil: they do not.
    var ruleSets: RuleSetBoard?

    package init(
        spec: TopologySpec, kafka: KafkaSettings, topics: [KafkaSourceTopic], partitionCount: Int,
        keepsState: Bool
    ) {
        self.spec = spec
        self.kafka = kafka
        self.topics = topics
        self.partitionCount = partitionCount
        self.keepsState = keepsState
    }

    /// State belongs to a group: `--group` gives a second run of a topology state of its own.
    package static func changelogTopic(group: String) -> String { "\(group)-state-changelog" }

    private var isTransactional: Bool { keepsState && spec.guarantee == .exactlyOnce }

    package func make(
        _ number: Int, phase: LanePhase = LanePhase(), publish: @escaping (LaneStatus) -> Void
    ) throws(Fault) -> (lane: Lane, pipeline: Pipeline) {
        let pipeline = try makePipeline(spec)
        let settings = settings(number, MemberTag(pipeline, spec))
        let isAligned = !pipeline.alignedInputs.isEmpty
        let group =
            topics.isEmpty
            ? nil
            : try KafkaSource(isAligned ? split(settings) : settings, topics: topics, isSplit: isAligned)
        // The sink reports latencies to the lane that is made after it.
        let latencies = LatencyRelay()
        let kafkaSink = try KafkaSink(
            settings,
            topics: KafkaSink.Topics(
                sinks: spec.sinks.map(\.topic),
                deadLetter: "\(spec.name)-dead-letter",
                late: "\(spec.name)-late",
                changelog: keepsState ? Self.changelogTopic(group: kafka.group) : nil,
                repartitions: spec.repartitions.map(\.topic),
                acknowledgements: ruleSets.map { _ in RuleSetTopics.acknowledgements(kafka.group) }),
            group: group,
            clock: SystemClock(),
            onDelivery: { latencies.lane?.recordAlertLatency(milliseconds: $0) }
        )
        let sink: any LaneSink =
            sinks.records.isEmpty ? kafkaSink : FollowedSink(kafkaSink, followers: sinks.records)
        let source: any LaneSource
        if let group { source = group } else { source = try generated() }
        let changes = ruleSets.map { board in
            PipelineGraph.RuleChanges(
                board: board, topic: RuleSetTopics.ruleSets(kafka.group), worker: settings.clientId
            ) { (spec) throws(Fault) in try makePipeline(spec) }
        }
        let graph = PipelineGraph(
            spec, pipeline: pipeline, metricsMilliseconds: metricsMilliseconds, metrics: sinks.metrics,
            changes: changes,
            onChanges: onChanges)
        let lane = Lane(
            source: source,
            sink: sink,
            graph: graph,
            storage: keepsState ? try storage(settings, number, phase) : nil,
            broadcasts: try broadcasts(settings),
            options: lane,
            phase: phase,
            publish: publish
        )
        latencies.lane = lane
        return (lane, pipeline)
    }

    private func makePipeline(_ spec: TopologySpec) throws(Fault) -> Pipeline {
        let options = Pipeline.Options(
            clock: SystemClock(), requiresKeys: partitionCount > 1, tracksChanges: keepsState,
            partitions: partitionCount)
        return try Planner(spec, registries: registries).pipeline(options, lookups: lookups(of: spec))
            .pipeline
    }

    /// A lane over connectors that are given, by a clock that is given; nothing goes to caches.
    package static func lane(
        _ spec: TopologySpec, _ pipeline: Pipeline, source: any LaneSource, sink: any LaneSink,
        storage: Lane.Storage?,
        broadcasts: [Lane.Broadcast], ruleSets: RuleSetBoard? = nil,
        makePipeline: @escaping (TopologySpec) throws(Fault) -> Pipeline, options: Lane.Options,
        now: @escaping () -> Int64
    ) -> Lane {
        let changes = ruleSets.map {
            PipelineGraph.RuleChanges(board: $0, topic: "", worker: "", makePipeline: makePipeline)
        }
        return Lane(
            source: source, sink: sink,
            graph: PipelineGraph(
                spec, pipeline: pipeline, metricsMilliseconds: .max, metrics: [:], changes: changes),
            storage: storage, broadcasts: broadcasts, options: options, now: now, publish: { _ in })
    }

    private func settings(_ number: Int, _ tag: MemberTag) -> KafkaSettings {
        var settings = kafka
        settings.memberTag = tag.text
        settings.clientId = "\(spec.name)-\(number)"
        let name = instanceId.map { "\($0)-\(number)" }
        let mark = Self.mark(of: topics, tag.layout)
        settings.instanceId = name.map { "\($0)-\(mark)" }
        settings.laneInstanceIds =
            instanceId.map { worker in (0..<laneCount).map { "\(worker)-\($0)-\(mark)" } } ?? []
        settings.prefetchBytes = kafka.prefetchBytes / laneCount
        if isTransactional {
            // Without a stable name a transaction that was left open ends by its timeout.
            settings.transactionalId = "\(kafka.group)-\(name ?? "\(Self.processName)-\(number)")"
        }
        return settings
    }

    /// A member that comes back under its name gets its former partitions without a look at what it
    /// subscribes to now, and the broker goes on to tell its former client id, so the topics and the layout
    /// are part of the name.
    private static func mark(of topics: [KafkaSourceTopic], _ layout: String) -> String {
        var text = (topics.map(\.topic).sorted() + [layout]).joined(separator: "\n")
        let hash = text.withUTF8 { bytes in bytes.baseAddress.map { hashBytes($0, bytes.count) } ?? 0 }
        return String(hash & 0xFFFF_FFFF, radix: 36)
    }

    /// Where each partition has a queue of its own, what may be fetched ahead is a bound for each.
    private func split(_ settings: KafkaSettings) -> KafkaSettings {
        var settings = settings
        let partitions = topics.count * (partitionCount + laneCount - 1) / laneCount
        settings.prefetchBytes = max(1 << 20, settings.prefetchBytes / max(1, partitions))
        return settings
    }

    private static let processName = "worker-\(getpid())-\(SystemClock().nowMilliseconds)"

    private func generated() throws(Fault) -> any LaneSource {
        for (index, source) in spec.sources.enumerated() {
            guard case .generate(let generate) = source.origin else { continue }
            guard let generator else {
                throw Fault(.user, "source '\(source.name)' generates, which `millrace run` does")
            }
            return try generator(index, generate)
        }
        throw Fault(.defect, "a lane without a source")
    }

    private func lookups(of spec: TopologySpec) throws(Fault) -> [Int: any TableLookup] {
        var lookups: [Int: any TableLookup] = [:]
        for (index, source) in spec.sources.enumerated() {
            guard let table = source.redisTable else { continue }
            guard let address = try RedisAddress.of(table.server) ?? redis else {
                throw Fault(
                    .user, "table '\(source.name)': no Redis was named (redis: { url: … } or --redis)")
            }
            lookups[index] = RedisLookup(
                address, fields: source.hashFields.map { source.wire[$0].path.joined(separator: ".") },
                timeoutMilliseconds: table.timeout)
        }
        return lookups
    }

    /// Readers of the tables that each lane has all of.
    private func broadcasts(_ settings: KafkaSettings) throws(Fault) -> [Lane.Broadcast] {
        var broadcasts: [Lane.Broadcast] = []
        for (index, source) in spec.sources.enumerated() where source.isBroadcast {
            guard case .kafka(let topic, _) = source.origin else { continue }
            let reader = try KafkaReader(settings, topic: topic)
            broadcasts.append(Lane.Broadcast(source: index, name: source.name, reader: reader))
        }
        return broadcasts
    }

    private func storage(_ settings: KafkaSettings, _ number: Int, _ phase: LanePhase) throws(Fault)
        -> Lane.Storage
    {
        let progress = RestoreProgress(lane: number, phase: phase)
        return Lane.Storage(
            changelog: try KafkaChangelog(settings, topic: Self.changelogTopic(group: kafka.group)) {
                progress.show($0, of: $1)
            },
            snapshots: snapshots,
            isAtomic: isTransactional)
    }

    private final class LatencyRelay { weak var lane: Lane? }
}
