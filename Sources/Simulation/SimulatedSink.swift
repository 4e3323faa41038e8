import Base
import Dataflow
import Records

/// A producer, transactional if it has a name. What is sent reaches the broker some time before the commit.
final class SimulatedSink: LaneSink {
    /// Topics by what goes there; nil: nothing does.
    struct Topics {
        var sinks: [String?]
        var deadLetter: String
        var late: String
        var changelog: String
        var repartitions: [String]
        var acknowledgements: String?
    }

    private struct Message {
        var place: SimulatedBroker.Place
        var key: [UInt8]?
        var value: [UInt8]?
        var timestamp: Int64
    }

    private let broker: SimulatedBroker
    private let life: SimulatedLife
    private let name: String?
    private let epoch: Int
    private let group: SimulatedSource
    private let topics: Topics
    private let mistake: Mistake?
    private var queue: [Message] = []
    private var changelogEnds: [Int32: Int64] = [:]
    private var isOpen = true

    init(
        _ broker: SimulatedBroker, _ life: SimulatedLife, transactionalId: String?, group: SimulatedSource,
        topics: Topics,
        mistake: Mistake?
    ) throws(Fault) {
        try life.pass(.start)
        self.broker = broker
        self.life = life
        name = transactionalId
        epoch = transactionalId.map(broker.register) ?? 0
        self.group = group
        self.topics = topics
        self.mistake = mistake
    }

    func send(_ outbox: borrowing Outbox) throws(Fault) {
        guard isOpen else { throw Fault(.defect, "the sink is closed") }
        enqueue(outbox)
        if broker.random.next() & 1 == 0 { try deliver(Int(broker.random.next() % UInt64(queue.count + 1))) }
    }

    private func enqueue(_ outbox: borrowing Outbox) {
        for record in outbox.records {
            guard let topic = topic(of: record.destination) else { continue }
            let key = outbox.key(of: record).map { Array($0) }
            if topic == topics.changelog {
                if mistake?.drops(key: key, isRemoval: record.valueCount < 0) == true { continue }
                if mistake == .taskUnwritten, key?.first == 0, broker.random.next() & 3 == 0 { continue }
            }
            if mistake == .acknowledgementLost, topic == topics.acknowledgements,
                broker.random.next() & 3 == 0
            {
                continue
            }
            if mistake == .marksUnsent, key == nil, case .repartition = record.destination { continue }
            let partition =
                record.partition >= 0
                ? record.partition : Self.partition(of: key, among: broker.partitionCount(of: topic))
            queue.append(
                Message(
                    place: SimulatedBroker.Place(topic: topic, partition: partition), key: key,
                    value: outbox.value(of: record).map { Array($0) }, timestamp: record.timestamp))
        }
    }

    private func deliver(_ count: Int) throws(Fault) {
        guard count > 0 else { return }
        try life.pass(.send)
        var transaction = -1
        if let name { transaction = try broker.transaction(name, epoch: epoch) }
        for message in queue.prefix(count) {
            let isOutside =
                mistake == .outputsOutside && isOutput(message.place.topic)
                || mistake == .acknowledgementOutside && message.place.topic == topics.acknowledgements
            let offset = broker.append(
                message.place, key: message.key, value: message.value, timestamp: message.timestamp,
                transaction: isOutside ? -1 : transaction)
            if message.place.topic == topics.changelog { changelogEnds[message.place.partition] = offset + 1 }
        }
        queue.removeFirst(count)
    }

    func commit(
        _ changes: borrowing Outbox, _ positions: [SourcePartition: Int64], sequences: [Int32: UInt64]
    ) throws(Fault) {
        try life.pass(.commitBegin)
        changelogEnds = [:]
        var offsets: [SimulatedBroker.Place: Int64] = [:]
        var notes: [SimulatedBroker.Place: UInt64] = [:]
        for (partition, offset) in positions {
            offsets[group.place(of: partition)] = offset
            notes[group.place(of: partition)] = sequences[partition.partition]
        }
        guard let name else {
            // Nothing fences a worker that stood still while others had its partitions; it looks before it
            // writes.
            try broker.commitPlainly([:], of: group.group, member: group.member, generation: group.generation)
            try deliver(queue.count)
            // Without a transaction nothing but their batch keeps changes together: here they all fit into
            // one.
            enqueue(changes)
            try life.pass(.commitSent)
            try deliver(queue.count)
            try life.pass(.commitOffsets)
            return try ask { () throws(Fault) in
                try broker.commitPlainly(
                    offsets, of: group.group, member: group.member, generation: group.generation)
            }
        }
        if mistake == .positionsFirst { try commitPlainly(offsets) }
        try send(changes)
        var later: [Message] = []
        if mistake == .outputsLate {
            later = queue.filter { isOutput($0.place.topic) }
            queue.removeAll { isOutput($0.place.topic) }
        }
        try deliver(queue.count)
        queue = later
        try life.pass(.commitSent)
        if !offsets.isEmpty, mistake != .positionsForgotten {
            let transaction = try broker.transaction(name, epoch: epoch)
            try ask { () throws(Fault) in
                try broker.addOffsets(
                    offsets, notes: notes, of: group.group, member: group.member,
                    generation: group.generation, to: transaction,
                    isChecked: mistake != .unfenced)
            }
        }
        try life.pass(.commitOffsets)
        do throws(Fault) {
            try ask { () throws(Fault) in try broker.commit(name, epoch: epoch) }
        } catch {
            guard mistake == .doubtIsSuccess, error == SimulatedLife.unanswered else { throw error }
            broker.abort(name, epoch: epoch)
        }
        if mistake == .positionsForgotten { try commitPlainly(offsets) }
        try life.pass(.committed)
    }

    private func commitPlainly(_ offsets: [SimulatedBroker.Place: Int64]) throws(Fault) {
        try broker.commitPlainly(offsets, of: group.group, member: group.member, generation: group.generation)
        try life.pass(.commitOffsets)
    }

    private func isOutput(_ topic: String) -> Bool { topics.sinks.contains(topic) }

    /// A call whose answer may be lost, before or after it has done what it does.
    private func ask(_ call: () throws(Fault) -> Void) throws(Fault) {
        switch life.answer() {
        case .given: try call()
        case .lostBefore: throw SimulatedLife.unanswered
        case .lostAfter:
            try call()
            throw SimulatedLife.unanswered
        }
    }

    func changelogEnd(of task: Int32) -> Int64? { changelogEnds[task] }

    func close() {
        guard isOpen else { return }
        isOpen = false
        if let name, !life.isOver { broker.abort(name, epoch: epoch) }
    }

    private func topic(of destination: Destination) -> String? {
        switch destination {
        case .sink(let index): topics.sinks[index]
        case .deadLetter: topics.deadLetter
        case .late: topics.late
        case .changelog: topics.changelog
        case .repartition(let index): topics.repartitions[index]
        case .acknowledgement: topics.acknowledgements
        }
    }

    static func partition(of key: [UInt8]?, among count: Int32) -> Int32 {
        guard let key else { return 0 }
        return key.withUnsafeBufferPointer { key in
            key.baseAddress.map { Int32(hashBytes($0, key.count) % UInt64(count)) } ?? 0
        }
    }
}
