import Base
import Dataflow
import Engine
import Operators
import Records
import Runtime
import Topology

/// What the workers of a schedule have in common.
struct SimulatedDeployment {
    let broker: SimulatedBroker
    let planner: Planner
    /// With its repartition topics.
    var spec: TopologySpec { planner.spec }
    let partitions: Int32
    let group = "group"
    let rowsMax: Int
    let troubles: () -> SimulatedLife.Troubles
    /// Made on purpose.
    let mistake: Mistake?
    /// By epoch, where rules change: the first is the one that workers are started with.
    let ruleSets: [TopologySpec]
    /// Epochs that were activated so far.
    let activated = Activated()

    final class Activated { var epoch = 0 }

    var acknowledgements: String? { ruleSets.isEmpty ? nil : "group-ruleset-acks" }
    static let changelog = "group-state-changelog"

    func topic(ofSink index: Int) -> String? { spec.sinks[index].topic }

    var deadLetter: String { "\(spec.name)-dead-letter" }
    var late: String { "\(spec.name)-late" }
}

extension SimulatedDeployment {
    /// What a process knows that has read all activations up to an epoch.
    func board(at epoch: Int) -> RuleSetBoard {
        let board = RuleSetBoard(RuleSet(epoch: 0, spec: ruleSets[0]))
        if epoch > 0 {
            for next in 1...epoch { board.activate(RuleSet(epoch: Int64(next), spec: ruleSets[next])) }
        }
        return board
    }
}

/// A process with its lanes and its disk.
final class SimulatedWorker {
    private let deployment: SimulatedDeployment
    let name: String
    let disk = SimulatedDisk()
    private var life: SimulatedLife
    private var lanes: [Lane?]
    /// The rules as far as the process has read their topic.
    private var board: RuleSetBoard?
    /// Not before this time is it run: it was stopped, or is started again.
    var sleepsUntil: Int64 = .min
    private(set) var isRetired = false
    private(set) var kills = 0
    private(set) var faults = 0

    init(_ deployment: SimulatedDeployment, name: String, lanes count: Int) {
        self.deployment = deployment
        self.name = name
        life = SimulatedLife(deployment.broker, troubles: deployment.troubles)
        lanes = Array(repeating: nil, count: count)
    }

    var isAlive: Bool { !isRetired && !life.isOver }

    /// One turn of one lane.
    func step() throws(Fault) {
        guard !isRetired, deployment.broker.clock.nowMilliseconds >= sleepsUntil else { return }
        if life.isOver { life = SimulatedLife(deployment.broker, troubles: deployment.troubles) }
        readRules()
        let index = Int(deployment.broker.random.next() % UInt64(lanes.count))
        do throws(Fault) {
            if lanes[index] == nil { lanes[index] = try makeLane(index) }
            try lanes[index]?.step()
        } catch {
            if life.isOver { return die() }
            // As a worker does: what may have helped by itself is tried again, all else ends it.
            guard error.retry == .withBackoff else { throw error }
            faults += 1
            lanes[index]?.close()
            lanes[index] = nil
        }
    }

    /// A process that begins reads all activations; one that runs, each some time after it was made.
    private func readRules() {
        guard !deployment.ruleSets.isEmpty else { return }
        let newest = deployment.activated.epoch
        guard let board else {
            board = deployment.board(at: newest)
            return
        }
        guard board.current.epoch < newest, deployment.broker.random.next() & 3 == 0 else { return }
        for epoch in (Int(board.current.epoch) + 1)...newest {
            board.activate(RuleSet(epoch: Int64(epoch), spec: deployment.ruleSets[epoch]))
        }
    }

    func kill() {
        guard isAlive else { return }
        life.end()
        die()
    }

    private func die() {
        kills += 1
        board = nil
        lanes = Array(repeating: nil, count: lanes.count)
        let broker = deployment.broker
        sleepsUntil = broker.clock.nowMilliseconds + Int64(broker.random.next() % 9000)
        if broker.random.next() & 7 == 0 { disk.lose() }
    }

    /// Drains and goes for good.
    func retire() {
        guard isAlive else { return }
        for index in lanes.indices {
            try? lanes[index]?.drain()
            lanes[index]?.close()
            lanes[index] = nil
        }
        isRetired = !life.isOver
        if life.isOver { die() }
    }

    private func makeLane(_ number: Int) throws(Fault) -> Lane {
        let broker = deployment.broker
        let spec = board?.current.spec ?? deployment.spec
        var options = Pipeline.Options(
            rowsMax: deployment.rowsMax, clock: broker.clock, requiresKeys: deployment.partitions > 1,
            tracksChanges: true,
            partitions: Int(deployment.partitions))
        options.newIncarnation = { broker.random.next() | 1 }
        let chosen = options
        let pipeline = try Planner(spec).pipeline(chosen).pipeline
        var topics: [SimulatedSource.Topic] = []
        var broadcasts: [Lane.Broadcast] = []
        for (index, source) in spec.sources.enumerated() {
            switch source.origin {
            case .kafka(let topic, _) where source.isBroadcast:
                broadcasts.append(
                    Lane.Broadcast(
                        source: index, name: source.name,
                        reader: SimulatedReader(broker, topic: topic, rowsMax: deployment.rowsMax)))
            case .kafka(let topic, _), .repartition(let topic):
                topics.append(.init(name: topic, source: index))
            case .stream, .redis, .file, .generate: break
            }
        }
        let instance = "\(name)-\(number)"
        let isAtomic = spec.guarantee == .exactlyOnce
        let source = SimulatedSource(
            broker, life, group: deployment.group, instance: instance, topics: topics,
            isSplit: !pipeline.alignedInputs.isEmpty,
            rowsMax: deployment.rowsMax, mistake: deployment.mistake)
        let sink = try SimulatedSink(
            broker, life, transactionalId: isAtomic ? instance : nil, group: source,
            topics: SimulatedSink.Topics(
                sinks: spec.sinks.map(\.topic), deadLetter: deployment.deadLetter, late: deployment.late,
                changelog: SimulatedDeployment.changelog, repartitions: spec.repartitions.map(\.topic),
                acknowledgements: deployment.acknowledgements),
            mistake: deployment.mistake)
        let lane = LaneFactory.lane(
            spec, pipeline, source: source, sink: sink,
            storage: Lane.Storage(
                changelog: SimulatedChangelog(
                    broker, life, topic: SimulatedDeployment.changelog, mistake: deployment.mistake),
                snapshots: SimulatedSnapshots(broker, life, disk, mistake: deployment.mistake),
                isAtomic: isAtomic),
            broadcasts: broadcasts,
            ruleSets: board,
            makePipeline: { (spec) throws(Fault) in try Planner(spec).pipeline(chosen).pipeline },
            options: Lane.Options(snapshotRecords: 60, snapshotMilliseconds: 1500),
            now: { broker.clock.nowMilliseconds })
        try lane.open { false }
        return lane
    }
}
