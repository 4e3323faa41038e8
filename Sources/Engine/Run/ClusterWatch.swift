import Base
import Connectors
import Dataflow
import Glibc
import Operators
import Synchronization

/// Looks every few seconds whether the cluster still is what the worker was planned for: the partitions of
/// its topics, the logs that it reads, and who else is in its group. Has a thread of its own.
final class ClusterWatch: Sendable {
    struct Topic: Sendable {
        var name: String
        var partitions: Int
        /// The source that tasks read it by; nil: they do not.
        var source: Int?
        /// A restart takes in more partitions: they are no tasks' parts.
        var mayGrow: Bool
    }

    private let kafka: KafkaSettings
    private let topics: [Topic]
    private let tag: MemberTag
    /// Of the build before, which reads nothing that this one writes.
    private let formerLayout: String
    private let instanceId: String?
    private let everyMilliseconds: Int64
    private let stopping: StopSignal
    private let statuses: @Sendable () -> [LaneStatus]
    private let onFault: @Sendable (Fault) -> Void
    private let complaint = Mutex<String?>(nil)

    /// `onFault`: the worker must not go on.
    init(
        _ kafka: KafkaSettings, topics: [Topic], tag: MemberTag, formerLayout: String, instanceId: String?,
        everyMilliseconds: Int64,
        stopping: StopSignal, statuses: @escaping @Sendable () -> [LaneStatus],
        onFault: @escaping @Sendable (Fault) -> Void
    ) {
        self.kafka = kafka
        self.topics = topics
        self.tag = tag
        self.formerLayout = formerLayout
        self.instanceId = instanceId
        self.everyMilliseconds = everyMilliseconds
        self.stopping = stopping
        self.statuses = statuses
        self.onFault = onFault
    }

    /// Why the worker is not ready, as far as the cluster goes; nil: it is.
    var unreadiness: String? { complaint.withLock { $0 } }

    // MARK: Before the group is joined

    /// A worker that was killed is a member until its session ends, which is no reason to refuse.
    private static let sessionMilliseconds: Int64 = 10_000

    /// Throws if the group has members that run something else, or do not say what they run.
    func admit() throws(Fault) {
        guard let watch = try? KafkaWatch(kafka) else { return }
        let begin = monotonicNanoseconds()
        while let view = view(watch), let stranger = view.strangers.first ?? view.unknown.first {
            if stopping.isSet { throw .stopped }
            guard (monotonicNanoseconds() - begin) / 1_000_000 < Self.sessionMilliseconds else {
                throw refusal(stranger)
            }
            usleep(200_000)
        }
    }

    private func refusal(_ stranger: KafkaWatch.Member) -> Fault {
        guard let theirs = MemberTag(clientId: stranger.clientId) else {
            return Fault(
                .user,
                "group '\(kafka.group)' has a member that does not say what it runs, and takes partitions: \(GroupView.name(stranger)): "
                    + "a worker of an older build, whose state this one cannot read, or no worker at all. Use another --group, or "
                    + "stop it first")
        }
        if theirs.layout == formerLayout {
            return Fault(
                .user,
                "group '\(kafka.group)' has a member of an older build, whose state has format \(StateFormat.former): "
                    + "\(GroupView.name(stranger)). It cannot read format \(StateFormat.written), in which this build goes on with that state. "
                    + "Stop all workers of the older build, then start this one: it takes over what they kept"
            )
        }
        return Fault(
            .user,
            "group '\(kafka.group)' has a member that runs another topology, or one whose state has another layout: "
                + "\(GroupView.name(stranger)); this one has layout \(tag.layout), logic \(tag.logic). They would share the partitions, "
                + "and neither's results would be right. Use another --group, or stop the others first")
    }

    /// nil: the brokers do not tell.
    private func view(_ watch: KafkaWatch) -> GroupView? {
        do throws(Fault) {
            let members = try watch.members(deadlineMilliseconds: 5000)
            return GroupView(members, tag: tag, instanceId: instanceId)
        } catch {
            Log.debug("members of group '\(kafka.group)': \(error.detail)")
            return nil
        }
    }

    // MARK: While it runs

    /// What one round hands on to the next.
    private struct Memory {
        /// By topic: a count that was seen once.
        var odd: [String: Int] = [:]
        /// By topic: a record that was read, and is looked at again.
        var anchors: [String: (partition: Int32, mark: LogMark)] = [:]
        /// When the brokers answered last, and what was said of the group when.
        var answeredAt = monotonicNanoseconds()
        var toldAt: [String: Int64] = [:]
        var stranger: KafkaWatch.Member?
    }

