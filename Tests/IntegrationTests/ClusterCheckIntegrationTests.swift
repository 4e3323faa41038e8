import Base
import Connectors
import Engine
import Testing
import Topology

@Suite(.enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct ClusterCheckIntegrationTests {
    @Test func aClusterIsDescribedAndNotChanged() throws {
        // Goal: partitions, replicas and settings as the broker has them; looking makes no topic, and the
        // check finds what is planted: an uncompacted changelog of another count.
        let cluster = try KafkaCluster.shared()
        let number = UInt32.random(in: 0...UInt32.max)
        let source = try cluster.makeTopic("orders", partitions: 3)
        let name = "linted-\(number)"
        let changelog = "\(name)-state-changelog"
        let admin = try KafkaAdmin(cluster.settings(group: "admin"))
        try admin.create([
            KafkaTopicPlan(name: changelog, partitions: 5, configuration: ["cleanup.policy": "delete"])
        ])
        let text = """
            topology: \(name)
            guarantee: exactly-once
            latency: 3s
            sources:
              orders:
                kafka: { topic: \(source) }
                format: json
                time: { field: at, out_of_order: 1s, idle: 500ms }
                schema: { merchant: text, amount: decimal(2), at: timestamp }
            steps:
              large: { from: orders, where: amount > 1000 }
            sinks:
              large: { kafka: { topic: \(name)-large }, from: large }
            """
        let (read, diagnostics) = TopologyReader.read(text, file: "linted.yaml", parameters: [:])
        let spec = try #require(read, "\(diagnostics)")

        for _ in 0..<2 {
            let facts = try admin.describe { ClusterCheck.needs($0, spec, group: spec.name) }
            #expect(facts.brokers.count == 1 && facts.refusals == [])
            #expect(facts.brokers[0].configuration?["transaction.max.timeout.ms"] != nil)
            #expect(facts.topics[source]?.partitions == 3)
            #expect(facts.topics[source]?.replication == 1 && facts.topics[source]?.leaderless == 0)
            #expect(facts.topics[changelog]?.configuration?["cleanup.policy"] == "delete")
            #expect(Set(facts.topics.keys).subtracting(["__transaction_state"]) == [source, changelog])
            let errors = ClusterCheck(spec, group: name, facts: facts).findings.filter { $0.level == .error }
            #expect(errors.map(\.check) == ["partitions", "cleanup-policy"])
            #expect(errors.map(\.subject) == [changelog, changelog])
        }
    }

    @Test func anAbsentClusterIsAFault() throws {
        // Goal: a clear fault at the deadline, naming the address.
        let admin = try KafkaAdmin(KafkaSettings(bootstrapServers: "127.0.0.1:1"))
        let fault = #expect(throws: Fault.self) {
            _ = try admin.describe(deadlineMilliseconds: 1000) { _ in true }
        }
        #expect(fault?.detail.contains("no Kafka broker answers at 127.0.0.1:1") == true)
    }
}
