import Base
import CRdkafka
import Dataflow

/// Asks a cluster how it is, outside of any group, with a client that makes no topics by asking for them.
/// Used by one thread.
package final class KafkaWatch {
    package struct Member: Equatable, Sendable {
        package var clientId: String
        /// Of a static member.
        package var instanceId: String?
        package var host: String

        package init(clientId: String, instanceId: String?, host: String) {
            self.clientId = clientId
            self.instanceId = instanceId
            self.host = host
        }
    }

    private let settings: KafkaSettings
    private let probe: KafkaLogProbe

    package init(_ settings: KafkaSettings) throws(Fault) {
        self.settings = settings
        probe = try KafkaLogProbe(settings)
    }

    /// Number of partitions, nil if there is no such topic.
    package func partitionCount(of topic: String, deadlineMilliseconds: Int) throws(Fault) -> Int? {
        try probe.client.partitionCount(of: topic, deadlineMilliseconds: deadlineMilliseconds)
    }

    /// What stands at an offset, or first behind it.
    package func look(at offset: Int64, topic: String, partition: Int32) throws(Fault) -> LogSight? {
        let place = KafkaLogProbe.Place(topic: topic, partition: partition)
        return try probe.look([place: offset])[place]
    }

    /// The group's members. Throws if the brokers do not tell.
    package func members(deadlineMilliseconds: Int) throws(Fault) -> [Member] {
        let options = rd_kafka_AdminOptions_new(probe.client.handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(deadlineMilliseconds), nil, 0)
        let answers = rd_kafka_queue_new(probe.client.handle)
        defer { rd_kafka_queue_destroy(answers) }
        settings.group.withCString { name in
            var names: [UnsafePointer<CChar>?] = [name]
            rd_kafka_DescribeConsumerGroups(probe.client.handle, &names, 1, options, answers)
        }
        guard let event = try probe.client.answer(from: answers, deadlineMilliseconds + 1000) else {
            throw Fault(
                .external, "the members of group '\(settings.group)' are not told", retry: .withBackoff)
        }
        defer { rd_kafka_event_destroy(event) }
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? ""
            throw Fault(.external, "the members of group '\(settings.group)': \(reason)", retry: .withBackoff)
        }
        var count = 0
        let groups = rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count)
        guard count == 1, let group = groups?[0] else { return [] }
        if let error = rd_kafka_ConsumerGroupDescription_error(group) {
            let code = rd_kafka_error_code(error)
            // A group that never had a member.
            if code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND { return [] }
            throw Fault(
                .external, "Kafka: \(KafkaProblem(code: code, "members of group '\(settings.group)'").text)")
        }
        return (0..<rd_kafka_ConsumerGroupDescription_member_count(group)).compactMap { index in
            guard let member = rd_kafka_ConsumerGroupDescription_member(group, index) else { return nil }
            func text(_ value: UnsafePointer<CChar>?) -> String? { value.map { String(cString: $0) } }
            return Member(
                clientId: text(rd_kafka_MemberDescription_client_id(member)) ?? "",
                instanceId: text(rd_kafka_MemberDescription_group_instance_id(member)),
                host: text(rd_kafka_MemberDescription_host(member)) ?? "")
        }
    }
}
