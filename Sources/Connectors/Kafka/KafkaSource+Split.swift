import Base
import CRdkafka
import Dataflow
import Glibc
import Records

/// The queues of a source whose records are taken partition by partition: what is not taken stays in the
/// client, which then fetches no more of it.
final class KafkaSplit {
    private let client: KafkaClient
    private var queues: [SourcePartition: OpaquePointer] = [:]
    /// The client writes a byte into it when a queue is no longer empty.
    private var pipe: (read: Int32, write: Int32) = (-1, -1)

    init(_ client: KafkaClient, main: OpaquePointer) throws(Fault) {
        self.client = client
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            throw Fault(.external, "pipe: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) }
        pipe = (ends[0], ends[1])
        watch(main)
    }

    private func watch(_ queue: OpaquePointer) {
        var byte: UInt8 = 1
        rd_kafka_queue_io_event_enable(queue, pipe.write, &byte, 1)
    }

    /// To be called before a partition is assigned, so that nothing of it comes through the common queue.
    func add(_ partition: SourcePartition, _ topic: String) {
        guard queues[partition] == nil,
            let queue = rd_kafka_queue_get_partition(client.handle, topic, partition.partition)
        else {
            return
        }
        rd_kafka_queue_forward(queue, nil)
        watch(queue)
        queues[partition] = queue
    }

    func queue(of partition: SourcePartition) -> OpaquePointer? { queues[partition] }

    /// Returns when a queue has got something, or after a while.
    func wait(milliseconds: Int) {
        var entry = pollfd(fd: pipe.read, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, Int32(milliseconds)) > 0 else { return }
        var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        while read(pipe.read, &bytes, 32) == 32 {}
    }

    /// `main`: the common queue.
    func close(main: OpaquePointer) {
        for queue in Array(queues.values) + [main] { rd_kafka_queue_io_event_enable(queue, -1, nil, 0) }
        for queue in queues.values { rd_kafka_queue_destroy(queue) }
        queues = [:]
        Glibc.close(pipe.read)
        Glibc.close(pipe.write)
    }
}

extension KafkaSource {
    package func take(from partition: SourcePartition, atMost count: Int) -> HeldRecords? {
        guard let queue = split?.queue(of: partition) else { return nil }
        let found = rd_kafka_consume_batch_queue(queue, 0, messages, min(count, capacity))
        guard found > 0 else { return nil }
        return hold(found)
    }

    /// Takes messages over, all of one partition.
    private func hold(_ count: Int) -> HeldRecords? {
        let kept = UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>.allocate(capacity: count)
        let storage = RawRecordStorage(capacity: count, findHeader: findKafkaHeader)
        var rows = 0
        slots.beginCount()
        for index in 0..<count {
            guard let message = messages[index] else { continue }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR,
                slots.count(message.pointee.rkt, message.pointee.partition, message.pointee.offset) >= 0
            else {
                if message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR { note(message) }
                rd_kafka_message_destroy(message)
                continue
            }
            storage.fill(rows, message)
            kept[rows] = message
            rows += 1
        }
        slots.forEachCounted { _, _, _ in }
        guard rows > 0 else {
            kept.deallocate()
            return nil
        }
        // The client outlives its messages.
        return HeldRecords(RawRecords(at: storage, from: 0, count: rows)) { [client] in
            withExtendedLifetime((client, storage)) {
                for index in 0..<rows { rd_kafka_message_destroy(kept[index]) }
                kept.deallocate()
            }
        }
    }
}
