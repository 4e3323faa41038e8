import Base
import Connectors
import Glibc
import Records

/// The topic `<group>-audit`: what was done to the rules of a topology, for good.
package struct AuditLog {
    private let kafka: KafkaSettings
    private var reader: KafkaReader
    private var chain = AuditChain()

    /// `kafka.group`: the group of the topology's workers, which have made the topic.
    package init(_ kafka: KafkaSettings) throws(Fault) {
        self.kafka = kafka
        reader = try KafkaReader(kafka, topic: RuleSetTopics.audit(kafka.group))
    }

    /// Takes what was written since. `body`: each record as it stands, and what is wrong with the chain
    /// there.
    package mutating func readToEnd(_ body: (_ record: [UInt8], _ offset: Int64, _ mistake: String?) -> Void)
        throws(Fault)
    {
        var chain = self.chain
        try reader.readToEnd { record in
            let value = record.value.map { Array($0) } ?? []
            body(value, record.offset, chain.take(value))
        }
        self.chain = chain
    }

    package var count: Int64 { chain.count }
    package var head: String { chain.head }

    /// The next record of the topic, to be published together with what it tells of, by who alone may
    /// publish: a `KafkaPublisher` of name `RuleSetTopics.publisher`, opened before.
    mutating func next(
        by person: String, _ action: String, _ details: [(name: String, value: String)],
        at milliseconds: Int64
    ) throws(Fault) -> KafkaPublisher.Record {
        try readToEnd { _, _, _ in }
        let record = chain.next(
            by: person, action: action, details: details, at: CivilTime.string(milliseconds))
        return KafkaPublisher.Record(
            topic: RuleSetTopics.audit(kafka.group), partition: 0, key: nil, value: record.json)
    }

    /// Adds a record, with others that it tells of in the same transaction.
    package mutating func append(
        by person: String, action: String, details: [(name: String, value: String)], at milliseconds: Int64,
        with others: [KafkaPublisher.Record] = []
    ) throws(Fault) {
        var triesLeft = 5
        var written: String?
        while true {
            do throws(Fault) {
                let publisher = try KafkaPublisher(kafka, name: RuleSetTopics.publisher(kafka.group))
                // A commit whose end nobody told may have been one: then it is there by now.
                var isThere = false
                try readToEnd { record, _, _ in
                    if let written, record.elementsEqual(written.utf8) { isThere = true }
                }
                if isThere { return }
                let record = try next(by: person, action, details, at: milliseconds)
                written = record.value
                try publisher.publish(others + [record])
                return
            } catch {
                // Somebody else published in between, or the broker is slow.
                triesLeft -= 1
                guard triesLeft > 0, error.domain == .external else { throw error }
                usleep(UInt32.random(in: 50_000...300_000))
            }
        }
    }
}
