import Base
import CRdkafka
import Dataflow
import Glibc

extension KafkaSource {
    /// How long a commit may take to be confirmed.
    private static let answerMilliseconds: Int64 = 30_000
    /// A consumer leaves within milliseconds, or waits for a broker that is gone.
    private static let leavingMilliseconds: Int64 = 5000
    /// While a rebalance is under way, a member waits for others that restore their tasks; a session would
    /// take 6 s.
    private static let leavingForGoodMilliseconds: Int64 = 15_000
    /// Brokers look for transactions that ran out every ten seconds; theirs is ten seconds too.
    private static let committedMilliseconds: Int64 = 60_000

    func rebalance(_ rebalance: KafkaReports.Rebalance, _ onEvent: (SourceEvent) -> Void) {
        switch rebalance {
        case .assign(let partitions):
            let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
            for element in partitions {
                rd_kafka_topic_partition_list_add(list, element.topic, element.partition)
            }
            if let waiting { rd_kafka_topic_partition_list_destroy(waiting) }
            waiting = list
            let known = partitions.compactMap { partition(of: $0.topic, $0.partition) }
            if known.count < partitions.count {
                let topics = Set(partitions.map(\.topic)).subtracting(self.topics.map(\.topic)).sorted()
                    .joined(separator: "', '")
                onEvent(
                    .failed(
                        Fault(
                            .external,
                            "group '\(settings.group)' gives this worker partitions of '\(topics)', which it does not read",
                            retry: .withBackoff)))
            }
            onEvent(.assigned(known))
        case .revoke:
            let given = slots.assigned
            if !given.isEmpty || waiting != nil { onEvent(.revoked(given)) }
            if let waiting { rd_kafka_topic_partition_list_destroy(waiting) }
            waiting = nil
            slots.removeAll()
            rd_kafka_assign(client.handle, nil)
        }
    }

    private func partition(of topic: String, _ partition: Int32) -> SourcePartition? {
        topics.first { $0.topic == topic }.map { SourcePartition(source: $0.source, partition: partition) }
    }

    /// A list of these offsets; the caller destroys it. What `metadata` says stands beside each in the group.
    func list(
        of positions: [SourcePartition: Int64], metadata: ((SourcePartition) -> String)? = nil
    ) -> UnsafeMutablePointer<rd_kafka_topic_partition_list_t>? {
        let list = rd_kafka_topic_partition_list_new(Int32(positions.count))
        for (partition, offset) in positions {
            guard let topic = topics.first(where: { $0.source == partition.source }),
                let element = rd_kafka_topic_partition_list_add(list, topic.topic, partition.partition)
            else { continue }
            element.pointee.offset = offset
            if let metadata = metadata?(partition) {
                // The list frees it.
                element.pointee.metadata = UnsafeMutableRawPointer(strdup(metadata))
                element.pointee.metadata_size = metadata.utf8.count
            }
        }
        return list
    }

    package func committed(_ partitions: [SourcePartition]) throws(Fault) -> [SourcePartition: Int64] {
        guard !partitions.isEmpty else { return [:] }
        let list = list(of: Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let list else { return [:] }
        let begin = monotonicNanoseconds()
        var mustFence = true
        while true {
            try client.checkStop()
            var code = rd_kafka_committed(client.handle, list, 1000)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                code = entries(list).map(\.err).first { $0 != RD_KAFKA_RESP_ERR_NO_ERROR } ?? code
            }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
            let problem = KafkaProblem(code: code, "committed positions of group '\(settings.group)'")
            let waited = (monotonicNanoseconds() - begin) / 1_000_000
            if problem.isFinal || waited > Self.committedMilliseconds {
                throw Fault(.external, "Kafka: \(problem.text)", retry: problem.retry)
            }
            if mustFence, waited > 500 {
                mustFence = false
                fenceLastOwners(partitions)
            }
            client.log(problem)
        }
        var result: [SourcePartition: Int64] = [:]
        sequences = [:]
        for element in entries(list) where element.offset >= 0 {
            guard let partition = partition(of: String(cString: element.topic), element.partition) else {
                continue
            }
            result[partition] = element.offset
            guard let metadata = element.metadata, element.metadata_size > 0 else { continue }
            sequences[partition] = PositionNote(metadata, element.metadata_size).sequence
        }
        return result
    }

