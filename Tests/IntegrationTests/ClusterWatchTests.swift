import Base
import Connectors
import Engine
import Foundation
import Testing
import Topology

/// What changes about a cluster while a worker runs is noticed within seconds, said, and not gone on with
/// where results would be wrong.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct ClusterWatchTests {
    private let rig: OperationsRig

    init() throws { rig = try OperationsRig() }

    /// Goal: with partitions added, keys move; the worker drains and stops with what to do.
    @Test func addedPartitionsStopTheWorker() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let run = try rig.startAndWait(100)
        try rig.cluster.run(["topics", "--alter", "--topic", rig.orders, "--partitions", "3"])
        let fault = run.end()
        #expect(fault?.domain == .user)
        #expect(
            fault?.detail.contains(
                "topic '\(rig.orders)' has 3 partitions now, and had 2 when the worker started") == true,
            "\(fault?.detail ?? "")")
    }

    /// Goal: a topic that is deleted and made anew, with more records, before its reader has missed it is
    /// noticed.
    @Test func aTopicMadeAnewUnderItsReaderIsNoticed() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let run = try rig.startAndWait(100)
        try rig.admin.delete([rig.orders])
        #expect(
            WorkerTests.wait(seconds: 120) { (try? rig.makeTopic(rig.orders, records: 200..<700)) != nil })
        let fault = run.end()
        #expect(fault?.detail.contains("is another log than before") == true, "\(fault?.detail ?? "")")
    }

    /// Goal: a worker of another topology, or of a layout that reads the state otherwise, does not join; one
    /// with other rules does. Those that were there go on.
    @Test func strangersAreRefused() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let first = try rig.startAndWait(100)
        let strangers: [OperationsRig.Text] = [
            .init(topology: "\(rig.group)-other"), .init(slide: "2m"), .init(topic: "\(rig.group)-other"),
        ]
        try rig.makeTopic("\(rig.group)-other", records: 0..<1)
        for stranger in strangers {
            let fault = try rig.start(stranger, state: "second").end()
            #expect(fault?.domain == .user)
            #expect(
                fault?.detail.contains(
                    "has a member that runs another topology, or one whose state has another layout") == true,
                "\(fault?.detail ?? "")")
        }
        let sister = try rig.start(.init(condition: "orders > 7"), state: "second")
        #expect(WorkerTests.wait(seconds: 120) { sister.worker.isReady || sister.hasEnded })
        #expect(sister.stop() == nil)
        try rig.feed(rig.orders, 100..<150)
        #expect(first.finish(after: 150) == nil)
        #expect(first.processed == 150)
    }

    /// Goal: of two workers of one name the one that was there first ends, and says why in these words; the
    /// other goes on.
    @Test func aNamesakeIsNamed() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let first = try rig.start(state: "first", instanceId: "twin")
        #expect(
            WorkerTests.wait(seconds: 120) {
                first.worker.isReady && first.processed == 100 || first.hasEnded
            })
        let second = try rig.start(state: "second", instanceId: "twin")
        #expect(WorkerTests.wait(seconds: 120) { first.hasEnded || second.hasEnded })
        let (ended, other) = first.hasEnded ? (first, second) : (second, first)
        let fault = ended.end()
        #expect(fault?.domain == .user)
        #expect(
            fault?.detail.contains("another worker runs under the same name ('twin-0-") == true,
            "\(fault?.detail ?? "")")
        #expect(WorkerTests.wait(seconds: 120) { other.worker.isReady || other.hasEnded })
        try rig.feed(rig.orders, 100..<120)
        #expect(
            WorkerTests.wait(seconds: 120) { first.processed + second.processed == 120 || other.hasEnded })
        #expect(other.stop() == nil)
    }

    /// Goal: when a lane goes back to its last commit, what it does again is counted once, and no counter
    /// goes back.
    @Test func countersGoOnWhenALaneBeginsAgain() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let run = try rig.start(instanceId: "counted")
        #expect(WorkerTests.wait(seconds: 120) { run.worker.isReady && run.processed == 100 || run.hasEnded })
        // Somebody takes over the lane's transactions, so that the next commit fails.
        var settings = rig.cluster.settings(group: "")
        settings.transactionalId = "\(rig.group)-counted-0"
        let usurper = try KafkaSink(settings, topics: KafkaSink.Topics(sinks: []), clock: SystemClock())
        try rig.feed(rig.orders, 100..<150)
        var (seen, goesBack) = (run.processed, false)
        #expect(
            WorkerTests.wait(seconds: 60) {
                let now = run.processed
                goesBack = goesBack || now < seen
                seen = now
                return now == 150 && run.worker.isReady || run.hasEnded
            })
        #expect(!goesBack && seen == 150)
        usurper.close()
        try rig.feed(rig.orders, 150..<160)
        #expect(run.finish(after: 160) == nil)
        #expect(run.processed == 160)
    }

    /// Goal: what a worker left behind when it was killed is no reason to refuse its changed successor, whose
    /// state is then compared.
    @Test func aWorkerIsNoStrangerToItself() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        #expect(try rig.startAndWait(100).stop() == nil)
        // Static members stay in the group until their sessions end.
        let fault = try rig.start(.init(slide: "2m")).end()
        #expect(fault?.detail.contains("step 'sold' was kept as") == true, "\(fault?.detail ?? "")")
    }
}
