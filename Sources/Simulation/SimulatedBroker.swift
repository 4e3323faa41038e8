import Base
import Dataflow

/// Topics, transactions and consumer groups of a Kafka cluster in memory, for the lanes of one thread. Time
/// is a parameter.
///
/// As on a real cluster, records of a transaction lie in their partitions before it ends, readers of what is
/// committed stop at the first record of one that is open, and the end of a transaction reaches one partition
/// after the other.
final class SimulatedBroker {
    struct Place: Hashable {
        var topic: String
        var partition: Int32
    }

    struct Record {
        var offset: Int64
        var key: [UInt8]?
        var value: [UInt8]?
        var timestamp: Int64
        /// -1: none.
        fileprivate var transaction = -1
        /// The end of a transaction.
        fileprivate var isMarker = false

        init(offset: Int64, key: [UInt8]?, value: [UInt8]?, timestamp: Int64) {
            self.offset = offset
            self.key = key
            self.value = value
            self.timestamp = timestamp
        }
    }

    private enum State { case open, committing, committed, aborted }

    private struct Transaction {
        var state = State.open
        var openedAt: Int64
        /// Where its end is not written yet.
        var places: Set<Place> = []
        var offsets: [(group: String, place: Place, offset: Int64, note: UInt64?)] = []
    }

    private struct Log {
        var records: [Record] = []
        var end: Int64 = 0
        /// The first offset of each transaction without an end.
        var open: [Int: Int64] = [:]
        var lastStable: Int64 { open.values.min() ?? end }
    }

    private struct Producer {
        var epoch = 0
        var transaction: Int?
    }

    /// Milliseconds after which a transaction is ended for a producer that is not heard of.
    private static let transactionMilliseconds: Int64 = 10_000

    let clock: ManualClock
    var random: SplitMix64
    private var logs: [Place: Log] = [:]
    private var partitions: [String: Int32] = [:]
    private var transactions: [Transaction] = []
    private var producers: [String: Producer] = [:]
    private var groups: [String: SimulatedGroup] = [:]
    private var positions: [String: [Place: Int64]] = [:]
    /// What stands beside them.
    private var notes: [String: [Place: UInt64]] = [:]
    /// Calls on transactions fail until then.
    private var coordinatorIsAwayUntil: Int64 = .min

    init(clock: ManualClock, random: SplitMix64) {
        self.clock = clock
        self.random = random
    }

    func create(_ topic: String, partitions count: Int32) {
        partitions[topic] = count
        for partition in 0..<count { logs[Place(topic: topic, partition: partition)] = Log() }
    }

    func partitionCount(of topic: String) -> Int32 { partitions[topic] ?? 0 }

    func group(_ name: String) -> SimulatedGroup {
        if let group = groups[name] { return group }
        let group = SimulatedGroup(self)
        groups[name] = group
        return group
    }

    // MARK: Records

    @discardableResult
    func append(
        _ place: Place, key: [UInt8]?, value: [UInt8]?, timestamp: Int64, transaction: Int = -1
    ) -> Int64 {
        guard var log = logs.removeValue(forKey: place) else { fatalError("no topic \(place.topic)") }
        let offset = log.end
        var record = Record(offset: offset, key: key, value: value, timestamp: timestamp)
        record.transaction = transaction
        log.records.append(record)
        log.end += 1
        if transaction >= 0 {
            transactions[transaction].places.insert(place)
            if log.open[transaction] == nil { log.open[transaction] = offset }
        }
        logs[place] = log
        return offset
    }

    func end(of place: Place) -> Int64 { logs[place]?.end ?? 0 }

    /// The offset that readers of what is committed can come to.
    func lastStable(of place: Place) -> Int64 { logs[place]?.lastStable ?? 0 }

    /// Committed records from an offset on, at most so many, and the offset to go on from. `isCommitted`
    /// false: those of transactions that are open or given up too.
    func read(_ place: Place, from: Int64, atMost count: Int, isCommitted: Bool = true) -> (
        records: [Record], next: Int64
    ) {
        guard let log = logs[place] else { return ([], from) }
        var found: [Record] = []
        var next = from
        var index = log.records.partitioningIndex { $0.offset >= from }
        let end = isCommitted ? log.lastStable : log.end
        while index < log.records.count, log.records[index].offset < end, found.count < count {
            let record = log.records[index]
            if isCommitted ? isVisible(record) : !record.isMarker { found.append(record) }
            next = record.offset + 1
            index += 1
        }
        if index == log.records.count || log.records[index].offset >= end { next = max(next, end) }
        return (found, next)
    }

    private func isVisible(_ record: Record) -> Bool {
        guard !record.isMarker else { return false }
        guard record.transaction >= 0 else { return true }
        let state = transactions[record.transaction].state
        return state == .committed || state == .committing
    }

    /// Of each key the newest record is left, as far as transactions have ended.
    func compact(_ topic: String) {
        for partition in 0..<partitionCount(of: topic) {
            let place = Place(topic: topic, partition: partition)
            guard var log = logs.removeValue(forKey: place) else { continue }
            let stable = log.lastStable
            var newest: [[UInt8]: Int64] = [:]
            for record in log.records where record.offset < stable && isVisible(record) {
                newest[record.key ?? []] = record.offset
            }
            // The last record of a log stays whatever it is.
            log.records.removeAll { record in
                record.offset < stable && record.offset < log.end - 1
                    && (!isVisible(record) || newest[record.key ?? []] != record.offset)
            }
            logs[place] = log
        }
    }

