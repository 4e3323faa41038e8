import CRdkafka
import Dataflow

/// The partitions assigned to one consumer: finds a message's partition by its topic handle's address and
/// remembers the next offset of each. Used by one thread.
final class KafkaSlots {
    private struct Slot {
        var partition = SourcePartition(source: -1, partition: -1)
        var isAssigned = false
        /// Offset that comes next; lower ones were seen already.
        var next: Int64 = 0
        /// Records of this poll, and where they go.
        var count: Int32 = 0
        var start: Int32 = 0
        var filled: Int32 = 0
    }

    private struct Topic {
        /// Held for as long as this object lives, so that the address cannot be used for another topic.
        var handle: OpaquePointer
        var name: String
        var source: Int
        /// Its partition 0 in `slots`, and how many follow.
        var first = 0
        var partitions = 0
    }

    // Holds the client, so that it outlives the topic handles.
    private let client: KafkaClient
    private var topics: UnsafeMutableBufferPointer<Topic>
    private var slots: UnsafeMutableBufferPointer<Slot>
    private var touched: [Int32] = []
    // The topic of the last message; runs of one topic are the rule.
    private var last = 0

    init(_ client: KafkaClient, _ sources: [KafkaSourceTopic]) {
        self.client = client
        let known = sources.compactMap { source in
            rd_kafka_topic_new(client.handle, source.topic, nil).map {
                Topic(handle: $0, name: source.topic, source: source.source)
            }
        }
        topics = .allocate(capacity: known.count)
        _ = topics.initialize(from: known)
        slots = .allocate(capacity: 0)
    }

    deinit {
        for topic in topics { rd_kafka_topic_destroy(topic.handle) }
        topics.deinitialize()
        topics.deallocate()
        slots.deallocate()
    }

    // MARK: Assignment

    /// Replaces the assignment; offset: the first one to hand over (negative: whatever comes).
    func assign(_ assignment: [(topic: String, partition: Int32, offset: Int64)]) {
        removeAll()
        var total = 0
        for index in topics.indices {
            let last =
                assignment.filter { $0.topic == topics[index].name }.map { Int($0.partition) }.max() ?? -1
            topics[index].first = total
            topics[index].partitions = last + 1
            total += last + 1
        }
        slots.deallocate()
        slots = .allocate(capacity: total)
        slots.initialize(repeating: Slot())
        touched.reserveCapacity(total)
        for element in assignment {
            guard let topic = topics.first(where: { $0.name == element.topic }) else { continue }
            let partition = SourcePartition(source: topic.source, partition: element.partition)
            slots[topic.first + Int(element.partition)] = Slot(
                partition: partition,
                isAssigned: true,
                next: max(element.offset, 0)
            )
        }
    }

    func removeAll() {
        for index in topics.indices { topics[index].partitions = 0 }
        for index in slots.indices { slots[index].isAssigned = false }
    }

    var assigned: [SourcePartition] { slots.lazy.filter(\.isAssigned).map(\.partition) }

    /// Offset of the record that comes next.
    func position(of partition: SourcePartition) -> Int64? {
        slots.first { $0.isAssigned && $0.partition == partition }?.next
    }

    func partition(_ topic: OpaquePointer?, _ partition: Int32) -> SourcePartition? {
        let slot = find(topic, partition)
        return slot < 0 ? nil : slots[slot].partition
    }

    @inline(__always)
    private func find(_ topic: OpaquePointer?, _ partition: Int32) -> Int {
        guard let topic else { return -1 }
        if topics[last].handle != topic {
            guard let index = topics.firstIndex(where: { $0.handle == topic }) else { return -1 }
            last = index
        }
        guard partition >= 0, Int(partition) < topics[last].partitions else { return -1 }
        let slot = topics[last].first &+ Int(partition)
        return slots[slot].isAssigned ? slot : -1
    }

    // MARK: One poll: count every message, then take an index for each

    func beginCount() {
        touched.removeAll(keepingCapacity: true)
    }

    /// The message's slot, -1 if it is to be left out: not assigned, or seen before (librdkafka before 2.4
    /// may deliver an offset twice).
    @inline(__always)
    func count(_ topic: OpaquePointer?, _ partition: Int32, _ offset: Int64) -> Int32 {
        let slot = find(topic, partition)
        guard slot >= 0, offset >= slots[slot].next else { return -1 }
        slots[slot].next = offset &+ 1
        if slots[slot].count == 0 { touched.append(Int32(truncatingIfNeeded: slot)) }
        slots[slot].count &+= 1
        return Int32(truncatingIfNeeded: slot)
    }

    func endCount() {
        var start: Int32 = 0
        for slot in touched {
            slots[Int(slot)].start = start
            slots[Int(slot)].filled = 0
            start += slots[Int(slot)].count
        }
    }

    @inline(__always)
    func take(_ slot: Int32) -> Int {
        let index = slots[Int(slot)].start &+ slots[Int(slot)].filled
        slots[Int(slot)].filled &+= 1
        return Int(index)
    }

    /// Calls `body` with each counted partition, and the start and count of its records.
    func forEachCounted(_ body: (SourcePartition, Int, Int) -> Void) {
        for slot in touched {
            let entry = slots[Int(slot)]
            slots[Int(slot)].count = 0
            body(entry.partition, Int(entry.start), Int(entry.count))
        }
    }
}
