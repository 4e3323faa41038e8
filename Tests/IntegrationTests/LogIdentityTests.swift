import Base
import Connectors
import Engine
import Foundation
import Testing
import Topology

/// Positions and snapshots are of one log. What is done to topics between two starts of a worker must not
/// make them count for another.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct LogIdentityTests {
    private let rig: OperationsRig

    init() throws { rig = try OperationsRig() }

    /// Goal: a source that was made anew while the worker was down, with fewer, as many and more records than
    /// were read of the old one, is refused and named; with the operator's word it is read from its start,
    /// and that is kept.
    @Test(arguments: [200, 1000, 1400]) func aTopicMadeAnewIsNotGoneOnWith(records: Int) throws {
        try rig.makeTopic(rig.orders, records: 0..<1000)
        #expect(try rig.start().finish(after: 1000) == nil)
        // Nothing was changed: nothing is read again.
        try rig.feed(rig.orders, 1000..<1001)
        let second = try rig.start()
        #expect(second.finish(after: 1) == nil)
        #expect(second.processed == 1)

        try rig.delete(rig.orders)
        try rig.makeTopic(rig.orders, records: 2000..<2000 + records)
        let refused = try rig.start()
        let fault = refused.end()
        #expect(fault?.domain == .user && refused.processed == 0)
        #expect(
            fault?.detail.contains("source 'orders' (topic '\(rig.orders)'), partition ") == true,
            "\(fault?.detail ?? "")")
        #expect(fault?.detail.contains("is another log than before") == true, "\(fault?.detail ?? "")")

        let begun = try rig.start(newTopics: ["orders"])
        #expect(begun.finish(after: Int64(records)) == nil)
        #expect(begun.processed == Int64(records))
        try rig.feed(rig.orders, 5000..<5007)
        let last = try rig.start()
        #expect(last.finish(after: 7) == nil)
        #expect(last.processed == 7)
    }

    /// Goal: another topic under the same source's name does not get the old one's positions.
    @Test func anotherTopicIsNotReadAtTheFormerOnesPositions() throws {
        let other = "\(rig.orders)-v2"
        try rig.makeTopic(rig.orders, records: 0..<100)
        try rig.makeTopic(other, records: 200..<400)
        #expect(try rig.start().finish(after: 100) == nil)
        let fault = try rig.start(.init(topic: other)).end()
        #expect(
            fault?.detail.contains("its state was made from topic '\(rig.orders)'") == true,
            "\(fault?.detail ?? "")")
        let begun = try rig.start(.init(topic: other), newTopics: ["orders"])
        #expect(begun.finish(after: 200) == nil)
        #expect(begun.processed == 200)
    }

    /// Goal: a source that is deleted while it is read is said, makes the worker unready, and stands in
    /// nobody's way: neither in that of a request to stop, nor, when it comes back as another log, of the
    /// refusal.
    @Test(arguments: [false, true]) func aTopicDeletedWhileItIsReadHoldsNothingUp(comesBack: Bool) throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        let run = try rig.startAndWait(100)
        try rig.delete(rig.orders)
        #expect(WorkerTests.wait(seconds: 120) { !run.worker.isReady })
        guard comesBack else {
            // It may be about to say so.
            let fault = run.stop()
            return #expect(
                fault?.detail.contains("was deleted while it was read") != false, "\(fault?.detail ?? "")")
        }
        try rig.makeTopic(rig.orders, records: 200..<700)
        let fault = run.end()
        #expect(fault?.domain == .user)
        // The lane that starts again says it, or the watch, whichever looks first.
        #expect(fault?.detail.contains("is another log than before") == true, "\(fault?.detail ?? "")")
    }

    /// Goal: records that were deleted before they were read are counted and named; where the operator moves
    /// the group's position behind them, the worker goes on there.
    @Test func recordsDeletedUnreadAreCounted() throws {
        try rig.makeTopic(rig.orders, records: 0..<100)
        #expect(try rig.start().finish(after: 100) == nil)
        try rig.feed(rig.orders, 100..<300)
        let request =
            "{\"partitions\":[{\"topic\":\"\(rig.orders)\",\"partition\":1,\"offset\":120}],\"version\":1}"
        let file = NSTemporaryDirectory() + "/\(rig.group).json"
        try request.write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        try rig.cluster.run(["delete-records", "--offset-json-file", file])
        let fault = try rig.start().end()
        #expect(
            fault?.detail.contains(
                "partition 1: 70 records were deleted before they were read: the position is 50") == true,
            "\(fault?.detail ?? "")")
        let position = KafkaSourceTopic(topic: rig.orders, source: 0, start: .earliest)
        let member = Intake(try KafkaSource(rig.cluster.settings(group: rig.group), topics: [position]))
        #expect(member.poll { member.source.assignment.count == 2 })
        try member.source.commit([.init(source: 0, partition: 1): 125])
        member.source.close()
        let last = try rig.start()
        #expect(last.finish(after: 125) == nil)
        // Partition 0 whole, partition 1 from 125 on.
        #expect(last.processed == 100 + 25)
    }

    /// Goal: a snapshot of the group's earlier life, whose changelog the new one has outgrown, is passed
    /// over: what the worker holds is what the new changelog says.
    @Test func aSnapshotOfAnEarlierLifeIsPassedOver() throws {
        try rig.makeTopic(rig.orders, records: 0..<400)
        #expect(try rig.start(state: "first").finish(after: 400) == nil)
        let former = SnapshotFiles.path("\(rig.folder)/first/\(rig.group)/0", 0)
        let end = try SnapshotFiles.read(former).changelogEnd
        // The group begins anew, on a machine of its own, until its changelog has outgrown that offset.
        try rig.delete("\(rig.group)-state-changelog", rig.orders)
        try rig.cluster.run(["groups", "--delete", "--group", rig.group])
        try rig.makeTopic(rig.orders, records: 10_000..<10_020)
        let second = try rig.start(state: "second")
        #expect(WorkerTests.wait(seconds: 120) { second.processed >= 20 || second.hasEnded })
        var next = 10_020
        let reader = try KafkaReader(rig.cluster.settings(group: ""), topic: "\(rig.group)-state-changelog")
        var reached: Int64 = 0
        #expect(
            WorkerTests.wait(seconds: 60) {
                try? rig.feed(rig.orders, next..<next + 20)
                next += 20
                _ = try? reader.poll(timeoutMilliseconds: 50) {
                    if $0.partition == 0 { reached = max(reached, $0.offset) }
                }
                return reached > end + 10
            })
        #expect(WorkerTests.wait(seconds: 120) { second.processed >= Int64(next - 10_000) })
        #expect(second.stop() == nil)
        // The first machine is back.
        let third = try rig.start(state: "first")
        try rig.feed(rig.orders, next..<next + 40)
        #expect(third.finish(after: 40) == nil)
        let kept = try StateInspector(try rig.spec(.init()), snapshots: former)
        let theirs = try StateInspector(try rig.spec(.init()), rig.cluster.settings(group: rig.group))
        let wanted = theirs.entries { _ in true }.filter { $0.task == 0 }.map(\.state.json)
        let found = kept.entries { _ in true }.map(\.state.json)
        #expect(wanted.count == 10)
        #expect(found == wanted)
    }
}
