import Base
import Dataflow
import Records

/// Reads the changelogs of tasks.
final class SimulatedChangelog: ChangelogReader {
    private let broker: SimulatedBroker
    private let life: SimulatedLife
    private let topic: String
    private let mistake: Mistake?

    init(_ broker: SimulatedBroker, _ life: SimulatedLife, topic: String, mistake: Mistake?) {
        self.broker = broker
        self.life = life
        self.topic = topic
        self.mistake = mistake
    }

    func place(of task: Int32) -> String { "changelog '\(topic)', partition \(task)" }

    func read(
        _ tasks: [Int32: Int64?],
        _ body: (Int32, Int64, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>?) throws(Fault) -> Void
    ) throws(Fault) -> [Int32: ChangelogEnd] {
        var ends: [Int32: ChangelogEnd] = [:]
        for (task, from) in tasks.sorted(by: { $0.key < $1.key }) {
            try life.pass(.restore)
            let place = SimulatedBroker.Place(topic: topic, partition: task)
            var (records, next) = broker.read(
                place, from: from ?? 0, atMost: .max, isCommitted: mistake != .changelogUncommitted)
            if mistake == .changelogCut, records.count > 1 { records.removeLast() }
            let held = SimulatedRecords(records)
            for index in 0..<records.count {
                let value = held.storage.values[index].map {
                    UnsafeBufferPointer(start: $0, count: Int(held.storage.valueCounts[index]))
                }
                try body(
                    task, records[index].offset,
                    UnsafeBufferPointer(
                        start: held.storage.keys[index], count: max(0, Int(held.storage.keyCounts[index]))),
                    value)
            }
            withExtendedLifetime(held) {}
            ends[task] = ChangelogEnd(
                offset: next, isOpen: mistake != .openIgnored && broker.end(of: place) > next)
        }
        // Whoever waits for the end of a transaction reads again.
        broker.clock.nowMilliseconds += 20
        broker.settle()
        return ends
    }
}

/// A machine's disk. What was being written when a worker was killed is torn, which the files' checksums
/// tell.
final class SimulatedDisk {
    fileprivate var snapshots: [Int32: [(bytes: [UInt8], end: Int64)]] = [:]

    func lose() { snapshots = [:] }
}

final class SimulatedSnapshots: SnapshotStore {
    private let disk: SimulatedDisk
    private let broker: SimulatedBroker
    private let life: SimulatedLife
    private var saving: (task: Int32, bytes: [UInt8], end: Int64)?
    private let mistake: Mistake?
    /// What was saved last, for a mistake.
    private var before: [Int32: [UInt8]] = [:]

    init(_ broker: SimulatedBroker, _ life: SimulatedLife, _ disk: SimulatedDisk, mistake: Mistake?) {
        self.mistake = mistake
        self.disk = disk
        self.broker = broker
        self.life = life
    }

    func load(_ task: Int32, _ body: (UnsafeBufferPointer<UInt8>, _ changelogEnd: Int64) -> Bool) {
        for snapshot in disk.snapshots[task] ?? [] {
            if snapshot.bytes.withUnsafeBufferPointer({ body($0, snapshot.end) }) { return }
        }
    }

    var isSaving: Bool {
        if saving != nil, broker.random.next() & 3 == 0 { finish() }
        return saving != nil
    }

    func save(_ task: Int32, _ snapshot: Arena, changelogEnd: Int64) {
        finish()
        let bytes = Array(UnsafeBufferPointer(start: snapshot.base, count: snapshot.count))
        saving = (
            task, mistake == .snapshotOld ? before[task] ?? bytes : bytes,
            changelogEnd + (mistake == .snapshotAhead ? 20 : 0)
        )
        before[task] = bytes
    }

    func close() { finish() }

    private func finish() {
        guard let (task, bytes, end) = saving else { return }
        saving = nil
        guard !life.isOver else { return }
        disk.snapshots[task] = [(bytes, end)] + (disk.snapshots[task] ?? []).prefix(1)
    }
}

/// A table that a lane has all of.
final class SimulatedReader: BroadcastReader {
    private let broker: SimulatedBroker
    private let topic: String
    private var next: [Int32: Int64] = [:]

    private let rowsMax: Int

    init(_ broker: SimulatedBroker, topic: String, rowsMax: Int) {
        self.broker = broker
        self.topic = topic
        self.rowsMax = rowsMax
    }

    func poll(timeoutMilliseconds: Int, batch body: (RawRecords) -> Void) throws(Fault) {
        for partition in 0..<broker.partitionCount(of: topic) {
            let place = SimulatedBroker.Place(topic: topic, partition: partition)
            let (records, after) = broker.read(place, from: next[partition] ?? 0, atMost: rowsMax)
            next[partition] = after
            guard !records.isEmpty else { continue }
            let held = SimulatedRecords(records)
            body(held.raw)
            withExtendedLifetime(held) {}
        }
    }

    var isAtEnd: Bool {
        (0..<broker.partitionCount(of: topic)).allSatisfy {
            next[$0] ?? 0 >= broker.lastStable(of: SimulatedBroker.Place(topic: topic, partition: $0))
        }
    }
}
