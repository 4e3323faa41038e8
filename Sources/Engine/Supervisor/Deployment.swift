import Base
import Connectors
import Models
import Records
import Topology

/// A topology that workers of a pool are to run.
package struct Deployment: Equatable, Sendable {
    package var topology: String
    package var pool: String
    /// False: it runs no more.
    package var isWanted: Bool
    /// What a worker starts with; rules that were activated since count more.
    package var text: RuleSetText

    package init(topology: String, pool: String, isWanted: Bool = true, text: RuleSetText) {
        (self.topology, self.pool, self.isWanted, self.text) = (topology, pool, isWanted, text)
    }

    package static let defaultPool = "default"

    /// Of all topologies of a cluster: one partition, compacted, by topology.
    package static let topic = "millrace-deployments"

    package static var topicPlan: KafkaTopicPlan {
        KafkaTopicPlan(name: topic, partitions: 1, configuration: ["cleanup.policy": "compact"])
    }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", topology)
        json.member("pool", pool)
        json.member("state", isWanted ? "deployed" : "undeployed")
        json.name("text")
        json.written(text.json)
        json.endObject()
        return json.string
    }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        let node = DocumentNode(try JsonDocument.read(Array(value)))
        topology = try node["topology"].text
        pool = try node["pool"].text
        isWanted = try node["state"].text == "deployed"
        text = try RuleSetText(node["text"])
        // It becomes the name of a folder.
        guard TopologySpec.isName(topology) else {
            throw Fault(.user, "'\(topology.prefix(100))' is no name of a topology")
        }
    }

    /// Every deployment that there is, by topology; nil: the cluster has no such topic.
    package static func all(_ kafka: KafkaSettings) throws(Fault) -> [String: Deployment]? {
        guard try KafkaAdmin(kafka).partitionCount(of: topic) != nil else { return nil }
        let reader = try KafkaReader(kafka, topic: topic)
        var found: [String: Deployment] = [:]
        try reader.readToEnd { take($0, into: &found) }
        return found
    }

    /// What a record of the topic says; nil: nothing that can be read.
    package static func read(_ value: UnsafeBufferPointer<UInt8>) -> Deployment? { try? Deployment(value) }

    static func take(_ record: KafkaReader.Record, into found: inout [String: Deployment]) {
        guard let key = record.keyText else { return }
        guard let value = record.value else {
            found[key] = nil
            return
        }
        do throws(Fault) {
            let deployment = try Deployment(value)
            guard deployment.topology == key else {
                throw Fault(.user, "the record says '\(deployment.topology)'")
            }
            found[key] = deployment
        } catch {
            Log.warning("topic '\(topic)', key '\(key.prefix(100))': \(error.detail)")
        }
    }

    /// Writes it down for all workers.
    package func publish(_ kafka: KafkaSettings) throws(Fault) {
        try text.checkSize(of: json)
        let feeder = try KafkaFeeder(kafka)
        try feeder.send(to: feeder.topic(Self.topic), key: topology, value: json)
        try feeder.flush()
    }
}
