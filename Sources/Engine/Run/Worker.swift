import Base
import Connectors
import Dataflow
import Glibc
import Operators
import Records
import Runtime
import Synchronization
import Topology

/// One process of a topology: its lanes, each a thread with a consumer and a producer of its own, its Redis
/// writers, and what it tells the world about itself.
package final class Worker: Sendable {
    package struct Options: Sendable {
        package var kafka: KafkaSettings
        /// Redis of sinks that name none; nil: such sinks are left out, with a warning.
        package var redis: RedisAddress?
        /// 0: as many as there are cores, at most as many as partitions.
        package var lanes = 0
        package var metricsAddress = "127.0.0.1"
        package var metricsPort: UInt16?
        package var commitMilliseconds: Int64 = 100
        package var redisMilliseconds: Int64 = 500
        /// The cluster is the mock inside librdkafka.
        package var isMock = false
        /// No progress for this long makes `/health` fail.
        package var stallMilliseconds: Int64 = 30_000

        package init(kafka: KafkaSettings) { self.kafka = kafka }
    }

    private let spec: TopologySpec
    private let options: Options
    private let board = StatusBoard()
    private let shouldStop = Atomic<Bool>(false)
    private let faults = Mutex<[Fault]>([])
    private let readyLanes = Atomic<Int>(0)
    /// Put together once before the lanes start; their own locks guard what is inside.
    nonisolated(unsafe) private var redisSinks: [Int: RedisSink] = [:]
    nonisolated(unsafe) private var server: MetricsServer?
    nonisolated(unsafe) private var laneCount = 0
    nonisolated(unsafe) private var partitionCount = 1

    package init(_ spec: TopologySpec, _ options: Options) {
        self.spec = spec
        self.options = options
    }

    /// The topics that the topology needs besides its sources.
    package static func topics(of spec: TopologySpec, partitions: Int) -> [KafkaTopicPlan] {
        var names: [String] = []
        for sink in spec.sinks { if case .kafka(let topic) = sink.target, !names.contains(topic) { names.append(topic) } }
        names += ["\(spec.name)-dead-letter", "\(spec.name)-late"]
        return names.map { KafkaTopicPlan(name: $0, partitions: partitions) }
    }

    /// Asks the lanes to drain, commit and leave.
    package func stop() { shouldStop.store(true, ordering: .relaxed) }

    package var isReady: Bool { readyLanes.load(ordering: .relaxed) >= max(1, laneCount) }

    package var statuses: [LaneStatus] { board.lanes }

    /// Runs until `stop`, or until a lane fails.
    package func run() throws(Fault) {
        guard spec.guarantee == .atLeastOnce else {
            throw Fault(
                .user,
                "this version runs at least once, with alert ids that let a consumer drop repeats; say so in the topology: "
                    + "guarantee: at-least-once")
        }
        let topics = try sourceTopics()
        try options.kafka.check()
        let admin = try KafkaAdmin(options.kafka, isMock: options.isMock)
        try admin.checkReachable()
        var partitions = 1
        for topic in topics {
            guard let count = try admin.partitionCount(of: topic.topic) else {
                throw Fault(.user, "topic '\(topic.topic)' does not exist on \(options.kafka.bootstrapServers)")
            }
            partitions = max(partitions, count)
        }
        partitionCount = partitions
        try checkKeys(partitions: partitions)
        try admin.create(Self.topics(of: spec, partitions: partitions))
        try openRedis()
        defer { for sink in redisSinks.values { sink.close() } }
        laneCount = topics.isEmpty ? 1 : options.lanes > 0 ? options.lanes : max(1, min(partitions, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        try serve()
        Log.info("\(spec.name): \(laneCount) lanes, \(partitions) partitions, group \(options.kafka.group)")
        runLanes(topics)
        server = nil
        if let fault = faults.withLock({ $0.first }) { throw fault }
    }

    private func sourceTopics() throws(Fault) -> [KafkaSourceTopic] {
        var topics: [KafkaSourceTopic] = []
        for (index, source) in spec.sources.enumerated() {
            switch source.origin {
            case .kafka(let topic, let start): topics.append(KafkaSourceTopic(topic: topic, source: index, start: start))
            case .repartition(let topic): topics.append(KafkaSourceTopic(topic: topic, source: index, start: .earliest))
            case .file: throw Fault(.user, "source '\(source.name)' is a file; `millrace replay` reads files")
            case .generate where spec.sources.count == 1: break
            case .generate: throw Fault(.user, "source '\(source.name)' generates; it must be the only source")
            }
        }
        return topics
    }

    /// Windows by different keys would each need the stream partitioned its own way.
    private func checkKeys(partitions: Int) throws(Fault) {
        guard partitions > 1 else { return }
        for source in spec.sources.indices {
            var keys: [String: String] = [:]
            for step in spec.steps where step.window != nil && self.source(of: step) == source {
                let names = step.key.map { step.schema.fields[$0].name }.joined(separator: ", ")
                keys[names] = step.name
            }
            if keys.count > 1 {
                let list = keys.sorted { $0.key < $1.key }.map { "'\($0.value)' by \($0.key)" }.joined(separator: ", ")
                throw Fault(
                    .user,
                    "source '\(spec.sources[source].name)' has \(partitions) partitions, and steps of different keys (\(list)): "
                        + "only one of them can match the topic's partitioning; use a topic for each key, or one partition")
            }
        }
    }

    private func source(of step: StepSpec) -> Int {
        switch step.input {
        case .source(let index): index
        case .step(let index): source(of: spec.steps[index])
        }
    }

    private func openRedis() throws(Fault) {
        for (index, sink) in spec.sinks.enumerated() {
            guard case .redis(_, _, let url) = sink.target else { continue }
            guard let address = try url.map({ (text) throws(Fault) in try RedisAddress(text) }) ?? options.redis else {
                Log.warning("sink '\(sink.name)' is left out: no Redis was named (redis: { url: … } or --redis)")
                continue
            }
            redisSinks[index] = try RedisSink(address)
        }
    }

    private func serve() throws(Fault) {
        guard let port = options.metricsPort else { return }
        let server = try MetricsServer(
            address: options.metricsAddress,
            port: port,
            pages: MetricsServer.Pages(
                metrics: { [self] in metricsText() },
                isHealthy: { [self] in isHealthy },
                isReady: { [self] in isReady && !shouldStop.load(ordering: .relaxed) }
            )
        )
        self.server = server
        Log.info("metrics on http://\(options.metricsAddress):\(server.port)/metrics")
    }

    package func metricsText() -> String {
        MetricsText.render(
            spec,
            lanes: board.lanes,
            redis: redisSinks.sorted { $0.key < $1.key }.map { (spec.sinks[$0.key].name, $0.value.counts) },
            now: SystemClock().nowMilliseconds
        )
    }

    /// Every lane has turned within the last while.
    private var isHealthy: Bool {
        guard faults.withLock({ $0.isEmpty }) else { return false }
        let now = monotonicNanoseconds()
        return board.lanes.allSatisfy { now - $0.progressedAt < options.stallMilliseconds * 1_000_000 }
    }

    // MARK: Lanes

    private func runLanes(_ topics: [KafkaSourceTopic]) {
        let threads = (0..<laneCount).map { lane in
            Background { [self] () throws(Fault) in
                do throws(Fault) {
                    try makeLane(lane, topics).run(until: { shouldStop.load(ordering: .relaxed) })
                } catch {
                    // The other lanes drain; a supervisor starts the worker again.
                    stop()
                    throw error
                }
            }
        }
        for thread in threads { if let fault = thread.join() { faults.withLock { $0.append(fault) } } }
    }

    private func makeLane(_ number: Int, _ topics: [KafkaSourceTopic]) throws(Fault) -> Lane {
        var kafka = options.kafka
        kafka.clientId = "\(spec.name)-\(number)"
        kafka.instanceId = options.kafka.instanceId.map { "\($0)-\(number)" }
        kafka.prefetchBytes = options.kafka.prefetchBytes / laneCount
        let planner = try Planner(spec)
        let (pipeline, _) = planner.pipeline(
            Pipeline.Options(
                clock: SystemClock(),
                requiresKeys: partitionCount > 1 && spec.steps.contains { $0.window != nil }))
        let source: any LaneSource
        var lag: (SourcePartition) -> Int64? = { _ in nil }
        if case .generate(let generate) = spec.sources[0].origin {
            source = try MarketplaceSource(
                source: 0, rate: generate.rate, merchants: generate.merchants, seed: generate.seed, clock: SystemClock())
        } else {
            let consumer = try KafkaSource(kafka, topics: topics)
            lag = { consumer.lag(of: $0) }
            source = consumer
        }
        // The sink reports latencies to the lane that is made after it.
        let latencies = LatencyRelay()
        let sink = try KafkaSink(
            kafka,
            sinks: spec.sinks.map { sink in if case .kafka(let topic) = sink.target { topic } else { nil } },
            deadLetter: "\(spec.name)-dead-letter",
            late: "\(spec.name)-late",
            clock: SystemClock(),
            onDelivery: { latencies.lane?.recordAlertLatency(milliseconds: $0) }
        )
        let graph = PipelineGraph(
            spec,
            pipeline: pipeline,
            metricsMilliseconds: options.redisMilliseconds,
            metrics: { [redisSinks] in redisSinks[$0] },
            lag: lag
        )
        var wasReady = false
        let lane = Lane(
            source: source,
            sink: sink,
            graph: graph,
            options: Lane.Options(commitMilliseconds: options.commitMilliseconds),
            publish: { [self] status in
                board.publish(status, lane: number)
                if status.isReady, !wasReady {
                    wasReady = true
                    readyLanes.add(1, ordering: .relaxed)
                }
            }
        )
        latencies.lane = lane
        return lane
    }

    private final class LatencyRelay { weak var lane: Lane? }
}
