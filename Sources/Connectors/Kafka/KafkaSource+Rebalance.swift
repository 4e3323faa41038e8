import Base
import CRdkafka
import Dataflow

extension KafkaSource {
    /// How long committed positions may take to be found, and a commit to be confirmed.
    private static let answerMilliseconds: Int64 = 30_000

    func rebalance(_ rebalance: KafkaReports.Rebalance, _ onEvent: (SourceEvent) -> Void) {
        switch rebalance {
        case .assign(let partitions):
            let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            for element in partitions {
                rd_kafka_topic_partition_list_add(list, element.topic, element.partition)
            }
            do throws(Fault) {
                try findPositions(list)
                let code = rd_kafka_assign(client.handle, list)
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw Fault(
                        .external,
                        "Kafka: \(KafkaProblem(code: code, "assign").text)",
                        retry: .withBackoff
                    )
                }
                slots.assign(entries(list).map { (String(cString: $0.topic), $0.partition, $0.offset) })
                onEvent(.assigned(slots.assigned))
            } catch {
                onEvent(.failed(error))
            }
        case .revoke:
            let given = slots.assigned
            if !given.isEmpty { onEvent(.revoked(given)) }
            slots.removeAll()
            rd_kafka_assign(client.handle, nil)
        }
    }

    /// Fills in where each partition is to be read from: its committed position, or its source's start.
    private func findPositions(
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) throws(Fault) {
        guard let list, list.pointee.cnt > 0 else { return }
        try findCommitted(list)
        let latest = rd_kafka_topic_partition_list_new(0)
        defer { rd_kafka_topic_partition_list_destroy(latest) }
        for index in 0..<Int(list.pointee.cnt) where list.pointee.elems[index].offset < 0 {
            let topic = String(cString: list.pointee.elems[index].topic)
            let partition = list.pointee.elems[index].partition
            if topics.first(where: { $0.topic == topic })?.start == .latest {
                let end = try client.endOffset(topic, partition)
                list.pointee.elems[index].offset = end
                rd_kafka_topic_partition_list_add(latest, topic, partition).pointee.offset = end
            } else {
                list.pointee.elems[index].offset = Int64(RD_KAFKA_OFFSET_BEGINNING)
            }
        }
        // Made durable at once: a crash before the first commit must not move the start further on.
        if let latest, latest.pointee.cnt > 0 { try commit(latest) }
    }

    private func findCommitted(
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) throws(Fault) {
        let deadline = monotonicNanoseconds() + Self.answerMilliseconds * 1_000_000
        while true {
            var code = rd_kafka_committed(client.handle, list, 5000)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                code = entries(list).map(\.err).first { $0 != RD_KAFKA_RESP_ERR_NO_ERROR } ?? code
            }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            let problem = KafkaProblem(code: code, "committed positions of group")
            if problem.isFinal || monotonicNanoseconds() > deadline {
                throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
            }
            client.log(problem)
        }
    }

    /// Commits and waits for the answer, which a plain synchronous commit could wait for without end.
    func commit(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?) throws(Fault) {
        guard let answers = rd_kafka_queue_new(client.handle) else { throw Fault(.defect, "out of memory") }
        defer { rd_kafka_queue_destroy(answers) }
        var code = rd_kafka_commit_queue(client.handle, list, answers, nil, nil)
        if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            code = RD_KAFKA_RESP_ERR__TIMED_OUT
            if let event = rd_kafka_queue_poll(answers, Int32(Self.answerMilliseconds)) {
                code = rd_kafka_event_error(event)
                if code == RD_KAFKA_RESP_ERR_NO_ERROR, let stored = rd_kafka_event_topic_partition_list(event)
                {
                    code = entries(stored).map(\.err).first { $0 != RD_KAFKA_RESP_ERR_NO_ERROR } ?? code
                }
                rd_kafka_event_destroy(event)
            }
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let problem = KafkaProblem(code: code, "commit")
            throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
        }
    }

    private func entries(
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) -> UnsafeBufferPointer<rd_kafka_topic_partition_t> {
        UnsafeBufferPointer(start: list?.pointee.elems, count: Int(list?.pointee.cnt ?? 0))
    }
}