    /// A worker that was killed within a commit leaves a transaction open, and nobody may know the group's
    /// positions until it has ended: by its timeout, or at once, when somebody takes over its producer's
    /// name. The partitions are ours now, so whoever committed them last has no business with them any more.
    private func fenceLastOwners(_ partitions: [SourcePartition]) {
        do throws(Fault) {
            var owners: Set<String> = []
            let inquirer = try KafkaClient(settings, .inquirer)
            let list = list(of: Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            _ = rd_kafka_committed(inquirer.handle, list, 5000)
            for element in entries(list) {
                guard let metadata = element.metadata, element.metadata_size > 0 else { continue }
                owners.insert(PositionNote(metadata, element.metadata_size).owner)
            }
            owners.remove(settings.transactionalId ?? "")
            for owner in owners.sorted() {
                Log.info("restore: ending the transaction that '\(owner)' left open")
                var name = settings
                name.transactionalId = owner
                let fence = try KafkaClient(name, .producer)
                if let error = rd_kafka_init_transactions(fence.handle, 10_000) {
                    rd_kafka_error_destroy(error)
                }
            }
        } catch {
            Log.warning("restore: \(error.detail)")
        }
    }

    package func sequence(of partition: SourcePartition) -> UInt64? { sequences[partition] }

    package func start(at positions: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: Int64] {
        guard let list = waiting else { return [:] }
        waiting = nil
        defer { rd_kafka_topic_partition_list_destroy(list) }
        var started: [SourcePartition: Int64] = [:]
        for index in 0..<Int(list.pointee.cnt) {
            let name = String(cString: list.pointee.elems[index].topic)
            guard let partition = partition(of: name, list.pointee.elems[index].partition) else { continue }
            var offset = positions[partition] ?? -1
            if offset < 0 {
                let range = try client.offsets(name, partition.partition)
                let isLatest = topics.first { $0.source == partition.source }?.start == .latest
                offset = isLatest ? range.upperBound : range.lowerBound
            }
            list.pointee.elems[index].offset = offset
            started[partition] = offset
            split?.add(partition, name)
        }
        let code = rd_kafka_assign(client.handle, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Fault(.external, "Kafka: \(KafkaProblem(code: code, "assign").text)", retry: .withBackoff)
        }
        slots.assign(entries(list).map { (String(cString: $0.topic), $0.partition, $0.offset) })
        return started
    }

    package func hold(_ partitions: Set<SourcePartition>) throws(Fault) {
        let others = Set(assignment).subtracting(partitions)
        for (group, change) in [
            (partitions, rd_kafka_pause_partitions), (others, rd_kafka_resume_partitions),
        ] where !group.isEmpty {
            let list = list(of: Dictionary(uniqueKeysWithValues: group.map { ($0, 0) }))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            let code = change(client.handle, list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw Fault(
                    .external, "Kafka: \(KafkaProblem(code: code, "pause").text)", retry: .withBackoff)
            }
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

    /// A rebalance that was told and not answered would be waited for.
    func answerRebalances() {
        let isLeaving = client.reports.pointee.isLeaving
        if let waiting { rd_kafka_assign(client.handle, isLeaving ? waiting : nil) }
        for rebalance in client.reports.pointee.rebalances {
            guard isLeaving, case .assign(let partitions) = rebalance else {
                rd_kafka_assign(client.handle, nil)
                continue
            }
            let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            for element in partitions {
                rd_kafka_topic_partition_list_add(list, element.topic, element.partition)
            }
            rd_kafka_assign(client.handle, list)
        }
        client.reports.pointee.rebalances.removeAll()
    }

    /// A member that comes back under its name keeps its partitions, so librdkafka says nothing to the group
    /// when it closes; when it unsubscribes it does, unless a rebalance is under way, whose end is waited
    /// for.
    private func leaveForGood() {
        guard client.reports.pointee.isLeaving, isMember else { return }
        defer { client.reports.pointee.isLeaving = false }
        let begin = monotonicNanoseconds()
        var hasAsked = false
        while isMember {
            if !hasAsked, client.reports.pointee.isJoined {
                hasAsked = rd_kafka_unsubscribe(client.handle) == RD_KAFKA_RESP_ERR_NO_ERROR
            }
            // What is given or taken back by now is obeyed.
            if let message = rd_kafka_consumer_poll(client.handle, 5) { rd_kafka_message_destroy(message) }
            guard monotonicNanoseconds() - begin < Self.leavingForGoodMilliseconds * 1_000_000 else {
                return Log.warning(
                    "kafka: a rebalance does not end; group '\(settings.group)' misses this member after its session"
                )
            }
        }
    }

    private var isMember: Bool {
        guard let member = rd_kafka_memberid(client.handle) else { return false }
        defer { rd_kafka_mem_free(client.handle, member) }
        return member[0] != 0
    }

    /// Leaves the group; where the membership is static, only if nobody comes back.
    func leave() {
        leaveForGood()
        guard let queue = rd_kafka_queue_new(client.handle) else { return }
        defer { rd_kafka_queue_destroy(queue) }
        let begin = monotonicNanoseconds()
        if let error = rd_kafka_consumer_close_queue(client.handle, queue) {
            rd_kafka_error_destroy(error)
            return
        }
        while rd_kafka_consumer_closed(client.handle) == 0 {
            if let event = rd_kafka_queue_poll(queue, 20) {
                // What was read was committed before.
                if rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE {
                    rd_kafka_assign(client.handle, nil)
                }
                rd_kafka_event_destroy(event)
            }
            guard monotonicNanoseconds() - begin < Self.leavingMilliseconds * 1_000_000 else {
                let seconds = Self.leavingMilliseconds / 1000
                return Log.warning(
                    "kafka: a consumer did not leave group '\(settings.group)' within \(seconds) s")
            }
        }
    }

    private func entries(
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) -> UnsafeBufferPointer<rd_kafka_topic_partition_t> {
        UnsafeBufferPointer(start: list?.pointee.elems, count: Int(list?.pointee.cnt ?? 0))
    }
}

/// What stands beside a position in its group: the transactional id of who committed it and the number of the
/// task's commit, a line each.
struct PositionNote {
    var owner: String
    /// nil: it was not said, as by versions before this one.
    var sequence: UInt64?

    init(owner: String, sequence: UInt64?) {
        self.owner = owner
        self.sequence = sequence
    }

    init(_ metadata: UnsafeRawPointer, _ count: Int) {
        let text = String(decoding: UnsafeRawBufferPointer(start: metadata, count: count), as: UTF8.self)
        let lines = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        owner = String(lines[0])
        sequence = lines.count > 1 ? UInt64(lines[1]) : nil
    }

    var text: String { sequence.map { "\(owner)\n\($0)" } ?? owner }
}
