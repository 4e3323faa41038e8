import Base
import Connectors
import Dataflow
import Glibc
import Operators
import Outlets
import Records
import Runtime
import Synchronization
import Topology

/// One process of a topology: its lanes, each a thread with a consumer and a producer of its own, the sinks
/// behind their commits, and what it tells the world about itself.
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
        /// How long a record waits for an input of its task that was read to its end.
        package var taskIdleMilliseconds = Limits.taskIdleMilliseconds
        package var metricsMilliseconds: Int64 = 500
        /// The cluster is the mock inside librdkafka.
        package var isMock = false
        /// How long a lane may fail to commit anything before the worker gives up.
        package var recoveryMilliseconds: Int64 = 300_000
        /// Names of sources that may read another log than the one that the state was made from: it is begun
        /// where they say.
        package var newTopics: Set<String> = []
        /// A lane that stands still for this long is reported.
        package var watchdogMilliseconds: Int64 = 10_000
        /// Between two looks at the cluster: partitions, logs, members of the group.
        package var watchMilliseconds: Int64 = 5000
        /// A lane that does not turn for so long, though it waits for nobody, makes `/health` fail; one that
        /// waits is not ready after `readyMilliseconds`.
        package var stallMilliseconds: Int64 = 30_000
        package var readyMilliseconds: Int64 = 10_000
        /// How long it may take to drain, commit and leave after it was asked to stop; then it ends as it is.
        package var graceMilliseconds: Int64 = 25_000
        /// The file of the topology, whose rules may then be changed while it runs; nil: they may not.
        package var text: RuleSetText?
        /// By which changes of the rules are judged; nil: whoever may write to the topic may change them.
        package var policy: ApprovalPolicy?
        /// For topologies whose source generates.
        package var generator: SourceGenerator?

        package init(kafka: KafkaSettings) { self.kafka = kafka }
    }

    /// As it was read; as it runs, once the partitions are counted.
    nonisolated(unsafe) var spec: TopologySpec
    let options: Options
    let board = StatusBoard()
    /// Of all lanes.
    let registries = SchemaCache()
    let stopping = StopSignal()
    let faults = Mutex<[Fault]>([])
    /// What follows is put together before this is set, and the lanes start; locks of their own guard what is
    /// inside.
    let isPlanned = Atomic<Bool>(false)
    nonisolated(unsafe) var sinks = OpenSinks()
    /// What follows the topics of sinks, with the sinks' names.
    nonisolated(unsafe) var outlets: [(sink: String, running: any Outlet)] = []
    nonisolated(unsafe) var laneCount = 0
    nonisolated(unsafe) var partitionCount = 1
    nonisolated(unsafe) var folder: StateFolder?
    nonisolated(unsafe) var cluster = ""
    /// Rules that change; nil: they do not.
    nonisolated(unsafe) var follower: RuleSetFollower?
    /// Of the topics of tables that every lane has all of.
    nonisolated(unsafe) private var broadcastPartitions: [String: Int] = [:]
    let phases = Mutex<[Int: LanePhase]>([:])
    nonisolated(unsafe) var watch: ClusterWatch?
    /// What was said of a changed topology.
    let changesTold = Mutex<Set<StateChanges>>([])

    package init(_ spec: TopologySpec, _ options: Options) {
        self.spec = spec
        var options = options
        options.kafka.stop = stopping
        self.options = options
    }

    /// What a worker cannot do of a topology that has no mistakes, since only `replay` can: each with the
    /// place in its file that says so.
    package static func refusals(of spec: TopologySpec) -> [(position: Position, message: String)] {
        var refusals: [(position: Position, message: String)] = []
        for source in spec.sources {
            guard case .file = source.origin else { continue }
            refusals.append(
                (
                    source.position,
                    "source \(source.name) is a file, which only `millrace replay` reads; give it kafka: { topic: … }"
                ))
        }
        for sink in spec.sinks {
            guard case .bounded(let refusal) = sink.target.delivery else { continue }
            refusals.append((sink.position, "sink \(sink.name) \(refusal)"))
        }
        return refusals
    }

    /// The topics that the topology needs besides its sources.
    package static func topics(of spec: TopologySpec, group: String, partitions: Int) -> [KafkaTopicPlan] {
        var names: [String] = []
        var configurations: [String: [String: String]] = [:]
        for sink in spec.sinks {
            guard let topic = sink.topic, !names.contains(topic) else { continue }
            names.append(topic)
            configurations[topic] = sink.target.topicConfiguration
        }
        names += ["\(spec.name)-dead-letter", "\(spec.name)-late"]
        let repartitions = spec.repartitioned(prefix: group).repartitions.map { repartition in
            // What lies in between is read at once; a week is for a worker that was away.
            KafkaTopicPlan(
                name: repartition.topic, partitions: partitions, configuration: ["retention.ms": "604800000"])
        }
        return names.map {
            KafkaTopicPlan(name: $0, partitions: partitions, configuration: configurations[$0] ?? [:])
        }
            + (partitions > 1 ? repartitions : []) + [changelog(group: group, partitions: partitions)]
    }

    /// Turns the topology into the one that runs on so many partitions; the topics that it needs.
    private func plan(partitions: Int) throws(Fault) -> [KafkaTopicPlan] {
        let group = options.kafka.group
        let plans = Self.topics(of: spec, group: group, partitions: partitions)
        if partitions > 1 {
            for source in spec.sources.indices {
                if let mistake = spec.keyMistake(of: source) {
                    throw Fault(.user, "source '\(spec.sources[source].name)' \(mistake)")
                }
            }
            for step in spec.steps.indices {
                if let mistake = spec.joinMistake(of: step) {
                    throw Fault(.user, "step '\(spec.steps[step].name)' \(mistake)")
                }
            }
            spec = spec.repartitioned(prefix: group)
        }
        return plans.filter { keepsState || $0.name != LaneFactory.changelogTopic(group: group) }
    }

    /// The compacted topic with the state of the topology's tasks.
    private static func changelog(group: String, partitions: Int) -> KafkaTopicPlan {
        KafkaTopicPlan(
            name: LaneFactory.changelogTopic(group: group), partitions: partitions,
            // Tombstones are kept a day (Kafka's default, relied on: see SnapshotFiles), segments are made
            // small enough that compaction keeps a restore short.
            configuration: [
                "cleanup.policy": "compact", "delete.retention.ms": "86400000",
                "segment.bytes": "\(64 << 20)",
                "min.cleanable.dirty.ratio": "0.3",
            ])
    }

    /// True if tasks outlive the process. A generated source cannot be read again, and the mock cluster
    /// forgets.
    var keepsState: Bool {
        if options.isMock { return false }
        return spec.sources.allSatisfy { if case .generate = $0.origin { false } else { true } }
    }

    /// Asks the lanes to drain, commit and leave.
    /// `forGood`: the group is left at once, so that others take over, instead of waiting for a restart.
    package func stop(forGood: Bool = false) { stopping.set(forGood: forGood) }

    package var statuses: [LaneStatus] { board.lanes }

    /// Topics of which nothing, or less than one record in a hundred, could be read since the worker began, a
    /// line each.
    package var unreadable: [String] {
        spec.sources.compactMap { source in
            guard case .kafka(let topic, _) = source.origin else { return nil }
            var reads = ReadCounts()
            for lane in statuses { if let own = lane.reads[source.name] { reads.add(own) } }
            return reads.complaint("topic '\(topic)'").map { "\(source.name): \($0)" }
        }
    }

    /// What each lane is doing, and for how long.
    package var lanePhases: [(phase: LanePhase.Phase, milliseconds: Int64)] {
        phases.withLock { $0.sorted { $0.key < $1.key }.map(\.value.current) }
    }

    /// Runs until `stop`, or until a lane fails, and no longer than the grace after that.
    package func run() throws(Fault) {
        if let refusal = Self.refusals(of: spec).first { throw Fault(.user, refusal.message) }
        let server = try serve()
        defer { withExtendedLifetime(server) {} }
        let work = Background { [self] () throws(Fault) in try runLanes() }
        while !work.isFinished {
            usleep(20_000)
            guard stopping.milliseconds <= options.graceMilliseconds else {
                let waits = lanePhases.enumerated().map {
                    "lane \($0.offset) waits for \($0.element.phase.reason)"
                }
                let text =
                    "not drained within \(options.graceMilliseconds / 1000) s: \(waits.joined(separator: ", ")). What was not "
                    + "committed is read again by the next start"
                // The reason to stop is worth more than what became of it.
                guard let reason = faults.withLock({ $0.first }) else { throw Fault(.external, text) }
                Log.warning(text)
                throw reason
            }
        }
        let fault = work.join()
        if let fault, fault != .stopped { throw fault }
        Log.info("\(spec.name): \(fault == nil ? "drained, committed, left" : "stopped while it started")")
    }

    private func runLanes() throws(Fault) {
        var topics = try sourceTopics()
        try options.kafka.check()
        let admin = try KafkaAdmin(options.kafka, isMock: options.isMock)
        try admin.checkReachable()
        var partitions = 1
        var counts: [(topic: String, count: Int)] = []
        for topic in topics {
            guard let count = try admin.partitionCount(of: topic.topic) else {
                throw Fault(
                    .user, "topic '\(topic.topic)' does not exist on \(options.kafka.bootstrapServers)")
            }
            partitions = max(partitions, count)
            counts.append((topic.topic, count))
        }
        for source in spec.sources where source.isBroadcast {
            guard case .kafka(let topic, _) = source.origin else { continue }
            guard let count = try admin.partitionCount(of: topic) else {
                throw Fault(.user, "topic '\(topic)' does not exist on \(options.kafka.bootstrapServers)")
            }
            broadcastPartitions[topic] = count
        }
        if let other = counts.first(where: { $0.count != partitions }),
            let most = counts.first(where: { $0.count == partitions })
        {
            throw Fault(
                .user,
                "topics '\(most.topic)' and '\(other.topic)' have \(most.count) and \(other.count) partitions: partition p of every "
                    + "source belongs to one task, so all must have as many; make one of them anew")
        }
        partitionCount = partitions
        if changesRules { try admin.create(RuleSetTopics.plans(options.kafka.group, partitions: partitions)) }
        try followRules()
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
        sinks = try OpenSinks(spec.sinks, redis: options.redis)
        defer { sinks.close() }
        let outletsStop = StopSignal()
        outlets = try openOutlets(outletsStop)
        laneCount =
            topics.isEmpty
            ? 1
            : options.lanes > 0
                ? options.lanes : max(1, min(partitions, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        if !options.isMock, !topics.isEmpty {
            watch = try clusterWatch(topics)
            try watch?.admit()
        }
        isPlanned.store(true, ordering: .releasing)
        Log.info("\(spec.name): \(laneCount) lanes, \(partitions) partitions, group \(options.kafka.group)")
        let watchdog = Watchdog(
            everyMilliseconds: options.watchdogMilliseconds,
            idleMilliseconds: spec.sources.map(\.idle).max() ?? 0,
            phases: { [self] in phases.withLock { $0 } }, statuses: { [board] in board.lanes })
        let watching = [
            Background { () throws(Fault) in watchdog.run() },
            Background { [watch] () throws(Fault) in watch?.run() },
            Background { [follower] () throws(Fault) in follower?.run() },
        ]
        let delivering = outlets.map { outlet in Background { () throws(Fault) in outlet.running.run() } }
        runLanes(topics)
        watchdog.stop()
        stop()
        outletsStop.set()
        for thread in delivering { _ = thread.join() }
        for thread in watching { _ = thread.join() }
        if let fault = faults.withLock({ $0.first }) { throw fault }
    }

    private func openOutlets(_ stop: StopSignal) throws(Fault) -> [(sink: String, running: any Outlet)] {
        var outlets: [(sink: String, running: any Outlet)] = []
        for sink in spec.sinks {
            guard let target = sink.target as? any OutletSink else { continue }
            let context = OutletContext(
                sink: sink.name, topology: spec.name, kafka: options.kafka, stop: stop)
            outlets.append((sink.name, try target.outlet(context)))
        }
        return outlets
    }

    /// The rules that count now.
    private func followRules() throws(Fault) {
        guard changesRules, let text = options.text else { return }
        let opened = try RuleSetFollower.open(
            options.kafka, own: text, policy: options.policy, spec: spec, partitions: partitionCount,
            worker: name, stopping: stopping,
            statuses: { [board] in board.lanes },
            onFault: { [self] fault in
                faults.withLock { $0.append(fault) }
                stop()
            })
        (follower, spec) = (opened.follower, opened.spec)
    }

    /// State and rules are kept in the cluster.
    private var changesRules: Bool { keepsState && options.text != nil }

    /// What it calls itself in acknowledgements.
    private var name: String {
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let id = options.kafka.instanceId ?? "\(getpid())"
        return
            "\(String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))/\(id)"
    }

    private func clusterWatch(_ topics: [KafkaSourceTopic]) throws(Fault) -> ClusterWatch {
        var watched = topics.map {
            ClusterWatch.Topic(name: $0.topic, partitions: partitionCount, source: $0.source, mayGrow: false)
        }
        if keepsState {
            let name = LaneFactory.changelogTopic(group: options.kafka.group)
            watched.append(ClusterWatch.Topic(name: name, partitions: partitionCount, mayGrow: false))
        }
        for (name, partitions) in broadcastPartitions {
            watched.append(ClusterWatch.Topic(name: name, partitions: partitions, mayGrow: true))
        }
        let (pipeline, _) = try Planner(spec).pipeline(
            Pipeline.Options(clock: SystemClock(), tracksChanges: keepsState, partitions: partitionCount))
        return ClusterWatch(
            options.kafka, topics: watched, tag: MemberTag(pipeline, spec),
            formerLayout: MemberTag.formerLayout(pipeline),
            instanceId: folder?.instanceId ?? options.kafka.instanceId,
            everyMilliseconds: options.watchMilliseconds,
            stopping: stopping, statuses: { [board] in board.lanes },
            onFault: { [self] fault in
                faults.withLock { $0.append(fault) }
                stop()
            })
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
            case .stream, .redis, .file: break
            case .generate
            where spec.sources.count(where: { !$0.origin.isStream && !$0.isBroadcast && $0.redisTable == nil }
            ) == 1:
                break
            case .generate:
                throw Fault(.user, "source '\(source.name)' generates; it must be the only source")
            }
        }
        return topics
    }
}
