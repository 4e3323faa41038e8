import Base
import Dataflow
import Records

/// A member of a simulated group.
final class SimulatedSource: LaneSource {
    struct Topic {
        var name: String
        var source: Int
    }

    private let broker: SimulatedBroker
    private let life: SimulatedLife
    let group: String
    private let instance: String
    private let topics: [Topic]
    /// Records come through `take`.
    private let isSplit: Bool
    /// Joins with the first poll; -1: has not joined.
    private(set) var member = -1
    private(set) var generation = 0
    private var waiting: [SourcePartition] = []
    private var assigned: [SourcePartition] = []
    private var next: [SourcePartition: Int64] = [:]
    private var held: Set<SourcePartition> = []
    /// Partitions whose end was told since their last record.
    private var told: Set<SourcePartition> = []
    private let rowsMax: Int
    private let mistake: Mistake?

    init(
        _ broker: SimulatedBroker, _ life: SimulatedLife, group: String, instance: String, topics: [Topic],
        isSplit: Bool,
        rowsMax: Int, mistake: Mistake?
    ) {
        self.mistake = mistake
        self.broker = broker
        self.life = life
        self.group = group
        self.instance = instance
        self.topics = topics
        self.isSplit = isSplit
        self.rowsMax = rowsMax
    }

    func place(of partition: SourcePartition) -> SimulatedBroker.Place {
        let topic = topics.first { $0.source == partition.source }?.name ?? ""
        return SimulatedBroker.Place(topic: topic, partition: partition.partition)
    }

    private func partition(of place: SimulatedBroker.Place) -> SourcePartition? {
        topics.first { $0.name == place.topic }.map {
            SourcePartition(source: $0.source, partition: place.partition)
        }
    }

    private func chance(_ oneIn: UInt64) -> Bool { broker.random.next() % oneIn == 0 }

    func poll(
        timeoutMilliseconds: Int, _ body: (SourcePartition, RawRecords) -> Void,
        onEvent: (SourceEvent) -> Void
    ) {
        guard !life.isOver else { return }
        if member < 0 { member = broker.group(group).join(instance: instance, topics: topics.map(\.name)) }
        if !isSplit {
            for partition in assigned.shuffled(using: &broker.random) where !chance(4) {
                guard let records = fetch(partition, rowsMax) else { continue }
                withExtendedLifetime(records) { body(partition, records.raw) }
            }
        }
        for partition in assigned where !told.contains(partition) && !held.contains(partition) {
            let isAtEnd =
                next[partition] ?? 0 >= broker.lastStable(of: place(of: partition)) || mistake == .endTold
            guard isAtEnd, chance(2) else { continue }
            told.insert(partition)
            onEvent(.caughtUp(partition))
        }
        switch broker.group(group).poll(member) {
        case nil: break
        case .revoked:
            onEvent(.revoked(assigned))
            clear()
        case .assigned(let places):
            generation = broker.group(group).generation
            waiting = places.compactMap(partition)
            onEvent(.assigned(waiting))
        case .fenced:
            if !assigned.isEmpty || !waiting.isEmpty { onEvent(.revoked(assigned)) }
            clear()
            onEvent(.failed(Fault(.external, "simulated: member fenced", retry: .withBackoff)))
        }
    }

    private func clear() {
        assigned = []
        waiting = []
        next = [:]
        held = []
        told = []
    }

    private func fetch(_ partition: SourcePartition, _ count: Int) -> SimulatedRecords? {
        guard let from = next[partition], !held.contains(partition) else { return nil }
        let atMost = 1 + Int(broker.random.next() % UInt64(max(1, count)))
        let (records, after) = broker.read(
            place(of: partition), from: from, atMost: atMost, isCommitted: mistake != .sourceUncommitted)
        next[partition] = after
        guard !records.isEmpty else { return nil }
        told.remove(partition)
        return SimulatedRecords(records)
    }

    func take(from partition: SourcePartition, atMost count: Int) -> HeldRecords? {
        guard !life.isOver, isSplit, !chance(4), let records = fetch(partition, min(count, rowsMax)) else {
            return nil
        }
        return HeldRecords(records.raw) { withExtendedLifetime(records) {} }
    }

    func committed(_ partitions: [SourcePartition]) throws(Fault) -> [SourcePartition: Int64] {
        try life.pass(.restore)
        let places = partitions.map(place)
        // A transaction that somebody left open ends by its timeout.
        while true {
            let (positions, isOpen) = broker.committed(group, places)
            if !isOpen {
                var result: [SourcePartition: Int64] = [:]
                for partition in partitions { result[partition] = positions[place(of: partition)] }
                return result
            }
            broker.clock.nowMilliseconds += 200
            broker.settle()
        }
    }

    func sequence(of partition: SourcePartition) -> UInt64? { broker.note(group, place(of: partition)) }

    func start(at positions: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: Int64] {
        try life.pass(.start)
        assigned = waiting
        waiting = []
        for partition in assigned { next[partition] = positions[partition] ?? 0 }
        if let first = assigned.first, let position = next[first], position > 0 {
            if mistake == .recordSkipped { next[first] = position + 1 }
            if mistake == .recordRepeated { next[first] = position - 1 }
        }
        return next
    }

    func hold(_ partitions: Set<SourcePartition>) throws(Fault) { held = partitions }

    func look(at offsets: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: LogSight] {
        var sights: [SourcePartition: LogSight] = [:]
        for (partition, offset) in offsets {
            let place = place(of: partition)
            let found = broker.read(place, from: offset, atMost: 1).records.first
            let mark = found.map { record in
                let held = SimulatedRecords([record])
                return withExtendedLifetime(held) { LogMark(held.raw, 0) }
            }
            sights[partition] = LogSight(record: mark, range: 0..<broker.end(of: place))
        }
        return sights
    }

    /// Any guess will do.
    func foreseen() -> Set<Int32> {
        guard chance(2), let topic = topics.first else { return [] }
        return Set((0..<broker.partitionCount(of: topic.name)).filter { _ in chance(2) })
    }

    func lag(of partition: SourcePartition) -> Int64? {
        next[partition].map { broker.end(of: place(of: partition)) - $0 }
    }

    func close() {
        // Members have names, under which they come back; some go for good.
        if !life.isOver, chance(4) { broker.group(group).leave(member) }
    }
}
