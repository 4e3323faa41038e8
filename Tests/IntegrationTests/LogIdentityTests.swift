import Base
import Connectors
import Engine
import Foundation
import Testing
import Topology

/// Positions and snapshots are of one log. What is done to topics between two starts of a worker must not make them count
/// for another.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct LogIdentityTests {
    private let cluster: KafkaCluster
    private let group = "log-\(UInt32.random(in: 0...UInt32.max))"
    private let folder: String
    private let admin: KafkaAdmin
    private var orders: String { "\(group)-orders" }

    init() throws {
        cluster = try KafkaCluster.shared()
        admin = try KafkaAdmin(cluster.settings(group: "admin"))
        folder = NSTemporaryDirectory() + "/millrace-\(group)"
    }

    private func spec(topic: String) throws -> TopologySpec {
        let text = """
            topology: \(group)
            sources:
              orders:
                kafka: { topic: \(topic) }
                time: { field: time, out_of_order: 0s }
                schema: { shop: text, time: timestamp }
            steps:
              sold: { from: orders, key: shop, window: { size: 1h, slide: 1m }, aggregate: { orders: count() } }
            rules:
              many: { on: sold, when: orders > 1000000, risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: \(group)-alerts } }
            """
        return try #require(TopologyReader.read(text, file: "t.yaml").spec)
    }

    private func makeTopic(_ topic: String, records: Range<Int>) throws {
        try admin.create([KafkaTopicPlan(name: topic, partitions: 2)])
        try feed(topic, records)
    }

    private func feed(_ topic: String, _ records: Range<Int>) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        for number in records {
            let time = 1_767_225_600_000 + Int64(number) * 50
            try feeder.send(
                to: target, key: "s\(number % 20)", value: "{\"shop\":\"s\(number % 20)\",\"time\":\(time)}",
                partition: Int32(number % 20 % 2))
        }
        try feeder.flush()
    }

    /// Deletes topics and waits until they are gone.
    private func delete(_ topics: String...) throws {
        try admin.delete(topics)
        #expect(WorkerTests.wait(seconds: 30) { topics.allSatisfy { (try? admin.partitionCount(of: $0)) == .some(nil) } })
    }

    private func start(topic: String? = nil, state: String = "state", _ newTopics: Set<String> = []) throws -> WorkerRun {
        var options = Worker.Options(kafka: cluster.settings(group: group))
        options.lanes = 1
        options.stateDirectory = "\(folder)/\(state)"
        options.newTopics = newTopics
        return WorkerRun(try spec(topic: topic ?? orders), options)
    }

    private func clean() { try? FileManager.default.removeItem(atPath: folder) }

    /// Goal: a source that was made anew while the worker was down, with fewer, as many and more records than were read of
    /// the old one, is refused and named; with the operator's word it is read from its start, and that is kept.
    @Test(arguments: [200, 1000, 1400]) func aTopicMadeAnewIsNotGoneOnWith(records: Int) throws {
        defer { clean() }
        try makeTopic(orders, records: 0..<1000)
        #expect(try start().finish(after: 1000) == nil)
        // Nothing was changed: nothing is read again.
        try feed(orders, 1000..<1001)
        let second = try start()
        #expect(second.finish(after: 1) == nil)
        #expect(second.processed == 1)

        try delete(orders)
        try makeTopic(orders, records: 2000..<2000 + records)
        let refused = try start()
        let fault = refused.end()
        #expect(fault?.domain == .user && refused.processed == 0)
        #expect(fault?.detail.contains("source 'orders' (topic '\(orders)'), partition ") == true, "\(fault?.detail ?? "")")
        #expect(fault?.detail.contains("is another log than before") == true, "\(fault?.detail ?? "")")

        let begun = try start(["orders"])
        #expect(begun.finish(after: Int64(records)) == nil)
        #expect(begun.processed == Int64(records))
        try feed(orders, 5000..<5007)
        let last = try start()
        #expect(last.finish(after: 7) == nil)
        #expect(last.processed == 7)
    }

    /// Goal: another topic under the same source's name does not get the old one's positions.
    @Test func anotherTopicIsNotReadAtTheFormerOnesPositions() throws {
        defer { clean() }
        let other = "\(orders)-v2"
        try makeTopic(orders, records: 0..<100)
        try makeTopic(other, records: 200..<400)
        #expect(try start().finish(after: 100) == nil)
        let fault = try start(topic: other).end()
        #expect(fault?.detail.contains("its state was made from topic '\(orders)'") == true, "\(fault?.detail ?? "")")
        let begun = try start(topic: other, ["orders"])
        #expect(begun.finish(after: 200) == nil)
        #expect(begun.processed == 200)
    }

    /// Goal: records that were deleted before they were read are counted and named; where the operator moves the group's
    /// position behind them, the worker goes on there.
    @Test func recordsDeletedUnreadAreCounted() throws {
        defer { clean() }
        try makeTopic(orders, records: 0..<100)
        #expect(try start().finish(after: 100) == nil)
        try feed(orders, 100..<300)
        let request = "{\"partitions\":[{\"topic\":\"\(orders)\",\"partition\":1,\"offset\":120}],\"version\":1}"
        let file = NSTemporaryDirectory() + "/\(group).json"
        try request.write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        try cluster.run(["delete-records", "--offset-json-file", file])
        let fault = try start().end()
        #expect(
            fault?.detail.contains("partition 1: 70 records were deleted before they were read: the position is 50") == true,
            "\(fault?.detail ?? "")")
        let position = KafkaSourceTopic(topic: orders, source: 0, start: .earliest)
        let member = Intake(try KafkaSource(cluster.settings(group: group), topics: [position]))
        #expect(member.poll { member.source.assignment.count == 2 })
        try member.source.commit([.init(source: 0, partition: 1): 125])
        member.source.close()
        let last = try start()
        #expect(last.finish(after: 125) == nil)
        // Partition 0 whole, partition 1 from 125 on.
        #expect(last.processed == 100 + 25)
    }

    /// Goal: a snapshot of the group's earlier life, whose changelog the new one has outgrown, is passed over: what the worker
    /// holds is what the new changelog says.
    @Test func aSnapshotOfAnEarlierLifeIsPassedOver() throws {
        defer { clean() }
        try makeTopic(orders, records: 0..<400)
        #expect(try start(state: "first").finish(after: 400) == nil)
        let former = SnapshotFiles.path("\(folder)/first/\(group)/0", 0)
        let end = try SnapshotFiles.read(former).changelogEnd
        // The group begins anew, on a machine of its own, until its changelog has outgrown that offset.
        try delete("\(group)-state-changelog", orders)
        try cluster.run(["groups", "--delete", "--group", group])
        try makeTopic(orders, records: 10_000..<10_020)
        let second = try start(state: "second")
        #expect(WorkerTests.wait(seconds: 60) { second.processed >= 20 || second.hasEnded })
        var next = 10_020
        let reader = try KafkaReader(cluster.settings(group: ""), topic: "\(group)-state-changelog")
        var reached: Int64 = 0
        #expect(
            WorkerTests.wait(seconds: 60) {
                try? feed(orders, next..<next + 20)
                next += 20
                _ = try? reader.poll(timeoutMilliseconds: 50) { if $0.partition == 0 { reached = max(reached, $0.offset) } }
                return reached > end + 10
            })
        #expect(WorkerTests.wait(seconds: 60) { second.processed >= Int64(next - 10_000) })
        #expect(second.stop() == nil)
        // The first machine is back.
        let third = try start(state: "first")
        try feed(orders, next..<next + 40)
        #expect(third.finish(after: 40) == nil)
        let kept = try StateInspector(try spec(topic: orders), snapshots: former)
        let theirs = try StateInspector(try spec(topic: orders), cluster.settings(group: group))
        let wanted = theirs.entries { _ in true }.filter { $0.task == 0 }.map(\.state.json)
        let found = kept.entries { _ in true }.map(\.state.json)
        #expect(wanted.count == 10)
        #expect(found == wanted)
    }
}
