import Base
import CRdkafka

/// A Kafka cluster inside this process: librdkafka's mock cluster. It keeps at most 5 MiB a partition, has no
/// transactions, and its group's first join takes 3 s; good for demonstrations and tests only.
package final class MockBroker {
    private let client: KafkaClient
    private let cluster: OpaquePointer

    /// `host:port` list.
    package let bootstrapServers: String

    package init(brokers: Int = 1) throws(Fault) {
        // Its one producer handle exists to own the cluster.
        let settings = KafkaSettings(bootstrapServers: "", raw: ["test.mock.num.brokers": "\(brokers)"])
        client = try KafkaClient(settings, .admin)
        guard let cluster = rd_kafka_handle_mock_cluster(client.handle) else {
            throw Fault(.defect, "the mock cluster did not start")
        }
        self.cluster = cluster
        bootstrapServers = String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    }

    /// Settings for clients of this broker: it answers an empty fetch only after the whole wait.
    package func settings(group: String = "millrace", instanceId: String? = nil) -> KafkaSettings {
        KafkaSettings(
            bootstrapServers: bootstrapServers,
            group: group,
            instanceId: instanceId,
            raw: ["fetch.wait.max.ms": "5"]
        )
    }

    package func createTopic(_ topic: String, partitions: Int) throws(Fault) {
        let code = rd_kafka_mock_topic_create(cluster, topic, Int32(partitions), 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
            throw Fault(.defect, "topic '\(topic)': \(String(cString: rd_kafka_err2str(code)))")
        }
    }

    /// Makes the cluster answer that there is no such topic; it would create it otherwise.
    package func hideTopic(_ topic: String) {
        rd_kafka_mock_topic_set_error(cluster, topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
    }

    /// Cuts the connections of broker `id` (from 1) and refuses new ones, or lets them in again.
    package func setDown(_ isDown: Bool, broker id: Int = 1) {
        if isDown {
            rd_kafka_mock_broker_set_down(cluster, Int32(id))
        } else {
            rd_kafka_mock_broker_set_up(cluster, Int32(id))
        }
    }

    /// Fails the next `count` produce requests with "message too large", which is not tried again.
    package func failProduceRequests(_ count: Int) {
        for _ in 0..<count {
            var code = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
            rd_kafka_mock_push_request_errors_array(cluster, Int16(0), 1, &code)
        }
    }
}
