import Base
import Connectors
import Engine
import Foundation
import Testing
import Topology

/// A topology of one window on a group of its own, topics that a test does things to, and workers within this
/// process.
final class OperationsRig {
    let cluster: KafkaCluster
    let admin: KafkaAdmin
    let group = "ops-\(UInt32.random(in: 0...UInt32.max))"
    let folder: String
    var orders: String { "\(group)-orders" }

    init() throws {
        cluster = try KafkaCluster.shared()
        admin = try KafkaAdmin(cluster.settings(group: "admin"))
        folder = NSTemporaryDirectory() + "/millrace-\(group)"
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    struct Text {
        var topology: String?
        var topic: String?
        var slide = "1m"
        var condition = "orders > 1000000"
    }

    func spec(_ text: Text) throws -> TopologySpec {
        let text = """
            topology: \(text.topology ?? group)
            sources:
              orders:
                kafka: { topic: \(text.topic ?? orders) }
                time: { field: time, out_of_order: 0s }
                schema: { shop: text, time: timestamp }
            steps:
              sold: { from: orders, key: shop, window: { size: 1h, slide: \(text.slide) }, aggregate: { orders: count() } }
            rules:
              many: { on: sold, when: \(text.condition), risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: \(group)-alerts } }
            """
        return try #require(TopologyReader.read(text, file: "t.yaml").spec)
    }

    /// Makes a topic of two partitions with a record for each number.
    func makeTopic(_ topic: String, records: Range<Int>) throws {
        try admin.create([KafkaTopicPlan(name: topic, partitions: 2)])
        try feed(topic, records)
    }

    func feed(_ topic: String, _ records: Range<Int>) throws {
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
    func delete(_ topics: String...) throws {
        try admin.delete(topics)
        #expect(
            WorkerTests.wait(seconds: 60) {
                topics.allSatisfy { (try? admin.partitionCount(of: $0)) == .some(nil) }
            })
    }

    /// A worker that looks at its cluster five times a second. `state`: a machine's folder.
    func start(
        _ text: Text = Text(), state: String = "state", newTopics: Set<String> = [], instanceId: String? = nil
    ) throws -> WorkerRun {
        var options = Worker.Options(kafka: cluster.settings(group: group))
        options.kafka.instanceId = instanceId
        options.lanes = 1
        options.stateDirectory = "\(folder)/\(state)"
        options.newTopics = newTopics
        options.watchMilliseconds = 200
        return WorkerRun(try spec(text), options)
    }

    /// Starts one and waits until it has processed so many records.
    func startAndWait(_ records: Int64, _ text: Text = Text(), state: String = "state") throws -> WorkerRun {
        let run = try start(text, state: state)
        #expect(
            WorkerTests.wait(seconds: 120) { run.worker.isReady && run.processed >= records || run.hasEnded })
        return run
    }
}