    func run() {
        var memory = Memory()
        var watch: KafkaWatch?
        while true {
            let next = monotonicNanoseconds() + everyMilliseconds * 1_000_000
            while monotonicNanoseconds() < next {
                if stopping.isSet { return }
                usleep(50_000)
            }
            if watch == nil { watch = try? KafkaWatch(kafka) }
            guard let watch else { continue }
            do throws(Fault) {
                let missing = try compareTopics(watch, &memory)
                memory.answeredAt = monotonicNanoseconds()
                try compareLogs(watch, &memory)
                try compareMembers(watch, &memory)
                complaint.withLock { $0 = missing }
            } catch {
                if error == .stopped { return }
                guard error.retry == .withBackoff else { return onFault(error) }
                let silent = (monotonicNanoseconds() - memory.answeredAt) / 1_000_000
                if silent > 2 * everyMilliseconds { complaint.withLock { $0 = error.detail } }
            }
        }
    }

    /// Returns what is missing. Throws if there are other partitions than before, at the second look: a
    /// broker that is behind may still tell of fewer.
    private func compareTopics(_ watch: KafkaWatch, _ memory: inout Memory) throws(Fault) -> String? {
        var missing: String?
        for topic in topics {
            guard let count = try watch.partitionCount(of: topic.name, deadlineMilliseconds: 3000) else {
                missing = missing ?? "topic '\(topic.name)' does not exist"
                continue
            }
            let before = memory.odd.removeValue(forKey: topic.name)
            if count == topic.partitions { continue }
            memory.odd[topic.name] = count
            missing =
                "topic '\(topic.name)' has \(count) partitions, and the worker was planned for \(topic.partitions)"
            if before == count { throw Self.grown(topic, count) }
        }
        return missing
    }

    static func grown(_ topic: Topic, _ count: Int) -> Fault {
        let what =
            "topic '\(topic.name)' has \(count) partitions now, and had \(topic.partitions) when the worker started: "
        guard !topic.mayGrow else {
            return Fault(.external, what + "a restart reads them all", retry: .withBackoff)
        }
        return Fault(
            .user,
            what
                + "keys have moved between partitions, and their windows cannot follow. Begin anew under another --group"
                + (topic.source == nil ? "" : ", or make the topic anew with \(topic.partitions) partitions"))
    }

    /// A topic that is deleted and made anew goes unnoticed where the new one has the position that the
    /// reader is at, so a record that was read by the last round is looked at again.
    private func compareLogs(_ watch: KafkaWatch, _ memory: inout Memory) throws(Fault) {
        let statuses = statuses()
        // A lane that begins again compares by itself.
        guard statuses.allSatisfy(\.isReady) else { return }
        let partitions = statuses.flatMap(\.partitions)
        for topic in topics {
            guard let source = topic.source else { continue }
            if let (partition, mark) = memory.anchors[topic.name],
                let sight = try watch.look(at: mark.offset, topic: topic.name, partition: partition),
                case .other(let reason) = LogVerdict.judge(mark, position: mark.offset + 1, sight)
            {
                throw Fault(
                    .user,
                    "topic '\(topic.name)' is another log than before: it was made anew while it was read (partition \(partition): "
                        + "\(reason)). Its first records were left out, and windows hold records of both. Begin anew under another --group; a start as it is goes on "
                        + "in the new topic")
            }
            let known = partitions.filter { $0.source == source && $0.mark != nil }
            if let any = known.randomElement(), let mark = any.mark {
                memory.anchors[topic.name] = (any.partition, mark)
            }
        }
    }

    private static let tellNanoseconds: Int64 = 60_000_000_000

    private func compareMembers(_ watch: KafkaWatch, _ memory: inout Memory) throws(Fault) {
        guard let view = view(watch) else { return }
        func tell(_ text: String) {
            let now = monotonicNanoseconds()
            if let at = memory.toldAt[text], now - at < Self.tellNanoseconds { return }
            memory.toldAt = memory.toldAt.filter { now - $0.value < Self.tellNanoseconds }
            memory.toldAt[text] = now
            Log.warning(text)
        }
        if let stranger = view.strangers.first {
            // Two that started at once and did not see one another: one of them goes.
            let theirs = MemberTag(clientId: stranger.clientId)?.layout ?? ""
            if memory.stranger == stranger, tag.layout > theirs { throw refusal(stranger) }
            memory.stranger = stranger
            tell(
                "group '\(kafka.group)': \(GroupView.name(stranger)) runs another topology, or another layout of its state; stop it"
            )
        } else {
            memory.stranger = nil
        }
        if let other = view.others.first {
            tell(
                "group '\(kafka.group)': \(GroupView.name(other)) runs another version than this worker (logic \(tag.logic)): until all "
                    + "run one, each partition's results are those of the worker that has it")
        }
        if let unknown = view.unknown.first {
            tell(
                "group '\(kafka.group)': \(GroupView.name(unknown)) does not say what it runs, and takes partitions; stop it"
            )
        }
    }
}
