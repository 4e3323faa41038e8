import Base
import Connectors
import Dataflow
import Glibc
import Runtime

extension Worker {
    func runLanes(_ topics: [KafkaSourceTopic]) {
        let threads = (0..<laneCount).map { lane in
            Background { [self] () throws(Fault) in
                do throws(Fault) {
                    try runLane(lane, topics)
                } catch {
                    if error == .stopped { return }
                    // The other lanes drain; a supervisor starts the worker again.
                    faults.withLock { $0.append(error) }
                    stop()
                }
            }
        }
        for thread in threads { _ = thread.join() }
    }

    /// Runs one lane after the other under the same name. A fault that a fresh start may mend loses nothing:
    /// the next lane restores the tasks as of the last commit.
    private func runLane(_ number: Int, _ topics: [KafkaSourceTopic]) throws(Fault) {
        var backoff: Int64 = 100
        var failingSince: Int64?
        var told = (text: "", at: Int64.min)
        while true {
            let phase = LanePhase()
            phases.withLock { $0[number] = phase }
            let commitsBefore = commits(of: number)
            do throws(Fault) {
                return try makeLane(number, topics, phase).run(until: { stopping.isSet })
            } catch {
                let now = monotonicNanoseconds() / 1_000_000
                if commits(of: number) > commitsBefore {
                    failingSince = nil
                    backoff = 100
                }
                let since = failingSince ?? now
                failingSince = since
                board.lose(lane: number)
                guard error != .stopped, keepsState,
                    error.retry == .withBackoff || error.retry == .withoutRival && isAlone(error)
                else { throw error }
                guard !stopping.isSet, now - since < options.recoveryMilliseconds else {
                    // A restart may mend what could be mended until now.
                    throw Fault(.external, error.detail, retry: .withBackoff)
                }
                // The same again and again is told once a minute.
                if error.detail != told.text || now - told.at >= Self.tellMilliseconds {
                    told = (error.detail, now)
                    Log.warning("lane \(number): \(error.detail); going back to the last commit")
                }
                let until = now + backoff
                while !stopping.isSet, monotonicNanoseconds() / 1_000_000 < until { usleep(20_000) }
                if stopping.isSet { return }
                backoff = min(backoff * 2, 5000)
            }
        }
    }

    /// A request to join that came to the broker twice, since its first answer was late, takes the place of
    /// the member that made it: nobody is behind it, and it is gone after its session. Whoever else has the
    /// name stays.
    private func isAlone(_ fault: Fault) -> Bool {
        guard let watch = try? KafkaWatch(options.kafka) else { return false }
        Log.warning("\(fault.detail); this one looks whether that is so")
        let name = folder?.instanceId ?? options.kafka.instanceId
        let until = monotonicNanoseconds() / 1_000_000 + Self.rivalMilliseconds
        while !stopping.isSet, monotonicNanoseconds() / 1_000_000 < until {
            usleep(500_000)
            guard let members = try? watch.members(deadlineMilliseconds: 5000) else { continue }
            // Its other lanes are members too, and go on.
            let others = members.filter { member in
                name.map {
                    member.instanceId?.hasPrefix("\($0)-") == true
                        && fault.detail.contains("'\(member.instanceId ?? "")'")
                } ?? true
            }
            if others.isEmpty { return true }
        }
        return false
    }

    /// Twice the session of a member that is not heard of any more, and more.
    private static let rivalMilliseconds: Int64 = 15_000
    private static let tellMilliseconds: Int64 = 60_000

    private func commits(of lane: Int) -> Int64 { board.lane(lane)?.commits ?? 0 }

    private func makeLane(_ number: Int, _ topics: [KafkaSourceTopic], _ phase: LanePhase) throws(Fault)
        -> Lane
    {
        var factory = LaneFactory(
            spec: follower?.board.current.spec ?? spec, kafka: options.kafka, topics: topics,
            partitionCount: partitionCount, keepsState: keepsState)
        factory.laneCount = laneCount
        factory.ruleSets = follower?.board
        factory.instanceId = folder?.instanceId ?? options.kafka.instanceId
        let owner = SnapshotFiles.Owner(cluster: cluster, group: options.kafka.group, topology: spec.name)
        factory.snapshots = folder.map { SnapshotFiles(folder: $0.path, owner: owner, clock: SystemClock()) }
        factory.sinks = sinks
        factory.redis = options.redis
        factory.registries = registries
        factory.generator = options.generator
        factory.metricsMilliseconds = options.metricsMilliseconds
        factory.lane = Lane.Options(
            commitMilliseconds: options.commitMilliseconds,
            commitMillisecondsBehind: max(1000, options.commitMilliseconds),
            snapshotMilliseconds: options.snapshotMilliseconds)
        factory.lane.anew = options.newTopics
        factory.lane.alignment.idle = options.taskIdleMilliseconds
        factory.onChanges = { [self] changes in
            // Every task says the same.
            guard changesTold.withLock({ $0.insert(changes).inserted }) else { return }
            for line in changes.lines { Log.warning(line) }
        }
        return try factory.make(number, phase: phase) { [board] in board.publish($0, lane: number) }.lane
    }
}
