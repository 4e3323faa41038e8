import Base
import CRdkafka

extension KafkaAdmin {
    /// Deletes topics and all that is in them; those that do not exist are fine.
    package func delete(_ names: [String], deadlineMilliseconds: Int = 30_000) throws(Fault) {
        guard !names.isEmpty else { return }
        var requests = names.map { rd_kafka_DeleteTopic_new($0) }
        defer { for request in requests { rd_kafka_DeleteTopic_destroy(request) } }
        let options = rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_DELETETOPICS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        rd_kafka_AdminOptions_set_operation_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        let answers = rd_kafka_queue_new(client.handle)
        defer { rd_kafka_queue_destroy(answers) }
        requests.withUnsafeMutableBufferPointer { list in
            rd_kafka_DeleteTopics(client.handle, list.baseAddress, list.count, options, answers)
        }
        // The request has its own deadline; a little later there is an answer in any case.
        guard let event = rd_kafka_queue_poll(answers, Int32(deadlineMilliseconds) + 5000) else {
            throw Fault(
                .external,
                "\(client.bootstrapServers) did not answer a request to delete topics",
                retry: .withBackoff
            )
        }
        defer { rd_kafka_event_destroy(event) }
        var code = rd_kafka_event_error(event)
        var count = 0
        let topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
        for index in 0..<count where code == RD_KAFKA_RESP_ERR_NO_ERROR {
            let own = rd_kafka_topic_result_error(topics?[index])
            if own != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART { code = own }
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let problem = KafkaProblem(code: code, "topics that are to be deleted")
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
    }
}
