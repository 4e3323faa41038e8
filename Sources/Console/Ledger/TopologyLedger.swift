import Base
import Connectors
import Engine
import Records
import Synchronization

/// What people write about one topology: dispositions of alerts, changes of rules, and the audit of both,
/// each step in one transaction. Of two who write at once, whoever opened the publisher last is the only one
/// who can, and has read what was written before; so a revision that was seen is compared with what is there.
package final class TopologyLedger: Sendable {
    package static func dispositions(_ topology: String) -> String { "\(topology)-dispositions" }
    package static func changes(_ topology: String) -> String { "\(topology)-changes" }
    package static func audit(_ topology: String) -> String { RuleSetTopics.audit(topology) }

    /// What is there, and what is to be written.
    package struct Book: Sendable {
        package fileprivate(set) var dispositions: [String: Disposition] = [:]
        package fileprivate(set) var changes: [String: RuleChange] = [:]
        /// Marks of links that were used (`AcknowledgePage`).
        package fileprivate(set) var usedLinks: Set<String> = []
        fileprivate var chain = AuditChain()
        fileprivate var newDispositions: [Disposition] = []
        fileprivate var newChanges: [RuleChange] = []
        fileprivate var events: [AuditEvent] = []

        package mutating func put(_ disposition: Disposition) {
            dispositions[disposition.alertId] = disposition
            newDispositions.append(disposition)
        }

        package mutating func put(_ change: RuleChange) {
            changes[change.id] = change
            newChanges.append(change)
        }

        package mutating func note(_ event: AuditEvent) {
            events.append(event)
            if let link = event.link { usedLinks.insert(link) }
        }
    }

    private struct State: ~Copyable {
        var publisher: KafkaPublisher?
        var book = Book()
    }

    package let topology: String
    private let kafka: KafkaSettings
    private let now: @Sendable () -> Int64
    private let state: Mutex<State>

    package init(_ kafka: KafkaSettings, topology: String, now: @escaping @Sendable () -> Int64) {
        (self.kafka, self.topology, self.now) = (kafka, topology, now)
        state = Mutex(State())
    }

    /// Lets `body` look at what is there and write; what it throws is thrown, and nothing is written then.
    package func write<Result>(_ body: (inout Book) throws(ApiError) -> Result) throws(ApiError) -> Result {
        try state.withLock { (state) throws(ApiError) -> Result in
            var tries = 0
            while true {
                do throws(Fault) {
                    if state.publisher == nil { try open(&state) }
                } catch { throw ApiError(error) }
                var book = state.book
                let result = try body(&book)
                let records = records(&book)
                do throws(Fault) {
                    if !records.isEmpty { try state.publisher?.publish(records) }
                    state.book = book
                    return result
                } catch {
                    // Another console, or a command, was here: look again at what is there by now.
                    state.publisher = nil
                    tries += 1
                    if tries == 3 { throw ApiError(error) }
                }
            }
        }
    }

    /// Lets somebody else publish without a fight; what comes next opens it again.
    package func release() { state.withLock { $0.publisher = nil } }

    private func open(_ state: inout State) throws(Fault) {
        let names = [Self.dispositions(topology), Self.changes(topology), Self.audit(topology)]
        try KafkaAdmin(kafka).create(Self.plans(topology))
        state.publisher = try KafkaPublisher(kafka, name: RuleSetTopics.publisher(topology))
        var book = Book()
        var broken: String?
        for name in names {
            try KafkaReader(kafka, topic: name).readToEnd { record in
                guard let value = record.value else { return }
                let key = record.keyText
                switch name {
                case names[0]:
                    if let disposition = try? Disposition(value), disposition.alertId == key {
                        book.dispositions[disposition.alertId] = disposition
                    }
                case names[1]:
                    if let change = try? RuleChange(value), change.id == key {
                        book.changes[change.id] = change
                    }
                default:
                    let bytes = Array(value)
                    if let link = AuditEvent.link(of: bytes) { book.usedLinks.insert(link) }
                    let reason = book.chain.take(bytes)
                    if broken == nil { broken = reason.map { "record at offset \(record.offset): \($0)" } }
                }
            }
        }
        if let broken {
            Log.error("audit of \(topology): \(broken); what follows is chained to its end as it is")
        }
        state.book = book
    }

    package static func plans(_ topology: String) -> [KafkaTopicPlan] {
        [
            KafkaTopicPlan(
                name: dispositions(topology), partitions: 1, configuration: ["cleanup.policy": "compact"]),
            KafkaTopicPlan(
                name: changes(topology), partitions: 1, configuration: ["cleanup.policy": "compact"]),
            RuleSetTopics.auditPlan(topology),
        ]
    }

    private func records(_ book: inout Book) -> [KafkaPublisher.Record] {
        var records: [KafkaPublisher.Record] = []
        for disposition in book.newDispositions {
            records.append(
                KafkaPublisher.Record(
                    topic: Self.dispositions(topology), partition: 0, key: disposition.alertId,
                    value: disposition.json.string))
        }
        for change in book.newChanges {
            records.append(
                KafkaPublisher.Record(
                    topic: Self.changes(topology), partition: 0, key: change.id, value: change.record))
        }
        let at = now()
        for event in book.events {
            let record = book.chain.next(
                by: event.who, action: event.action, details: event.details, at: CivilTime.string(at)
            ).json
            _ = book.chain.take(Array(record.utf8))
            records.append(
                KafkaPublisher.Record(topic: Self.audit(topology), partition: 0, key: nil, value: record))
        }
        (book.newDispositions, book.newChanges, book.events) = ([], [], [])
        return records
    }
}
