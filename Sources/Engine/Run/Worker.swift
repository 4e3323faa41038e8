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
        /// Snapshots of this machine's workers; nil: none are written.
        package var stateDirectory: String?
        package var snapshotMilliseconds: Int64 = 30_000
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
        /// How long a lane may fail to commit anything before the worker gives up.
        package var recoveryMilliseconds: Int64 = 300_000
        /// Names of sources that may read another log than the one that the state was made from: it is begun where they say.
        package var newTopics: Set<String> = []
        /// A lane that stands still for this long is reported.
        package var watchdogMilliseconds: Int64 = 10_000
        /// No progress for this long makes `/health` fail.
        package var stallMilliseconds: Int64 = 30_000
        /// For topologies whose source generates.
        package var generator: SourceGenerator?

        package init(kafka: KafkaSettings) { self.kafka = kafka }
    }

    /// As it was read; as it runs, once the partitions are counted.
    nonisolated(unsafe) private var spec: TopologySpec
    private let options: Options
    private let board = StatusBoard()
    private let shouldStop = Atomic<Bool>(false)
    private let faults = Mutex<[Fault]>([])
    /// Put together once before the lanes start; their own locks guard what is inside.
    nonisolated(unsafe) private var redisSinks: [Int: RedisSink] = [:]
    nonisolated(unsafe) private var server: MetricsServer?
    nonisolated(unsafe) private var laneCount = 0
    nonisolated(unsafe) private var partitionCount = 1
    nonisolated(unsafe) private var folder: StateFolder?
    nonisolated(unsafe) private var cluster = ""
    private let phases = Mutex<[Int: LanePhase]>([:])

    package init(_ spec: TopologySpec, _ options: Options) {
        self.spec = spec
        self.options = options
    }

    /// The topics that the topology needs besides its sources.
    package static func topics(of spec: TopologySpec, group: String, partitions: Int) -> [KafkaTopicPlan] {
        var names: [String] = []
        for sink in spec.sinks { if case .kafka(let topic) = sink.target, !names.contains(topic) { names.append(topic) } }
        names += ["\(spec.name)-dead-letter", "\(spec.name)-late"]
        let repartitions = spec.repartitioned(prefix: group).repartitions.map { repartition in
            // What lies in between is read at once; a week is for a worker that was away.
            KafkaTopicPlan(name: repartition.topic, partitions: partitions, configuration: ["retention.ms": "604800000"])
        }
        return names.map { KafkaTopicPlan(name: $0, partitions: partitions) }
            + (partitions > 1 ? repartitions : []) + [changelog(group: group, partitions: partitions)]
    }

    /// Turns the topology into the one that runs on so many partitions; the topics that it needs.
    private func plan(partitions: Int) throws(Fault) -> [KafkaTopicPlan] {
        let group = options.kafka.group
        let plans = Self.topics(of: spec, group: group, partitions: partitions)
        if partitions > 1 {
            for source in spec.sources.indices {
                if let mistake = spec.keyMistake(of: source) { throw Fault(.user, "source '\(spec.sources[source].name)' \(mistake)") }
            }
            for step in spec.steps.indices {
                if let mistake = spec.joinMistake(of: step) { throw Fault(.user, "step '\(spec.steps[step].name)' \(mistake)") }
            }
            spec = spec.repartitioned(prefix: group)
        }
        return plans.filter { keepsState || $0.name != LaneFactory.changelogTopic(group: group) }
    }

    /// The compacted topic with the state of the topology's tasks.
    private static func changelog(group: String, partitions: Int) -> KafkaTopicPlan {
        KafkaTopicPlan(
            name: LaneFactory.changelogTopic(group: group), partitions: partitions,
            // Tombstones are kept a day (Kafka's default, relied on: see SnapshotFiles), segments are made small enough
            // that compaction keeps a restore short.
            configuration: [
                "cleanup.policy": "compact", "delete.retention.ms": "86400000", "segment.bytes": "\(64 << 20)",
                "min.cleanable.dirty.ratio": "0.3",
            ])
    }

    /// True if tasks outlive the process. A generated source cannot be read again, and the mock cluster forgets.
    private var keepsState: Bool {
        if options.isMock { return false }
        return spec.sources.allSatisfy { if case .generate = $0.origin { false } else { true } }
    }

    /// Asks the lanes to drain, commit and leave.
    package func stop() { shouldStop.store(true, ordering: .relaxed) }

    package var isReady: Bool { board.lanes.count { $0.isReady } >= max(1, laneCount) }

    package var statuses: [LaneStatus] { board.lanes }

    /// What each lane is doing, and for how long.
    package var lanePhases: [(phase: LanePhase.Phase, milliseconds: Int64)] {
        phases.withLock { $0.sorted { $0.key < $1.key }.map(\.value.current) }
    }

    /// Runs until `stop`, or until a lane fails.
    package func run() throws(Fault) {
        var topics = try sourceTopics()
        try options.kafka.check()
        let admin = try KafkaAdmin(options.kafka, isMock: options.isMock)
        try admin.checkReachable()
        var partitions = 1
        var counts: [(topic: String, count: Int)] = []
        for topic in topics {
            guard let count = try admin.partitionCount(of: topic.topic) else {
                throw Fault(.user, "topic '\(topic.topic)' does not exist on \(options.kafka.bootstrapServers)")
            }
            partitions = max(partitions, count)
            counts.append((topic.topic, count))
        }
        for source in spec.sources where source.isBroadcast {
            guard case .kafka(let topic, _) = source.origin, try admin.partitionCount(of: topic) == nil else { continue }
            throw Fault(.user, "topic '\(topic)' does not exist on \(options.kafka.bootstrapServers)")
        }
        if let other = counts.first(where: { $0.count != partitions }), let most = counts.first(where: { $0.count == partitions }) {
            throw Fault(
                .user,
                "topics '\(most.topic)' and '\(other.topic)' have \(most.count) and \(other.count) partitions: partition p of every "
                    + "source belongs to one task, so all must have as many; make one of them anew")
        }
        partitionCount = partitions
        let plans = try plan(partitions: partitions)
        topics = try sourceTopics()
        try admin.create(plans)
        if keepsState {
            cluster = try admin.clusterId()
            if let directory = options.stateDirectory {
                folder = try StateFolder(
                    directory, group: options.kafka.group, instanceId: options.kafka.instanceId)
            }
        }
        defer { folder = nil }
        try openRedis()
        defer { for sink in redisSinks.values { sink.close() } }
        laneCount = topics.isEmpty ? 1 : options.lanes > 0 ? options.lanes : max(1, min(partitions, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        try serve()
        Log.info("\(spec.name): \(laneCount) lanes, \(partitions) partitions, group \(options.kafka.group)")
        let watchdog = Watchdog(
            everyMilliseconds: options.watchdogMilliseconds,
            phases: { [self] in phases.withLock { $0 } }, statuses: { [board] in board.lanes })
        let watching = Background { () throws(Fault) in watchdog.run() }
        runLanes(topics)
        watchdog.stop()
        _ = watching.join()
        server = nil
        if let fault = faults.withLock({ $0.first }) { throw fault }
    }

    private func sourceTopics() throws(Fault) -> [KafkaSourceTopic] {
        var topics: [KafkaSourceTopic] = []
        for (index, source) in spec.sources.enumerated() {
            switch source.origin {
            // Every lane reads it by itself.
            case .kafka where source.isBroadcast: break
            case .kafka(let topic, let start):
                topics.append(KafkaSourceTopic(topic: topic, source: index, start: start))
            case .repartition(let topic):
                topics.append(KafkaSourceTopic(topic: topic, source: index, start: .earliest))
            case .stream, .redis: break
            case .file: throw Fault(.user, "source '\(source.name)' is a file; `millrace replay` reads files")
            case .generate where spec.sources.count(where: { !$0.origin.isStream && !$0.isBroadcast && $0.redisTable == nil }) == 1:
                break
            case .generate: throw Fault(.user, "source '\(source.name)' generates; it must be the only source")
            }
        }
        return topics
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
        return phases.withLock { phases in
            phases.values.allSatisfy { $0.current.milliseconds < options.stallMilliseconds }
        }
    }

    // MARK: Lanes

    private func runLanes(_ topics: [KafkaSourceTopic]) {
        let threads = (0..<laneCount).map { lane in
            Background { [self] () throws(Fault) in
                do throws(Fault) {
                    try runLane(lane, topics)
                } catch {
                    // The other lanes drain; a supervisor starts the worker again.
                    stop()
                    throw error
                }
            }
        }
        for thread in threads { if let fault = thread.join() { faults.withLock { $0.append(fault) } } }
    }

    /// Runs one lane after the other under the same name. A fault that a fresh start may mend loses nothing: the next
    /// lane restores the tasks as of the last commit.
    private func runLane(_ number: Int, _ topics: [KafkaSourceTopic]) throws(Fault) {
        var backoff: Int64 = 100
        var failingSince: Int64?
        while true {
            let phase = LanePhase()
            phases.withLock { $0[number] = phase }
            let commitsBefore = commits(of: number)
            do throws(Fault) {
                return try makeLane(number, topics, phase).run(until: { shouldStop.load(ordering: .relaxed) })
            } catch {
                let now = monotonicNanoseconds() / 1_000_000
                if commits(of: number) > commitsBefore {
                    failingSince = nil
                    backoff = 100
                }
                let since = failingSince ?? now
                failingSince = since
                guard keepsState, error.retry == .withBackoff, !shouldStop.load(ordering: .relaxed),
                    now - since < options.recoveryMilliseconds
                else { throw error }
                Log.warning("lane \(number): \(error.detail); going back to the last commit")
                usleep(UInt32(backoff * 1000))
                backoff = min(backoff * 2, 5000)
            }
        }
    }

    private func commits(of lane: Int) -> Int64 { board.lane(lane)?.commits ?? 0 }

    private func makeLane(_ number: Int, _ topics: [KafkaSourceTopic], _ phase: LanePhase) throws(Fault) -> Lane {
        var factory = LaneFactory(
            spec: spec, kafka: options.kafka, topics: topics, partitionCount: partitionCount, keepsState: keepsState)
        factory.laneCount = laneCount
        factory.instanceId = folder?.instanceId ?? options.kafka.instanceId
        let owner = SnapshotFiles.Owner(cluster: cluster, group: options.kafka.group, topology: spec.name)
        factory.snapshots = folder.map { SnapshotFiles(folder: $0.path, owner: owner, clock: SystemClock()) }
        factory.metrics = { [redisSinks] in redisSinks[$0] }
        factory.redis = options.redis
        factory.generator = options.generator
        factory.metricsMilliseconds = options.redisMilliseconds
        factory.lane = Lane.Options(
            commitMilliseconds: options.commitMilliseconds,
            commitMillisecondsBehind: max(1000, options.commitMilliseconds),
            snapshotMilliseconds: options.snapshotMilliseconds)
        factory.lane.anew = options.newTopics
        return try factory.make(number, phase: phase) { [board] in board.publish($0, lane: number) }.lane
    }
}
