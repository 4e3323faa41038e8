import Base
import Connectors
import Engine
import Glibc
import Records
import Synchronization

/// Follows every topic that the console shows, on one thread: alerts, dispositions and deliveries into the
/// index, the rest onto the board. What it cannot read it tries again; the pages go on with what there is.
package final class ConsoleFollower: Sendable {
    private let kafka: KafkaSettings
    private let board: TopologyBoard
    private let index: AlertIndex
    private let hub: EventHub
    private let popups: PopupBoard
    private let now: @Sendable () -> Int64
    private let stopping: StopSignal
    /// Why nothing comes for now.
    private let fault = Mutex<String?>(nil)
    private let counts = Mutex((done: Int64(0), total: Int64(0)))

    package init(
        _ kafka: KafkaSettings, _ board: TopologyBoard, _ index: AlertIndex, _ hub: EventHub,
        _ popups: PopupBoard, stopping: StopSignal, now: @escaping @Sendable () -> Int64
    ) {
        (self.popups, self.now) = (popups, now)
        (self.kafka, self.board, self.index, self.hub, self.stopping) = (kafka, board, index, hub, stopping)
    }

    package var problem: String? { fault.withLock { $0 } }
    /// Records of the index that were read, of those that there were at the start.
    package var progress: (done: Int64, total: Int64) {
        counts.withLock { ($0.done, max($0.done, $0.total)) }
    }

    private enum Kind {
        case deployments
        case ruleSets(String)
        case acknowledgements(String)
        case changes(String)
        case audit(String)
        case alerts, dispositions, deliveries

        var indexed: AlertIndex.Kind? {
            switch self {
            case .alerts: .alert
            case .dispositions: .disposition
            case .deliveries: .delivery
            case .deployments, .ruleSets, .acknowledgements, .changes, .audit: nil
            }
        }
    }

    /// Until it is stopped.
    package func run() {
        // Of topics that are not indexed: what was taken is not taken again after a fault.
        var positions: [String: [Int32: Int64]] = [:]
        while !stopping.isSet {
            do throws(Fault) {
                var settings = kafka
                settings.stop = stopping
                try follow(try KafkaTopicReader(settings), &positions)
            } catch {
                if stopping.isSet { return }
                Log.warning("console: \(error.detail); it is tried again")
                fault.withLock { $0 = error.detail }
                for _ in 0..<20 where !stopping.isSet { usleep(100_000) }
            }
        }
    }

    private func follow(_ follower: KafkaTopicReader, _ positions: inout [String: [Int32: Int64]])
        throws(Fault)
    {
        var kinds: [String: Kind] = [:]
        var lookedAt: Int64 = 0
        var entries: [AlertIndex.Entry] = []
        var changed: Set<String> = []
        while !stopping.isSet {
            if monotonicNanoseconds() - lookedAt > 2_000_000_000 {
                try addTopics(follower, positions, &kinds)
                lookedAt = monotonicNanoseconds()
            }
            let known = kinds
            let count = try follower.poll(timeoutMilliseconds: 20) { topic, record in
                guard let kind = known[topic] else { return }
                if let indexed = kind.indexed {
                    entries.append(
                        AlertIndex.Entry(
                            topic: topic, partition: record.partition, offset: record.offset,
                            value: record.value.map { Array($0) } ?? [],
                            kind: indexed))
                } else {
                    if let name = take(kind, record) { changed.insert(name) }
                    positions[topic, default: [:]][record.partition] = record.offset + 1
                }
            }
            fault.withLock { $0 = nil }
            if !entries.isEmpty {
                try index.take(entries)
                for entry in entries where entry.kind == .delivery {
                    let topology = String(entry.topic.dropLast("-deliveries".count))
                    _ = popups.take(entry.value, topology: topology, now: now())
                }
                counts.withLock { $0.done += Int64(entries.count) }
                entries.removeAll(keepingCapacity: true)
                if index.isBuilding { hub.tellProgress(progress, isReady: false) } else { hub.wake() }
            }
            if !changed.isEmpty {
                // Texts and acknowledgements come one after the other: told once they are all there.
                if count > 0, !follower.isAtEnd, index.isBuilding { continue }
                for name in changed where !name.isEmpty { board.change(name) { $0.readAgain() } }
                changed = []
                lookedAt = 0
            }
            if index.isBuilding, follower.isAtEnd, count == 0, lookedAt != 0 {
                try index.finishBuilding()
                hub.tellProgress(progress, isReady: true)
                Log.info("console: \(progress.done) records are in the index")
            }
        }
    }

    /// Topics come when they are made. Dispositions before alerts, so that nothing looks open that is closed.
    private func addTopics(
        _ follower: KafkaTopicReader, _ positions: [String: [Int32: Int64]], _ kinds: inout [String: Kind]
    ) throws(Fault) {
        func add(_ topic: String, _ kind: Kind) throws(Fault) {
            guard kinds[topic] == nil else { return }
            let isIndexed = kind.indexed != nil
            guard
                let waiting = try follower.add(
                    topic, from: isIndexed ? index.positions(of: topic) : positions[topic] ?? [:])
            else { return }
            kinds[topic] = kind
            if isIndexed { counts.withLock { $0.total += waiting } }
        }
        try add(Deployment.topic, .deployments)
        let admin = try KafkaAdmin(kafka)
        for state in board.all {
            let name = state.name
            try add(RuleSetTopics.ruleSets(name), .ruleSets(name))
            try add(RuleSetTopics.acknowledgements(name), .acknowledgements(name))
            if state.tasks == 0,
                let tasks = try admin.partitionCount(of: RuleSetTopics.acknowledgements(name))
            {
                board.change(name) { $0.tasks = tasks }
            }
            try add(TopologyLedger.changes(name), .changes(name))
            try add(TopologyLedger.audit(name), .audit(name))
            try add(TopologyLedger.dispositions(name), .dispositions)
            try add("\(name)-deliveries", .deliveries)
            board.change(name) { $0.readAgain() }
            for topic in state.alertTopics { try add(topic, .alerts) }
        }
    }

    /// Returns the topology whose text may be another one by it.
    private func take(_ kind: Kind, _ record: KafkaReader.Record) -> String? {
        if case .audit(let name) = kind {
            if let value = record.value.map({ Array($0) }) { board.change(name) { $0.takeAudit(value) } }
            return nil
        }
        guard let key = record.keyText else { return nil }
        switch kind {
        case .deployments:
            guard board.wants(key), let value = record.value else { return nil }
            guard let deployment = Deployment.read(value), deployment.topology == key else { return nil }
            board.change(key) { $0.deployment = deployment }
            return key
        case .ruleSets(let name):
            board.change(name) { state in
                if case .void(let reason) = state.history.take(key: key, value: record.value) {
                    Log.warning("rules of \(name): \(reason)")
                }
            }
            if key.hasPrefix("activation/") { hub.tellActivation(name, board) }
            return name
        case .acknowledgements(let name):
            let value = record.valueText
            board.change(name) { $0.acknowledgements[key] = value }
            if let value, !key.hasPrefix("prepared/") { hub.tellAcknowledgement(name, value, board) }
        case .changes(let name):
            guard let value = record.value, let change = try? RuleChange(value) else { return nil }
            board.change(name) { $0.changes[change.id] = change }
            hub.tell("change", change.row, topology: name)
        case .audit, .alerts, .dispositions, .deliveries: break
        }
        return nil
    }
}