    // MARK: Transactions

    /// Takes over a producer's name: what it left open is ended, and its calls are refused from now on.
    func register(_ name: String) -> Int {
        var producer = producers[name] ?? Producer()
        producer.epoch += 1
        if let transaction = producer.transaction { giveUp(transaction) }
        producer.transaction = nil
        producers[name] = producer
        return producer.epoch
    }

    /// The transaction of this producer that is open, begun if there is none.
    func transaction(_ name: String, epoch: Int) throws(Fault) -> Int {
        try check(name, epoch)
        if let transaction = producers[name]?.transaction {
            guard transactions[transaction].state == .open else {
                throw refused("the transaction was ended by its timeout")
            }
            return transaction
        }
        transactions.append(Transaction(openedAt: clock.nowMilliseconds))
        producers[name]?.transaction = transactions.count - 1
        return transactions.count - 1
    }

    func addOffsets(
        _ offsets: [Place: Int64], notes: [Place: UInt64], of group: String, member: Int, generation: Int,
        to transaction: Int,
        isChecked: Bool = true
    ) throws(Fault) {
        guard !isChecked || self.group(group).isMember(member, generation: generation) else {
            throw refused("the member's generation is over")
        }
        for (place, offset) in offsets {
            transactions[transaction].offsets.append((group, place, offset, notes[place]))
        }
    }

    func commit(_ name: String, epoch: Int) throws(Fault) {
        try check(name, epoch)
        guard let transaction = producers[name]?.transaction else { return }
        guard transactions[transaction].state == .open else {
            throw refused("the transaction was ended by its timeout")
        }
        producers[name]?.transaction = nil
        transactions[transaction].state = .committing
        // A producer's next transaction waits for the ends of this one; so everything but its readers sees it
        // whole.
        for offset in transactions[transaction].offsets {
            positions[offset.group, default: [:]][offset.place] = offset.offset
            notes[offset.group, default: [:]][offset.place] = offset.note
        }
        settle()
    }

    func abort(_ name: String, epoch: Int) {
        guard producers[name]?.epoch == epoch, let transaction = producers[name]?.transaction else { return }
        producers[name]?.transaction = nil
        giveUp(transaction)
    }

    private func check(_ name: String, _ epoch: Int) throws(Fault) {
        guard clock.nowMilliseconds >= coordinatorIsAwayUntil else {
            throw refused("the coordinator is not available")
        }
        guard producers[name]?.epoch == epoch else { throw refused("producer fenced") }
    }

    private func refused(_ detail: String) -> Fault {
        Fault(.external, "simulated: \(detail)", retry: .withBackoff)
    }

    private func giveUp(_ transaction: Int) {
        guard transactions[transaction].state == .open else { return }
        transactions[transaction].state = .aborted
        for place in transactions[transaction].places { writeEnd(transaction, place) }
        transactions[transaction].places = []
    }

    private func writeEnd(_ transaction: Int, _ place: Place) {
        guard var log = logs.removeValue(forKey: place) else { return }
        var end = Record(offset: log.end, key: nil, value: nil, timestamp: 0)
        end.transaction = transaction
        end.isMarker = true
        log.records.append(end)
        log.end += 1
        log.open[transaction] = nil
        logs[place] = log
    }

    /// The positions of a group, and whether a transaction that is not over may still change them.
    func committed(_ group: String, _ places: [Place]) -> (positions: [Place: Int64], isOpen: Bool) {
        let isOpen = transactions.contains { transaction in
            transaction.state == .open
                && transaction.offsets.contains { $0.group == group && places.contains($0.place) }
        }
        return ((positions[group] ?? [:]).filter { places.contains($0.key) }, isOpen)
    }

    func note(_ group: String, _ place: Place) -> UInt64? { notes[group]?[place] }

    func commitPlainly(
        _ offsets: [Place: Int64], of group: String, member: Int, generation: Int
    ) throws(Fault) {
        guard self.group(group).isMember(member, generation: generation) else {
            throw refused("the member's generation is over")
        }
        positions[group, default: [:]].merge(offsets) { $1 }
    }

    // MARK: What happens by itself

    /// Some ends of transactions reach their partitions, and what has run out is ended.
    func settle() {
        let now = clock.nowMilliseconds
        for transaction in transactions.indices {
            switch transactions[transaction].state {
            case .committing:
                // Of some it takes long.
                let slowness: UInt64 = transaction & 7 == 0 ? 31 : 3
                for place in transactions[transaction].places.sorted(by: Self.order)
                where slowness == 3 ? random.next() & 3 != 0 : random.next() & slowness == 0 {
                    writeEnd(transaction, place)
                    transactions[transaction].places.remove(place)
                }
                if transactions[transaction].places.isEmpty { transactions[transaction].state = .committed }
            case .open where now - transactions[transaction].openedAt > Self.transactionMilliseconds:
                giveUp(transaction)
            case .open, .committed, .aborted: break
            }
        }
        for group in groups.values { group.settle() }
    }

    var hasOpenTransactions: Bool {
        transactions.contains { $0.state == .open || $0.state == .committing }
    }

    func loseCoordinator(forMilliseconds milliseconds: Int64) {
        coordinatorIsAwayUntil = clock.nowMilliseconds + milliseconds
    }

    private static func order(_ a: Place, _ b: Place) -> Bool {
        (a.topic, a.partition) < (b.topic, b.partition)
    }
}

extension Array {
    /// The first index whose element is in the second part, of an array that `belongs` parts in two.
    func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
