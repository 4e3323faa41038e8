import Base
import Dataflow
import Engine
import Operators
import Records
import Topology

/// Workers on a simulated cluster for as long as a feed lasts, with troubles from a seed; then what they
/// published is compared with a plain replay. The same seed is the same run, as long as dictionaries have one
/// order (SWIFT_DETERMINISTIC_HASHING=1).
package struct Schedule {
    package struct Outcome {
        package var scenario: String
        /// nil: the outputs are what a replay gives.
        package var difference: String?
        package var kills = 0
        package var faults = 0
        package var outputs = 0
        package var steps = 0
    }

    /// Turns after which a run that does not end is given up.
    private static let stepsMax = 60_000
    /// Virtual time without troubles, after everything was read, in which nothing may change any more.
    private static let calmMilliseconds: Int64 = 90_000

    private let scenario: Scenario
    private let broker: SimulatedBroker
    private let deployment: SimulatedDeployment
    private var workers: [SimulatedWorker] = []
    /// Gets a line for what happens, for who looks into a seed.
    package var trace: ((String) -> Void)?
    private let calm = Calm()

    private final class Calm {
        var isOn = false
        var troubles = SimulatedLife.Troubles()
    }

    /// Names of scenarios.
    package static var scenarios: [String] { Scenario.all.map(\.name) }

    /// `only`: a scenario's name; otherwise the seed says which.
    package init(seed: UInt64, only: String? = nil, mistake: Mistake? = nil) throws(Fault) {
        var random = SplitMix64(seed: seed)
        let choices = Scenario.all.filter { only == nil || $0.name == only }
        guard !choices.isEmpty else {
            throw Fault(.user, "no scenario '\(only ?? "")' (\(Self.scenarios.joined(separator: ", ")))")
        }
        var scenario = choices[Int(random.next() % UInt64(choices.count))].make(&random)
        if random.next() & 3 == 0, scenario.mayRepeat {
            scenario.topology = "guarantee: at-least-once\n" + scenario.topology
        }
        self.scenario = scenario
        let spec = try Self.read(scenario.topology)
        broker = SimulatedBroker(
            clock: ManualClock(Scenario.start + 86_400_000 * 30), random: SplitMix64(seed: random.next()))
        for name in Set(scenario.feed.map(\.source) + scenario.tables.map(\.source)) {
            broker.create(name, partitions: scenario.partitions)
        }
        let split = spec.repartitioned()
        for repartition in split.repartitions {
            broker.create(repartition.topic, partitions: scenario.partitions)
        }
        broker.create(SimulatedDeployment.changelog, partitions: scenario.partitions)
        let calm = self.calm
        calm.troubles.crash = [0, 40, 150, 400][Int(random.next() & 3)]
        calm.troubles.doubt = [0, 200, 800, 2000][Int(random.next() & 3)]
        var ruleSets: [TopologySpec] = []
        if !scenario.variants.isEmpty {
            for (epoch, text) in ([scenario.topology] + scenario.variants).enumerated() {
                var variant = try Self.read(text).repartitioned()
                variant.epoch = Int64(epoch)
                ruleSets.append(variant)
            }
        }
        deployment = SimulatedDeployment(
            broker: broker, planner: try Planner(split), partitions: scenario.partitions,
            rowsMax: [1, 7, 32][Int(random.next() % 3)], troubles: { calm.isOn ? .init() : calm.troubles },
            mistake: mistake,
            ruleSets: ruleSets)
        if let topic = deployment.acknowledgements { broker.create(topic, partitions: scenario.partitions) }
        for index in spec.sinks.indices {
            if let topic = deployment.topic(ofSink: index) {
                broker.create(topic, partitions: scenario.partitions)
            }
        }
        broker.create(deployment.deadLetter, partitions: scenario.partitions)
        broker.create(deployment.late, partitions: scenario.partitions)
    }

    static func read(_ text: String) throws(Fault) -> TopologySpec {
        let (spec, diagnostics) = TopologyReader.read(text, file: "simulated", parameters: [:])
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "\n")) }
        return spec
    }

    private func chance(_ oneIn: UInt64) -> Bool { broker.random.next() % oneIn == 0 }

    package mutating func run() throws(Fault) -> Outcome {
        var outcome = Outcome(scenario: scenario.name)
        for row in scenario.tables { publish(row) }
        let lanes = 1 + Int(broker.random.next() & 1)
        for number in 0..<(1 + Int(broker.random.next() % 3)) {
            workers.append(SimulatedWorker(deployment, name: "w\(number)", lanes: lanes))
        }
        var next = 0
        var calmSince: Int64?
        var published = -1
        do throws(Fault) {
            while outcome.steps < Self.stepsMax {
                outcome.steps += 1
                let isOver = next == scenario.feed.count
                if !isOver, chance(2) {
                    for _ in 0..<(1 + Int(broker.random.next() % 6)) where next < scenario.feed.count {
                        publish(scenario.feed[next])
                        next += 1
                    }
                }
                broker.clock.nowMilliseconds +=
                    isOver ? 20 + Int64(broker.random.next() % 200) : Int64(broker.random.next() % 40)
                broker.settle()
                if !isOver { makeTrouble() }
                let share = (scenario.feed.count + 1) / (scenario.variants.count + 1)
                let isDue =
                    scenario.variants.count > deployment.activated.epoch
                    && next > share * (deployment.activated.epoch + 1)
                if isDue, chance(8) {
                    deployment.activated.epoch += 1
                    note("epoch \(deployment.activated.epoch) is activated")
                }
                try workers[Int(broker.random.next() % UInt64(workers.count))].step()
                guard isOver else { continue }
                if !calm.isOn, chance(64) {
                    calm.isOn = true
                    for worker in workers { worker.sleepsUntil = .min }
                }
                guard calm.isOn, outcome.steps & 15 == 0 else { continue }
                let count = outputCount
                if count != published || !isRead || broker.hasOpenTransactions { calmSince = nil }
                published = count
                let now = broker.clock.nowMilliseconds
                if calmSince == nil { calmSince = now }
                if let since = calmSince, isRead, now - since > Self.calmMilliseconds { break }
            }
            if outcome.steps >= Self.stepsMax { describe() }
            outcome.difference =
                outcome.steps >= Self.stepsMax ? "no end after \(Self.stepsMax) turns" : try compare()
        } catch {
            outcome.difference = "a worker stopped: \(error.detail)"
        }
        for worker in workers {
            outcome.kills += worker.kills
            outcome.faults += worker.faults
        }
        outcome.outputs = outputCount
        return outcome
    }

    private func publish(_ fed: Scenario.Fed) {
        broker.append(
            SimulatedBroker.Place(topic: fed.source, partition: fed.partition), key: Array(fed.key.utf8),
            value: Array(fed.value.utf8),
            timestamp: broker.clock.nowMilliseconds)
    }

    private mutating func makeTrouble() {
        guard chance(40) else { return }
        let worker = workers[Int(broker.random.next() % UInt64(workers.count))]
        switch broker.random.next() % 10 {
        case 0:
            note("\(worker.name) is killed")
            worker.kill()
        case 1:
            worker.sleepsUntil = broker.clock.nowMilliseconds + Int64(broker.random.next() % 15_000)
            note("\(worker.name) sleeps until \(worker.sleepsUntil)")
        case 2:
            note("the coordinator is away")
            broker.loseCoordinator(forMilliseconds: Int64(broker.random.next() % 3000))
        case 3:
            broker.clock.nowMilliseconds += Int64(broker.random.next() % 20_000)
            note("the clock jumps")
        case 4:
            note("changelogs are compacted")
            broker.compact(SimulatedDeployment.changelog)
        case 5 where workers.count < 4:
            note("w\(workers.count) comes")
            workers.append(SimulatedWorker(deployment, name: "w\(workers.count)", lanes: 1))
        case 6 where workers.count(where: \.isAlive) > 1:
            note("\(worker.name) goes for good")
            worker.retire()
        case 7, 8:
            // Longer than its session, so that others have its partitions before it goes on with what it had
            // in hand.
            worker.sleepsUntil = broker.clock.nowMilliseconds + SimulatedGroup.sessionMilliseconds * 2
            note("\(worker.name) stands still until others have its partitions")
        default: break
        }
    }

    /// Every record of the feed is behind the group's positions.
    private var isRead: Bool {
        var places: [SimulatedBroker.Place] = []
        for source in deployment.spec.sources where !source.isBroadcast {
            guard case .kafka(let topic, _) = source.origin else { continue }
            for partition in 0..<scenario.partitions {
                places.append(.init(topic: topic, partition: partition))
            }
        }
        let (positions, _) = broker.committed(deployment.group, places)
        return places.allSatisfy { (positions[$0] ?? 0) >= broker.end(of: $0) }
    }

    private func note(_ event: @autoclosure () -> String) {
        trace?("\(broker.clock.nowMilliseconds - Scenario.start) \(event())")
    }

    /// Where it stands, when it does not end.
    private func describe() {
        guard trace != nil else { return }
        for source in deployment.spec.sources where !source.isBroadcast {
            guard case .kafka(let topic, _) = source.origin else { continue }
            for partition in 0..<scenario.partitions {
                let place = SimulatedBroker.Place(topic: topic, partition: partition)
                let position = broker.committed(deployment.group, [place]).positions[place] ?? 0
                note(
                    "\(topic)/\(partition): position \(position), stable \(broker.lastStable(of: place)), end \(broker.end(of: place))"
                )
            }
        }
        note("open transactions: \(broker.hasOpenTransactions), outputs: \(outputCount)")
        note("\(broker.group(deployment.group))")
        for worker in workers { note("\(worker.name): alive \(worker.isAlive), retired \(worker.isRetired)") }
    }

    // MARK: What came out

    private var outputTopics: [String] {
        deployment.spec.sinks.indices.compactMap(deployment.topic) + [deployment.deadLetter, deployment.late]
    }

    private var outputCount: Int {
        outputTopics.reduce(0) { total, topic in
            (0..<scenario.partitions).reduce(total) {
                $0 + Int(broker.end(of: .init(topic: topic, partition: $1)))
            }
        }
    }

    /// By task, what it has acknowledged, in its order.
    private func switches() throws(Fault) -> [Int32: [RuleSetSwitch]] {
        guard let topic = deployment.acknowledgements else { return [:] }
        var switches: [Int32: [RuleSetSwitch]] = [:]
        for partition in 0..<scenario.partitions {
            for record in broker.read(.init(topic: topic, partition: partition), from: 0, atMost: .max)
                .records
            {
                switches[partition, default: []].append(try RuleSetSwitch(record.value ?? []))
            }
        }
        return switches
    }

    private func compare() throws(Fault) -> String? {
        let expected = try Expectation(scenario, deployment, switches: try switches()).outputs()
        let isAtomic = deployment.spec.guarantee == .exactlyOnce
        for topic in outputTopics {
            // By key, in their order.
            var all: [String: [String: [String]]] = [:]
            for partition in 0..<scenario.partitions {
                let place = SimulatedBroker.Place(topic: topic, partition: partition)
                for record in broker.read(place, from: 0, atMost: .max).records {
                    Expectation.add(topic, key: record.key, value: record.value, scenario, to: &all)
                }
            }
            let found = all[topic] ?? [:]
            let wanted = expected[topic] ?? [:]
            for key in Set(found.keys).union(wanted.keys).sorted() {
                let difference = Expectation.difference(
                    found[key] ?? [], wanted[key] ?? [], mayRepeat: !isAtomic)
                if let difference { return "\(topic), key \(key): \(difference)" }
            }
        }
        return nil
    }
}
